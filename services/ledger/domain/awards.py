"""Points for what is no purchase: once per this, capped per that, and within a campaign's budget.

Interactions and referrals are rewarded alike; what differs is what makes them due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.ledger.domain import budgets, earning, inactivity
from services.ledger.domain.book import Book, Lot, Member
from services.ledger.domain.events import AwardWithheld, Decided, PointsAwarded
from services.ledger.domain.program import Program


@dataclass(slots=True, frozen=True)
class Due:
    """An award that is to be decided. `counts_as` names what its caps count, such as interaction/review."""

    source: str
    source_id: str
    points: int
    campaign: str
    counts_as: str
    once_per: str | None
    caps: Mapping[str, int]
    content: str = ""


def slots_of(program: Program, counts_as: str, at: datetime, content: str = "") -> dict[str, str]:
    """What an award at `at` counts against, by what a rule calls it: days, weeks and months of the program's zone."""
    there = at.astimezone(program.time_zone).date()
    year, week, _ = there.isocalendar()
    slots = {
        "day": f"{counts_as}/day/{there.isoformat()}",
        "week": f"{counts_as}/week/{year:04}-W{week:02}",
        "month": f"{counts_as}/month/{there.isoformat()[:7]}",
        "ever": f"{counts_as}/ever",
    }
    if content:
        slots["content"] = f"{counts_as}/content/{content}"
    return slots


def give(book: Book, program: Program, member: Member, due: Due, at: datetime) -> Iterator[Decided]:
    """The award or why there is none; where points lapse with inactivity, first points begin the count."""
    decided = decide_award(book, program, member, due, at)
    yield decided
    if isinstance(decided.event, PointsAwarded):
        for begun in inactivity.begin(program, member, at):
            begun.chain = member.chain
            yield begun


def decide_award(book: Book, program: Program, member: Member, due: Due, at: datetime) -> Decided:
    """The award, or why there is none. All or nothing: what a budget has left is not given in part."""
    slots = slots_of(program, due.counts_as, at, due.content)
    left = budgets.left(book, program, due.campaign) if due.campaign else 0
    reason = _withheld(member, due, slots, left)
    if reason:
        return withheld(member, due, at, reason, left)
    repaid = min(due.points, member.debt)
    event = PointsAwarded(
        due.source, due.source_id, due.points, due.campaign, left, earning.expiry_of(program, at), repaid,
        program.version, list(slots.values()),
    )  # fmt: skip
    return Decided(event, member.id, at, member.chain)


def withheld(member: Member, due: Due, at: datetime, reason: str, left: int = 0) -> Decided:
    """No award, and why."""
    event = AwardWithheld(due.source, due.source_id, reason, due.points, due.campaign, left)
    return Decided(event, member.id, at, member.chain)


def _withheld(member: Member, due: Due, slots: Mapping[str, str], left: int) -> str:
    if due.once_per is not None and member.awards.get(slots[due.once_per], 0):
        return "repeated"
    if any(member.awards.get(slots[period], 0) >= most for period, most in due.caps.items()):
        return "cap_reached"
    return "budget_exhausted" if due.campaign and left < due.points else ""


def awarded(book: Book, member: Member, event: PointsAwarded, decided: Decided, position: int) -> None:
    """Put an award into the book."""
    member.posted += event.points
    member.debt -= event.debt_repaid
    for slot in event.counted:
        member.awards[slot] = member.awards.get(slot, 0) + 1
    if event.campaign:
        budgets.spend(book, member.program, event.campaign, event.points)
    amount = event.points - event.debt_repaid
    if amount:
        lot = Lot(position, amount, amount, 0, decided.occurred_at, event.expires_at, "")
        book.expect_lapse(member)
        member.lots[position] = lot
        book.expect_lot(member, lot)
