"""What a program says of stored value: its limits, what a top-up is given on top, and which bucket pays first."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from services.common.program_section import Section

MONEY_MAX = 1_000_000_000_000
"""Minor units of one top-up and of one balance."""
BONUS_POINTS_MAX = 1_000_000_000
STEPS_MAX = 100
MONTHS_MAX = 1_200
SPEND_ORDERS = ("bonus_first", "principal_first", "pro_rata")
TOP_UPS = ("every", "first", "reload")


@dataclass(slots=True, frozen=True)
class Step:
    """A step of the ladder: who loads `load` minor units or more is given this on top."""

    load: int
    bonus: int
    share: Fraction
    """Of the amount that is loaded, besides `bonus`."""
    points: int
    top_ups: str
    """every | first | reload: a member's first top-up, or those after it."""

    def money(self, amount: int) -> int:
        """Minor units of bonus for a top-up of `amount`; a fraction is left out."""
        return self.bonus + self.share.numerator * amount // self.share.denominator


@dataclass(slots=True, frozen=True)
class StoredValue:
    """The section `stored_value:`. Amounts are minor units of the program's currency."""

    ladder: tuple[Step, ...]
    """Highest step first."""
    least: int
    most: int
    balance_most: int
    gift_most: int
    principal_months: int | None
    bonus_months: int | None
    spend_order: str

    def step(self, amount: int, *, first: bool) -> Step | None:
        """The highest step that a top-up reaches, of those for a first one or for a reload; None below the lowest."""
        wrong = "reload" if first else "first"
        return next(
            (step for step in self.ladder if step.load <= amount and step.top_ups != wrong),
            None,
        )


def read_stored_value(ledger: Section) -> StoredValue | None:
    """The section `stored_value:`; None where the program keeps none. Raises ProgramError."""
    if "stored_value" not in ledger.values:
        return None
    section = ledger.section("stored_value")
    section.only("ladder", "top_up", "balance", "gift", "expiry", "spend_order")
    top_up = section.section("top_up", optional=True)
    top_up.only("min", "max")
    most = top_up.whole("max", 1, MONEY_MAX, MONEY_MAX)
    balance = section.section("balance", optional=True)
    balance.only("max")
    balance_most = balance.whole("max", 1, MONEY_MAX, MONEY_MAX)
    gift = section.section("gift", optional=True)
    gift.only("max")
    expiry = section.section("expiry", optional=True)
    expiry.only("principal_months", "bonus_months")
    return StoredValue(
        ladder=tuple(_ladder(section)),
        least=top_up.whole("min", 1, most, 1),
        most=most,
        balance_most=balance_most,
        gift_most=gift.whole("max", 1, MONEY_MAX, MONEY_MAX),
        principal_months=_months(expiry, "principal_months"),
        bonus_months=_months(expiry, "bonus_months"),
        spend_order=section.choice("spend_order", SPEND_ORDERS, "bonus_first"),
    )


def _ladder(section: Section) -> list[Step]:
    """The steps, highest first. A ladder that leads down, or twice to one place, is a mistake of its writer."""
    steps: list[Step] = []
    for entry in section.sections("ladder", STEPS_MAX):
        entry.only("load", "bonus", "bonus_share", "bonus_points", "top_ups")
        step = Step(
            entry.whole("load", 1, MONEY_MAX),
            entry.whole("bonus", 0, MONEY_MAX, 0),
            entry.rate("bonus_share") if "bonus_share" in entry.values else Fraction(0),
            entry.whole("bonus_points", 0, BONUS_POINTS_MAX, 0),
            entry.choice("top_ups", TOP_UPS, "every"),
        )
        if step.share > 1:
            raise entry.wrong("bonus_share", "must be from 0 to 1: it is a share of what is loaded")
        if not (step.bonus or step.share or step.points):
            raise entry.wrong("bonus", "is missing: a step gives bonus, bonus_share or bonus_points")
        if steps and step.load < steps[-1].load:
            raise entry.wrong("load", f"must be at least that of the step before, {steps[-1].load}")
        if any(other.load == step.load and _meet(other, step) for other in steps):
            raise entry.wrong("load", f"two steps from {step.load} on are for the same top-ups")
        steps.append(step)
    return steps[::-1]


def _meet(one: Step, other: Step) -> bool:
    return one.top_ups == other.top_ups or "every" in (one.top_ups, other.top_ups)


def _months(section: Section, key: str) -> int | None:
    return section.whole(key, 1, MONTHS_MAX) if key in section.values else None
