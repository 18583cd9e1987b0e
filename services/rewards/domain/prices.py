"""What members pay: `rewards.prices`, which products are new, how prices and vouchers stack, what points are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.common import local_time
from services.common.errors import Refusal
from services.common.local_time import ALWAYS, Window, read_window
from services.common.program_section import ProgramError, Section
from services.rewards.domain.catalogue import NAME_MAX, REWARD_ID
from services.rewards.domain.standing import AUDIENCE, EVERYBODY, Audience, Standing, read_audience

PRICES_MAX = 200
"""Each is tried on each line of a basket."""
MONEY_MAX = 10**12
POINTS_MAX = 10**12
KINDS = ("percent", "amount", "price")
STACKINGS = ("best_of", "in_order")
FIELDS = ("prices", "new_products", "stacking", "points_as_payment")
"""The fields of `rewards:` that are read here."""


@dataclass(slots=True, frozen=True)
class NewProducts:
    """What the program itself calls new."""

    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


@dataclass(slots=True, frozen=True)
class Price:
    """A member price. `value` is a percentage, or minor units: off each unit (`amount`), or for each (`price`)."""

    id: str
    name: str
    kind: str
    value: int
    new: bool = False
    """Only for new products."""
    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    audience: Audience = EVERYBODY
    when: Window = ALWAYS

    def kept_from(
        self, at: datetime, store: str, zone: ZoneInfo, standing: Standing, lowest: str
    ) -> list[str]:
        """The codes of all that keeps a member from it, whatever is in the basket; empty: nothing."""
        codes = []
        if not self.when.holds(at, zone):
            codes.append("price_not_now")
        if self.stores and store not in self.stores:
            codes.append("price_not_for_store")
        missing = self.audience.missing(standing, lowest)
        if missing is not None:
            codes.append(f"price_not_for_{missing}")
        return codes

    def is_for(self, sku: str, category: str, new: bool) -> bool:
        """Of an article or a category that it names; of any, when it names none."""
        if self.new and not new:
            return False
        return not (self.skus or self.categories) or sku in self.skus or category in self.categories

    def off(self, amount: int, quantity: int) -> int:
        """What it takes off a line that costs `amount`: from nothing to all of it. A percentage is floored."""
        match self.kind:
            case "percent":
                return amount * self.value // 100
            case "amount":
                return min(amount, self.value * quantity)
            case _:
                return max(0, amount - self.value * quantity)


@dataclass(slots=True, frozen=True)
class Stacking:
    """`best_of`: the one that takes most off counts. `in_order`: each counts, on what the one before it left."""

    prices: str = "best_of"
    """Of one line."""
    vouchers: str = "best_of"
    """Of one order. Vouchers come after prices."""


@dataclass(slots=True, frozen=True)
class PointsAsPayment:
    """`points` of them are worth `value` minor units."""

    points: int
    value: int
    minimum: int
    step: int
    most_percent: int
    """Of the order."""

    def most(self, available: int, due: int) -> tuple[int, int, str]:
        """(points that can pay for an order of `due`, minor units they pay, why none can: a code, or "").

        The share of the order and what points are worth are floored, and no more points are taken than that
        worth needs.
        """
        least = self._upto(self.minimum)
        share = due * self.most_percent // 100
        points = min(available, ((share + 1) * self.points - 1) // self.value)
        points -= points % self.step
        if points < least:
            return 0, 0, "insufficient_points" if available < least else "order_too_small"
        worth = points * self.value // self.points
        if not worth:
            return 0, 0, "points_worth_nothing" if share else "order_too_small"
        return max(least, self._upto(-(-worth * self.points // self.value))), worth, ""

    def worth_of(self, points: int, due: int) -> int:
        """Minor units of an order of `due` that so many points pay.

        Raises:
            Refusal: points_below_minimum, points_not_in_steps, points_exceed_share, points_worth_nothing, in this
                order; the last where fewer points are worth as much, too.
        """
        least, share = self._upto(self.minimum), due * self.most_percent // 100
        if points < least:
            raise Refusal("points_below_minimum", f"{points} points: an order takes {least} at least")
        if points % self.step:
            raise Refusal("points_not_in_steps", f"{points} points: an order takes multiples of {self.step}")
        worth = points * self.value // self.points
        if worth > share:
            raise Refusal(
                "points_exceed_share",
                f"{points} points are worth {worth}, and points pay {share} of this order at most",
            )
        needed = max(least, self._upto(-(-worth * self.points // self.value)))
        if not worth or points > needed:
            raise Refusal(
                "points_worth_nothing",
                f"{points} points are worth {worth}, and so are {needed if worth else 0}",
            )
        return worth

    def _upto(self, points: int) -> int:
        """The next whole number of steps."""
        return -(-points // self.step) * self.step


@dataclass(slots=True, frozen=True)
class Pricing:
    """All that a program says of prices."""

    prices: tuple[Price, ...] = ()
    new_products: NewProducts = NewProducts()
    stacking: Stacking = Stacking()
    points: PointsAsPayment | None = None


NO_PRICES = Pricing()


def read_pricing(rewards: Section, tiers: Sequence[str]) -> Pricing:
    """The fields `FIELDS` of `rewards:`. Raises ProgramError."""
    prices: list[Price] = []
    for section in rewards.sections("prices", PRICES_MAX):
        price = _price(section, tiers)
        if any(price.id == other.id for other in prices):
            raise section.wrong("id", f"{price.id!r} is there twice")
        prices.append(price)
    new = rewards.section("new_products", optional=True)
    new.only("skus", "categories")
    stacking = rewards.section("stacking", optional=True)
    stacking.only("prices", "vouchers")
    return Pricing(
        prices=tuple(prices),
        new_products=NewProducts(_some(new, "skus"), _some(new, "categories")),
        stacking=Stacking(
            stacking.choice("prices", STACKINGS, "best_of"), stacking.choice("vouchers", STACKINGS, "best_of")
        ),
        points=_points(rewards.section("points_as_payment"))
        if "points_as_payment" in rewards.values
        else None,
    )


def _price(section: Section, tiers: Sequence[str]) -> Price:
    section.only("id", "name", *KINDS, "new", "skus", "categories", "stores", "when", *AUDIENCE)
    price_id = section.text("id")
    if not REWARD_ID.fullmatch(price_id):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    name = section.text("name", price_id)
    if len(name) > NAME_MAX or not name.isprintable():
        raise section.wrong("name", f"must be text of 1 to {NAME_MAX} printable characters")
    kinds = [kind for kind in KINDS if kind in section.values]
    if len(kinds) != 1:
        raise ProgramError(section.path, f"must have one of {', '.join(KINDS)}")
    (kind,) = kinds
    bounds = {"percent": (1, 100), "amount": (1, MONEY_MAX), "price": (0, MONEY_MAX)}
    new = section.values.get("new", False)
    if not isinstance(new, bool):
        raise section.wrong("new", "must be true or false")
    when = section.section("when", optional=True)
    when.only(*local_time.FIELDS)
    return Price(
        id=price_id,
        name=name,
        kind=kind,
        value=section.whole(kind, *bounds[kind]),
        new=new,
        skus=_some(section, "skus"),
        categories=_some(section, "categories"),
        stores=_some(section, "stores"),
        audience=read_audience(section, tiers),
        when=read_window(when),
    )


def _points(section: Section) -> PointsAsPayment:
    section.only("points", "value", "minimum", "step", "most_percent")
    step = section.whole("step", 1, POINTS_MAX, 1)
    return PointsAsPayment(
        points=section.whole("points", 1, POINTS_MAX),
        value=section.whole("value", 1, MONEY_MAX),
        minimum=section.whole("minimum", 1, POINTS_MAX, step),
        step=step,
        most_percent=section.whole("most_percent", 1, 100, 100),
    )


def _some(section: Section, key: str) -> frozenset[str]:
    """A list of texts that is not empty where it is there."""
    texts = section.texts(key)
    if key in section.values and not texts:
        raise section.wrong(key, "is empty: leave it out to ask for nothing")
    return frozenset(texts)
