"""What must hold for any amounts and any order: returns add up, and it does not matter when a tier is learnt."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.domain import earning
from services.ledger.domain.commands import Command, PurchaseLine
from services.ledger.domain.program import Program
from tests.unit import ledger_given as g
from tests.unit.ledger_given import NOON, Given

RATES = ["1", "0.333333333", "2.5", "0.07"]
MULTIPLIERS = {"silver": "1.25", "gold": "1.5"}
rates, roundings = st.sampled_from(RATES), st.sampled_from(["floor", "half_up"])


def rules_of(rate: str, rounding: str, **more: Any) -> Program:
    """The grocer's program at `rate` points a dollar."""
    earning = {"points_per_unit": rate, "rounding": rounding, "exclude_categories": ["FUEL"], **more}
    return g.program(earning={**earning, "tier_multipliers": MULTIPLIERS})


effects = st.one_of(
    st.builds(lambda rate: {"points_per_unit": rate}, rates),
    st.just({"multiplier": "2.5"}),
    st.builds(
        lambda what, points: {what: points},
        st.sampled_from(["points_per_item", "points_per_line", "points_per_visit"]),
        st.integers(1, 50),
    ),
    st.just({"bands": [{"from": 0, "points": 7}, {"from": 20_000, "points": 100}]}),
)
conditions = st.sampled_from(
    [
        {}, {"categories": ["FOOD"]}, {"skus": ["sku-1", "sku-3"]}, {"visits": {"every": 2}},
        {"amount": {"from": 9_000}}, {"categories": ["FOOD"], "skus": ["sku-2"]},
    ]
)  # fmt: skip
with_rules = st.builds(
    lambda rate, rounding, rules, combine, cap: rules_of(
        rate,
        rounding,
        rules=[{"id": f"r{n}", "when": when, "earn": earn} for n, (when, earn) in enumerate(rules)],
        combine=combine,
        **({"caps": {"day": cap}} if cap else {}),
    ),
    rates,
    st.sampled_from(["floor", "half_up", "carry"]),
    st.lists(st.tuples(conditions, effects), max_size=4),
    st.sampled_from(["stack", "best_of"]),
    st.none() | st.integers(1, 400),
)
programs = st.builds(rules_of, rates, roundings) | with_rules
bought = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 50_000), st.sampled_from(["FOOD", "FOOD", "FUEL"])),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=150)
@given(rules=programs, lines=bought, data=st.data())
def test_returning_every_unit_in_any_parts_gives_back_exactly_what_was_earned(
    rules: Program, lines: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    told = [g.line(n, amount, quantity, category) for n, (quantity, amount, category) in enumerate(lines, 1)]
    given_ = Given(g.purchase("before", 12_345), rules=rules)
    before_it = given_.balance()[0]
    given_.when(g.purchase(lines=told))
    earned = given_.balance()[0]
    units = data.draw(st.permutations([line.id for line in told for _ in range(line.quantity)]))
    amounts = 0
    while units:
        part = data.draw(st.integers(1, len(units)))
        coming, units = units[:part], units[part:]
        before = given_.balance()[0]
        happened = given_.when(g.return_(units=[(line, 1) for line in coming], id_=f"r{len(units)}"))
        amounts += sum(line.amount for line in happened[0].lines)  # type: ignore[union-attr]
        assert before_it <= given_.balance()[0] <= before <= earned
    assert given_.balance() == (before_it, 0, 0)
    assert amounts == sum(line.amount for line in told)


COUNTS = [
    rules_of("1", "floor"),
    rules_of("0.07", "half_up", caps={"day": 40, "month": 90}),
    rules_of("1", "floor", caps={"day": 700, "lifetime": 900}),
    rules_of("0.333", "carry"),
]


@settings(deadline=None, max_examples=300)
@given(
    minutes=st.lists(st.integers(0, 20), min_size=1, max_size=6, unique=True),
    amounts=st.lists(st.integers(0, 50_000), min_size=6, max_size=6),
    tiers=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["member", "silver", "gold"])), max_size=3),
    returned=st.sets(st.integers(0, 5)),
    rules=st.sampled_from(COUNTS),
    data=st.data(),
)
def test_it_does_not_matter_when_a_tier_is_learnt(
    minutes: list[int],
    amounts: list[int],
    tiers: list[tuple[int, str]],
    returned: set[int],
    rules: Program,
    data: st.DataObject,
) -> None:
    """Tiering's word comes in its own order, anywhere between the purchases and returns."""
    at = [NOON + timedelta(minutes=minute) for minute in minutes]
    activities: list[Command] = []
    for n, time in enumerate(at):
        activities.append(g.purchase(f"p{n}", lines=[g.line(1, amounts[n], 3)], at=time))
    activities += [g.return_(f"p{n}", [(1, 2)], id_=f"r{n}") for n in sorted(returned) if n < len(at)]
    assigned: list[Command] = [
        g.tier(name, NOON + timedelta(minutes=minute)) for minute, name in sorted(tiers, key=lambda t: t[0])
    ]

    first = Given(g.enrol(), *assigned, *activities, rules=rules)
    order = data.draw(st.permutations([False] * len(activities) + [True] * len(assigned)))
    waiting = {True: list(assigned), False: list(activities)}
    mixed = Given(g.enrol(), *(waiting[kind].pop(0) for kind in order), rules=rules)
    assert mixed.balance() == first.balance()
    assert {name: counted.value for name, counted in mixed.member().counters.items()} == {
        name: counted.value for name, counted in first.member().counters.items()
    }


@given(
    rate=rates,
    rounding=roundings,
    amounts=st.lists(st.integers(0, 10**12), max_size=20),
    tier=st.sampled_from(["", "member", "silver", "gold"]),
)
def test_points_are_exact(rate: str, rounding: str, amounts: list[int], tier: str) -> None:
    """Never off by one from a float: the exact product, rounded once."""
    rules = rules_of(rate, rounding)
    lines = [PurchaseLine(n, "s", "FOOD", 1, amount) for n, amount in enumerate(amounts)]
    amount = earning.eligible_amount(rules, lines)
    assert amount == sum(amounts)
    exact = amount * Fraction(rate) / 100 * Fraction(MULTIPLIERS.get(tier, "1"))
    points = earning.points_for(rules, amount, tier)
    if rounding == "floor":
        assert points <= exact < points + 1
    else:
        assert points - Fraction(1, 2) <= exact < points + Fraction(1, 2)
