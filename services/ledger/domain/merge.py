"""Two members are one person: what the absorbed one has moves to the survivor, and the old id leads there.

The survivor's chain tells all that arrives and the absorbed one's chain all that leaves, so that each can be read, and
balances, by itself. What is over (spent lots, closed holds, the history) stays where it happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import assert_never

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.book import Book, Hold, Lot, Member, Settlement
from services.ledger.domain.checks import UNRESOLVED, active_program, enrolled_member, present
from services.ledger.domain.commands import MergeMembers
from services.ledger.domain.counters import VISITS, Counted, Counter, as_text
from services.ledger.domain.events import (
    CountersMoved,
    Decided,
    HoldMoved,
    IdentifiersLinked,
    LotMoved,
    MemberAbsorbed,
    MemberActive,
    MembersMerged,
    PointsExpired,
    SettlementMoved,
    TierAssigned,
)
from services.ledger.domain.lots import pending_among

MERGE_ROWS_MAX = 50_000
"""Lots and settlements that one merge moves, a row each in one transaction."""
MOVED = "moved"
"""State of a hold that went on under the survivor."""


def merge_members(book: Book, command: MergeMembers) -> Iterator[Decided]:
    """Everything that is open moves: lots, debt, holds, settlements of purchases, tiers, identifiers."""
    program = active_program(book, command)
    if command.absorbed == command.member:
        raise Refusal("merge_into_itself", f"{command.member!r} is both: name two members")
    survivor = enrolled_member(book, command)
    absorbed = _absorbed(book, command)
    lots = [lot for _, lot in sorted(absorbed.lots.items()) if lot.remaining]
    if len(lots) + len(absorbed.settlements) > MERGE_ROWS_MAX:
        raise Refusal(
            "merge_too_large",
            f"{len(lots)} lots and {len(absorbed.settlements)} settled purchases; at most {MERGE_ROWS_MAX} "
            "together: merge the smaller member into the larger",
        )

    now = present(book, command, program)
    # What moves is written down first, for the absorbed one is empty as soon as it has left.
    moving = [
        LotMoved(
            lot.id, lot.amount, lot.remaining, lot.earned_at, lot.expires_at, lot.purchase, lot.matures_at
        )
        for lot in lots
    ]
    holds = [(hold, list(hold.allocations)) for hold in absorbed.holds.values() if hold.state == "open"]
    allocations = [(lot.id, lot.remaining) for lot in lots]
    identifiers = identifiers_of(book, absorbed)
    pending, lapses_at = absorbed.pending, absorbed.lapses_at
    debt, held, names = absorbed.debt, absorbed.held, [hold.id for hold, _ in holds]
    points = sum(lot.remaining for lot in lots)
    merged = MembersMerged(absorbed.id, points, held, debt, list(absorbed.absorbed))
    yield Decided(merged, survivor.id, now)
    left = MemberAbsorbed(survivor.id, allocations, debt, held, names, identifiers, pending)
    yield Decided(left, absorbed.id, now, absorbed.chain)
    places: dict[int, int] = {}
    for lot_moved in moving:
        yield Decided(lot_moved, survivor.id, now)
        # The lot that was opened last.
        places[lot_moved.lot] = next(reversed(survivor.lots))
    for hold, parts in holds:
        there = [(places[lot], points) for lot, points in parts]
        hold_moved = HoldMoved(hold.id, hold.order, hold.amount, hold.captured, hold.expires_at, there)
        yield Decided(hold_moved, survivor.id, now)
    for purchase, settlement in absorbed.settlements.items():
        returned = sorted(settlement.returned.items())
        yield Decided(SettlementMoved(purchase, returned, settlement.adjusted), survivor.id, now)
    if lapses_at is not None and (survivor.lapses_at is None or lapses_at > survivor.lapses_at):
        # Whichever of the two was active last keeps the points of both alive.
        yield Decided(MemberActive("merge", lapses_at), survivor.id, now)
    counters = _added(survivor, absorbed)
    if counters:
        yield Decided(CountersMoved(counters), survivor.id, now)
    for of, tiers in ((absorbed.id, absorbed.tiers), *absorbed.absorbed.items()):
        for since, tier in tiers:
            yield Decided(TierAssigned(tier, since, 0, of), survivor.id, now)
    if identifiers:
        yield Decided(IdentifiersLinked(identifiers), survivor.id, now)
    clock = book.programs[command.chain, command.program].clock
    for lot in [survivor.lots[place] for place in places.values()]:
        # Each chain has its own clock: what was to come on theirs may be past on ours.
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            pending = pending_among(survivor, [(lot.id, lot.free)])
            yield Decided(PointsExpired(lot.id, lot.free, pending), survivor.id, lot.expires_at)


def _absorbed(book: Book, command: MergeMembers) -> Member:
    member = book.members.get((command.program, command.absorbed))
    if member is None:
        kind, colon, _ = command.absorbed.partition(UNRESOLVED)
        raise Refusal(
            "unknown_member",
            f"nobody in the program is known by this {kind}"
            if colon
            else f"member {command.absorbed!r} is not enrolled in the program",
        )
    if member.merged_into:
        raise Refusal(
            "already_merged",
            f"member {member.id!r} was merged into {member.merged_into!r} before: name who has everything now",
        )
    if not member.complete:
        raise InvariantBroken(f"the lots of {member.id} were not loaded for a merge")
    return member


def _added(survivor: Member, absorbed: Member) -> list[Counter]:
    """What was counted of the absorbed one counts on for the survivor: visits, caps, the carried fraction."""
    ours, theirs = _counted(survivor), _counted(absorbed)
    return [
        Counter(name, as_text(ours.get(name, Fraction(0))), as_text(ours.get(name, Fraction(0)) + value))
        for name, value in sorted(theirs.items())
        if value
    ]


def _counted(member: Member) -> dict[str, Fraction]:
    now = {name: counted.value for name, counted in member.counters.items()}
    # Purchases are visits, whether or not the program looks at them by now.
    return {**now, VISITS: now.get(VISITS, Fraction(0)) + member.uncounted}


def identifiers_of(book: Book, member: Member) -> list[tuple[str, bytes]]:
    """(kind, hash) of what the member is known by, in the order of the hashes."""
    return sorted(
        (book.kinds[key], key[1])
        for key, owner in book.identifiers.items()
        if key[0] == member.program and owner == member.id
    )


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
    for lot_id, points in event.allocations:
        lot = member.lots.get(lot_id)
        if lot is None or lot.remaining != points:
            raise InvariantBroken(
                f"{member.id} leaves with {points} points of lot {lot_id}, which it has not"
            )
        lot.remaining = lot.held = 0
        member.posted -= points
    member.posted += event.debt
    member.debt -= event.debt
    member.held -= event.held
    member.pending -= event.pending
    member.lapses_at = None
    if member.posted or member.debt or member.held or member.pending:
        raise InvariantBroken(f"{member.id} was merged and something is left: {member.posted} points")
    for hold_id in event.holds:
        hold = member.holds[hold_id]
        hold.state, hold.allocations = MOVED, []
    for _, digest in event.identifiers:
        book.identifiers.pop((member.program, digest), None)
        book.kinds.pop((member.program, digest), None)
    member.profile = b""
    member.merged_into = event.into


def arrive(
    book: Book, member: Member, event: LotMoved | HoldMoved | SettlementMoved | CountersMoved, position: int
) -> None:
    """A lot, an open hold or what became of a purchase comes to the survivor."""
    match event:
        case LotMoved():
            lot = Lot(
                position, event.amount, event.points, 0, event.earned_at, event.expires_at, event.purchase,
                event.matures_at,
            )  # fmt: skip
            member.lots[position] = lot
            member.posted += event.points
            if event.matures_at is not None:
                member.pending += event.points
            book.expect_lot(member, lot)
        case HoldMoved():
            hold = Hold(
                event.hold, event.order, event.amount, event.captured, event.expires_at, "open",
                list(event.allocations),
            )  # fmt: skip
            member.holds[hold.id] = hold
            for lot_id, points in event.allocations:
                member.lots[lot_id].held += points
                member.held += points
            book.expect_hold(member, hold)
        case CountersMoved():
            for name, _, after in event.counters:
                member.counters[name] = Counted(Fraction(after), position)
                if name == VISITS:
                    member.uncounted = 0
        case SettlementMoved():
            member.settlements[event.purchase] = Settlement(dict(event.returned), event.adjusted)
        case _:
            assert_never(event)
