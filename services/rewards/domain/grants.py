"""What a program gives of itself when something happens: `rewards.grants`, and what one occasion comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from services.common.program_section import Section
from services.rewards.domain.birthdays import SPANS
from services.rewards.domain.gifts import (
    Gift,
    MoneyGift,
    PointsGift,
    RewardGift,
    Shelf,
    TicketsGift,
    read_gifts,
)
from services.rewards.domain.grant_events import GrantEvent, GrantGiven, GrantProgressed, GrantWithheld
from services.rewards.domain.standing import AUDIENCE, EVERYBODY, Audience, Standing, read_audience
from services.rewards.domain.voucher_terms import Pack

ON = ("enrolled", "tier_reached", "purchase", "referral_qualified", "segment_entered", "birthday")
ONCE = ("ever", "year", "month", "day", "always")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SIDES = ("referrer", "referee")
GRANTS_MAX = 200
GIVES_MAX = 20
COUNT_MAX = 10**6
AMOUNT_MAX = 10**15

On = Literal["enrolled", "tier_reached", "purchase", "referral_qualified", "segment_entered", "birthday"]


@dataclass(slots=True, frozen=True)
class Grant:
    """One entry of the program. Amounts are minor units; an empty condition asks for nothing."""

    id: str
    on: str
    give: tuple[Gift, ...]
    once: str
    budget: int | None = None
    """So many of what it gives (`size`) over all members, and no more."""
    tiers: tuple[str, ...] = ()
    side: str = ""
    minimum_spend: int = 0
    """Of one purchase."""
    purchases: int = 1
    spend: int = 0
    """These are to be reached by all purchases that count, together."""
    first_day: date | None = None
    last_day: date | None = None
    weekdays: tuple[str, ...] = ()
    month_days: tuple[int, ...] = ()
    span: str = "day"
    """Of `birthday`: the day, its week or its month."""
    entered: Audience = EVERYBODY
    """Of `segment_entered`: into one of these."""
    audience: Audience = EVERYBODY
    excepted: Audience = EVERYBODY
    """Who is any of this is left out."""

    @property
    def is_aimed(self) -> bool:
        """True: it is not for everybody."""
        return (self.audience, self.excepted) != (EVERYBODY, EVERYBODY)

    @property
    def counts(self) -> bool:
        """True: it looks at more than one purchase."""
        return self.purchases > 1 or self.spend > 0

    @property
    def vouchers(self) -> int:
        """How many vouchers it gives at once."""
        return sum(gift.count for gift in self.give if isinstance(gift, Pack))

    @property
    def points(self) -> int:
        """How many points."""
        return sum(gift.points for gift in self.give if isinstance(gift, PointsGift))

    @property
    def tickets(self) -> int:
        """How many tickets for draws."""
        return sum(gift.tickets for gift in self.give if isinstance(gift, TicketsGift))

    @property
    def money(self) -> int:
        """How much stored value, minor units."""
        return sum(gift.money for gift in self.give if isinstance(gift, MoneyGift))

    @property
    def size(self) -> int:
        """What it counts against its budget: one with a budget gives vouchers, points, money or tickets."""
        return self.vouchers + self.points + self.tickets + self.money


@dataclass(slots=True, frozen=True)
class Occasion:
    """Something that happened to a member; `id` names it. `at`, when it occurred, decides what it counts for."""

    on: On
    id: str
    at: datetime
    tier: str = ""
    side: str = ""
    amount: int = 0
    family: str = ""
    segment: str = ""
    """Of `segment_entered`: which, of the families lifecycle, class and tag."""


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
        and (not grant.weekdays or WEEKDAYS[day.weekday()] in grant.weekdays)
        and (not grant.month_days or day.day in grant.month_days)
        and (grant.entered == EVERYBODY or occasion.segment in _named(grant.entered, occasion.family))
    )


def is_for(grant: Grant, standing: Standing, lowest: str) -> bool:
    """Whether it is for a member who stands so; `lowest` is the program's lowest tier, "" where it has none."""
    out = grant.excepted
    segments = standing.segments
    return grant.audience.missing(standing, lowest) is None and not (
        (standing.tier or lowest) in out.tiers
        or segments.lifecycle in out.lifecycle
        or segments.member_class in out.classes
        or segments.tags.intersection(out.tags)
    )


def _named(audience: Audience, family: str) -> tuple[str, ...]:
    return {"lifecycle": audience.lifecycle, "class": audience.classes, "tag": audience.tags}.get(family, ())


def slot_of(grant: Grant, occasion: Occasion, zone: ZoneInfo) -> str:
    """What a grant gives once for: all time, the year, month or day in the program's zone, or the occasion itself."""
    day = occasion.at.astimezone(zone).date().isoformat()
    match grant.once:
        case "ever":
            return "ever"
        case "year":
            return day[: len("2026")]
        case "month":
            return day[: len("2026-11")]
        case "day":
            return day
    return occasion.id


def decide_grant(
    grant: Grant, occasion: Occasion, slot: str, settled: bool, progress: Progress, given: int
) -> list[GrantEvent]:
    """What an occasion that fits comes to.

    `settled`: the member had this slot before. `given`: how much the grant has given to all members.
    """
    if settled:
        return []
    events: list[GrantEvent] = []
    if grant.counts:
        progress = Progress(progress.purchases + 1, progress.amount + occasion.amount)
        events.append(GrantProgressed(grant.id, slot, occasion.id, progress.purchases, progress.amount))
        if progress.purchases < grant.purchases or progress.amount < grant.spend:
            return events
    if grant.budget is not None and given + grant.size > grant.budget:
        return [*events, GrantWithheld(grant.id, slot, occasion.id, "budget_exhausted")]
    budgeted = grant.budget is not None
    counts = (grant.vouchers, budgeted, grant.points, grant.tickets, grant.money)
    return [*events, GrantGiven(grant.id, slot, occasion.id, *counts)]


def read_grants(rewards: Section, shelf: Shelf, tiers: Sequence[str]) -> tuple[Grant, ...]:
    """`rewards.grants`, in the document's order. Raises ProgramError."""
    grants: dict[str, Grant] = {}
    for section in rewards.sections("grants", GRANTS_MAX):
        grant = _grant(section, shelf, tiers)
        if grant.id in grants:
            raise section.wrong("id", f"{grant.id!r} is there twice")
        grants[grant.id] = grant
    return tuple(grants.values())


def _grant(section: Section, shelf: Shelf, tiers: Sequence[str]) -> Grant:
    section.only("id", "occasion", "when", "give", "once", "budget", "for", "except")
    grant_id = section.text("id")
    if len(grant_id) > 64 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in grant_id):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    on = section.choice("occasion", ON)
    when = section.section("when", optional=True)
    when.only(
        "tiers", "side", "minimum_spend", "purchases", "spend", "dates", "weekdays", "month_days", "segments", "tags",
        "span",
    )  # fmt: skip
    for key, only_on in WHEN_ONLY.items():
        if key in when.values and on != only_on:
            raise when.wrong(key, f"is for `occasion: {only_on}`")
    give = read_gifts(section, GIVES_MAX, shelf)
    if not give:
        raise section.wrong("give", "names nothing to give")
    if any(isinstance(gift, RewardGift) for gift in give):
        raise section.wrong("give", "a reward is for the prizes of a draw: give a voucher for it")
    if "budget" in section.values and len({type(gift) for gift in give}) > 1:
        raise section.wrong(
            "budget", "counts vouchers, points, money or tickets: give one of them, or make two grants"
        )
    dates = when.section("dates", optional=True)
    dates.only("from", "to")
    audience, excepted = (section.section(key, optional=True) for key in ("for", "except"))
    for aimed in (audience, excepted):
        aimed.only(*AUDIENCE)
    entered = read_audience(_without_tiers(when), ())
    if on == "segment_entered" and entered == EVERYBODY:
        raise section.wrong("when", "names no segment: `segments` or `tags`")
    grant = Grant(
        id=grant_id,
        on=on,
        give=give,
        once=section.choice("once", ONCE, "year" if on == "birthday" else "ever"),
        span=when.choice("span", SPANS, "day"),
        budget=section.whole("budget", 0, AMOUNT_MAX) if "budget" in section.values else None,
        tiers=tuple(when.texts("tiers")),
        side=when.choice("side", SIDES) if on == "referral_qualified" else "",
        minimum_spend=when.whole("minimum_spend", 0, AMOUNT_MAX, 0),
        purchases=when.whole("purchases", 1, COUNT_MAX, 1),
        spend=when.whole("spend", 0, AMOUNT_MAX, 0),
        first_day=dates.day("from"),
        last_day=dates.day("to"),
        weekdays=tuple(_weekdays(when)),
        month_days=tuple(_month_days(when)),
        entered=entered,
        audience=read_audience(audience, tiers),
        excepted=read_audience(excepted, tiers),
    )
    if on == "birthday" and grant.once != "year":
        raise section.wrong("once", "a birthday is once a year")
    if grant.counts and grant.once == "always":
        raise section.wrong("once", "of what several purchases reach is not `always`")
    return grant


def _without_tiers(when: Section) -> Section:
    """`when.tiers` are the tiers reached, which is another question."""
    return Section({key: value for key, value in when.values.items() if key != "tiers"}, when.path)


def _weekdays(when: Section) -> list[str]:
    days = when.texts("weekdays")
    for day in days:
        if day not in WEEKDAYS:
            raise when.wrong("weekdays", f"{day!r} is not one of {', '.join(WEEKDAYS)}")
    return days


def _month_days(when: Section) -> list[int]:
    days = when.values.get("month_days", [])
    if not isinstance(days, list) or not all(type(day) is int and 1 <= day <= 31 for day in days):
        raise when.wrong("month_days", "must be a list of days from 1 to 31")
    return days


WHEN_ONLY = {
    "tiers": "tier_reached", "side": "referral_qualified", "minimum_spend": "purchase", "purchases": "purchase",
    "spend": "purchase", "segments": "segment_entered", "tags": "segment_entered",
    "span": "birthday",
}  # fmt: skip
"""Conditions that one kind of occasion has."""
