"""Posts corrections through the ledger's public API, or approves those that wait, some at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from services.ops.api import Api, ApiError
from services.ops.correcting.plan import Correction

AT_ONCE = 8
"""Requests that are under way."""
SERVER_ERROR = 500


class Posted(NamedTuple):
    """What the ledger made of a correction: `applied`, `requested`, or the code of its refusal and why."""

    correction: Correction
    state: str
    detail: str = ""


async def post(
    api: Api,
    program: str,
    corrections: Sequence[Correction],
    reason: str,
    note: Callable[[Correction], str],
    on_done: Callable[[], None],
) -> list[Posted]:
    """Ask the ledger for each of them; `on_done` hears of each answer. The answers come in no order.

    Raises:
        ApiError: the ledger failed (what it refuses is an answer), or knows no such key.
        UnreachableError: it does not answer. What was posted until then stays.
    """

    async def ask(correction: Correction) -> str:
        path = f"/v1/programs/{program}/members/{quote(correction.member)}/adjustments"
        body = {"points": correction.points, "reason": reason, "note": note(correction)}
        return str((await api.post("ledger", path, body, correction.adjustment))["state"])

    return await _each(corrections, ask, on_done)


async def approve(
    api: Api,
    program: str,
    corrections: Sequence[Correction],
    attempts: Counter[str],
    on_done: Callable[[], None],
) -> list[Posted]:
    """Say yes, as a second person, to those that wait; `attempts`, by member: how often that was tried before.

    A refusal is remembered under its Idempotency-Key, so each attempt has another. Raises as `post` does.
    """

    async def ask(correction: Correction) -> str:
        id_ = correction.adjustment
        path = f"/v1/programs/{program}/members/{quote(correction.member)}/adjustments/{id_}/approve"
        key = f"{id_}/approve/{attempts[correction.member] + 1}"
        return str((await api.post("ledger", path, {}, key))["state"])

    return await _each(corrections, ask, on_done)


async def _each(
    corrections: Sequence[Correction],
    ask: Callable[[Correction], Awaitable[str]],
    on_done: Callable[[], None],
) -> list[Posted]:
    done: list[Posted] = []

    async def work(waiting: Iterator[Correction]) -> None:
        for correction in waiting:
            try:
                done.append(Posted(correction, await ask(correction)))
            except ApiError as refused:
                if refused.status >= SERVER_ERROR or refused.status in (401, 403):
                    raise
                done.append(Posted(correction, refused.code, refused.detail))
            on_done()

    waiting = iter(corrections)
    workers = [asyncio.ensure_future(work(waiting)) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        # When one fails the others are cut off. What the ledger took of theirs it does not take again.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return done
