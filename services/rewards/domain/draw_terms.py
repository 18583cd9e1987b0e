"""A draw as the program describes it: an entry of `rewards.draws`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from services.common.program_section import Section
from services.rewards.domain.gifts import Gift, Shelf, read_gifts

DRAWS_MAX = 100
PRIZES_MAX = 100
GIVES_MAX = 20
WEIGHT_MAX = 10**9
COUNT_MAX = 10**9
COST_MAX = 10**12
POINTS_MAX = 10**12
NAME_MAX = 200


@dataclass(slots=True, frozen=True)
class Prize:
    """One prize. `give` empty: it is a loss. `stock` None: there is no end of it; `cost` counts against budgets."""

    id: str
    name: str
    weight: int
    give: tuple[Gift, ...] = ()
    stock: int | None = None
    cost: int = 0


@dataclass(slots=True, frozen=True)
class DrawTerms:
    """What decides a draw. The budgets are of the prizes' costs; None: no end."""

    id: str
    prizes: tuple[Prize, ...]
    budget_day: int | None = None
    budget_ever: int | None = None
    pity_after: int = 0
    """So many losses running, and `pity_prize` is next; 0: never."""
    pity_prize: str = ""


@dataclass(slots=True, frozen=True)
class Draw:
    """One entry of the program: the terms, and who may have a turn for what."""

    name: str
    terms: DrawTerms
    free_per_day: int = 0
    tickets: int = 0
    points: int = 0
    """What a turn costs in tickets, or in points; 0: it can't be had so."""
    limit_day: int | None = None
    limit_ever: int | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def id(self) -> str:
        """The entry's id."""
        return self.terms.id

    @property
    def ways(self) -> tuple[str, ...]:
        """How a turn can be paid."""
        offered = (("free", self.free_per_day), ("ticket", self.tickets), ("points", self.points))
        return tuple(way for way, price in offered if price)

    def is_open(self, day: date) -> bool:
        """Whether turns can be had on a day of the program's zone."""
        return (self.first_day is None or self.first_day <= day) and (
            self.last_day is None or day <= self.last_day
        )


def draw_ids(rewards: Section) -> list[str]:
    """The ids of the entries, which gifts may name before the entries are read. Raises ProgramError."""
    return [section.text("id") for section in rewards.sections("draws", DRAWS_MAX)]


def read_draws(rewards: Section, shelf: Shelf) -> dict[str, Draw]:
    """`rewards.draws` by id. Raises ProgramError."""
    draws: dict[str, Draw] = {}
    for section in rewards.sections("draws", DRAWS_MAX):
        draw = _draw(section, shelf)
        if draw.id in draws:
            raise section.wrong("id", f"{draw.id!r} is there twice")
        draws[draw.id] = draw
    return draws


def _draw(section: Section, shelf: Shelf) -> Draw:
    section.only("id", "name", "prizes", "price", "limits", "budget", "pity", "dates")
    draw_id = _id(section)
    prizes = tuple(_prizes(section, shelf))
    price = section.section("price")
    price.only("free_per_day", "tickets", "points")
    limits = section.section("limits", optional=True)
    limits.only("day", "ever")
    budget = section.section("budget", optional=True)
    budget.only("day", "ever")
    dates = section.section("dates", optional=True)
    dates.only("from", "to")
    pity_after, pity_prize = _pity(section, prizes)
    draw = Draw(
        name=_name(section, draw_id),
        terms=DrawTerms(
            draw_id,
            prizes,
            _whole_or_none(budget, "day", COST_MAX),
            _whole_or_none(budget, "ever", COST_MAX),
            pity_after,
            pity_prize,
        ),
        free_per_day=price.whole("free_per_day", 1, COUNT_MAX) if "free_per_day" in price.values else 0,
        tickets=price.whole("tickets", 1, COUNT_MAX) if "tickets" in price.values else 0,
        points=price.whole("points", 1, POINTS_MAX) if "points" in price.values else 0,
        limit_day=_whole_or_none(limits, "day", COUNT_MAX),
        limit_ever=_whole_or_none(limits, "ever", COUNT_MAX),
        first_day=dates.day("from"),
        last_day=dates.day("to"),
    )
    if not draw.ways:
        raise section.wrong("price", "names no way to pay: `free_per_day`, `tickets`, `points`")
    return draw


def _prizes(section: Section, shelf: Shelf) -> Iterator[Prize]:
    """In the document's order, which is the order in which one falls to the next."""
    seen: set[str] = set()
    for entry in section.sections("prizes", PRIZES_MAX):
        entry.only("id", "name", "weight", "stock", "cost", "give")
        prize_id = _id(entry)
        if prize_id in seen:
            raise entry.wrong("id", f"{prize_id!r} is there twice")
        seen.add(prize_id)
        yield Prize(
            prize_id,
            _name(entry, prize_id),
            entry.whole("weight", 0, WEIGHT_MAX),
            read_gifts(entry, GIVES_MAX, shelf),
            _whole_or_none(entry, "stock", COUNT_MAX),
            entry.whole("cost", 0, COST_MAX, 0),
        )
    if not any(entry.values["weight"] for entry in section.sections("prizes", PRIZES_MAX)):
        raise section.wrong("prizes", "has no prize with a weight above 0")


def _pity(section: Section, prizes: tuple[Prize, ...]) -> tuple[int, str]:
    if "pity" not in section.values:
        return 0, ""
    pity = section.section("pity")
    pity.only("after", "prize")
    name = pity.text("prize")
    if name not in {prize.id for prize in prizes if prize.give}:
        raise pity.wrong("prize", f"{name!r} is no prize of this draw that gives something")
    return pity.whole("after", 1, COUNT_MAX), name


def _id(section: Section) -> str:
    name = section.text("id")
    if len(name) > 64 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in name):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    return name


def _name(section: Section, default: str) -> str:
    name = section.text("name", default)
    if len(name) > NAME_MAX or not name.isprintable():
        raise section.wrong("name", f"must be text of 1 to {NAME_MAX} printable characters")
    return name


def _whole_or_none(section: Section, key: str, most: int) -> int | None:
    return section.whole(key, 0, most) if key in section.values else None
