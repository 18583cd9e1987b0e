"""What the metrics give and take: upgrades, reviews with their downgrade policies, and returns that count at once.

Nothing here changes a member: each function says what the standing would be and why, so that a member can also be told
what will be lost, and when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.tiering.domain.conditions import Condition, known_only
from services.tiering.domain.events import Measure
from services.tiering.domain.metrics import PAID_CARD, Metric, Values, counted_names
from services.tiering.domain.program import Rules
from services.tiering.domain.state import Member, Standing, Window
from services.tiering.domain.windows import MOMENT

NOTES = {"one_step": "; one step at a time", "soft_landing": "; a soft landing, one step"}


@dataclass(slots=True, frozen=True)
class Why:
    """The reason of a change, its rule in words, and the measures behind it (the one that decided first)."""

    reason: str
    rule: str
    measures: tuple[Measure, ...] = ()
    grant: str = ""
    closing: bool = False
    """By a review: what the row that made it due tells came after it."""


Outcome = tuple[Standing, Why]


def upgraded(rules: Rules, member: Member) -> Outcome | None:
    """The higher tier that the windows earn now; or the same one for ever, when a lifetime metric has reached it."""
    values = member.values_now(rules)
    standing = member.standing
    rank, earned = rules.rank(standing.tier), rules.earned(values)
    if earned <= rank and not rules.lifetime:
        return None
    floor = _floor(rules, standing, values)
    if earned > rank:
        why = _why(rules, member, "upgrade", earned, values, member.as_of)
        return _given(rules, standing, earned, member.as_of, floor, values=values), why
    if floor != standing.floor:
        why = _why(rules, member, "lifetime", rules.rank(floor), values, member.as_of)
        until = None if rank <= rules.rank(floor) else standing.until
        return replace(standing, floor=floor, until=until, ranked=standing.ranked and until is not None), why
    return None


def upgraded_late(rules: Rules, member: Member, at: datetime, now: datetime) -> Outcome | None:
    """What a late entry at `at` earns in the year of its own day, if that still counts at `now`."""
    late = [metric for metric in rules.yearly if at <= member.windows[metric.name].start]
    if not late:
        return None

    def held(metric: Metric, window: Window) -> int:
        end = metric.span.end(at, member.enrolled_at)
        if metric not in late or end is None:
            return window.total
        return window.between(metric.span.start(at, member.enrolled_at), end)

    values = member.values(rules, held)
    rank = rules.earned(values)
    until = rules.review_after(at, rank)
    if rank <= rules.rank(member.standing.tier) or (until is not None and until <= now):
        return None
    standing = _given(rules, member.standing, rank, member.as_of, member.standing.floor, values=values)
    why = _why(rules, member, "upgrade", rank, values, at)
    return replace(standing, until=until, earned_at=at), why


def ranked(rules: Rules, member: Member, at: datetime, since: datetime) -> Outcome | None:
    """The standing after a ranking of `at` that is told when the member is known up to `since`; None: it stays.

    The windows that ended `at` then are asked, and those of now too: what was bought since may have earned as much.
    """
    standing = member.standing
    values, now = member.values_reviewed(rules, at), member.values_now(rules)
    if since > at and rules.earned(now) > rules.earned(values):
        at, values = since, now
    if not standing.ranked and rules.earned(values) <= rules.rank(standing.tier):
        return None
    after, why = reviewed(rules, member, at, values)
    # No row of the ledger made it due: all that was applied is behind it.
    return after, replace(why, closing=False)


def reviewed(rules: Rules, member: Member, at: datetime, values: Values | None = None) -> Outcome:
    """The standing after a review at `at`; `values` are what the windows hold, where the caller knows."""
    standing = member.standing
    if values is None:
        values = member.values_reviewed(rules, at)
    floor = _floor(rules, standing, values)
    rank = rules.rank(standing.tier)
    earned = max(rules.earned(values), rules.rank(floor))
    retired = standing.tier is not None and standing.tier != rules.tiers[rank].name
    if earned >= rank:
        reason = (
            ("upgrade" if earned > 0 else "downgrade")
            if retired
            else "upgrade"
            if earned > rank
            else "renewal"
        )
        why = _why(rules, member, reason, earned, values, at, closing=True)
        if retired:
            rule = f"tier {standing.tier} is not in version {rules.version}; {why.rule}"
            why = replace(why, rule=rule)
        return _given(rules, standing, earned, at, floor, closing=True, values=values), why
    missed = _why(rules, member, "downgrade", rank, values, at, closing=True, reached=False)
    policy = rules.downgrade
    if rules.review.grace_months and not standing.grace:
        until = rules.later(at, rules.review.grace_months)
        kept = replace(standing, since=at, until=until, grace=True, floor=floor, earned_at=None, ranked=False)
        return kept, replace(missed, reason="grace", rule=f"{missed.rule}; kept for a time of grace")
    if policy.once_in_months and standing.lowered_at and rules.protected_until(standing.lowered_at) > at:
        until, ranked = rules.until(at, rank, closing=True)
        kept = replace(standing, since=at, until=until, floor=floor, lent=True, ranked=ranked)
        text = f"{missed.rule}; kept, at most one downgrade in {policy.once_in_months} months"
        return kept, replace(missed, reason="protected", rule=text)
    landing = (
        rank - 1 if policy.to == "one_step" or (policy.to == "soft_landing" and not standing.soft) else earned
    )
    given = _given(rules, standing, landing, at, floor, closing=True, values=values)
    given.soft = policy.to == "soft_landing" and landing > earned
    given.lent = landing > earned
    given.lowered_at = at if policy.once_in_months else None
    return given, replace(missed, rule=missed.rule + (NOTES[policy.to] if landing > earned else ""))


def taken_back(rules: Rules, member: Member, at: datetime) -> Outcome | None:
    """The lower tier at once, when a return took from the windows that earned the tier what it asks for."""
    standing = member.standing
    rank = rules.rank(standing.tier)
    if rank == 0 or standing.grace or standing.lent:
        return None
    if standing.ranked and standing.until is not None and standing.until <= at:
        # The ranking that ends it is under way, and will see what is left.
        return None
    earned_at = standing.earned_at or standing.since

    def held(metric: Metric, window: Window) -> int:
        start = metric.span.start(earned_at, member.enrolled_at, standing.closing)
        if start >= window.start:
            return window.total_after(start)
        # Of a year that is over, all of it counts.
        end = metric.span.end(start + MOMENT, member.enrolled_at)
        return window.between(start, end or earned_at)

    then = member.values(rules, held)
    now = member.values_now(rules)
    left = max(rules.earned(then), rules.earned(now), rules.rank(standing.floor))
    if left >= rank:
        return None
    values = then if rules.earned(then) == left else now
    given = _given(rules, standing, left, at, standing.floor, values=values)
    given.until = given.until and standing.until
    given.earned_at, given.closing = earned_at, standing.closing
    return given, _why(rules, member, "return", rank, then, earned_at, standing.closing, reached=False)


def card_gone(rules: Rules, member: Member, at: datetime) -> Outcome | None:
    """The lower tier at once, when a paid card had earned the tier and is no more: no policy lends a card."""
    standing = member.standing
    rank, values = rules.rank(standing.tier), member.values_at(rules, at, closing=True)
    left = max(rules.earned(values), rules.rank(standing.floor))
    if left >= rank:
        return None
    why = _why(rules, member, "downgrade", rank, values, at, closing=True, reached=False)
    return _given(rules, standing, left, at, standing.floor, closing=True), why


def _floor(rules: Rules, standing: Standing, values: Values) -> str | None:
    """The highest tier that lifetime metrics alone have ever given."""
    if not rules.lifetime:
        return standing.floor
    rank = rules.earned(known_only(values, rules.lifetime))
    return rules.tiers[rank].name if rank > rules.rank(standing.floor) else standing.floor


def _given(
    rules: Rules,
    before: Standing,
    rank: int,
    at: datetime,
    floor: str | None,
    closing: bool = False,
    values: Values | None = None,
) -> Standing:
    """A tier by the metrics, from `at` on; `values` are what earned it."""
    until, ranked = (None, False) if rank <= rules.rank(floor) else rules.until(at, rank, closing)
    return Standing(
        tier=rules.tiers[rank].name if rank else None,
        since=at,
        until=until,
        floor=floor,
        ranked=ranked,
        by_card=values is not None and _by_card(rules, rank, values),
        lowered_at=before.lowered_at,
        # Only a return that counts at once asks which windows it was.
        closing=closing and rules.returns_at_once,
    )


def _by_card(rules: Rules, rank: int, values: Values) -> bool:
    """Without a paid card the tier would not have been earned."""
    tier = rules.tiers[rank]
    if tier.name not in rules.carded or tier.condition is None:
        return False
    return tier.condition.holds(values) and not tier.condition.holds({**values, PAID_CARD: 0})


def _why(
    rules: Rules,
    member: Member,
    reason: str,
    rank: int,
    values: Values,
    at: datetime,
    closing: bool = False,
    reached: bool = True,
) -> Why:
    """What `rank` asks for beside what there was."""
    tier = rules.tiers[rank]
    if tier.condition is None:
        return Why(reason, f"tier {tier.name} is everybody's")
    if reached and rank and not tier.condition.holds(values):
        return Why(reason, f"tier {tier.name} is kept for a lifetime")
    measures = measured(rules, member, tier.condition, values, at, closing)
    return Why(reason, tier.condition.words(rules.metrics, reached), tuple(measures), "", closing)


def measured(
    rules: Rules, member: Member, condition: Condition, values: Values, at: datetime, closing: bool = False
) -> list[Measure]:
    """Every metric of a condition: what the windows of `at` held and what was asked; the one that decides first."""
    first = condition.decisive(values)
    found = []
    for leaf in (first, *(leaf for leaf in condition.leaves() if leaf is not first)):
        metric = rules.metrics[leaf.metric]
        if metric.is_flag and not metric.of:
            found.append(Measure(leaf.metric, values[leaf.metric], 1, member.enrolled_at, at))
            continue
        counted = [rules.metrics[name] for name in counted_names(rules.metrics, leaf.metric)]
        since, joined = member.standing.since, member.enrolled_at
        after = min(
            rules.reviewed_from(each, at, joined, since) if closing else each.span.start(at, joined)
            for each in counted
        )
        ends = [each.span.end(at - MOMENT if closing else at, joined) for each in counted]
        up_to = min([max(at, member.as_of), *(end for end in ends if end is not None)])
        threshold = leaf.threshold
        if metric.of:
            # A place is told by what it is by: the member's own, and that of the last one in.
            threshold = member.tops.get(leaf.metric, member.missed.get(leaf.metric, 0))
        name = metric.of or metric.name
        found.append(Measure(name, values[name], threshold, after, up_to))
    return found
