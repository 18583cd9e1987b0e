"""The decider: commands in, events out. Every check comes first; after the first event nothing can fail.

`decide` is a generator, and the one who drives it (`run`) puts each event into the book before asking for the
next, so that a decision of several events reads from top to bottom. Codes of refusals are stable; of several
mistakes at once the caller learns in the order of the checks (docs/refusals.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import earning, lots
from services.ledger.domain.book import BEGINNING, Book, Hold, Lot, Member, PurchaseFact, Settlement
from services.ledger.domain.commands import (
    ActivateProgram,
    AdvanceClock,
    AssignTier,
    CaptureHold,
    Cause,
    Command,
    Enrol,
    PlaceHold,
    RecordPurchase,
    RecordReturn,
    ReleaseHold,
)
from services.ledger.domain.events import (
    AppliedRule,
    ClockAdvanced,
    Decided,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    IdentifiersLinked,
    MemberEnrolled,
    PointsAccrued,
    PointsClawedBack,
    PointsExpired,
    ProgramActivated,
    PurchaseRecorded,
    ReturnedLine,
    ReturnRecorded,
    TierAssigned,
)
from services.ledger.domain.evolve import evolve
from services.ledger.domain.program import Program

FUTURE_TOLERANCE = timedelta(hours=24)
"""A till's clock may be ahead by this much."""
CLOCK_MAX = datetime(9000, 1, 1, tzinfo=UTC)
"""No clock goes further: what expires a hundred years on must still be a date."""
LINES_MAX = 2_000
QUANTITY_MAX = 1_000_000_000
AMOUNT_MAX = 1_000_000_000_000
POINTS_MAX = 1_000_000_000_000_000
IDENTIFIERS_MAX = 20
UNRESOLVED = ":"
"""A member reference with a colon is an identifier that nobody is known by."""


def run(book: Book, command: Command, append: Callable[[Decided], int]) -> list[tuple[int, Decided]]:
    """Decide, append and evolve, event by event. `append` returns the event's position in the chain.

    Raises:
        Refusal: before anything was appended.
    """
    done: list[tuple[int, Decided]] = []
    for decided in decide(book, command):
        position = append(decided)
        evolve(book, command.chain, command.program, decided, position)
        done.append((position, decided))
    return done


def tick_before(book: Book, command: Command) -> AdvanceClock | None:
    """The command that moves the clock to this one's day, if `new_day` says so."""
    day = new_day(book, command)
    if day is None:
        return None
    return AdvanceClock(command.program, "", command.chain, Cause("clock", day.isoformat()), command.now, day)


def new_day(book: Book, command: Command) -> datetime | None:
    """For a program that runs on its events: the day of this command, if the clock has not reached it.

    Days (in UTC) and not instants, so that a year of purchases moves a clock 365 times; and by the order of the
    stream alone, so that every run of the same stream moves it at the same places.
    """
    if isinstance(command, RecordPurchase):
        occurred_at = command.purchase.occurred_at
    elif isinstance(command, RecordReturn):
        occurred_at = command.activity.occurred_at
    else:
        return None
    state = book.programs.get((command.chain, command.program))
    if state is None or occurred_at.date() <= state.clock.date():
        return None
    if not book.versions[state.version].runs_on_events:
        return None
    if not BEGINNING <= occurred_at <= max(command.now, state.clock) + FUTURE_TOLERANCE:
        return None
    return occurred_at.replace(hour=0, minute=0, second=0, microsecond=0)


def decide(book: Book, command: Command) -> Iterator[Decided]:
    """The events that follow from a command. Raises Refusal before the first one."""
    match command:
        case RecordPurchase():
            return _record_purchase(book, command)
        case RecordReturn():
            return _record_return(book, command)
        case PlaceHold():
            return _place_hold(book, command)
        case CaptureHold():
            return _capture_hold(book, command)
        case ReleaseHold():
            return _release_hold(book, command)
        case Enrol():
            return _enrol(book, command)
        case AssignTier():
            return _assign_tier(book, command)
        case AdvanceClock():
            return _advance_clock(book, command)
        case ActivateProgram():
            return _activate_program(book, command)
    raise InvariantBroken(f"no decision for {type(command).__name__}")


def _record_purchase(book: Book, command: RecordPurchase) -> Iterator[Decided]:
    program = _program(book, command)
    purchase = command.purchase
    _check_time(book, command, purchase.occurred_at)
    if purchase.currency != program.currency:
        raise Refusal(
            "currency_mismatch",
            f"the purchase is in {purchase.currency!r}, the program counts in {program.currency}",
        )
    if not 1 <= len(purchase.lines) <= LINES_MAX:
        raise Refusal("lines_out_of_range", f"{len(purchase.lines)} lines; a purchase has 1 to {LINES_MAX}")
    for id_, _, _, quantity, amount in purchase.lines:
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
    member = book.members.get((command.program, command.member))
    if member is None:
        _check_can_enrol(program, command)
    tier = "" if member is None else member.tier_at(purchase.occurred_at)
    amount = earning.eligible_amount(program, purchase.lines)
    points = earning.points_for(program, amount, tier)
    if points > POINTS_MAX:
        raise Refusal("points_out_of_range", f"{points} points for one purchase; at most {POINTS_MAX}")

    if member is None:
        yield Decided(MemberEnrolled("first_activity"), command.member, purchase.occurred_at)
        member = book.members[command.program, command.member]
    yield Decided(PurchaseRecorded(purchase), member.id, purchase.occurred_at)
    if points > 0:
        rules = earning.explain(program, amount, tier, points)
        yield _accrual(
            program,
            member,
            purchase.id,
            purchase.occurred_at,
            "purchase",
            points,
            rules,
            tier,
            purchase.occurred_at,
        )


def _record_return(book: Book, command: RecordReturn) -> Iterator[Decided]:
    _program(book, command)
    activity = command.activity
    _check_time(book, command, activity.occurred_at)
    if not 1 <= len(activity.lines) <= LINES_MAX:
        raise Refusal("lines_out_of_range", f"{len(activity.lines)} lines; a return has 1 to {LINES_MAX}")
    member = _member(book, command)
    purchase = member.purchases.get(activity.of)
    if purchase is None:
        raise Refusal("purchase_unknown", f"the member has no purchase {activity.of!r}")
    settlement = member.settlements.get(purchase.id) or Settlement()
    by_id = {line.id: line for line in purchase.lines}
    coming: dict[int, int] = {}
    for line_id, quantity in activity.lines:
        if line_id not in by_id:
            raise Refusal("line_unknown", f"purchase {purchase.id!r} has no line {line_id}")
        if not 1 <= quantity <= QUANTITY_MAX:
            raise Refusal(
                "quantity_out_of_range",
                f"line {line_id}: quantity {quantity} is not from 1 to {QUANTITY_MAX}",
            )
        coming[line_id] = coming.get(line_id, 0) + quantity
    for line_id, quantity in coming.items():
        left = by_id[line_id].quantity - settlement.returned.get(line_id, 0)
        if quantity > left:
            raise Refusal(
                "quantity_exceeds_purchase",
                f"line {line_id}: {quantity} brought back, {left} left of what was bought",
            )

    returned = []
    for line_id, quantity in coming.items():
        line, before = by_id[line_id], settlement.returned.get(line_id, 0)
        upto = line.amount * (before + quantity) // line.quantity
        amount = upto - line.amount * before // line.quantity
        returned.append(ReturnedLine(line_id, line.sku, line.category, quantity, amount))
    yield Decided(ReturnRecorded(activity, returned, purchase.occurred_at), member.id, activity.occurred_at)
    yield from _settle(book, member, purchase, "return", activity.occurred_at)


def _settle(
    book: Book, member: Member, purchase: PurchaseFact, reason: str, occurred_at: datetime
) -> Iterator[Decided]:
    """Give or take back the difference between what a purchase should have given by now and what it has given."""
    program = book.versions[purchase.version]
    settlement = member.settlements.get(purchase.id)
    tier = member.tier_at(purchase.occurred_at)
    owed = earning.owed_for(program, purchase, settlement, tier)
    given = purchase.accrued + (settlement.adjusted if settlement else 0)
    if owed > given:
        amount = earning.eligible_amount(program, purchase.lines)
        rules = earning.explain(program, amount, tier, earning.points_for(program, amount, tier))
        yield _accrual(
            program, member, purchase.id, purchase.occurred_at, reason, owed - given, rules, tier, occurred_at
        )
    elif owed < given:
        allocations, debt = lots.take_back(member, purchase.id, given - owed)
        yield Decided(
            PointsClawedBack(purchase.id, reason, given - owed, tier, allocations, debt),
            member.id,
            occurred_at,
        )


def _accrual(
    program: Program,
    member: Member,
    purchase: str,
    earned_at: datetime,
    reason: str,
    points: int,
    rules: list[AppliedRule],
    tier: str,
    occurred_at: datetime,
) -> Decided:
    """Points given; debt is repaid first."""
    repaid = min(points, member.debt)
    expires_at = earning.expiry_of(program, earned_at)
    return Decided(
        PointsAccrued(purchase, reason, points, tier, rules, expires_at, repaid), member.id, occurred_at
    )


def _place_hold(book: Book, command: PlaceHold) -> Iterator[Decided]:
    program = _program(book, command)
    if not 1 <= command.amount <= POINTS_MAX:
        raise Refusal("amount_out_of_range", f"amount {command.amount} is not from 1 to {POINTS_MAX} points")
    ttl = program.hold_ttl_seconds if command.ttl_seconds is None else command.ttl_seconds
    if not 1 <= ttl <= program.hold_ttl_max_seconds:
        raise Refusal(
            "ttl_out_of_range", f"ttl_seconds {ttl} is not from 1 to {program.hold_ttl_max_seconds}"
        )
    member = _member(book, command)
    now = _now(book, command, program)
    spendable = lots.spendable(member, now)
    if command.amount > spendable:
        raise Refusal("insufficient_points", f"{command.amount} points asked for, {spendable} available")

    expires_at = now + timedelta(seconds=ttl)
    allocations = lots.allocate(member, command.amount, now)
    yield Decided(
        HoldPlaced(command.hold, command.order, command.amount, expires_at, allocations), member.id, now
    )


def _capture_hold(book: Book, command: CaptureHold) -> Iterator[Decided]:
    program = _program(book, command)
    member = _member(book, command)
    now = _now(book, command, program)
    hold = _open_hold(member, command.hold, now)
    amount = hold.amount if command.amount is None else command.amount
    if amount < 1:
        raise Refusal("amount_out_of_range", f"amount {amount} is not at least 1; to free a hold, release it")
    if amount > hold.amount:
        raise Refusal("amount_exceeds_hold", f"{amount} points asked for, the hold has {hold.amount}")

    spent, rest = lots.split(hold.allocations, amount)
    yield Decided(HoldCaptured(hold.id, hold.order, amount, spent, rest), member.id, now)
    yield from _expire_freed(book, command, member, rest)


def _release_hold(book: Book, command: ReleaseHold) -> Iterator[Decided]:
    program = _program(book, command)
    member = _member(book, command)
    now = _now(book, command, program)
    hold = _open_hold(member, command.hold, now)

    freed = list(hold.allocations)
    yield Decided(HoldReleased(hold.id, hold.order, hold.amount, "released", freed), member.id, now)
    yield from _expire_freed(book, command, member, freed)


def _expire_freed(
    book: Book, command: Command, member: Member, freed: list[tuple[int, int]]
) -> Iterator[Decided]:
    """Lots that a hold protected past their expiry expire when it ends."""
    clock = book.programs[command.chain, command.program].clock
    for lot_id, _ in freed:
        lot = member.lots[lot_id]
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            yield Decided(PointsExpired(lot.id, lot.free), member.id, lot.expires_at)


def _enrol(book: Book, command: Enrol) -> Iterator[Decided]:
    _program(book, command)
    _check_time(book, command, command.occurred_at)
    if UNRESOLVED in command.member:
        raise Refusal(
            "member_id_invalid",
            "a member id is 1 to 64 of A-Z, a-z, 0-9, _, . and -; identifiers go in `identifiers`",
        )
    if len(command.identifiers) > IDENTIFIERS_MAX:
        raise Refusal(
            "identifiers_out_of_range", f"{len(command.identifiers)} identifiers; at most {IDENTIFIERS_MAX}"
        )
    new = []
    for kind, digest in command.identifiers:
        owner = book.identifiers.get((command.program, digest))
        if owner is not None and owner != command.member:
            raise Refusal("identifier_taken", f"the {kind} belongs to another member")
        if owner is None and (kind, digest) not in new:
            new.append((kind, digest))
    known = (command.program, command.member) in book.members
    if known and not new:
        raise Refusal("already_enrolled", f"member {command.member!r} is enrolled and has these identifiers")

    if not known:
        yield Decided(MemberEnrolled("enrolment"), command.member, command.occurred_at)
    if new:
        yield Decided(IdentifiersLinked(new), command.member, command.occurred_at)


def _assign_tier(book: Book, command: AssignTier) -> Iterator[Decided]:
    """Purchases that were made after `since` and booked before this was known are settled again by the right tier."""
    _program(book, command)
    member = _member(book, command)

    yield Decided(
        TierAssigned(command.tier, command.since, command.tiering_position), member.id, command.since
    )
    clock = book.programs[command.chain, command.program].clock
    for purchase in sorted(member.purchases.values(), key=lambda fact: fact.position):
        if purchase.occurred_at > command.since:
            yield from _settle(book, member, purchase, "tier_change", max(clock, purchase.occurred_at))


def _advance_clock(book: Book, command: AdvanceClock) -> Iterator[Decided]:
    """Time passes here and nowhere else: holds time out and lots expire, each at its own instant."""
    _program(book, command)
    if command.to > CLOCK_MAX:
        raise Refusal("clock_out_of_range", f"{command.to.isoformat()} is later than {CLOCK_MAX.date()}")
    if command.to <= book.programs[command.chain, command.program].clock:
        return
    yield Decided(ClockAdvanced(command.to), None, command.to)
    while (due := book.next_due(command.chain, command.program, command.to)) is not None:
        member, what = due
        if isinstance(what, Hold):
            freed = list(what.allocations)
            yield Decided(
                HoldReleased(what.id, what.order, what.amount, "expired", freed), member.id, what.expires_at
            )
        elif isinstance(what, Lot) and what.expires_at is not None:
            yield Decided(PointsExpired(what.id, what.free), member.id, what.expires_at)


def _activate_program(book: Book, command: ActivateProgram) -> Iterator[Decided]:
    state = book.programs.get((command.chain, command.program))
    if state is not None and state.version == command.version:
        return
    yield Decided(ProgramActivated(command.version, command.document), None, command.now)


def _program(book: Book, command: Command) -> Program:
    program = book.program(command.chain, command.program)
    if program is None:
        raise Refusal("unknown_program", f"no program {command.program!r} is active here")
    return program


def _member(book: Book, command: Command) -> Member:
    member = book.members.get((command.program, command.member))
    if member is None:
        raise Refusal("unknown_member", _unknown(command))
    if not member.complete:
        raise InvariantBroken(f"the lots of {member.id} were not loaded for {type(command).__name__}")
    return member


def _check_can_enrol(program: Program, command: Command) -> None:
    if UNRESOLVED in command.member or not program.enrols_on_first_activity:
        raise Refusal("unknown_member", _unknown(command))


def _unknown(command: Command) -> str:
    if UNRESOLVED in command.member:
        return f"nobody in the program is known by this {command.member.partition(UNRESOLVED)[0]}"
    return f"member {command.member!r} is not enrolled in the program"


def _check_time(book: Book, command: Command, occurred_at: datetime) -> None:
    clock = book.programs[command.chain, command.program].clock
    latest = max(command.now, clock) + FUTURE_TOLERANCE
    if occurred_at > latest:
        raise Refusal(
            "occurred_in_future",
            f"occurred_at {occurred_at.isoformat()} is later than {latest.isoformat()}: check the till's clock",
        )
    if occurred_at < BEGINNING:
        raise Refusal("occurred_too_early", f"occurred_at {occurred_at.isoformat()} is before 1970")


def _now(book: Book, command: Command, program: Program) -> datetime:
    """The program's present: its clock where it runs on events, else the wall's time (never behind its clock)."""
    clock = book.programs[command.chain, command.program].clock
    return clock if program.runs_on_events else max(command.now, clock)


def _open_hold(member: Member, hold_id: str, now: datetime) -> Hold:
    hold = member.holds.get(hold_id)
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
