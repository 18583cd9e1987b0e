"""Apache Kafka's jars: from KAFKA_HOME, or resolved once by Maven into a cache of the user's."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from services.ops.local.process import ServerFailed

OLDEST_JAVA = 17
RESOLVE_SECONDS = 600


class NoApacheKafka(ServerFailed):
    """Apache Kafka can't run here; the message says what is missing and what would help."""


@dataclass(frozen=True, slots=True)
class KafkaPrograms:
    """What starts a broker: the java command, a class path, and where the jars came from (for `tally up` to say)."""

    java: str
    class_path: str
    origin: str


def find_kafka_programs() -> KafkaPrograms:
    """Java and Kafka's jars. Raises NoApacheKafka when Java is missing or old, or the jars can't be had."""
    java = _java()
    home = os.environ.get("KAFKA_HOME", "")
    if home:
        libraries = Path(home) / "libs"
        if not any(libraries.glob("kafka_2.13-*.jar")):
            raise NoApacheKafka(f"KAFKA_HOME is {home}, but there is no kafka_2.13 jar in {libraries}")
        return KafkaPrograms(java, f"{libraries}/*", f"KAFKA_HOME={home}")
    jars = _resolved_jars(kafka_folder() / "pom.xml")
    return KafkaPrograms(java, f"{jars}/*", "its jars from Maven, in the user's cache")


def kafka_folder() -> Path:
    """deploy/kafka of this checkout: pom.xml and log4j2.yaml."""
    spec = util.find_spec("services.ops")
    if spec is None or spec.origin is None:
        raise ServerFailed("the package services.ops has no place on disk")
    return Path(spec.origin).parents[2] / "deploy" / "kafka"


def _java() -> str:
    home = os.environ.get("JAVA_HOME", "")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java") or ""
    if not java or not Path(java).exists():
        raise NoApacheKafka(f"no Java: install a JRE {OLDEST_JAVA} or newer, or set JAVA_HOME")
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if done.returncode != 0 or found is None:
        raise NoApacheKafka(f"{java} -version failed: {(done.stderr or done.stdout).strip()}")
    if int(found.group(1)) < OLDEST_JAVA:
        raise NoApacheKafka(f"Java {found.group(1)} is too old for Kafka 4: {OLDEST_JAVA} or newer is needed")
    return java


def _resolved_jars(pom: Path) -> Path:
    """The folder with the jars that `pom` names, filled at the first call.

    The folder's name holds the POM's digest, so that another version is another folder; it appears by a rename, so
    that two commands at once can't see half of it.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tallybook"
    jars = base / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if jars.exists():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise NoApacheKafka(
            "no Maven to fetch Kafka's jars with: install maven, or set KAFKA_HOME to a Kafka 4"
        )
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base, prefix="resolving-") as work:
        # A copy, because Maven may write beside the POM.
        shutil.copy(pom, work)
        done = subprocess.run(
            [
                maven,
                "--batch-mode",
                "--quiet",
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={work}/jars",
            ],
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
            timeout=RESOLVE_SECONDS,
        )
        if done.returncode != 0:
            # Maven's first line says what, the other forty how to ask again.
            said = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            raise NoApacheKafka(
                f"Maven could not resolve {pom.name}: {said[0] if said else 'it does not say why'}"
            )
        try:
            (Path(work) / "jars").rename(jars)
        except OSError:
            # Another command was quicker; its folder holds the same jars.
            if not jars.exists():
                raise
    return jars
