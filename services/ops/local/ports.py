"""Free ports on loopback."""

from __future__ import annotations

import random
import socket

# Below the range from which systems take the ports of outgoing connections (32768 and up on Linux, 49152 on
# others): a server that is killed and started again finds its port still free.
LOWEST_PORT = 15_000
HIGHEST_PORT = 29_999
TRIES = 200


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on. Raises OSError when 200 random picks are all taken."""
    for _ in range(TRIES):
        port = random.randint(LOWEST_PORT, HIGHEST_PORT)  # noqa: S311 - a port is no secret
        if is_free(port):
            return port
    raise OSError(f"no free port found between {LOWEST_PORT} and {HIGHEST_PORT} in {TRIES} tries")


def is_free(port: int) -> bool:
    """True when 127.0.0.1:port can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
