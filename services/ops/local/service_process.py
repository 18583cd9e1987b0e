"""One service as a process of this machine: started with its settings in the environment, ready when it says so."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from services.ops.local.ports import free_port
from services.ops.local.process import POLL_SECONDS, ServerFailed, log_tail, start_detached
from services.ops.local.state import ServiceState, checkout

READY_SECONDS = 120.0
# A little more than the time that a service gives itself to stop (services/common/service.py).
STOP_SECONDS = 30.0
# Settings of the caller that a service may see; what the stack decides goes over them.
NOT_PASSED_ON = ("TALLY_HOME", "TALLY_REQUIRE_KAFKA", "TALLY_DATABASE_PREFIX")


def start(service: ServiceState, module: str, settings: Mapping[str, str], log: Path) -> None:
    """Start `python -m <module>` on the service's port; `service.process` is set. Does not wait."""
    service.process = start_detached(
        [sys.executable, "-m", module],
        env=_environment({**settings, "TALLY_HOST": "127.0.0.1", "TALLY_PORT": str(service.port)}),
        log=log,
        cwd=checkout(),
    )


def wait_ready(service: ServiceState, log: Path, timeout_seconds: float = READY_SECONDS) -> None:
    """Return when GET /health/ready answers 200. Raises ServerFailed with the end of the log when it does not."""
    deadline = time.monotonic() + timeout_seconds
    last = "no answer"
    # One client for all tries: each makes a TLS context, which takes longer than the question.
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            if service.process is None or not service.process.alive():
                raise ServerFailed(
                    f"the {service.name} service ended while it started; its log:\n{log_tail(log)}"
                )
            try:
                answer = client.get(f"{service.url}/health/ready")
            except httpx.TransportError as fault:
                last = repr(fault)
            else:
                if answer.status_code == httpx.codes.OK:
                    return
                last = answer.text
            time.sleep(POLL_SECONDS)
    raise ServerFailed(
        f"the {service.name} service was not ready after {timeout_seconds:g} s ({last}); its log:\n{log_tail(log)}"
    )


def stop(service: ServiceState) -> bool:
    """SIGTERM and wait; True when it ended by itself in time."""
    if service.process is None:
        return True
    polite = service.process.stop(STOP_SECONDS)
    service.process = None
    return polite


def new_service(name: str) -> ServiceState:
    """A service that was not started yet, with a port of its own."""
    return ServiceState(name, free_port())


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
        or (name.startswith("TALLY_") and name not in NOT_PASSED_ON)
    }
    root = checkout()
    # A checkout works whether or not it was installed into this Python.
    paths = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'proto' / 'gen'}"}
    return {**inherited, **paths, "PYTHONUNBUFFERED": "1", "TZ": "UTC", **settings}
