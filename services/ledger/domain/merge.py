"""Two members are one person: what the absorbed one has moves to the survivor, and the old id leads there.

The survivor's chain tells all that arrives and the absorbed one's chain all that leaves, so that each can be read, and
balances, by itself. What is over (spent lots, closed holds, the history) stays where it happened; a hold that has
spent something comes over with the lots that it spent, for an order may be given back yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.book import POINTS, SUSPENDED, Book, Hold, Lot, Member
from services.ledger.domain.checks import (
    UNRESOLVED,
    active_program,
    check_not_closed,
    enrolled_member,
    present,
)
from services.ledger.domain.clock import expired
from services.ledger.domain.commands import MergeMembers
from services.ledger.domain.counters import VISITS, Counter, as_text
from services.ledger.domain.events import (
    AwardsMoved,
    CountersMoved,
    Decided,
    HoldMoved,
    IdentifiersLinked,
    LotMoved,
    MemberAbsorbed,
    MemberActive,
    MembersMerged,
    MemberSuspended,
    ReferralMoved,
    ReturnParked,
    SettlementMoved,
    TierAssigned,
    TopUpMoved,
)
from services.ledger.domain.merge_effects import MOVED
from services.ledger.domain.parked_returns import take_parked
from services.ledger.domain.referrals import leads_to

MERGE_ROWS_MAX = 50_000
"""What one merge moves, a row each in one transaction."""
AWARDS_A_ROW = 1_000


def merge_members(book: Book, command: MergeMembers) -> Iterator[Decided]:
    """Everything that goes on moves: lots, debt, holds, purchases and what became of them, counts, tiers, names."""
    program = active_program(book, command)
    if command.absorbed == command.member:
        raise Refusal("merge_into_itself", f"{command.member!r} is both: name two members")
    survivor = enrolled_member(book, command)
    absorbed = _absorbed(book, command)
    _check_settled(book, absorbed, survivor)
    holds = [hold for hold in absorbed.holds.values() if _goes_on(hold)]
    lots = _lots(absorbed, holds)
    rows = len(lots) + len(holds) + len(absorbed.settlements) + len(absorbed.top_ups) + len(absorbed.parked)
    if rows > MERGE_ROWS_MAX:
        raise Refusal(
            "merge_too_large",
            f"{rows} lots, holds, settled purchases, top-ups and parked returns; at most {MERGE_ROWS_MAX} "
            "together: merge the smaller member into the larger",
        )

    now = present(book, command, program)
    # What moves is written down first, for the absorbed one is empty as soon as it has left.
    moving = [
        LotMoved(
            lot.id, lot.amount, lot.remaining, lot.earned_at, lot.expires_at, lot.purchase, lot.matures_at,
            lot.asset,
        )
        for lot in lots
    ]  # fmt: skip
    allocated = [replace(hold, money=replace(hold.money)) for hold in holds]
    waiting = [parked.activity for some in absorbed.parked.values() for parked in some]
    lapses_at = absorbed.lapses_at
    identifiers = identifiers_of(book, absorbed)
    left = MemberAbsorbed(
        into=survivor.id,
        allocations=[(lot.id, lot.remaining) for lot in lots if lot.asset == POINTS and lot.remaining],
        debt=absorbed.debt,
        held=absorbed.held,
        holds=[hold.id for hold in holds],
        identifiers=identifiers,
        pending=absorbed.pending,
        money=[(lot.asset, lot.id, lot.remaining) for lot in lots if lot.asset != POINTS and lot.remaining],
        parked=[(activity.of, activity.id) for activity in waiting],
    )
    points = sum(part for _, part in left.allocations)
    merged = MembersMerged(absorbed.id, points, absorbed.held, absorbed.debt, list(absorbed.absorbed))
    yield Decided(merged, survivor.id, now)
    yield Decided(left, absorbed.id, now, absorbed.chain)
    places: dict[int, int] = {0: 0}
    for lot_moved in moving:
        yield Decided(lot_moved, survivor.id, now)
        # The lot that was opened last.
        places[lot_moved.lot] = next(reversed(survivor.lots_of(lot_moved.asset)))
    for hold in allocated:
        yield Decided(_moved(hold, places), survivor.id, now)
    yield from _facts(survivor, absorbed, places, now)
    for activity in waiting:
        yield Decided(ReturnParked(activity), survivor.id, now)
    if lapses_at is not None and (survivor.lapses_at is None or lapses_at > survivor.lapses_at):
        # Whichever of the two was active last keeps the points of both alive.
        yield Decided(MemberActive("merge", lapses_at), survivor.id, now)
    yield from _counts(book, survivor, absorbed, now)
    for of, tiers in ((absorbed.id, absorbed.tiers), *absorbed.absorbed.items()):
        for since, tier in tiers:
            yield Decided(TierAssigned(tier, since, 0, of), survivor.id, now)
    if identifiers:
        yield Decided(IdentifiersLinked(identifiers), survivor.id, now)
    if absorbed.status == SUSPENDED and survivor.status != SUSPENDED:
        why = f"merged with {absorbed.id}, who is suspended"
        yield Decided(MemberSuspended(why, ""), survivor.id, now)
    yield from _over(book, command, survivor, [(lot.asset, places[lot.id]) for lot in lots])
    for purchase in [of for of in survivor.parked if of in survivor.purchases]:
        # It waited for a purchase of the other id, which is the same person's now.
        yield from take_parked(book, survivor, purchase)


def _goes_on(hold: Hold) -> bool:
    """A hold that can be captured, or of which something may be given back (or is told that it was)."""
    return hold.state != MOVED and (hold.state == "open" or hold.captured + hold.money.captured > 0)


def _lots(absorbed: Member, holds: list[Hold]) -> list[Lot]:
    """What there is, and the lots that `holds` have spent, in their order."""
    spent = {lot for hold in holds for lot, _ in (*hold.spent, *hold.money.spent)}
    there = [*absorbed.lots.values(), *absorbed.money.values()]
    lots = [lot for lot in there if lot.remaining or lot.id in spent]
    if spent - {lot.id for lot in lots}:
        raise InvariantBroken(f"the spent lots of {absorbed.id} were not loaded for a merge")
    return sorted(lots, key=lambda lot: lot.id)


def _moved(hold: Hold, places: Mapping[int, int]) -> HoldMoved:
    """The hold with its lots' new ids."""
    money = hold.money
    parts, spent, coins, coins_spent = (
        [(places[lot], part) for lot, part in some]
        for some in (hold.allocations, hold.spent, money.allocations, money.spent)
    )
    return HoldMoved(
        hold.id, hold.order, hold.amount, hold.captured, hold.expires_at, parts, hold.state, spent, hold.refunded,
        money.currency, money.amount, money.captured, coins, coins_spent, money.refunded,
    )  # fmt: skip


def _check_settled(book: Book, absorbed: Member, survivor: Member) -> None:
    """What waits for somebody, and would be lost or decided by nobody after. Raises Refusal("merge_blocked")."""
    waiting = sorted(a.id for a in absorbed.adjustments.values() if a.state == "requested")
    if waiting:
        raise Refusal(
            "merge_blocked",
            f"{len(waiting)} adjustments of {absorbed.id!r} wait for a second person, the first {waiting[0]!r}: "
            "approve or decline them first",
        )
    referral = book.referrals.get((absorbed.program, absorbed.id))
    if referral is not None and referral.owed:
        raise Refusal(
            "merge_blocked",
            f"the referral of {absorbed.id!r} is being rewarded: send the merge again in a few seconds",
        )


def _facts(survivor: Member, absorbed: Member, places: dict[int, int], now: datetime) -> Iterator[Decided]:
    """What a later return or reversal asks for: top-ups, and what became of purchases."""
    for id_, fact in absorbed.top_ups.items():
        moved = TopUpMoved(
            id_, fact.currency, fact.amount, fact.points, fact.bonus, places.get(fact.principal_lot, 0),
            places.get(fact.bonus_lot, 0), fact.bonus_expired, fact.reversed,
        )  # fmt: skip
        yield Decided(moved, survivor.id, now)
    for purchase, settlement in absorbed.settlements.items():
        returned = sorted(settlement.returned.items())
        moved_on = SettlementMoved(purchase, returned, settlement.adjusted, list(settlement.counters))
        yield Decided(moved_on, survivor.id, now)


def _counts(book: Book, survivor: Member, absorbed: Member, now: datetime) -> Iterator[Decided]:
    """Counters and awards add up; a referral comes over where the survivor has none."""
    counters = _added(survivor, absorbed)
    if counters:
        yield Decided(CountersMoved(counters), survivor.id, now)
    counts = sorted(absorbed.awards.items())
    for first in range(0, len(counts), AWARDS_A_ROW):
        yield Decided(AwardsMoved(counts[first : first + AWARDS_A_ROW]), survivor.id, now)
    referral = book.referrals.get((absorbed.program, absorbed.id))
    known = (survivor.program, survivor.id) in book.referrals
    # Nobody refers themselves, by neither of their ids, and by nobody between.
    if (
        referral is not None
        and not known
        and not leads_to(book, survivor.program, referral.referrer, survivor.id)
    ):
        r = referral
        moved = ReferralMoved(r.id, r.referrer, r.registered_at, r.qualified_at, list(r.tasks))
        yield Decided(moved, survivor.id, now)


def _over(
    book: Book, command: MergeMembers, survivor: Member, lots: list[tuple[str, int]]
) -> Iterator[Decided]:
    """Each chain has its own clock: what was to come on theirs may be past on ours."""
    clock = book.programs[command.chain, command.program].clock
    for asset, place in lots:
        lot = survivor.lots_of(asset)[place]
        if lot.expires_at is not None and lot.expires_at <= clock and lot.free > 0:
            yield Decided(expired(survivor, lot), survivor.id, lot.expires_at)


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
    check_not_closed(member)
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
