"""Wait for a condition, with a bound: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05
TIMEOUT_SECONDS = 60.0
"""Long: what is waited for comes, and a machine with other work is no fault."""


def until(look: Callable[[], T], what: str, timeout_seconds: float = TIMEOUT_SECONDS) -> T:
    """Call `look` until it gives something true, and return that. AssertionError after the time-out.

    The error names `what` was waited for and the last thing seen.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            raise AssertionError(f"after {timeout_seconds:g} s still not: {what}; last seen: {seen!r}")
        time.sleep(POLL_SECONDS)


async def eventually(
    look: Callable[[], Awaitable[T]], what: str, timeout_seconds: float = TIMEOUT_SECONDS
) -> T:
    """`until` for a condition that is asked with `await`."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        seen = await look()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            raise AssertionError(f"after {timeout_seconds:g} s still not: {what}; last seen: {seen!r}")
        await asyncio.sleep(POLL_SECONDS)
