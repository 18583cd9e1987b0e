"""Money is paid in, handed back, and given to another member. What money is in the book: `money`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.common.errors import InvariantBroken, Refusal
from services.common.months import shift_months
from services.ledger.domain import earning, inactivity, lots, money
from services.ledger.domain.book import CLOSED, Book, Member
from services.ledger.domain.checks import (
    active_program,
    check_can_enrol,
    check_time,
    enrolled_member,
    present,
    spending_member,
)
from services.ledger.domain.commands import RecordTopUp, ReverseTopUp, SendGift
from services.ledger.domain.events import (
    Allocations,
    Decided,
    GiftReceived,
    GiftSent,
    MemberEnrolled,
    MoneyCredited,
    PointsAccrued,
    PointsClawedBack,
    TopUpRecorded,
    TopUpReversed,
)
from services.ledger.domain.ladders import StoredValue
from services.ledger.domain.money import BONUS, PRINCIPAL, asset
from services.ledger.domain.program import Program


def record_top_up(book: Book, command: RecordTopUp) -> Iterator[Decided]:
    """Money that was paid in is the member's, with what the ladder gives on top."""
    program = active_program(book, command)
    top_up = command.activity
    check_time(book, command, top_up.occurred_at)
    rules = rules_of(program)
    _check_money(program, top_up.currency, top_up.amount, rules.least, rules.most)
    member = book.members.get((command.program, command.member))
    if member is None:
        check_can_enrol(program, command)
    else:
        enrolled_member(book, command)
    first = member is None or all(fact.reversed for fact in member.top_ups.values())
    step = rules.step(top_up.amount, first=first)
    bonus = step.money(top_up.amount) if step else 0
    _check_balance(member, program, rules, top_up.amount + bonus, "the member")

    at = top_up.occurred_at
    if member is None:
        yield Decided(MemberEnrolled("first_activity"), command.member, at)
        member = book.members[command.program, command.member]
    yield Decided(TopUpRecorded(top_up), member.id, at)
    for bucket, amount, reason, months in (
        (PRINCIPAL, top_up.amount, "paid_in", rules.principal_months),
        (BONUS, bonus, "bonus", rules.bonus_months),
    ):
        if amount:
            expires_at = None if months is None else shift_months(at, months, program.time_zone)
            credited = MoneyCredited(top_up.id, asset(program.currency, bucket), amount, reason, expires_at)
            yield Decided(credited, member.id, at)
    if step and step.points:
        repaid = min(step.points, member.debt)
        accrued = PointsAccrued(
            purchase=top_up.id, reason="top_up", points=step.points, tier="", amount=top_up.amount,
            version=program.version, expires_at=earning.expiry_of(program, at), debt_repaid=repaid,
        )  # fmt: skip
        yield Decided(accrued, member.id, at)
        yield from inactivity.begin(program, member, at)


def reverse_top_up(book: Book, command: ReverseTopUp) -> Iterator[Decided]:
    """A top-up is undone: its principal that is left is handed back, less its bonus that was spent."""
    active_program(book, command)
    reversal = command.activity
    check_time(book, command, reversal.occurred_at)
    member = enrolled_member(book, command)
    fact = member.top_ups.get(reversal.of)
    if fact is None:
        raise Refusal("top_up_unknown", f"the member has no top-up {reversal.of!r}")
    if fact.reversed:
        raise Refusal("top_up_reversed", f"top-up {reversal.of!r} was reversed by another request")
    own = [member.money[lot] for lot in (fact.principal_lot, fact.bonus_lot) if lot in member.money]
    held = sum(lot.held for lot in own)
    if held:
        raise Refusal(
            "top_up_held",
            f"{held} minor units of top-up {reversal.of!r} are held for an order: capture or release it first",
        )

    left = {lot.id: lot.remaining for lot in own}
    principal, bonus = left.get(fact.principal_lot, 0), left.get(fact.bonus_lot, 0)
    spent_bonus = fact.bonus - fact.bonus_expired - bonus
    kept = min(spent_bonus, principal)
    at = reversal.occurred_at
    undone = TopUpReversed(
        reversal,
        fact.currency,
        _part(fact.principal_lot, principal - kept),
        _part(fact.principal_lot, kept),
        _part(fact.bonus_lot, bonus),
    )
    yield Decided(undone, member.id, at)
    if fact.points:
        allocations, debt = lots.take_back(member, reversal.of, fact.points)
        pending = lots.pending_among(member, allocations)
        taken = PointsClawedBack(reversal.of, "top_up", fact.points, "", allocations, debt, pending)
        yield Decided(taken, member.id, at)


def send_gift(book: Book, command: SendGift) -> Iterator[Decided]:
    """Money of one member becomes another's: the same buckets, and no day longer."""
    program = active_program(book, command)
    rules = rules_of(program)
    _check_money(program, command.currency, command.amount, 1, rules.gift_most)
    if command.receiver == command.member:
        raise Refusal("gift_to_self", "giver and receiver are the same member")
    giver = spending_member(book, command)
    receiver = book.members.get((command.program, command.receiver))
    if receiver is None:
        raise Refusal("receiver_unknown", f"member {command.receiver!r} is not enrolled in the program")
    if receiver.status == CLOSED:
        raise Refusal("receiver_unknown", f"member {command.receiver!r} was closed, for good")
    if not receiver.complete:
        raise InvariantBroken(f"the lots of {receiver.id} were not loaded for a gift")
    now = present(book, command, program)
    there = money.spendable(giver, program.currency, now)
    if command.amount > there:
        raise insufficient(command.amount, program.currency, there)
    _check_balance(receiver, program, rules, command.amount, "the receiver")

    principal, bonus = money.allocate(giver, program.currency, command.amount, now, rules.spend_order)
    opened = _opened(giver, [*principal, *bonus])
    sent = GiftSent(command.gift, receiver.id, program.currency, command.amount, principal, bonus)
    yield Decided(sent, giver.id, now)
    for (asset_, expires_at), amount in opened.items():
        received = GiftReceived(command.gift, giver.id, asset_, amount, expires_at)
        yield Decided(received, receiver.id, now, receiver.chain)


def insufficient(asked: int, currency: str, there: int) -> Refusal:
    """There is less money than is asked for."""
    return Refusal("insufficient_value", f"{asked} {currency} minor units asked for, {there} available")


def rules_of(program: Program) -> StoredValue:
    """What the program says of stored value. Raises Refusal("stored_value_off")."""
    if program.stored_value is None:
        raise Refusal(
            "stored_value_off", "the program keeps no stored value: its document has no `stored_value`"
        )
    return program.stored_value


def check_currency(currency: str, wanted: str) -> None:
    """Raises Refusal("currency_mismatch")."""
    if currency != wanted:
        raise Refusal("currency_mismatch", f"the amount is in {currency!r}, the program counts in {wanted}")


def _check_money(program: Program, currency: str, amount: int, least: int, most: int) -> None:
    check_currency(currency, program.currency)
    if not least <= amount <= most:
        raise Refusal("amount_out_of_range", f"amount {amount} is not from {least} to {most} minor units")


def _check_balance(
    member: Member | None, program: Program, rules: StoredValue, more: int, whose: str
) -> None:
    there = 0 if member is None else money.balance(member, program.currency)
    if there + more > rules.balance_most:
        raise Refusal(
            "balance_limit_exceeded",
            f"{whose} has {there} minor units, {more} more would be over the {rules.balance_most} allowed",
        )


def _part(lot: int, amount: int) -> Allocations:
    return [(lot, amount)] if amount else []


def _opened(giver: Member, allocations: Allocations) -> dict[tuple[str, datetime | None], int]:
    """What the receiver gets, one lot for each asset and day of expiry."""
    opened: dict[tuple[str, datetime | None], int] = {}
    for lot_id, amount in allocations:
        lot = giver.money[lot_id]
        key = (lot.asset, lot.expires_at)
        opened[key] = opened.get(key, 0) + amount
    return opened
