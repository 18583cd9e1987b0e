"""A purchase is recorded, and what it earns is accrued."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

from services.common.errors import Refusal
from services.ledger.domain import earning, inactivity, lots, referrals
from services.ledger.domain.book import Book, Member
from services.ledger.domain.checks import (
    AMOUNT_MAX,
    BALANCE_MAX,
    LINES_MAX,
    POINTS_MAX,
    QUANTITY_MAX,
    active_program,
    check_can_enrol,
    check_not_closed,
    check_time,
)
from services.ledger.domain.commands import Purchase, RecordPurchase
from services.ledger.domain.counters import before
from services.ledger.domain.earning import Earned
from services.ledger.domain.events import (
    Decided,
    MemberEnrolled,
    PointsAccrued,
    PurchaseRecorded,
)
from services.ledger.domain.parking import park
from services.ledger.domain.program import Program


def record_purchase(book: Book, command: RecordPurchase) -> Iterator[Decided]:
    """A purchase counts once, whatever it earns; who is not a member yet becomes one where the program says so."""
    program = active_program(book, command)
    purchase = command.purchase
    check_time(book, command, purchase.occurred_at)
    check_form(program, purchase)
    member = book.members.get((command.program, command.member))
    if member is None:
        if (kept := park(book, program, command)) is not None:
            yield kept
            return
        check_can_enrol(program, command)
    else:
        check_not_closed(member)
    tier, earned = would_earn(program, member, purchase)
    if earned.points > POINTS_MAX:
        raise Refusal("points_out_of_range", f"{earned.points} points for one purchase; at most {POINTS_MAX}")
    if member is not None and member.posted + earned.points > BALANCE_MAX:
        raise Refusal(
            "balance_out_of_range",
            f"the member has {member.posted} points, {earned.points} more are over {BALANCE_MAX}: spend some first",
        )

    if member is None:
        yield Decided(MemberEnrolled("first_activity"), command.member, purchase.occurred_at)
        member = book.members[command.program, command.member]
    yield Decided(PurchaseRecorded(purchase), member.id, purchase.occurred_at)
    # Where something is counted, a purchase that earns nothing may change what the next one earns.
    if earned.points > 0 or earned.counters:
        at = purchase.occurred_at
        clock = book.programs[command.chain, command.program].clock
        yield accrual(program, member, purchase.id, at, "purchase", earned.points, earned, tier, at, clock)
    yield from inactivity.put_off(program, member, "purchase", purchase.occurred_at)
    if program.social.referrals is not None:
        yield from referrals.qualify_by_purchase(book, program, member, purchase, earned.amount)


def check_form(program: Program, purchase: Purchase) -> None:
    """What is wrong with a purchase whoever made it. Raises Refusal, in the order of docs/refusals.md."""
    if purchase.currency != program.currency:
        raise Refusal(
            "currency_mismatch",
            f"the purchase is in {purchase.currency!r}, the program counts in {program.currency}",
        )
    if not 1 <= len(purchase.lines) <= LINES_MAX:
        raise Refusal("lines_out_of_range", f"{len(purchase.lines)} lines; a purchase has 1 to {LINES_MAX}")
    for id_, _, _, quantity, amount, _ in purchase.lines:
        if not 1 <= quantity <= QUANTITY_MAX:
            raise Refusal(
                "quantity_out_of_range", f"line {id_}: quantity {quantity} is not from 1 to {QUANTITY_MAX}"
            )
        if not 0 <= amount <= AMOUNT_MAX:
            raise Refusal(
                "amount_out_of_range",
                f"line {id_}: amount {amount} is not from 0 to {AMOUNT_MAX} minor units",
            )
    if len({line.id for line in purchase.lines}) != len(purchase.lines):
        raise Refusal("line_repeated", "two lines have the same id: give each line of the purchase its own")


def would_earn(program: Program, member: Member | None, purchase: Purchase) -> tuple[str, Earned]:
    """(tier, what it earns) of a purchase that the member, or somebody who is none yet, makes now."""
    tier = "" if member is None else member.tier_at(purchase.occurred_at)
    return tier, earning.earn(program, purchase, tier, _counted(program, member, purchase.occurred_at))


def _counted(program: Program, member: Member | None, at: datetime) -> dict[str, Fraction]:
    """What the program has counted of the member before a purchase made at `at`."""
    if program.counting is None:
        return {}
    names = program.counting.names(at)
    return before(names, {}, 0) if member is None else before(names, member.counters, member.uncounted)


def accrual(
    program: Program,
    member: Member,
    purchase: str,
    earned_at: datetime,
    reason: str,
    points: int,
    earned: Earned,
    tier: str,
    occurred_at: datetime,
    clock: datetime,
) -> Decided:
    """Points given for a purchase that `earned` so by `program`; debt is repaid first, also by pending points."""
    repaid = min(points, member.debt)
    expires_at = earning.expiry_of(program, earned_at) if points else None
    matures_at = lots.maturity_of(program, earned_at, clock) if points > repaid else None
    return Decided(
        PointsAccrued(
            purchase,
            reason,
            points,
            tier,
            earned.amount,
            program.version,
            expires_at,
            repaid,
            list(earned.contributions),
            list(earned.counters),
            matures_at,
        ),
        member.id,
        occurred_at,
    )
