"""The rules of tiers: what follows from a row of the ledger's book.

`take` is the whole of it: the reviews that the row's time makes due, then the row itself, then an upgrade if the row
earned one. The rule (spend over rolling months):

- The window that ends at t is (t - N months, t] in the program's time zone. Lines of excluded categories don't count.
- Upgrade at once, at the purchase that brings the window to a threshold: since = its time, until = since + review
  months. The purchase itself was made under the tier before.
- A purchase that keeps a member over its threshold moves nothing: the tier lives until its review.
- A review happens at `until`, when the program's clock on the chain gets there: the member gets the tier that the
  window ending then earns (downgrade, by as many steps as it takes; or renewal), until = then + review months.
- A return counts against the day of its purchase. It can lower what a review sees; it takes no tier at once.
- A late purchase counts on its own day. If that brings today's window to a threshold, the tier is given since the
  latest moment known of the member, never earlier: so the window that ends with `since` always shows the metric that
  is stated, and `since` never goes back.
- The lowest tier is everybody's: it is implied at enrolment (nothing is published) and is never reviewed.
- A new version counts for what comes after it. Members whose tier it no longer has are reviewed when it is activated.
  Spend already counted stays as it was counted; a changed threshold shows at the next purchase or review.
"""

from __future__ import annotations

from datetime import datetime

from services.tiering.domain.events import (
    ClockAdvanced,
    Fact,
    MemberEnrolled,
    PurchaseRecorded,
    ReturnRecorded,
    TierChanged,
)
from services.tiering.domain.program import Rules
from services.tiering.domain.state import Member, ProgramState, State

MEMBER_FACTS = (MemberEnrolled, PurchaseRecorded, ReturnRecorded)
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
    event, name = fact.event, fact.member
    if name is None:
        return decided
    if isinstance(event, MemberEnrolled):
        program.enrol(name, fact.occurred_at)
    elif isinstance(event, PurchaseRecorded):
        member = program.enrol(name, fact.occurred_at)
        # On the wall's clock a purchase may be told before the tick that makes its member's review due.
        while member.until is not None and member.until <= fact.occurred_at:
            decided.append(_review(program, member, member.until, fact.position))
        program.spend(member, fact.occurred_at, fact.position, counted(program.rules, event))
        upgrade = decide_upgrade(program.rules, member, fact.position)
        if upgrade is not None:
            program.change(upgrade)
            decided.append(upgrade)
    elif isinstance(event, ReturnRecorded):
        member = program.enrol(name, event.purchased_at)
        program.spend(member, event.purchased_at, fact.position, -counted(program.rules, event))
    return decided


def take_reviews(program: ProgramState, bound: tuple[datetime, str], position: int) -> list[TierChanged]:
    """The reviews up to (until, member) = `bound`, in that order; a member may have several."""
    decided = []
    while (member := program.pop_due(bound)) is not None and member.until is not None:
        decided.append(_review(program, member, member.until, position))
    return decided


def take_retired(program: ProgramState, member: Member, activated_at: datetime, position: int) -> TierChanged:
    """The review of a member whose tier the version now in force no longer has."""
    at = max(member.as_of, program.clock or activated_at)
    return _review(program, member, at, position)


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


def counted(rules: Rules, event: PurchaseRecorded | ReturnRecorded) -> int:
    """Minor units of money that count for the metric."""
    excluded = rules.excluded_categories
    return sum(amount for category, amount in event.lines if category not in excluded)


def decide_upgrade(rules: Rules, member: Member, position: int) -> TierChanged | None:
    """The tier that the member's window earns now, if it is a higher one."""
    metric = member.window.total
    rank, earned = rules.rank(member.tier), rules.earned(metric)
    if earned <= rank:
        return None
    return _changed(rules, member, rank, earned, member.as_of, metric, position)


def decide_review(rules: Rules, member: Member, at: datetime, position: int) -> TierChanged:
    """The tier that the window ending at `at` earns, whatever it is."""
    metric = member.window.total_after(rules.window_start(at))
    return _changed(rules, member, rules.rank(member.tier), rules.earned(metric), at, metric, position)


def _review(program: ProgramState, member: Member, at: datetime, position: int) -> TierChanged:
    event = decide_review(program.rules, member, at, position)
    program.change(event)
    return event


def _changed(
    rules: Rules, member: Member, rank: int, earned: int, at: datetime, metric: int, position: int
) -> TierChanged:
    """The event. A downgrade states the threshold that was missed, all else the one that was reached."""
    if earned < rank:
        reason, sign, threshold = "downgrade", "<", rules.tiers[rank].threshold
    else:
        reason, sign, threshold = (
            "upgrade" if earned > rank else "renewal",
            ">=",
            rules.tiers[earned].threshold,
        )
    from_tier = member.tier or rules.tiers[0].name
    rule = f"{rules.metric} of {rules.window_months} months {sign} {threshold}"
    if member.tier is not None and member.tier != rules.tiers[rank].name:
        # The version has no tier of that name: it counts as the lowest, and the member has lost it.
        reason = "upgrade" if earned > 0 else "downgrade"
        rule = f"tier {member.tier} is not in version {rules.version}; {rule}"
    return TierChanged(
        program=rules.program,
        member=member.member,
        from_tier=from_tier,
        to_tier=rules.tiers[earned].name,
        since=at,
        until=rules.review_after(at, earned),
        reason=reason,
        rule=rule,
        metric=metric,
        threshold=threshold,
        ledger_position=position,
        version=rules.version,
    )
