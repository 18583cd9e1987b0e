"""What each event does to the book. Used by every decision and by every replay, so they can't differ."""

from __future__ import annotations

from fractions import Fraction

from services.common.errors import InvariantBroken
from services.ledger.domain import merge, profile
from services.ledger.domain.book import Book, Hold, Lot, Member, ProgramState, PurchaseFact, Settlement
from services.ledger.domain.counters import VISITS, Counted
from services.ledger.domain.events import (
    ActivityParked,
    ActivityRejected,
    ActivityUnparked,
    Allocations,
    ClockAdvanced,
    CountersMoved,
    Decided,
    HoldCaptured,
    HoldMoved,
    HoldPlaced,
    HoldReleased,
    IdentifiersLinked,
    LotMoved,
    MemberAbsorbed,
    MemberActive,
    MemberEnrolled,
    MemberErased,
    MemberLapsed,
    MembersMerged,
    PointsAccrued,
    PointsClawedBack,
    PointsExpired,
    PointsMatured,
    ProfileChanged,
    ProgramActivated,
    PurchaseRecorded,
    ReturnRecorded,
    SettlementMoved,
    TierAssigned,
)


def evolve(book: Book, chain: int, program: str, decided: Decided, position: int) -> None:
    """Put one event into the book.

    Raises:
        InvariantBroken: the event can't follow from the book's state.
    """
    event = decided.event
    match event:
        case ProgramActivated():
            # The caller has put the parsed version into `book.versions`.
            state = book.programs.get((chain, program))
            if state is None:
                book.programs[chain, program] = ProgramState(event.version)
            else:
                state.version = event.version
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
        case PurchaseRecorded():
            if book.keeps_purchases:
                member.uncounted += 1
                p = event.purchase
                version = book.programs[chain, program].version
                member.purchases[p.id] = PurchaseFact(
                    p.id, position, p.occurred_at, version, p.lines, 0, p.store, p.channel, p.payment_method
                )
        case PointsAccrued():
            _accrue(book, member, event, decided, position)
        case PointsClawedBack():
            _settlement(member, event.purchase).adjusted -= event.points
            _spend(member, event.allocations, held=False)
            member.debt += event.debt
            member.posted -= event.points
        case ReturnRecorded():
            returned = _settlement(member, event.activity.of).returned
            for line in event.lines:
                returned[line.line] = returned.get(line.line, 0) + line.quantity
        case HoldPlaced():
            hold = Hold(
                event.hold, event.order, event.amount, 0, event.expires_at, "open", list(event.allocations)
            )
            member.holds[hold.id] = hold
            for lot_id, points in event.allocations:
                _lot(member, lot_id).held += points
            member.held += event.amount
            book.expect_hold(member, hold)
        case HoldCaptured():
            hold = _close(member, event.hold, "captured")
            hold.captured = event.amount
            _spend(member, event.allocations, held=True)
            _free(book, member, event.released)
            member.posted -= event.amount
            member.held -= hold.amount
        case HoldReleased():
            hold = _close(member, event.hold, event.reason)
            _free(book, member, event.allocations)
            member.held -= hold.amount
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
        case IdentifiersLinked():
            for kind, digest in event.identifiers:
                book.identifiers[program, digest] = member.id
                book.kinds[program, digest] = kind
        case ProfileChanged():
            member.profile = event.sealed
        case MemberErased():
            profile.erase(book, member, event)
        case MembersMerged():
            merge.begin(book, member, event)
        case MemberAbsorbed():
            merge.leave(book, member, event)
        case LotMoved() | HoldMoved() | SettlementMoved() | CountersMoved():
            merge.arrive(book, member, event, position)
        case _:
            raise InvariantBroken(f"no rule for {type(event).__name__}")
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
    else:
        _settlement(member, event.purchase).adjusted += event.points
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


def _close(member: Member, hold_id: str, state: str) -> Hold:
    hold = member.holds.get(hold_id)
    if hold is None or hold.state != "open":
        raise InvariantBroken(f"hold {hold_id} of {member.id} is not open")
    hold.state = state
    hold.allocations = []
    return hold
