"""Points are set aside for an order, spent, or freed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import inactivity, lots, merge_effects
from services.ledger.domain.book import Book, Hold, Member
from services.ledger.domain.checks import (
    POINTS_MAX,
    active_program,
    enrolled_member,
    present,
    spending_member,
)
from services.ledger.domain.commands import CaptureHold, Command, PlaceHold, ReleaseHold
from services.ledger.domain.events import (
    Allocations,
    Decided,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    PointsExpired,
)


def place_hold(book: Book, command: PlaceHold) -> Iterator[Decided]:
    """Points are set aside for an order: they count against what is available at once."""
    program = active_program(book, command)
    if not 1 <= command.amount <= POINTS_MAX:
        raise Refusal("amount_out_of_range", f"amount {command.amount} is not from 1 to {POINTS_MAX} points")
    ttl = program.hold_ttl_seconds if command.ttl_seconds is None else command.ttl_seconds
    if not 1 <= ttl <= program.hold_ttl_max_seconds:
        raise Refusal(
            "ttl_out_of_range", f"ttl_seconds {ttl} is not from 1 to {program.hold_ttl_max_seconds}"
        )
    member = spending_member(book, command)
    now = present(book, command, program)
    spendable = lots.spendable(member, now)
    if command.amount > spendable:
        raise Refusal("insufficient_points", f"{command.amount} points asked for, {spendable} available")

    expires_at = now + timedelta(seconds=ttl)
    allocations = lots.allocate(member, command.amount, now)
    yield Decided(
        HoldPlaced(command.hold, command.order, command.amount, expires_at, allocations), member.id, now
    )


def capture_hold(book: Book, command: CaptureHold) -> Iterator[Decided]:
    """The held points, or the first of them, are spent; the rest is free again, or stays held for another capture."""
    program = active_program(book, command)
    member = spending_member(book, command)
    now = present(book, command, program)
    hold = _open_hold(book, member, command.hold, now)
    amount = hold.left if command.amount is None else command.amount
    if amount < 1:
        raise Refusal("amount_out_of_range", f"amount {amount} is not at least 1; to free a hold, release it")
    if amount > hold.left:
        raise Refusal("amount_exceeds_hold", f"{amount} points asked for, the hold has {hold.left}")

    spent, rest = lots.split(hold.allocations, amount)
    freed = rest if command.final else []
    left = 0 if command.final else hold.left - amount
    event = HoldCaptured(hold.id, hold.order, amount, spent, freed, left, hold.captured)
    yield Decided(event, member.id, now)
    yield from inactivity.put_off(program, member, "redemption", now)
    yield from _expire_freed(book, command, member, freed)


def release_hold(book: Book, command: ReleaseHold) -> Iterator[Decided]:
    """The points that are still held are free again."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    hold = _open_hold(book, member, command.hold, now)

    freed = list(hold.allocations)
    yield Decided(released(hold, "released"), member.id, now)
    yield from _expire_freed(book, command, member, freed)


def released(hold: Hold, reason: str) -> HoldReleased:
    """The end of a hold: all that was not captured is free."""
    return HoldReleased(hold.id, hold.order, hold.left, reason, list(hold.allocations), hold.captured)


def _expire_freed(
    book: Book, command: Command, member: Member, freed: list[tuple[int, int]]
) -> Iterator[Decided]:
    """Lots that a hold protected past their expiry, or past their member's lapse, expire when it ends."""
    clock = book.programs[command.chain, command.program].clock
    ended = freed or not member.held
    if ended and member.lapses_at is not None and member.lapses_at <= clock:
        yield inactivity.lapse(member)
    for lot_id, _ in freed:
        lot = member.lots[lot_id]
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            yield Decided(PointsExpired(lot.id, lot.free), member.id, lot.expires_at)


def _open_hold(book: Book, member: Member, hold_id: str, now: datetime) -> Hold:
    hold = member.holds.get(hold_id) or merge_effects.absorbed_hold(book, member, hold_id)
    if hold is None:
        raise Refusal("hold_unknown", f"the member has no hold {hold_id!r}")
    if hold.state == "captured":
        raise Refusal("hold_already_captured", f"hold {hold_id!r} was captured")
    if hold.state == "released":
        raise Refusal("hold_already_released", f"hold {hold_id!r} was released")
    if hold.state == "expired" or hold.expires_at <= now:
        raise Refusal(
            "hold_expired",
            f"hold {hold_id!r} timed out at {hold.expires_at.astimezone(UTC).isoformat()}: place a new one",
        )
    return hold


# --- what the events do to the book


def capture(hold: Hold, event: HoldCaptured) -> None:
    """An open hold has less set aside, and is over when nothing stays held. Raises InvariantBroken."""
    rest = _less(hold.allocations, [*event.allocations, *event.released])
    if hold.state != "open" or sum([points for _, points in rest]) != event.left:
        raise InvariantBroken(
            f"hold {hold.id} is {hold.state} and has {hold.left}, not {event.left} after this"
        )
    hold.captured += event.amount
    hold.allocations = rest
    hold.spent = _more(hold.spent, event.allocations)
    if event.left == 0:
        hold.state = "captured"


def _more(some: Allocations, others: Allocations) -> Allocations:
    """Points of both, a lot once, in order."""
    if not some:
        return list(others)
    total = dict(some)
    for lot, points in others:
        total[lot] = total.get(lot, 0) + points
    return list(total.items())


def _less(some: Allocations, others: Allocations) -> Allocations:
    """What is left of `some`. Raises InvariantBroken where there is not as much."""
    total = dict(some)
    for lot, points in others:
        total[lot] = total.get(lot, 0) - points
        if total[lot] < 0:
            raise InvariantBroken(f"{points} points of lot {lot}, which the hold has not")
    return [part for part in total.items() if part[1]]
