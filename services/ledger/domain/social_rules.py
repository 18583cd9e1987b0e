"""What a document says of interactions, referrals and the campaigns that pay for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from services.common.program_section import Section

PERIODS = ("day", "week", "month", "ever")
"""What a cap counts in, in the program's time zone; weeks begin on Monday."""
ONCE_PER = ("content", *PERIODS)
QUALIFIED_BY = ("purchase", "task")
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
AWARD_MAX = 1_000_000_000
"""Points of one award."""
BUDGET_MAX = 1_000_000_000_000_000
CAP_MAX = 1_000_000
RULES_MAX = 200
MINIMUM_MAX = 1_000_000_000_000


@dataclass(slots=True, frozen=True)
class InteractionRule:
    """What one kind of interaction earns, from `since` to `until` (days, both included)."""

    kind: str
    points: int
    once_per: str | None
    caps: Mapping[str, int]
    campaign: str
    """Empty: no budget."""
    since: date | None
    until: date | None

    def runs_on(self, day: date) -> bool:
        """True when the rule is in season."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


@dataclass(slots=True, frozen=True)
class ReferralRules:
    """When a referral qualifies, and what either side gets for it."""

    qualified_by: str
    minimum: int
    """Minor units that the referee's purchase earns on, at least."""
    task: str
    """What qualifies, where a task does."""
    referrer_points: int
    referee_points: int
    referee_task: str
    """Empty: the referee is rewarded as soon as the referral qualifies."""
    caps: Mapping[str, int]
    """Rewards of one referrer."""
    campaign: str

    @property
    def tasks(self) -> frozenset[str]:
        """Every task that the program knows."""
        return frozenset({self.task, self.referee_task} - {""})

    def points(self, side: str) -> int:
        """What `referrer` or `referee` gets; 0 for nothing."""
        return self.referrer_points if side == "referrer" else self.referee_points


@dataclass(slots=True, frozen=True)
class SocialRules:
    """All of it; false where a program has none."""

    budgets: Mapping[str, int] = field(default_factory=dict)
    """Points by campaign."""
    interactions: Mapping[str, tuple[InteractionRule, ...]] = field(default_factory=dict)
    """By kind; the first rule in season is the one that counts."""
    referrals: ReferralRules | None = None

    def __bool__(self) -> bool:
        return bool(self.interactions or self.referrals)


def parse_social(ledger: Section) -> SocialRules:
    """The fields `campaigns`, `interactions` and `referrals`. Raises ProgramError."""
    budgets: dict[str, int] = {}
    for entry in ledger.sections("campaigns", RULES_MAX):
        entry.only("id", "budget")
        id_ = _name(entry, "id")
        if id_ in budgets:
            raise entry.wrong("id", f"is {id_!r}, which another campaign has")
        budgets[id_] = entry.whole("budget", 0, BUDGET_MAX)
    interactions: dict[str, tuple[InteractionRule, ...]] = {}
    for entry in ledger.sections("interactions", RULES_MAX):
        rule = _interaction(entry, budgets)
        interactions[rule.kind] = (*interactions.get(rule.kind, ()), rule)
    referrals = _referrals(ledger.section("referrals"), budgets) if "referrals" in ledger.values else None
    return SocialRules(budgets, interactions, referrals)


def _interaction(entry: Section, budgets: Mapping[str, int]) -> InteractionRule:
    entry.only("kind", "points", "once_per", "caps", "campaign", "from", "to")
    since, until = entry.day("from"), entry.day("to")
    if since is not None and until is not None and until < since:
        raise entry.wrong("to", "is before `from`")
    return InteractionRule(
        kind=_name(entry, "kind"),
        points=entry.whole("points", 1, AWARD_MAX),
        once_per=entry.choice("once_per", ONCE_PER) if "once_per" in entry.values else None,
        caps=_caps(entry),
        campaign=_campaign(entry, budgets),
        since=since,
        until=until,
    )


def _referrals(section: Section, budgets: Mapping[str, int]) -> ReferralRules:
    section.only("qualified_by", "minimum", "task", "referrer", "referee", "caps", "campaign")
    by = section.choice("qualified_by", QUALIFIED_BY, "purchase")
    other = "task" if by == "purchase" else "minimum"
    if other in section.values:
        raise section.wrong(other, f"has no meaning where a referral is qualified_by {by}")
    referrer, referee = section.section("referrer", optional=True), section.section("referee", optional=True)
    referrer.only("points")
    referee.only("points", "task")
    return ReferralRules(
        qualified_by=by,
        minimum=section.whole("minimum", 0, MINIMUM_MAX, 0),
        task=_name(section, "task") if by == "task" else "",
        referrer_points=referrer.whole("points", 0, AWARD_MAX, 0),
        referee_points=referee.whole("points", 0, AWARD_MAX, 0),
        referee_task=_name(referee, "task") if "task" in referee.values else "",
        caps=_caps(section),
        campaign=_campaign(section, budgets),
    )


def _caps(section: Section) -> dict[str, int]:
    caps = section.section("caps", optional=True)
    caps.only(*PERIODS)
    return {period: caps.whole(period, 1, CAP_MAX) for period in PERIODS if period in caps.values}


def _campaign(section: Section, budgets: Mapping[str, int]) -> str:
    if "campaign" not in section.values:
        return ""
    campaign = section.text("campaign")
    if campaign not in budgets:
        raise section.wrong("campaign", f"is {campaign!r}; `ledger.campaigns` has no such id")
    return campaign


def _name(section: Section, key: str) -> str:
    name = section.text(key)
    if not NAME.fullmatch(name):
        raise section.wrong(key, "must be 1 to 32 of a-z, 0-9 and _, starting with a letter")
    return name
