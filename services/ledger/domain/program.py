"""A program as the ledger sees it: the section `ledger:` of its document, with exact rates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PROGRAM_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
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
ROUNDINGS = ("floor", "half_up")
HOLD_TTL_DEFAULT_SECONDS = 900
HOLD_TTL_MAX_SECONDS = 86_400
EXPIRY_MONTHS_MAX = 1_200


class ProgramError(ValueError):
    """The document is wrong at `field` (a path such as `ledger.earning.rounding`)."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


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
    base_rate: EarningRate
    tier_rates: Mapping[str, EarningRate]
    """By tier; tiers that are not in it earn at the base rate."""
    rounding: str
    excluded_categories: frozenset[str]
    expiry_months: int | None
    hold_ttl_seconds: int
    hold_ttl_max_seconds: int


def parse_program(document: Mapping[str, Any], version: str) -> Program:
    """The ledger's view of a document. Raises ProgramError that names the field."""
    top = _Section(document, "")
    program_id = top.text("program")
    if not PROGRAM_ID.fullmatch(program_id):
        raise ProgramError("program", "must be 1 to 64 of a-z, 0-9, _ and -, starting with a letter or digit")
    clock = top.text("clock", "wall")
    if clock not in ("wall", "events"):
        raise ProgramError("clock", f"is {clock!r}; one of wall, events")
    zone_name = top.text("time_zone", "UTC")
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ProgramError("time_zone", f"{zone_name!r} is no time zone of the IANA database") from error
    top.only("program", "name", "time_zone", "clock", "ledger", "tiering", "rewards")
    ledger = top.section("ledger")
    ledger.only("currency", "enrolment", "earning", "expiry", "holds")
    currency = ledger.text("currency")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ProgramError("ledger.currency", f"is {currency!r}; three capital letters, as in ISO 4217")
    enrolment = ledger.text("enrolment", "required")
    if enrolment not in ("required", "on_first_activity"):
        raise ProgramError("ledger.enrolment", f"is {enrolment!r}; one of required, on_first_activity")
    earning = ledger.section("earning")
    earning.only("points_per_unit", "rounding", "exclude_categories", "tier_multipliers")
    rounding = earning.text("rounding", "floor")
    if rounding not in ROUNDINGS:
        raise ProgramError("ledger.earning.rounding", f"is {rounding!r}; one of {', '.join(ROUNDINGS)}")
    expiry = ledger.section("expiry", optional=True)
    expiry.only("months")
    holds = ledger.section("holds", optional=True)
    holds.only("default_ttl_seconds", "max_ttl_seconds")
    ttl_max = holds.whole("max_ttl_seconds", HOLD_TTL_MAX_SECONDS, 1, 366 * 86_400)
    base = earning.rate("points_per_unit") / 10 ** MINOR_DIGITS.get(currency, 2)
    return Program(
        id=program_id,
        version=version,
        time_zone=zone,
        runs_on_events=clock == "events",
        currency=currency,
        enrols_on_first_activity=enrolment == "on_first_activity",
        base_rate=_earning_rate(base, Fraction(1)),
        tier_rates={
            tier: _earning_rate(base, multiplier)
            for tier, multiplier in earning.rates("tier_multipliers").items()
        },
        rounding=rounding,
        excluded_categories=frozenset(earning.texts("exclude_categories")),
        expiry_months=expiry.whole("months", 0, 1, EXPIRY_MONTHS_MAX) if "months" in expiry.values else None,
        hold_ttl_seconds=holds.whole(
            "default_ttl_seconds", min(HOLD_TTL_DEFAULT_SECONDS, ttl_max), 1, ttl_max
        ),
        hold_ttl_max_seconds=ttl_max,
    )


class _Section:
    """Typed reading of one mapping of the document, with the path for errors."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, Mapping):
            raise ProgramError(path or "document", "must be a mapping")
        self.values = values
        self._path = path

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def only(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                raise ProgramError(self._at(str(key)), f"is not known here; known: {', '.join(keys)}")

    def section(self, key: str, optional: bool = False) -> _Section:
        if key not in self.values:
            if optional:
                return _Section({}, self._at(key))
            raise ProgramError(self._at(key), "is missing")
        return _Section(self.values[key], self._at(key))

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value:
            raise ProgramError(self._at(key), "is missing" if value is None else "must be text")
        return value

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ProgramError(self._at(key), "must be a list of texts")
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self.values.get(key, default)
        if type(value) is not int or not least <= value <= most:
            raise ProgramError(self._at(key), f"must be a whole number from {least} to {most}")
        return value

    def rate(self, key: str) -> Fraction:
        if key not in self.values:
            raise ProgramError(self._at(key), "is missing")
        return _rate(self.values[key], self._at(key))

    def rates(self, key: str) -> dict[str, Fraction]:
        section = self.section(key, optional=True)
        return {str(name): _rate(value, section._at(str(name))) for name, value in section.values.items()}


def _earning_rate(base: Fraction, multiplier: Fraction) -> EarningRate:
    rate = base * multiplier
    return EarningRate(rate.numerator, rate.denominator, base, multiplier)


def _rate(value: Any, path: str) -> Fraction:
    """An exact rate from a whole number or a decimal's text. Bounded, so that points fit in 64 bits."""
    if type(value) is int or (isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value)):
        rate = Fraction(value)
        if 0 <= rate <= 1_000_000:
            return rate
    raise ProgramError(path, f"is {value!r}; a decimal from 0 to 1000000 with at most 9 places")
