"""What a purchase earns, and what it still stands for once units came back. Pure arithmetic on exact rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.common.months import shift_months
from services.ledger.domain.book import PurchaseFact, Settlement
from services.ledger.domain.commands import PurchaseLine
from services.ledger.domain.counters import CARRY, VISITS, Contribution, Counter, recorded
from services.ledger.domain.earning_rules import AMOUNT, BANDS, ITEMS, VISIT, Rule
from services.ledger.domain.program import Program
from services.ledger.domain.rulebook import Bought, Found, band, shares


class AppliedRule(NamedTuple):
    """A rule that had a part in an accrual, with its arithmetic for people."""

    rule: str
    arithmetic: str


class Earned(NamedTuple):
    """What a purchase earns: `amount` minor units by the base, and what rules and counters have to do with it."""

    amount: int
    points: int
    contributions: Sequence[Contribution] = ()
    counters: Sequence[Counter] = ()


def eligible(program: Program, lines: list[PurchaseLine]) -> list[PurchaseLine]:
    """The lines that earn: all but those that the program excludes."""
    categories, skus, brands = program.excluded_categories, program.excluded_skus, program.excluded_brands
    if not (skus or brands):
        return [line for line in lines if line.category not in categories] if categories else lines
    return [
        line
        for line in lines
        if not (line.category in categories or line.sku in skus or line.brand in brands)
    ]


def eligible_amount(program: Program, lines: list[PurchaseLine]) -> int:
    """Minor units that earn."""
    if program.excluded_skus or program.excluded_brands:
        lines = eligible(program, lines)
    categories = program.excluded_categories
    return sum([amount for _, _, category, _, amount, _ in lines if category not in categories])


def points_for(program: Program, amount: int, tier: str) -> int:
    """Points for `amount` minor units: amount x rate x the tier's multiplier, rounded once, at the end."""
    rate = program.tier_rates.get(tier, program.base_rate)
    return rounded(program, rate.numerator * amount, rate.denominator)


def earn(program: Program, bought: Bought, tier: str, before: Mapping[str, Fraction]) -> Earned:
    """What a purchase earns where the program's counters say `before`: base, rules, one rounding, caps."""
    amount = eligible_amount(program, bought.lines)
    if not (before or program.rulebook.rules):
        return Earned(amount, points_for(program, amount, tier))
    lines = eligible(program, bought.lines)
    found = _found(program, bought, lines, amount, tier, before)
    total = sum([one.value for one in found], _base(program, amount, tier))
    denominator, rest = program.rulebook.denominator, Fraction(0)
    if CARRY in before:
        exact = Fraction(total, denominator) + before[CARRY]
        points, rest = exact.__floor__(), exact % 1
    else:
        points = rounded(program, total, denominator)
    contributions = [Contribution(one.rule.id, one.counted) for one in found]
    if program.counting is None:
        return Earned(amount, points, contributions)
    cap = program.counting.left(before)
    if cap is not None and points > cap[2]:
        # What a cap cuts off is lost; the fraction from before is not the cap's business, and waits on.
        points, rest = cap[2], before.get(CARRY, Fraction(0))
    return Earned(amount, points, contributions, program.counting.after(before, points, rest))


def owed_for(
    program: Program, purchase: PurchaseFact, settlement: Settlement | None, tier: str, earned: Earned
) -> int:
    """What the purchase should have given by now: what it `earned`, less what its returned units did.

    The points are shared out to lines by running totals over what each line really earned, and a line's share to its
    units likewise, so shares are whole, add up exactly, and returning everything in any number of parts gives back
    exactly what was earned: also where a cap made it less, or a fraction from before made it more.
    """
    return kept_of(program, purchase, settlement, tier, earned.amount, earned.points)


def kept_of(
    program: Program,
    purchase: PurchaseFact,
    settlement: Settlement | None,
    tier: str,
    amount: int,
    total: int,
) -> int:
    """Of `total`, points or small parts of points that a purchase gave, what its units stand for that did not come
    back."""
    if settlement is None or not settlement.returned:
        return total
    lines = eligible(program, purchase.told.lines)
    weights = _weights(program, purchase, lines, amount, tier)
    whole = sum(weights)
    kept, weight_so_far, total_so_far = total, Fraction(0), 0
    for line, weight in zip(lines, weights, strict=True):
        if whole == 0:
            break
        weight_so_far += weight
        upto = total * weight_so_far // whole
        share, total_so_far = upto - total_so_far, upto
        kept -= share * settlement.returned.get(line.id, 0) // line.quantity
    return kept


def explain(
    program: Program,
    amount: int,
    tier: str,
    contributions: Sequence[Contribution] = (),
    counters: Sequence[Counter] = (),
) -> list[AppliedRule]:
    """Every rule that has a part in the points for `amount`, in order, for the member who asks why.

    Made when somebody asks: the book keeps what it is made of, and most accruals nobody asks about.
    """
    base, rate = program.base_rate, program.tier_rates.get(tier)
    exact = Fraction(amount * base.numerator, base.denominator)
    units = f"{amount} {program.currency} minor units"
    rules = [AppliedRule("base", f"{units} x {base.numerator}/{base.denominator} = {_decimal(exact)}")]
    if rate is not None:
        exact = Fraction(amount * rate.numerator, rate.denominator)
        rules.append(AppliedRule(f"tier {tier}", f"x {_decimal(rate.multiplier)} = {_decimal(exact)}"))
    by_id = {rule.id: rule for rule in program.rulebook.rules}
    before = recorded(counters)
    for id_, counted in contributions:
        text, value = _contributed(program, by_id[id_], counted)
        exact += value
        visit = f", purchase {before[VISITS] + 1}" if by_id[id_].asks_for_visits else ""
        rules.append(AppliedRule(f"rule {id_}", f"{text}{visit}: + {_decimal(value)} = {_decimal(exact)}"))
    rules.extend(_ended(program, exact, before))
    return rules


def base_parts(program: Program, amount: int, tier: str) -> Iterator[tuple[str, Fraction]]:
    """What the base gives for `amount`, and the tier on top, exactly: in proportion, so amounts may be added up."""
    base, rate = program.base_rate, program.tier_rates.get(tier)
    exact = Fraction(amount * base.numerator, base.denominator)
    yield "base", exact
    if rate is not None:
        yield f"tier {tier}", Fraction(amount * rate.numerator, rate.denominator) - exact


def rule_parts(program: Program, contributions: Sequence[Contribution]) -> Iterator[tuple[str, Fraction]]:
    """What each rule that had a part in an accrual gave, exactly."""
    for id_, counted in contributions:
        rule = next(rule for rule in program.rulebook.rules if rule.id == id_)
        yield f"rule {id_}", _contributed(program, rule, counted)[1]


def _ended(program: Program, exact: Fraction, before: dict[str, Fraction]) -> Iterator[AppliedRule]:
    """What rounding, the fraction from before and caps make of it."""
    carried = ""
    if before.get(CARRY):
        exact += before[CARRY]
        yield AppliedRule("carry", f"+ {_decimal(before[CARRY])} from purchases before = {_decimal(exact)}")
    points = rounded(program, exact.numerator, exact.denominator)
    cap = program.counting.left(before) if program.counting else None
    if cap is not None and points <= cap[2]:
        cap = None
    if CARRY in before:
        carried = f", {_decimal(exact % 1 if cap is None else before[CARRY])} carried on"
    yield AppliedRule(f"rounding {program.rounding}", f"{_decimal(exact)} -> {points}{carried}")
    if cap is not None:
        name, most, left = cap
        earned = before[name]
        yield AppliedRule(
            f"cap {name}", f"{earned} of {most} were earned before, {left} are left: {points} -> {left}"
        )


def _contributed(program: Program, rule: Rule, counted: int) -> tuple[str, Fraction]:
    """What a rule gave for what it counted, in words and exactly."""
    value = counted * rule.points
    units = f"{counted} {program.currency} minor units"
    if rule.counts == BANDS:
        value = Fraction(band(rule, counted))
        start = max(first for first, _ in rule.bands if first <= counted)
        text = f"{units} reach the band from {start}"
    elif rule.counts == VISIT:
        text = "for the purchase"
    elif rule.counts == AMOUNT:
        per_unit = f"{rule.points.numerator}/{rule.points.denominator}"
        times = f"base x {_decimal(rule.multiplier)}, " if rule.multiplier is not None else ""
        text = f"{times}{units} x {per_unit} more"
    else:
        what = "units bought" if rule.counts == ITEMS else "lines"
        text = f"{counted} {what} x {rule.points}"
    group = f", best of {rule.group}" if program.rulebook.takes_the_best_of(rule.group) else ""
    return text + group, value


def _decimal(value: Fraction) -> str:
    """Up to four places, cut, for reading."""
    whole, rest = divmod(value.numerator, value.denominator)
    if rest == 0:
        return str(whole)
    return f"{whole}.{rest * 10_000 // value.denominator:04d}".rstrip("0")


def _found(
    program: Program,
    bought: Bought,
    lines: list[PurchaseLine],
    amount: int,
    tier: str,
    before: Mapping[str, Fraction],
) -> list[Found]:
    visit = int(before[VISITS]) + 1 if VISITS in before else 0
    return program.rulebook.find(bought, lines, amount, tier, visit)


def _base(program: Program, amount: int, tier: str) -> int:
    """Points of the base over the rulebook's denominator."""
    rate = program.tier_rates.get(tier, program.base_rate)
    return amount * rate.numerator * (program.rulebook.denominator // rate.denominator)


def rounded(program: Program, numerator: int, denominator: int) -> int:
    """Whole points of an exact number of them, by the program's rounding."""
    if program.rounding == "half_up":
        return (2 * numerator + denominator) // (2 * denominator)
    return numerator // denominator


def _weights(
    program: Program, purchase: PurchaseFact, lines: list[PurchaseLine], amount: int, tier: str
) -> list[Fraction | int]:
    """What each line earned before anything was rounded or capped."""
    if not program.rulebook.rules:
        return [line.amount for line in lines]
    weights: list[Fraction | int] = [_base(program, line.amount, tier) for line in lines]
    for one in _found(program, purchase.told, lines, amount, tier, recorded(purchase.counters)):
        for place, part in shares(one, lines):
            weights[place] += part
    return weights


def expiry_of(program: Program, earned_at: datetime) -> datetime | None:
    """When points earned at `earned_at` expire: so many months on, the same local time in the program's zone, or
    where the program's mode says that it ends. None: never, or with all of the member's points (`inactivity`)."""
    if program.expiry_months is None or program.expiry.activities:
        return None
    zone = program.time_zone
    return program.expiry.end(shift_months(earned_at, program.expiry_months, zone), zone)
