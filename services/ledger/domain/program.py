"""A program as the ledger sees it: the section `ledger:` of its document, with exact rates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from services.common.months import SHORTEST_MONTH_DAYS
from services.common.program_section import Section, read_head
from services.ledger.domain.counters import Counting
from services.ledger.domain.earning_rules import FIELDS, EarningRules, read_earning_rules
from services.ledger.domain.expiry import Expiry, read_expiry
from services.ledger.domain.ladders import StoredValue, read_stored_value
from services.ledger.domain.return_rules import ReturnRules, read_returns
from services.ledger.domain.rulebook import Rulebook
from services.ledger.domain.social_rules import SocialRules, parse_social

MINOR_DIGITS = {
    "JPY": 0,
    "KRW": 0,
    "VND": 0,
    "CLP": 0,
    "ISK": 0,
    "BHD": 3,
    "KWD": 3,
    "OMR": 3,
    "JOD": 3,
    "TND": 3,
    "IQD": 3,
}
"""Currencies whose minor unit is not a hundredth (ISO 4217)."""
ROUNDINGS = ("floor", "half_up", "carry")
ENROLMENTS = ("required", "on_first_activity", "park")
HOLD_TTL_DEFAULT_SECONDS = 900
HOLD_TTL_MAX_SECONDS = 86_400
MULTIPLIER_MAX = 1_000
"""Of a tier: what is learnt late can't be refused, so it must not make points that 64 bits don't hold."""
ADJUSTMENT_LIMIT_MAX = 1_000_000_000_000_000
REASON = re.compile(r"[a-z0-9_]{1,64}")
GIVEN = "given"
KINDS = (GIVEN, "earned")
"""Points that were given (by hand, for interactions and referrals), and those of purchases and top-ups."""
PENDING_DAYS_MAX = 366


@dataclass(slots=True, frozen=True)
class EarningRate:
    """Points for one minor unit by one tier: numerator / denominator, in lowest terms, for whole-number arithmetic."""

    numerator: int
    denominator: int
    base: Fraction
    multiplier: Fraction


@dataclass(slots=True, frozen=True)
class Program:
    """One version of a program. Rates are exact; amounts are minor units; times are seconds or months."""

    id: str
    version: str
    time_zone: ZoneInfo
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's."""
    currency: str
    enrols_on_first_activity: bool
    parks: bool
    """True: an activity of somebody who is not enrolled is kept until they are."""
    base_rate: EarningRate
    tier_rates: Mapping[str, EarningRate]
    """By tier; tiers that are not in it earn at the base rate."""
    rounding: str
    excluded_categories: frozenset[str]
    excluded_skus: frozenset[str]
    excluded_brands: frozenset[str]
    rulebook: Rulebook
    counting: Counting | None
    """None where nothing is counted."""
    expiry_months: int | None
    expiry: Expiry
    """Where the months of `expiry_months` end."""
    pending_days: int
    """So long after earning points can't be spent yet."""
    hold_ttl_seconds: int
    hold_ttl_max_seconds: int
    spend_first: str
    """Points of which kind are spent before the others: given | earned. Empty: of neither."""
    stored_value: StoredValue | None
    """None: the program keeps no money."""
    returns: ReturnRules
    social: SocialRules
    adjustment_reasons: frozenset[str] = frozenset()
    """None: points are not given or taken by hand."""
    adjustment_limit: int = 0
    """Points given or taken by hand over this need a second person."""


def parse_program(document: Mapping[str, Any], version: str) -> Program:
    """The ledger's view of a document. Raises ProgramError that names the field."""
    top = Section(document, "")
    head = read_head(top)
    ledger = top.section("ledger")
    ledger.only(
        "currency", "enrolment", "earning", "pending", "expiry", "holds", "stores", "returns", "campaigns",
        "interactions", "referrals", "adjustments", "stored_value", "spending",
    )  # fmt: skip
    currency = ledger.text("currency")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ledger.wrong("currency", f"is {currency!r}; three capital letters, as in ISO 4217")
    enrolment = ledger.choice("enrolment", ENROLMENTS, "required")
    earning = ledger.section("earning")
    earning.only("points_per_unit", "rounding", "exclude_categories", "tier_multipliers", *FIELDS)
    expiry_months, expiry = read_expiry(ledger.section("expiry", optional=True))
    holds = ledger.section("holds", optional=True)
    holds.only("default_ttl_seconds", "max_ttl_seconds")
    ttl_max = holds.whole("max_ttl_seconds", 1, 366 * 86_400, HOLD_TTL_MAX_SECONDS)
    ttl_default = min(HOLD_TTL_DEFAULT_SECONDS, ttl_max)
    minor = 10 ** MINOR_DIGITS.get(currency, 2)
    base = earning.rate("points_per_unit") / minor
    multipliers = _multipliers(earning)
    rounding = earning.choice("rounding", ROUNDINGS, "floor")
    stores = ledger.section("stores", optional=True)
    rules = read_earning_rules(earning, stores, head.time_zone, base, minor)
    return Program(
        id=head.program,
        version=version,
        time_zone=head.time_zone,
        runs_on_events=head.runs_on_events,
        currency=currency,
        enrols_on_first_activity=enrolment == "on_first_activity",
        parks=enrolment == "park",
        base_rate=_earning_rate(base, Fraction(1)),
        tier_rates={tier: _earning_rate(base, multiplier) for tier, multiplier in multipliers.items()},
        rounding=rounding,
        excluded_categories=frozenset(earning.texts("exclude_categories")),
        excluded_skus=rules.excluded_skus,
        excluded_brands=rules.excluded_brands,
        rulebook=Rulebook(rules, [base, *(base * multiplier for multiplier in multipliers.values())]),
        counting=_counting(rules, rounding),
        expiry_months=expiry_months,
        expiry=expiry,
        pending_days=_pending_days(ledger.section("pending", optional=True), expiry_months),
        hold_ttl_seconds=holds.whole("default_ttl_seconds", 1, ttl_max, ttl_default),
        hold_ttl_max_seconds=ttl_max,
        spend_first=_spend_first(ledger.section("spending", optional=True)),
        stored_value=read_stored_value(ledger),
        returns=read_returns(ledger.section("returns", optional=True)),
        social=parse_social(ledger),
        **_adjustments(ledger),
    )


def _multipliers(earning: Section) -> dict[str, Fraction]:
    multipliers = earning.rates("tier_multipliers")
    for tier, multiplier in multipliers.items():
        if multiplier > MULTIPLIER_MAX:
            tiers = earning.section("tier_multipliers")
            raise tiers.wrong(tier, f"is {tiers.values[tier]}; at most {MULTIPLIER_MAX}")
    return multipliers


def _adjustments(ledger: Section) -> dict[str, Any]:
    """Without the section nothing is adjusted by hand; with it both fields say what may be."""
    adjustments = ledger.section("adjustments", optional=True)
    adjustments.only("reasons", "limit")
    if "adjustments" not in ledger.values:
        return {}
    reasons = adjustments.texts("reasons")
    if not reasons:
        raise adjustments.wrong("reasons", "is missing or empty: name at least one")
    for reason in reasons:
        if not REASON.fullmatch(reason):
            raise adjustments.wrong("reasons", f"{reason!r} is not 1 to 64 of a-z, 0-9 and _")
    limit = adjustments.whole("limit", 0, ADJUSTMENT_LIMIT_MAX)
    return {"adjustment_reasons": frozenset(reasons), "adjustment_limit": limit}


def _counting(rules: EarningRules, rounding: str) -> Counting | None:
    carries, visits = rounding == "carry", any(rule.asks_for_visits for rule in rules.rules)
    return Counting(carries, visits, rules.caps, rules.zone) if carries or visits or rules.caps else None


def _spend_first(section: Section) -> str:
    section.only("first")
    return section.choice("first", KINDS) if section.values else ""


def _pending_days(section: Section, expiry_months: int | None) -> int:
    section.only("days")
    if not section.values:
        return 0
    days = section.whole("days", 1, PENDING_DAYS_MAX)
    if expiry_months is not None and days >= expiry_months * SHORTEST_MONTH_DAYS:
        raise section.wrong("days", f"is {days}: points would expire before they can be spent")
    return days


def _earning_rate(base: Fraction, multiplier: Fraction) -> EarningRate:
    rate = base * multiplier
    return EarningRate(rate.numerator, rate.denominator, base, multiplier)
