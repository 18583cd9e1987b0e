"""What the HTTP API takes and gives of draws. A turn is one go of a member at a draw."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from services.rewards.domain.draws import Turn

DRAW = r"^[A-Za-z0-9_.-]{1,64}$"


class TurnRequest(BaseModel):
    """A turn at a draw."""

    model_config = ConfigDict(extra="forbid")

    draw: Annotated[str, StringConstraints(strict=True, pattern=DRAW)]
    """The program's entry in `rewards.draws`."""
    pay: Literal["free", "ticket", "points"]
    """Nothing is ever paid in another way than this."""


class TurnView(BaseModel):
    """A turn as it now stands. `number` and `seed` say how the prize came about, once it is made."""

    turn: str
    draw: str
    state: str
    pay: str
    points: int
    day: date
    begun_at: datetime
    changed_at: datetime
    prize: str | None
    """The program's prize; null while the turn waits, where it was refused, and where nothing was left."""
    won: bool
    """The prize gives something."""
    rewards: list[str]
    """Entries of the catalogue to be handed over."""
    number: int | None
    seed: str | None
    code: str | None
    detail: str | None
    """Why it was refused."""


class TurnAnswerView(TurnView):
    """A turn, and whether the same request had been taken before."""

    duplicate: bool


class TurnPage(BaseModel):
    """A member's turns, newest first."""

    turns: list[TurnView]
    next: str | None
    """Send it as `before` for the next page; null at the end."""


class PrizeView(BaseModel):
    """One prize. `left`: null where there is no end of it."""

    prize: str
    name: str
    wins: bool
    left: int | None


class DrawView(BaseModel):
    """A draw, as the member may see it. What is null is not offered, or has no end."""

    draw: str
    name: str
    open: bool
    first_day: date | None
    last_day: date | None
    prizes: list[PrizeView]
    free_left_today: int | None
    ticket_price: int | None
    tickets: int
    """What the member has."""
    points_price: int | None
    turns_left_today: int | None
    turns_left: int | None
    losses: int
    """Running."""
    pity_after: int | None


class DrawsView(BaseModel):
    """The program's draws."""

    draws: list[DrawView]


def turn_view(turn: Turn) -> TurnView:
    """A turn as the API shows it. The seed of one that waits is nobody's to know."""
    return TurnView(
        turn=turn.id,
        draw=turn.draw,
        state=str(turn.state),
        pay=turn.pay,
        points=turn.points,
        day=date.fromisoformat(turn.day),
        begun_at=turn.begun_at,
        changed_at=turn.changed_at,
        prize=turn.prize or None,
        won=turn.won,
        rewards=list(turn.rewards),
        number=turn.number,
        seed=None if turn.number is None else turn.seed.hex(),
        code=turn.code,
        detail=turn.detail,
    )
