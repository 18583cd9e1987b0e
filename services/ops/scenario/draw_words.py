"""The words of a scenario about draws."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictInt

from services.ops.scenario.words import Words


class DrawStep(Words):
    """A turn at a draw of the program; `id` is its Idempotency-Key, so the same id again draws nothing."""

    id: str
    member: str
    draw: str
    pay: Literal["free", "ticket", "points"] = "free"


class Turn(Words):
    """A turn that the member had, newest first."""

    draw: str | None = None
    state: str | None = None
    prize: str | None = None
    won: bool | None = None
    rewards: list[str] | None = None


class DrawOffer(Words):
    """What a member has in a draw; by the draw's id."""

    open: bool | None = None
    tickets: StrictInt | None = None
    free_left_today: StrictInt | None = None
    losses: StrictInt | None = None
