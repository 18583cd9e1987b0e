"""What a program gives of itself when something happens: `rewards.grants`, and what one occasion comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from services.common.program_section import Section
from services.rewards.domain.grant_events import GrantEvent, GrantGiven, GrantProgressed, GrantWithheld
from services.rewards.domain.voucher_terms import Pack, Terms, read_pack

ON = ("enrolled", "tier_reached", "purchase", "referral_qualified")
ONCE = ("ever", "year", "always")
SIDES = ("referrer", "referee")
GRANTS_MAX = 200
GIVES_MAX = 20
COUNT_MAX = 10**6
AMOUNT_MAX = 10**15

On = Literal["enrolled", "tier_reached", "purchase", "referral_qualified"]


@dataclass(slots=True, frozen=True)
class Grant:
    """One entry of the program. Amounts are minor units; an empty condition asks for nothing."""

    id: str
    on: str
    give: tuple[Pack, ...]
    once: str
    budget: int | None = None
    """So many vouchers over all members, and no more."""
    tiers: tuple[str, ...] = ()
    side: str = ""
    minimum_spend: int = 0
    """Of one purchase."""
    purchases: int = 1
    spend: int = 0
    """These are to be reached by all purchases that count, together."""
    first_day: date | None = None
    last_day: date | None = None

    @property
    def counts(self) -> bool:
        """True: it looks at more than one purchase."""
        return self.purchases > 1 or self.spend > 0

    @property
    def vouchers(self) -> int:
        """How many vouchers it gives at once."""
        return sum(pack.count for pack in self.give)


@dataclass(slots=True, frozen=True)
class Occasion:
    """Something that happened to a member; `id` names it. `at`, when it occurred, decides what it counts for."""

    on: On
    id: str
    at: datetime
    tier: str = ""
    side: str = ""
    amount: int = 0


@dataclass(slots=True, frozen=True)
class Progress:
    """What has counted so far for a grant that looks at more than one purchase."""

    purchases: int = 0
    amount: int = 0


def fits(grant: Grant, occasion: Occasion, zone: ZoneInfo) -> bool:
    """Whether the occasion is one that the grant is for."""
    day = occasion.at.astimezone(zone).date()
    return (
        grant.on == occasion.on
        and (not grant.tiers or occasion.tier in grant.tiers)
        and (not grant.side or occasion.side == grant.side)
        and occasion.amount >= grant.minimum_spend
        and (grant.first_day is None or grant.first_day <= day)
        and (grant.last_day is None or day <= grant.last_day)
    )


def slot_of(grant: Grant, occasion: Occasion, zone: ZoneInfo) -> str:
    """What a grant gives once for: all time, the year in the program's zone, or the occasion itself."""
    match grant.once:
        case "ever":
            return "ever"
        case "year":
            return str(occasion.at.astimezone(zone).year)
    return occasion.id


def decide_grant(
    grant: Grant, occasion: Occasion, slot: str, settled: bool, progress: Progress, given: int
) -> list[GrantEvent]:
    """What an occasion that fits comes to.

    `settled`: the member had this slot before. `given`: how many vouchers the grant has given to all members.
    """
    if settled:
        return []
    events: list[GrantEvent] = []
    if grant.counts:
        progress = Progress(progress.purchases + 1, progress.amount + occasion.amount)
        events.append(GrantProgressed(grant.id, slot, occasion.id, progress.purchases, progress.amount))
        if progress.purchases < grant.purchases or progress.amount < grant.spend:
            return events
    if grant.budget is not None and given + grant.vouchers > grant.budget:
        return [*events, GrantWithheld(grant.id, slot, occasion.id, "budget_exhausted")]
    return [*events, GrantGiven(grant.id, slot, occasion.id, grant.vouchers, grant.budget is not None)]


def read_grants(rewards: Section, vouchers: Mapping[str, Terms]) -> tuple[Grant, ...]:
    """`rewards.grants`, in the document's order. Raises ProgramError."""
    grants: dict[str, Grant] = {}
    for section in rewards.sections("grants", GRANTS_MAX):
        grant = _grant(section, vouchers)
        if grant.id in grants:
            raise section.wrong("id", f"{grant.id!r} is there twice")
        grants[grant.id] = grant
    return tuple(grants.values())


def _grant(section: Section, vouchers: Mapping[str, Terms]) -> Grant:
    section.only("id", "occasion", "when", "give", "once", "budget")
    grant_id = section.text("id")
    if len(grant_id) > 64 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in grant_id):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    on = section.choice("occasion", ON)
    when = section.section("when", optional=True)
    when.only("tiers", "side", "minimum_spend", "purchases", "spend", "dates")
    for key, only_on in WHEN_ONLY.items():
        if key in when.values and on != only_on:
            raise when.wrong(key, f"is for `occasion: {only_on}`")
    give = []
    for entry in section.sections("give", GIVES_MAX):
        entry.only("voucher", "count")
        give.append(read_pack(entry, vouchers))
    if not give:
        raise section.wrong("give", "names nothing to give")
    dates = when.section("dates", optional=True)
    dates.only("from", "to")
    grant = Grant(
        id=grant_id,
        on=on,
        give=tuple(give),
        once=section.choice("once", ONCE, "ever"),
        budget=section.whole("budget", 0, AMOUNT_MAX) if "budget" in section.values else None,
        tiers=tuple(when.texts("tiers")),
        side=when.choice("side", SIDES) if on == "referral_qualified" else "",
        minimum_spend=when.whole("minimum_spend", 0, AMOUNT_MAX, 0),
        purchases=when.whole("purchases", 1, COUNT_MAX, 1),
        spend=when.whole("spend", 0, AMOUNT_MAX, 0),
        first_day=dates.day("from"),
        last_day=dates.day("to"),
    )
    if grant.counts and grant.once == "always":
        raise section.wrong("once", "of what several purchases reach is `ever` or `year`")
    return grant


WHEN_ONLY = {
    "tiers": "tier_reached", "side": "referral_qualified", "minimum_spend": "purchase", "purchases": "purchase",
    "spend": "purchase",
}  # fmt: skip
"""Conditions that one kind of occasion has."""
