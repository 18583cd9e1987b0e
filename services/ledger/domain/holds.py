"""Points and money are set aside for an order, spent, or freed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import held_money, inactivity, lots, merge_effects
from services.ledger.domain.book import Book, Hold, Member
from services.ledger.domain.checks import (
    AMOUNT_MAX,
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
    MoneyExpired,
    PointsExpired,
)
from services.ledger.domain.stored_value import check_currency


def place_hold(book: Book, command: PlaceHold) -> Iterator[Decided]:
    """Points and money are set aside for an order: they count against what is available at once."""
    program = active_program(book, command)
    held_money.check_kept(program, command.money)
    coins = 0 if command.money is None else command.money.amount
    held_money.check_amounts(command.amount, coins, POINTS_MAX, AMOUNT_MAX)
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
    principal, bonus = held_money.allocate(member, program, coins, now)

    expires_at = now + timedelta(seconds=ttl)
    allocations = lots.allocate(member, command.amount, now, program.spend_first)
    currency = program.currency if coins else ""
    event = HoldPlaced(
        command.hold,
        command.order,
        command.amount,
        expires_at,
        allocations,
        currency,
        coins,
        principal,
        bonus,
    )
    yield Decided(event, member.id, now)


def capture_hold(book: Book, command: CaptureHold) -> Iterator[Decided]:
    """What is held, or a part of it, is spent; the rest is free again, or stays held for another capture."""
    program = active_program(book, command)
    member = spending_member(book, command)
    now = present(book, command, program)
    hold = _open_hold(book, member, command.hold, now)
    held = hold.money
    if command.money is not None:
        check_currency(command.money.currency, held.currency or program.currency)
    amount, coins = held_money.asked_for(command.amount, command.money, (hold.left, held.left))
    if min(amount, coins) < 0 or not amount + coins:
        raise Refusal("amount_out_of_range", f"amount {amount} is not at least 1; to free a hold, release it")
    if amount > hold.left:
        raise Refusal("amount_exceeds_hold", f"{amount} points asked for, the hold has {hold.left}")
    if coins > held.left:
        raise Refusal("value_exceeds_hold", f"{coins} minor units asked for, the hold has {held.left}")

    spent, rest = lots.split(hold.allocations, amount)
    paid, unpaid = held_money.divide(member, held.allocations, coins, held_money.spend_order(program))
    freed, freed_money = (rest, unpaid) if command.final else ([], ([], []))
    left, money_left = (0, 0) if command.final else (hold.left - amount, held.left - coins)
    event = HoldCaptured(
        hold.id, hold.order, amount, spent, freed, left, hold.captured,
        held.currency, coins, *paid, *freed_money, money_left, held.captured,
    )  # fmt: skip
    yield Decided(event, member.id, now)
    if amount:
        yield from inactivity.put_off(program, member, "redemption", now)
    yield from _expire_freed(book, command, member, bool(spent), freed, freed_money)


def release_hold(book: Book, command: ReleaseHold) -> Iterator[Decided]:
    """What is still held is free again."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    hold = _open_hold(book, member, command.hold, now)

    event = released(member, hold, "released")
    yield Decided(event, member.id, now)
    yield from _expire_freed(book, command, member, False, event.allocations, (event.principal, event.bonus))


def released(member: Member, hold: Hold, reason: str) -> HoldReleased:
    """The end of a hold: all that was not captured is free."""
    held = hold.money
    return HoldReleased(
        hold.id, hold.order, hold.left, reason, list(hold.allocations), hold.captured,
        held.currency, held.left, *held_money.by_bucket(member, held.allocations), held.captured,
    )  # fmt: skip


def _expire_freed(
    book: Book,
    command: Command,
    member: Member,
    spent: bool,
    freed: Allocations,
    money: held_money.Buckets,
) -> Iterator[Decided]:
    """Lots that a hold protected past their expiry, or past their member's lapse, expire when it ends."""
    clock = book.programs[command.chain, command.program].clock
    # A hold of money alone has nothing that lapses.
    ended = freed or (spent and not member.held)
    if ended and member.lapses_at is not None and member.lapses_at <= clock:
        yield inactivity.lapse(member)
    for lot_id, _ in freed:
        lot = member.lots[lot_id]
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            yield Decided(PointsExpired(lot.id, lot.free), member.id, lot.expires_at)
    for lot_id, _ in (*money[0], *money[1]):
        lot = member.money[lot_id]
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            yield Decided(MoneyExpired(lot.id, lot.asset, lot.free), member.id, lot.expires_at)


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
    """An open hold has fewer points set aside, and is over when nothing stays held. Raises InvariantBroken."""
    rest = held_money.less(hold.allocations, [*event.allocations, *event.released])
    if hold.state != "open" or sum([points for _, points in rest]) != event.left:
        raise InvariantBroken(
            f"hold {hold.id} is {hold.state} and has {hold.left}, not {event.left} after this"
        )
    hold.captured += event.amount
    hold.allocations = rest
    hold.spent = held_money.more(hold.spent, event.allocations)
    if event.left == event.money_left == 0:
        hold.state = "captured"
