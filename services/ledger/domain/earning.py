"""What a purchase earns. Pure arithmetic on exact rates."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.ledger.domain.book import PurchaseFact, Settlement
from services.ledger.domain.commands import PurchaseLine
from services.ledger.domain.program import Program

SHORTEST_MONTH_DAYS = 28


class AppliedRule(NamedTuple):
    """A rule that had a part in an accrual, with its arithmetic for people."""

    rule: str
    arithmetic: str


def eligible_amount(program: Program, lines: list[PurchaseLine]) -> int:
    """Minor units that earn: all lines but those of excluded categories."""
    excluded = program.excluded_categories
    if not excluded:
        return sum([line.amount for line in lines])
    return sum([line.amount for line in lines if line.category not in excluded])


def points_for(program: Program, amount: int, tier: str) -> int:
    """Points for `amount` minor units: amount x rate x the tier's multiplier, rounded once, at the end."""
    rate = program.tier_rates.get(tier, program.base_rate)
    if program.rounding == "half_up":
        return (2 * rate.numerator * amount + rate.denominator) // (2 * rate.denominator)
    return rate.numerator * amount // rate.denominator


def explain(program: Program, amount: int, tier: str) -> list[AppliedRule]:
    """Every rule that has a part in the points for `amount`, in order, for the member who asks why.

    Made when somebody asks: the book keeps what it is made of, and most accruals nobody asks about.
    """
    rate = program.tier_rates.get(tier)
    base = program.base_rate
    exact = _decimal(amount * base.numerator, base.denominator)
    rules = [
        AppliedRule(
            "base", f"{amount} {program.currency} minor units x {base.numerator}/{base.denominator} = {exact}"
        )
    ]
    if rate is not None:
        exact = _decimal(amount * rate.numerator, rate.denominator)
        multiplier = _decimal(rate.multiplier.numerator, rate.multiplier.denominator)
        rules.append(AppliedRule(f"tier {tier}", f"x {multiplier} = {exact}"))
    rules.append(
        AppliedRule(f"rounding {program.rounding}", f"{exact} -> {points_for(program, amount, tier)}")
    )
    return rules


def _decimal(numerator: int, denominator: int) -> str:
    """Up to four places, cut, for reading."""
    whole, rest = divmod(numerator, denominator)
    if rest == 0:
        return str(whole)
    return f"{whole}.{rest * 10_000 // denominator:04d}".rstrip("0")


def owed_for(program: Program, purchase: PurchaseFact, settlement: Settlement | None, tier: str) -> int:
    """What the purchase should have given by now: its points, less what its returned units earned.

    The points are shared out to lines by running totals, and a line's share to its units likewise, so shares
    are whole, add up exactly, and returning everything in any number of parts gives back exactly what was earned.
    """
    total = points_for(program, eligible_amount(program, purchase.lines), tier)
    if settlement is None or not settlement.returned:
        return total
    whole = eligible_amount(program, purchase.lines)
    owed, amount_so_far, points_so_far = total, 0, 0
    for line in purchase.lines:
        if line.category in program.excluded_categories or whole == 0:
            continue
        amount_so_far += line.amount
        upto = total * amount_so_far // whole
        share, points_so_far = upto - points_so_far, upto
        owed -= share * settlement.returned.get(line.id, 0) // line.quantity
    return owed


def expiry_of(program: Program, earned_at: datetime) -> datetime | None:
    """When points earned at `earned_at` expire: so many months on, the same local time in the program's zone."""
    if program.expiry_months is None:
        return None
    hour = earned_at.replace(minute=0, second=0, microsecond=0)
    # The purchases of a batch are hours apart at most, and calendars are slow: one look for an hour will do.
    there = _hour_months_on(hour, program.time_zone, program.expiry_months)
    if there is None:
        return months_on(earned_at, program.time_zone, program.expiry_months)
    return there + (earned_at - hour)


@lru_cache(maxsize=4_096)
def _hour_months_on(hour: datetime, zone: ZoneInfo, months: int) -> datetime | None:
    """Where a whole hour comes to lie; None when it does not stay whole (a clock is changed, a month is short)."""
    there = months_on(hour, zone, months)
    last = timedelta(hours=1) - timedelta.resolution
    return there if months_on(hour + last, zone, months) - there == last else None


def months_on(time: datetime, zone: ZoneInfo, months: int) -> datetime:
    """The same local time so many months on."""
    return add_months(time.astimezone(zone), months).astimezone(UTC)


def add_months(time: datetime, months: int) -> datetime:
    """The same day and time `months` on; the last day of the month where that day is missing (31 January + 1)."""
    years, month = divmod(time.month - 1 + months, 12)
    year = time.year + years
    if time.day > SHORTEST_MONTH_DAYS:
        return time.replace(
            year=year, month=month + 1, day=min(time.day, calendar.monthrange(year, month + 1)[1])
        )
    return time.replace(year=year, month=month + 1)
