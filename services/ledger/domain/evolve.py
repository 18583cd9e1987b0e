"""What each event does to the book. Used by every decision and by every replay, so they can't differ."""

from __future__ import annotations

from fractions import Fraction

from services.common.errors import InvariantBroken
from services.ledger.domain import (
    adjustments,
    awards,
    budgets,
    held_money,
    holds,
    members,
    merge_effects,
    money,
    parked_returns,
    profile,
    referrals,
    refunds,
)
from services.ledger.domain.book import Book, Hold, Lot, Member, ProgramState, PurchaseFact, Settlement
from services.ledger.domain.counters import VISITS, Counted
from services.ledger.domain.events import (
    ActivityParked,
    ActivityRejected,
    ActivityUnparked,
    AdjustmentDeclined,
    AdjustmentRequested,
    Allocations,
    AwardWithheld,
    ClockAdvanced,
    Decided,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    IdentifiersLinked,
    IdentifiersUnlinked,
    InteractionRecorded,
    LotsReinstated,
    MemberAbsorbed,
    MemberActive,
    MemberClosed,
    MemberEnrolled,
    MemberErased,
    MemberLapsed,
    MemberReactivated,
    MembersMerged,
    MemberSuspended,
    ParkedReturnRefused,
    PointsAccrued,
    PointsAdjusted,
    PointsAwarded,
    PointsClawedBack,
    PointsExpired,
    PointsMatured,
    ProfileChanged,
    ProgramActivated,
    PurchaseRecorded,
    PurchaseRecounted,
    ReferralQualified,
    ReferralRegistered,
    ReferralRewarded,
    ReferralTaskDone,
    ReturnParked,
    ReturnRecorded,
    SpendRefunded,
    TierAssigned,
)
from services.ledger.domain.money import MoneyEvent


def evolve(book: Book, chain: int, program: str, decided: Decided, position: int) -> None:
    """Put one event into the book.

    Raises:
        InvariantBroken: the event can't follow from the book's state.
    """
    event = decided.event
    match event:
        case PurchaseRecorded():
            # Half of all events, and so the first that is asked for.
            if book.keeps_purchases:
                member = book.members[program, decided.member or ""]
                member.uncounted += 1
                version = book.programs[chain, program].version
                member.purchases[event.purchase.id] = PurchaseFact(event.purchase, position, version)
            return
        case PointsAccrued():
            # And nearly all of the other half.
            member = book.members[program, decided.member or ""]
            _accrue(book, member, event, decided, position)
            _check(member, position)
            return
        case ProgramActivated():
            # The caller has put the parsed version into `book.versions`.
            state = book.programs.get((chain, program))
            if state is None:
                book.programs[chain, program] = ProgramState(event.version)
            else:
                state.version = event.version
            budgets.open_for(book, book.versions[event.version])
            return
        case ClockAdvanced():
            book.programs[chain, program].clock = event.to
            return
        case ActivityRejected() | ActivityParked() | ActivityUnparked():
            return
        case MemberEnrolled():
            id_ = decided.member or ""
            if (program, id_) in book.members:
                raise InvariantBroken(f"{id_} enrolled twice in {program}")
            book.members[program, id_] = Member(id_, program, chain, decided.occurred_at, complete=True)
            return
    member = book.members[program, decided.member or ""]
    match event:
        case PurchaseRecounted():
            _settlement(member, event.purchase).counters = event.counters
            for name, _, after in event.moved:
                member.counters[name] = Counted(Fraction(after), position)
        case PointsClawedBack():
            if settles(event):
                _settlement(member, event.purchase).adjusted -= event.points + event.forgiven
            _spend(member, event.allocations, held=False)
            member.debt += event.debt
            member.posted -= event.points
        case ReturnRecorded():
            if event.activity.of:
                returned = _settlement(member, event.activity.of).returned
                for line in event.lines:
                    returned[line.line] = returned.get(line.line, 0) + line.quantity
            if event.parked:
                parked_returns.unpark(member, event.activity.of, event.activity.id)
        case ReturnParked():
            parked_returns.park(member, event, position)
        case ParkedReturnRefused():
            parked_returns.unpark(member, event.of, event.id)
        case HoldPlaced():
            if event.hold in member.holds:
                raise InvariantBroken(f"hold {event.hold} of {member.id} was placed before")
            hold = Hold(
                event.hold, event.order, event.amount, 0, event.expires_at, "open", list(event.allocations)
            )
            member.holds[hold.id] = hold
            for lot_id, points in event.allocations:
                _lot(member, lot_id).held += points
            held_money.place(member, hold, event)
            member.held += event.amount
            book.expect_hold(member, hold)
        case HoldCaptured():
            hold = _open_hold(member, event.hold)
            holds.capture(hold, event)
            held_money.capture(book, member, hold, event)
            _spend(member, event.allocations, held=True)
            _free(book, member, event.released)
            member.posted -= event.amount
            member.held -= event.amount + sum([points for _, points in event.released])
        case HoldReleased():
            hold = _open_hold(member, event.hold)
            hold.state, hold.allocations = event.reason, []
            _free(book, member, event.allocations)
            held_money.release(book, member, hold, event)
            member.held -= event.amount
        case SpendRefunded():
            refunds.refunded(book, member, event)
        case LotsReinstated():
            refunds.reinstated(book, member, event)
        case PointsExpired():
            _spend(member, [(event.lot, event.points)], held=False)
            member.posted -= event.points
        case PointsMatured():
            _lot(member, event.lot).matures_at = None
            member.pending -= event.points
        case MemberActive():
            member.lapses_at = event.lapses_at
            book.expect_lapse(member)
        case MemberLapsed():
            _spend(member, event.allocations, held=False)
            member.posted -= event.points
            if member.held == 0:
                # What holds still protect lapses when they end.
                member.lapses_at = None
        case TierAssigned():
            tiers = member.absorbed[event.of] if event.of else member.tiers
            tiers.append((event.since, event.tier))
        case _ if isinstance(event, MoneyEvent):
            money.evolve(book, member, event, decided.occurred_at, position)
        case IdentifiersLinked():
            for kind, digest in event.identifiers:
                book.identifiers[program, digest] = member.id
                book.kinds[program, digest] = kind
        case ProfileChanged():
            member.profile = event.sealed
        case MemberErased():
            profile.erase(book, member, event)
        case MembersMerged():
            merge_effects.begin(book, member, event)
        case MemberAbsorbed():
            merge_effects.leave(book, member, event)
        case _ if isinstance(event, merge_effects.Arrival):
            merge_effects.arrive(book, member, event, position)
        case InteractionRecorded() | AwardWithheld():
            pass
        case PointsAwarded():
            awards.awarded(book, member, event, decided, position)
        case ReferralRegistered():
            referrals.registered(book, member, event, decided.occurred_at)
        case ReferralTaskDone():
            referrals.task_done(book, member, event, decided.occurred_at)
        case ReferralQualified():
            referrals.qualified(book, member, event, decided.occurred_at)
        case ReferralRewarded():
            referrals.rewarded(book, member, event)
        case PointsAdjusted():
            _spend(member, event.allocations, held=False)
            adjustments.has_adjusted(book, member, event, decided.occurred_at, position)
        case AdjustmentRequested():
            adjustments.has_asked(member, event, decided.occurred_at)
        case AdjustmentDeclined():
            adjustments.has_declined(member, event)
        case MemberClosed():
            _spend(member, event.allocations, held=False)
            members.has_changed(book, member, event)
        case IdentifiersUnlinked() | MemberSuspended() | MemberReactivated():
            members.has_changed(book, member, event)
        case _:
            raise InvariantBroken(f"no rule for {type(event).__name__}")
    _check(member, position)


def _check(member: Member, position: int) -> None:
    if member.held < 0 or member.debt < 0 or member.pending < 0:
        raise InvariantBroken(
            f"{member.id}: held {member.held}, debt {member.debt}, pending {member.pending} after position {position}"
        )


def _accrue(book: Book, member: Member, event: PointsAccrued, decided: Decided, position: int) -> None:
    amount = event.points - event.debt_repaid
    member.posted += event.points
    member.debt -= event.debt_repaid
    if event.reason == "purchase":
        if event.purchase in member.purchases:
            member.purchases[event.purchase].accrued = event.points
            member.purchases[event.purchase].counters = event.counters
        for name, _, after in event.counters:
            member.counters[name] = Counted(Fraction(after), position)
            if name == VISITS:
                member.uncounted = 0
    elif settles(event):
        _settlement(member, event.purchase).adjusted += event.points
    else:
        member.top_ups[event.purchase].points = event.points
    lot = Lot(
        position,
        amount,
        amount,
        0,
        decided.occurred_at,
        event.expires_at,
        event.purchase,
        event.matures_at,
    )
    if amount:
        if lot.matures_at is not None:
            member.pending += amount
        # Its day may have passed while holds protected points.
        book.expect_lapse(member)
        member.lots[position] = lot
        book.expect_lot(member, lot)


def settles(event: PointsAccrued | PointsClawedBack) -> bool:
    """True when points are given or taken after a purchase's first accrual; what a top-up gave is not a purchase's."""
    return event.reason not in ("purchase", "top_up")


def _settlement(member: Member, purchase: str) -> Settlement:
    return member.settlements.setdefault(purchase, Settlement())


def _lot(member: Member, lot_id: int) -> Lot:
    try:
        return member.lots[lot_id]
    except KeyError:
        raise InvariantBroken(f"{member.id} has no lot {lot_id}") from None


def _spend(member: Member, allocations: Allocations, *, held: bool) -> None:
    for lot_id, points in allocations:
        lot = _lot(member, lot_id)
        lot.remaining -= points
        if held:
            lot.held -= points
        elif lot.matures_at is not None:
            member.pending -= points
        if not 0 <= lot.held <= lot.remaining:
            raise InvariantBroken(f"lot {lot_id} of {member.id}: {lot.held} held of {lot.remaining}")


def _free(book: Book, member: Member, allocations: Allocations) -> None:
    for lot_id, points in allocations:
        lot = _lot(member, lot_id)
        lot.held -= points
        if lot.held < 0:
            raise InvariantBroken(f"lot {lot_id} of {member.id}: {lot.held} held")
        book.expect_lot(member, lot)
    book.expect_lapse(member)


def _open_hold(member: Member, hold_id: str) -> Hold:
    hold = member.holds.get(hold_id)
    if hold is None or hold.state != "open":
        raise InvariantBroken(f"hold {hold_id} of {member.id} is not open")
    return hold
