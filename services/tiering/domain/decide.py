"""The rules of tiers: what follows from a row of the ledger's book, or from a grant by hand.

`take` is the whole of it: the reviews that the row's time makes due, then the row itself, then an upgrade if the row
earned one. What holds for every program (the policies of its document are in `standing` and `grants`):

- A row gives entries (metric, amount, at); a window is a running total per metric; a tier's condition is a small tree
  over (metric, threshold). The rolling window that ends at t is (t - N months, t] in the program's time zone.
- Upgrade at once, at the row that brings the windows to a condition: since = its time. The purchase itself was made
  under the tier before.
- A purchase that keeps a member over its threshold moves nothing: the tier lives until its review.
- A review happens at `until`, when the program's clock on the chain gets there: the member gets the tier that the
  windows ending then earn, as the program's policy of downgrades has it.
- A return counts against the day of its purchase. It can lower what a review sees; it takes no tier at once, unless the
  program says so.
- A late purchase counts on its own day. If that brings today's windows to a condition, the tier is given since the
  latest moment known of the member, never earlier: so the windows that end with `since` always show the metric that
  is stated, and `since` never goes back. If it belongs to a year that is over, what that year earned counts too.
- A place among the best is given and taken by a ranking of all members, which is also the review of the tiers that ask
  for one (`take_ranking`). A tier that asks for a paid card goes with the card.
- A closed account keeps what it has; nothing is given, taken or reviewed any more.
- What is published is the best of the standing (by the metrics), the cards and the grants by hand.
- The lowest tier is everybody's: it is implied at enrolment (nothing is published) and is never reviewed.
- A new version counts for what comes after it. Members whose tier it no longer has are reviewed when it is activated.
  What was counted stays as it was counted; a changed threshold shows at the next purchase or review.
"""

from __future__ import annotations

from datetime import datetime

from services.tiering.domain import grants, merges, tally
from services.tiering.domain.events import (
    ClockAdvanced,
    Fact,
    FactsMoved,
    MemberClosed,
    MemberEnrolled,
    PointsMoved,
    PurchaseRecorded,
    ReturnRecorded,
    TierChanged,
    TierGranted,
    TierGrantRevoked,
    ToppedUp,
    TopUpReversed,
)
from services.tiering.domain.program import Rules
from services.tiering.domain.standing import (
    Why,
    card_gone,
    ranked,
    reviewed,
    taken_back,
    upgraded,
    upgraded_late,
)
from services.tiering.domain.state import Member, ProgramState, State

MEMBER_FACTS = (MemberEnrolled, PurchaseRecorded, ReturnRecorded, ToppedUp)
LAST_NAME = "\U0010ffff"
"""Sorts after every member id."""


def take(state: State, fact: Fact) -> list[TierChanged]:
    """What follows from one row; `state` is moved on by both. Activations change `state` itself: not for here."""
    program = state.get(fact.program)
    if program is None:
        return []
    decided: list[TierChanged] = []
    now = time_after(program, fact)
    if now is not None:
        decided = take_reviews(program, (now, LAST_NAME), fact.position)
        program.advance(now)
    event, name, at, position = fact.event, fact.member, fact.occurred_at, fact.position
    if name is None:
        return decided
    match event:
        case PurchaseRecorded():
            member = _own_clock(program, name, fact, decided)
            tally.purchase(program, member, at, position, event)
            if program.rules.sells_cards and not member.closed:
                since = max(member.as_of, program.clock or at)
                for why in grants.bought(program.rules, member, event.purchase, event.lines, at, since):
                    decided += _granted(program, member, member.as_of, why, position)
            decided += _climb(program, member, at, position)
        case MemberEnrolled():
            program.enrol(name, at)
        case ToppedUp():
            member = _own_clock(program, name, fact, decided)
            tally.top_up(program, member, at, position, event)
            decided += _climb(program, member, at, position)
        case TopUpReversed():
            member = _own_clock(program, name, fact, decided)
            if tally.top_up_reversed(program, member, position, event):
                decided += _fall(program, member, max(member.as_of, at), position)
        case MemberClosed():
            member = _own_clock(program, name, fact, decided)
            member.closed = member.dirty = True
        case ReturnRecorded():
            program.enrol(name, event.purchased_at)
            member = _own_clock(program, name, fact, decided)
            tally.return_(program, member, position, event)
            for why in grants.brought_back(program.rules, member, event.purchase, event.lines):
                decided += _granted(program, member, max(member.as_of, at), why, position)
            decided += _fall(program, member, max(member.as_of, at), position)
        case PointsMoved():
            # Of a purchase that nobody followed, and of its member, nothing was loaded.
            bought = program.purchases.get(event.purchase)
            if bought is not None and "points" in program.rules.kinds:
                member = _own_clock(program, name, fact, decided)
                tally.points(program, member, position, event, bought.at)
                decided += _climb(program, member, bought.at, position)
                if event.points < 0:
                    decided += _fall(program, member, max(member.as_of, at), position)
        case FactsMoved():
            member = _own_clock(program, name, fact, decided)
            merges.join(program, member, position, event)
            if event.last:
                now = max(member.as_of, at)
                why = merges.keep_better(program.rules, member, event, now)
                decided += _granted(program, member, now, why, position)
                decided += _climb(program, member, now, position)
        case TierGranted():
            member = _own_clock(program, name, fact, decided)
            since = max(member.as_of, at)
            decided += _granted(program, member, since, grants.granted(member, event, since), position)
        case TierGrantRevoked():
            member = _own_clock(program, name, fact, decided)
            revoked = grants.revoked(member, event.grant, event.reason)
            if revoked is not None:
                decided += _granted(program, member, max(member.as_of, at), revoked, position)
    return decided


def take_reviews(program: ProgramState, bound: tuple[datetime, str], position: int) -> list[TierChanged]:
    """What the clock decides up to (due, member) = `bound`, in that order; a member may come several times."""
    decided: list[TierChanged] = []
    while (member := program.pop_due(bound)) is not None and (due := member.due) is not None:
        decided += turn(program, member, due, position)
    return decided


def turn(program: ProgramState, member: Member, at: datetime, position: int) -> list[TierChanged]:
    """The member's next moment has come: cards and grants begin or end, the standing is reviewed."""
    why = grants.turn(member, at)
    # A card comes before the review: no policy of reviews lends what only a card had earned.
    why = _cardless(program.rules, member, at) or why
    until = member.standing.review
    if (until is not None and until <= at) or _is_retired(program, member):
        member.standing, why = reviewed(program.rules, member, at)
    return _settle(program, member, at, why or Why("renewal", ""), position)


def take_ranking(
    program: ProgramState,
    member: Member,
    tops: dict[str, int],
    missed: dict[str, int],
    at: datetime,
    position: int,
) -> list[TierChanged]:
    """A ranking at `at` found the member among the best (`tops`) or not (`missed`): tiers that ask for it are reviewed.

    Both give, by flag, what the last one in has. What the clock decides by then comes first.
    """
    decided: list[TierChanged] = []
    while (due := member.due) is not None and due <= at:
        decided += turn(program, member, due, position)
    if member.closed:
        tops = {}
    if tops != member.tops:
        member.tops, member.dirty = tops, True
    since = max(member.as_of, at)
    program.touch(member, since)
    member.missed = missed
    if not member.closed:
        outcome = ranked(program.rules, member, at, since)
        if outcome is not None:
            member.standing, why = outcome
            decided += _settle(program, member, since, why, position)
            # A ranking that is told late may lend a tier for a time that is over.
            while (due := member.due) is not None and due <= since:
                decided += turn(program, member, since, position)
        decided += _climb(program, member, since, position)
    member.missed = {}
    return decided


def _is_retired(program: ProgramState, member: Member) -> bool:
    """The version in force does not have the tier that the metrics gave, or has no ranking any more to end it."""
    standing, rules = member.standing, program.rules
    if standing.tier is None:
        return False
    return rules.tiers[rules.rank(standing.tier)].name != standing.tier or (
        standing.ranked and standing.tier not in rules.ranked
    )


def _cardless(rules: Rules, member: Member, at: datetime) -> Why | None:
    """Why the standing falls because no paid card is left, if it does."""
    if not member.standing.by_card or member.has_paid_card:
        return None
    outcome = card_gone(rules, member, at)
    if outcome is None:
        # What was counted since earns it as well: from here on it lasts as any other.
        member.standing.by_card, member.dirty = False, True
        return None
    member.standing, why = outcome
    return why


def take_retired(
    program: ProgramState, member: Member, activated_at: datetime, position: int
) -> list[TierChanged]:
    """The review of a member whose tier the version now in force no longer has."""
    at = max(member.as_of, program.clock or activated_at)
    grants.turn(member, at)
    if _is_retired(program, member):
        member.standing, why = reviewed(program.rules, member, at)
    else:
        why = Why("grant_ended", f"tier {member.tier} is not in version {program.rules.version}")
    return _settle(program, member, at, why, position)


def time_after(program: ProgramState, fact: Fact) -> datetime | None:
    """The program's clock after `fact`; None when it has not begun."""
    event = fact.event
    told = None
    if isinstance(event, ClockAdvanced):
        told = event.to
    elif program.rules.runs_on_events and isinstance(event, MEMBER_FACTS):
        told = fact.occurred_at
    if told is None or (program.clock is not None and told < program.clock):
        return program.clock
    return told


def _own_clock(program: ProgramState, name: str, fact: Fact, decided: list[TierChanged]) -> Member:
    """The member, with what its own row makes due: that may be told before the tick or the event that is."""
    member = program.enrol(name, fact.occurred_at)
    while (due := member.due) is not None and due <= fact.occurred_at:
        decided += turn(program, member, due, fact.position)
    return member


def _climb(program: ProgramState, member: Member, at: datetime, position: int) -> list[TierChanged]:
    """What an entry at `at` has earned."""
    rules = program.rules
    decided: list[TierChanged] = []
    if member.closed:
        return decided
    outcome = upgraded(rules, member)
    if outcome is not None:
        member.standing, why = outcome
        decided += _settle(program, member, member.as_of, why, position)
    if rules.yearly:
        now = max(member.as_of, program.clock or member.as_of)
        outcome = upgraded_late(rules, member, at, now)
        if outcome is not None:
            member.standing, why = outcome
            decided += _settle(program, member, member.as_of, why, position)
    if rules.cards:
        for why in list(grants.issued(rules, member, member.values_now(rules))):
            decided += _granted(program, member, member.as_of, why, position)
    return decided


def _fall(program: ProgramState, member: Member, at: datetime, position: int) -> list[TierChanged]:
    """What a return takes at once."""
    if not program.rules.returns_at_once or member.closed:
        return []
    outcome = taken_back(program.rules, member, at)
    if outcome is None:
        return []
    member.standing, why = outcome
    return _settle(program, member, at, why, position)


def _granted(
    program: ProgramState, member: Member, at: datetime, why: Why, position: int
) -> list[TierChanged]:
    """A card or a grant came or went; a closed account keeps what it had."""
    if member.closed:
        return []
    grants.turn(member, at)
    why = _cardless(program.rules, member, at) or why
    return _settle(program, member, at, why, position)


def _settle(
    program: ProgramState, member: Member, at: datetime, why: Why, position: int
) -> list[TierChanged]:
    """Bring what is published up to what the member has; nothing is said when nothing shows."""
    rules = program.rules
    rank, until, grant = grants.best(rules, member)
    program.touch(member, at)
    member.dirty = True
    program.push_due(member)
    tier = rules.tiers[rank].name if rank else None
    if (tier, until) == (member.tier, member.until):
        return []
    decisive = why.measures[0] if why.measures else None
    event = TierChanged(
        program=rules.program,
        member=member.member,
        from_tier=member.tier or rules.tiers[0].name,
        to_tier=rules.tiers[rank].name,
        since=at,
        until=until,
        reason=why.reason,
        rule=why.rule,
        metric=decisive.value if decisive else 0,
        threshold=decisive.threshold if decisive else 0,
        ledger_position=position,
        version=rules.version,
        measures=list(why.measures),
        counted_to=position - 1 if why.closing else position,
        grant=why.grant or grant,
    )
    member.tier, member.since, member.until = tier, at, until
    return [event]
