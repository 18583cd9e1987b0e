"""What a try has found, as tables: the same for the terminal, for Parquet and for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, NamedTuple

from services.ops.trying.figures import (
    EXPIRED,
    FORGIVEN,
    GIVEN_BACK,
    ISSUED,
    MEASURES,
    REDEEMED,
    TAKEN_BACK,
    Figures,
    Refused,
)
from services.ops.trying.run import Moved, Part, Tried

EXTREMES = 10
"""So many members who gain most, and so many who lose most."""
NO_TIER = "no tier"

Value = str | int | Fraction
"""A cell: text, points or members, or money in minor units."""
Kind = Literal["text", "whole", "money"]


class Column(NamedTuple):
    """`name` is a column's name in Parquet, `title` what people read."""

    name: str
    title: str
    kind: Kind = "whole"


class Table(NamedTuple):
    """`name` is a file's name, `title` and `says` are for people."""

    name: str
    title: str
    says: str
    columns: tuple[Column, ...]
    rows: list[tuple[Value, ...]]


class Worth(NamedTuple):
    """What a point costs in minor units, and of which currency."""

    point: Fraction
    currency: str
    digits: int
    """Of the minor unit."""


BEFORE_AFTER = (Column("before", "before"), Column("after", "after"), Column("change", "change"))


def all_tables(tried: Tried, worth: Worth | None) -> list[Table]:
    """Every table, those that say most first. `members` has everybody, for Parquet; see `shown`."""
    part = tried.part
    tables = [totals(part), money(part, worth), tiers(part), moves(part), rules(part), months(part)]
    tables += [gains(part.members), losses(part.members), refused(part), untold(part), members(part.members)]
    return [table for table in tables if table.rows]


def totals(part: Part) -> Table:
    """Points that moved, and what is left of them."""
    rows: list[tuple[Value, ...]] = []
    for title, measure in (
        ("issued", ISSUED),
        ("taken back (returns, by hand)", TAKEN_BACK),
        ("redeemed", REDEEMED),
        ("given back (refunds)", GIVEN_BACK),
        ("expired (breakage)", EXPIRED),
        ("debt forgiven", FORGIVEN),
    ):
        rows += _changed(title, part.before.total(measure), part.after.total(measure))
    rows += _changed("outstanding at the end", part.before.outstanding, part.after.outstanding)
    says = "Points over all recorded facts, as the documents before and after would have it."
    return Table("totals", "Points", says, (Column("what", "", "text"), *BEFORE_AFTER), rows)


def money(part: Part, worth: Worth | None) -> Table:
    """What points cost, at so much a point, and the stored value that was given on top."""
    columns = tuple(column._replace(kind="money") for column in BEFORE_AFTER)
    rows: list[tuple[Value, ...]] = []
    if worth is not None:
        for title, points in (
            ("points issued, less those taken back", _issued),
            ("points redeemed, less those given back", _redeemed),
            ("points expired (breakage)", lambda figures: figures.total(EXPIRED)),
            ("points outstanding at the end", lambda figures: figures.outstanding),
        ):
            rows += _changed(title, points(part.before) * worth.point, points(part.after) * worth.point)
    rows += _changed("stored value given on top", part.before.bonus_money, part.after.bonus_money)
    what = f"{worth.currency}, at {_plain(worth.point, worth.digits)} a point" if worth else "minor units"
    return Table("money", "Cost", f"In {what}.", (Column("what", "", "text"), *columns), rows)


def _issued(figures: Figures) -> int:
    return figures.total(ISSUED) - figures.total(TAKEN_BACK)


def _redeemed(figures: Figures) -> int:
    return figures.total(REDEEMED) - figures.total(GIVEN_BACK)


def tiers(part: Part) -> Table:
    """How many members are in each tier at the end."""
    was = Counter(moved.before.tier for moved in part.members)
    now = Counter(moved.after.tier for moved in part.members)
    names = [*part.tiers_after, *(name for name in part.tiers_before if name not in part.tiers_after)]
    if not names:
        return Table("tiers", "Tiers", "", (), [])
    names += sorted((was.keys() | now.keys()) - set(names))
    rows = [row for name in names for row in _changed(name or NO_TIER, was[name], now[name])]
    says = "Members in each tier at the end."
    return Table("tiers", "Tiers", says, (Column("tier", "tier", "text"), *BEFORE_AFTER), rows)


def moves(part: Part) -> Table:
    """From which tier to which members move."""
    counted = Counter(
        (moved.before.tier, moved.after.tier)
        for moved in part.members
        if moved.before.tier != moved.after.tier
    )
    rows: list[tuple[Value, ...]] = [
        (was or NO_TIER, now or NO_TIER, number) for (was, now), number in counted.most_common()
    ]
    columns = (Column("before", "from", "text"), Column("after", "to", "text"), Column("members", "members"))
    return Table("moves", "Who moves", "Members who end in another tier.", columns, rows)


def rules(part: Part) -> Table:
    """What was issued, by what it was issued for."""
    names = sorted(
        part.before.by_rule.keys() | part.after.by_rule.keys(),
        key=lambda name: -max(part.before.by_rule.get(name, 0), part.after.by_rule.get(name, 0)),
    )
    zero = Fraction(0)
    rows = [
        row
        for name in names
        for row in _changed(
            name, round(part.before.by_rule.get(name, zero)), round(part.after.by_rule.get(name, zero))
        )
    ]
    says = "Points issued by each rule, before returns; each rule's share is rounded for itself."
    return Table("rules", "Rules", says, (Column("rule", "rule", "text"), *BEFORE_AFTER), rows)


def months(part: Part) -> Table:
    """What happened in each month, and what was outstanding at its end."""
    names = month_names(part)
    before, after = (figures.outstanding_by_month(names) for figures in (part.before, part.after))
    measures = [
        measure
        for measure in MEASURES
        if measure == ISSUED or part.before.total(measure) or part.after.total(measure)
    ]
    rows: list[tuple[Value, ...]] = [
        (
            month,
            *(
                figures.by_month.get((month, measure), 0)
                for measure in measures
                for figures in (part.before, part.after)
            ),
            was,
            now,
        )
        for month, was, now in zip(names, before, after, strict=True)
    ]
    columns = [Column("month", "month", "text")]
    for title in (*measures, "outstanding"):
        name = title.replace(" ", "_")
        columns += [Column(f"{name}_before", f"{title} before"), Column(f"{name}_after", "after")]
    says = "Points by month; outstanding is at the month's end. What never moved is left out."
    return Table("months", "Months", says, tuple(columns), rows)


def month_names(part: Part) -> list[str]:
    """Every month between the first and the last in which anything happened."""
    there = sorted({month for month, _ in (*part.before.by_month, *part.after.by_month)})
    names = there[:1]
    while names and names[-1] < there[-1]:
        year, month = map(int, names[-1].split("-"))
        names.append(f"{year + month // 12:04}-{month % 12 + 1:02}")
    return names


MEMBER = (
    Column("member", "member", "text"),
    Column("tier_before", "tier before", "text"),
    Column("tier_after", "after", "text"),
    Column("earned_before", "earned before"),
    Column("earned_after", "after"),
    Column("change", "change"),
    Column("balance_before", "balance before"),
    Column("balance_after", "after"),
)


def members(moved: Iterable[Moved]) -> Table:
    """Everybody."""
    rows: list[tuple[Value, ...]] = [
        (
            one.member, one.before.tier, one.after.tier, one.before.earned, one.after.earned, _gain(one),
            one.before.balance, one.after.balance,
        )
        for one in moved
    ]  # fmt: skip
    return Table("members", "Members", "Every member at the end.", MEMBER, rows)


def gains(moved: list[Moved]) -> Table:
    """Who earns most more."""
    best = sorted((one for one in moved if _gain(one) > 0), key=lambda one: -_gain(one))
    says = f"{len(best):,} members earn more; these the most. Earned is what was issued less what was taken back."
    return members(best[:EXTREMES])._replace(name="gains", title="Who gains", says=says)


def losses(moved: list[Moved]) -> Table:
    """Who earns most less."""
    worst = sorted((one for one in moved if _gain(one) < 0), key=_gain)
    says = f"{len(worst):,} members earn less; these lose the most."
    return members(worst[:EXTREMES])._replace(name="losses", title="Who loses", says=says)


def refused(part: Part) -> Table:
    """Recorded requests that either document would refuse."""
    nothing = Refused()
    rows: list[tuple[Value, ...]] = []
    for key in sorted(part.before.refused.keys() | part.after.refused.keys()):
        was, now = part.before.refused.get(key, nothing), part.after.refused.get(key, nothing)
        rows.append((*key, was.requests, was.points, now.requests, now.points))
    columns = (
        Column("request", "request", "text"), Column("code", "refused as", "text"), Column("before", "before"),
        Column("points_before", "points"), Column("after", "after"), Column("points_after", "points"),
    )  # fmt: skip
    says = "Requests that were taken once and would be refused: what they did is missing in the figures."
    return Table("refused", "Would be refused", says, columns, rows)


def untold(part: Part) -> Table:
    """What could not be tried."""
    words = {
        "ActivityRejected": "refused then: the book does not keep what was asked",
        "ActivityUnparked": "notes of where parked activities went: nothing to try",
    }
    rows: list[tuple[Value, ...]] = [
        (words.get(what, what), number) for what, number in part.untold.most_common()
    ]
    columns = (Column("what", "", "text"), Column("rows", "rows"))
    return Table(
        "untold", "Not tried", "Recorded rows that no request can be made from again.", columns, rows
    )


def _gain(one: Moved) -> int:
    return one.after.earned - one.before.earned


def _changed(name: str, before: Value, after: Value) -> list[tuple[Value, ...]]:
    """A row of `BEFORE_AFTER`; none where nothing happened in either."""
    if isinstance(before, str) or isinstance(after, str) or not (before or after):
        return []
    return [(name, before, after, after - before)]


def text_of(value: Value, kind: Kind, worth: Worth | None = None, signed: bool = False) -> str:
    """A cell for people."""
    if isinstance(value, str):
        return value
    sign = "+" if signed and value > 0 else ""
    if kind == "money":
        return sign + _plain(
            Fraction(value), worth.digits if worth else 0, 0 if worth is None else worth.digits
        )
    return f"{sign}{int(value):,}"


def _plain(minor: Fraction, digits: int, places: int = 6) -> str:
    """Minor units as the currency's own, with so many decimal places at most, rounded half up."""
    scaled = minor / 10**digits * 10**places
    whole = (2 * abs(scaled.numerator) + scaled.denominator) // (2 * scaled.denominator)
    head, tail = divmod(whole, 10**places)
    text = f"{head:,}.{tail:0{places}}" if places else f"{head:,}"
    if places > digits:
        text = text.rstrip("0").rstrip(".")
    return ("-" if minor < 0 and whole else "") + text
