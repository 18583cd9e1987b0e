"""What the rows of a merge do to the book: what leaves one member, and what arrives at the other."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import assert_never

from services.common.errors import InvariantBroken
from services.ledger.domain.book import (
    POINTS,
    Book,
    HeldMoney,
    Hold,
    Lot,
    Member,
    ParkedReturn,
    Referral,
    Settlement,
    TopUpFact,
)
from services.ledger.domain.counters import VISITS, Counted
from services.ledger.domain.events import (
    AwardsMoved,
    CountersMoved,
    HoldMoved,
    LotMoved,
    MemberAbsorbed,
    MembersMerged,
    ReferralMoved,
    SettlementMoved,
    TopUpMoved,
)

MOVED = "moved"
"""State of a hold that went on under the survivor."""
Arrival = LotMoved | HoldMoved | TopUpMoved | SettlementMoved | CountersMoved | AwardsMoved | ReferralMoved


def absorbed_hold(book: Book, member: Member, hold_id: str) -> Hold | None:
    """A hold that was over before its member was merged into this one."""
    for id_ in member.absorbed:
        absorbed = book.members.get((member.program, id_))
        hold = None if absorbed is None else absorbed.holds.get(hold_id)
        if hold is not None and hold.state != MOVED:
            return hold
    return None


def begin(book: Book, member: Member, event: MembersMerged) -> None:
    """The survivor owes what the absorbed one owed, and answers for what that one bought."""
    member.absorbed |= {id_: [] for id_ in (event.absorbed, *event.before)}
    member.debt += event.debt
    member.posted -= event.debt
    absorbed = book.members.get((member.program, event.absorbed))
    for purchase in [] if absorbed is None else absorbed.purchases.values():
        member.purchases[purchase.id] = replace(purchase, buyer=purchase.buyer or event.absorbed)


def leave(book: Book, member: Member, event: MemberAbsorbed) -> None:
    """Nothing stays with the absorbed one but what is over."""
    parts = [(POINTS, lot_id, points) for lot_id, points in event.allocations]
    for asset, lot_id, amount in [*parts, *event.money]:
        lot = member.lots_of(asset).get(lot_id)
        if lot is None or lot.remaining != amount or lot.asset != asset:
            raise InvariantBroken(f"{member.id} leaves with {amount} of lot {lot_id}, which it has not")
        lot.remaining = lot.held = 0
        if asset == POINTS:
            member.posted -= amount
    member.posted += event.debt
    member.debt -= event.debt
    member.held -= event.held
    member.pending -= event.pending
    member.lapses_at = None
    left = [lot for lot in member.money.values() if lot.remaining]
    if member.posted or member.debt or member.held or member.pending or left:
        raise InvariantBroken(f"{member.id} was merged and something is left: {member.posted} points, {left}")
    for hold_id in event.holds:
        hold = member.holds[hold_id]
        hold.state, hold.allocations, hold.spent = MOVED, [], []
        hold.money.allocations, hold.money.spent = [], []
    _stop_waiting(member, event)
    for _, digest in event.identifiers:
        book.identifiers.pop((member.program, digest), None)
        book.kinds.pop((member.program, digest), None)
    member.profile = b""
    member.merged_into = event.into
    book.heirs[member.program, member.id] = event.into


def _stop_waiting(member: Member, event: MemberAbsorbed) -> None:
    waiting = {(of, parked.activity.id) for of, some in member.parked.items() for parked in some}
    if waiting != set(event.parked):
        raise InvariantBroken(f"{member.id} leaves with returns that don't wait: {event.parked}")
    member.parked = dict[str, list[ParkedReturn]]()


def arrive(book: Book, member: Member, event: Arrival, position: int) -> None:
    """A lot, a hold or what is known of the absorbed member comes to the survivor."""
    match event:
        case LotMoved():
            lot = Lot(
                position, event.amount, event.points, 0, event.earned_at, event.expires_at, event.purchase,
                event.matures_at, event.asset,
            )  # fmt: skip
            member.lots_of(lot.asset)[position] = lot
            if lot.asset == POINTS:
                member.posted += event.points
                if event.matures_at is not None:
                    member.pending += event.points
            book.expect_lot(member, lot)
        case HoldMoved():
            hold = Hold(
                event.hold, event.order, event.amount, event.captured, event.expires_at, event.state,
                list(event.allocations), list(event.spent), event.refunded,
                HeldMoney(
                    event.money_currency, event.money_amount, event.money_captured,
                    list(event.money_allocations), list(event.money_spent), event.money_refunded,
                ),
            )  # fmt: skip
            member.holds[hold.id] = hold
            for lot_id, points in event.allocations:
                member.lots[lot_id].held += points
                member.held += points
            for lot_id, amount in event.money_allocations:
                member.money[lot_id].held += amount
            if hold.state == "open":
                book.expect_hold(member, hold)
        case TopUpMoved():
            member.top_ups[event.top_up] = TopUpFact(
                event.currency, event.amount, event.points, event.bonus, event.principal_lot, event.bonus_lot,
                event.bonus_expired, event.reversed,
            )  # fmt: skip
        case CountersMoved():
            for name, _, after in event.counters:
                member.counters[name] = Counted(Fraction(after), position)
                if name == VISITS:
                    member.uncounted = 0
        case AwardsMoved():
            for slot, awards in event.counts:
                member.awards[slot] = member.awards.get(slot, 0) + awards
        case ReferralMoved():
            book.referrals[member.program, member.id] = Referral(
                event.referral, member.id, event.referrer, event.registered_at, event.qualified_at,
                list(event.tasks),
            )  # fmt: skip
        case SettlementMoved():
            member.settlements[event.purchase] = Settlement(
                dict(event.returned), event.adjusted, list(event.counters)
            )
        case _:
            assert_never(event)
