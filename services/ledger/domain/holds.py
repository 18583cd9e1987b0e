"""Points are set aside for an order, spent, or freed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.common.errors import Refusal
from services.ledger.domain import inactivity, lots, merge
from services.ledger.domain.book import Book, Hold, Member
from services.ledger.domain.checks import POINTS_MAX, active_program, enrolled_member, present
from services.ledger.domain.commands import CaptureHold, Command, PlaceHold, ReleaseHold
from services.ledger.domain.events import Decided, HoldCaptured, HoldPlaced, HoldReleased, PointsExpired


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
    member = enrolled_member(book, command)
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
    """The held points, or the first of them, are spent; the rest is free again."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    hold = _open_hold(book, member, command.hold, now)
    amount = hold.amount if command.amount is None else command.amount
    if amount < 1:
        raise Refusal("amount_out_of_range", f"amount {amount} is not at least 1; to free a hold, release it")
    if amount > hold.amount:
        raise Refusal("amount_exceeds_hold", f"{amount} points asked for, the hold has {hold.amount}")

    spent, rest = lots.split(hold.allocations, amount)
    yield Decided(HoldCaptured(hold.id, hold.order, amount, spent, rest), member.id, now)
    yield from inactivity.put_off(program, member, "redemption", now)
    yield from _expire_freed(book, command, member, rest)


def release_hold(book: Book, command: ReleaseHold) -> Iterator[Decided]:
    """The held points are free again."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    hold = _open_hold(book, member, command.hold, now)

    freed = list(hold.allocations)
    yield Decided(HoldReleased(hold.id, hold.order, hold.amount, "released", freed), member.id, now)
    yield from _expire_freed(book, command, member, freed)


def _expire_freed(
    book: Book, command: Command, member: Member, freed: list[tuple[int, int]]
) -> Iterator[Decided]:
    """Lots that a hold protected past their expiry, or past their member's lapse, expire when it ends."""
    clock = book.programs[command.chain, command.program].clock
    if member.lapses_at is not None and member.lapses_at <= clock:
        yield inactivity.lapse(member)
    for lot_id, _ in freed:
        lot = member.lots[lot_id]
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            yield Decided(PointsExpired(lot.id, lot.free), member.id, lot.expires_at)


def _open_hold(book: Book, member: Member, hold_id: str, now: datetime) -> Hold:
    hold = member.holds.get(hold_id) or merge.absorbed_hold(book, member, hold_id)
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
