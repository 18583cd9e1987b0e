"""What a program owes its members, month by month: what was there, what moved it and what is left, from postings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from services.ledger.domain.postings import (
    ADJUSTMENT,
    BREAKAGE,
    CLAWED_BACK,
    GIVEN,
    IN_TRANSIT,
    ISSUED,
    PAID_IN,
    PAID_OUT,
    REDEEMED,
    REWARDED,
)

MOVEMENTS: Mapping[tuple[str, bool], str] = {
    (ISSUED, True): "issued",
    (PAID_IN, True): "paid_in",
    (GIVEN, True): "given",
    (REWARDED, True): "rewarded",
    (REWARDED, False): "rewarded",
    (REDEEMED, False): "redeemed",
    (REDEEMED, True): "refunded",
    (BREAKAGE, False): "expired",
    (BREAKAGE, True): "forgiven",
    (CLAWED_BACK, False): "reversed",
    (PAID_OUT, False): "paid_out",
    (ADJUSTMENT, True): "adjusted",
    (ADJUSTMENT, False): "adjusted",
    (IN_TRANSIT, True): "transferred",
    (IN_TRANSIT, False): "transferred",
}
"""What a movement is called, by the program's account on the other side, and whether the member gains."""
OTHER = "other"
"""A posting that the book never makes: it is shown, so that what was tampered with can't hide."""
NAMES = (*dict.fromkeys(MOVEMENTS.values()), OTHER)
"""All movements, in the order in which they are shown."""


class Sum(NamedTuple):
    """Postings of one month, asset and store against one account. `amount` is above zero where members gained;
    `debt` is the part of it that no lot has."""

    month: date
    asset: str
    store: str
    account: str
    amount: int
    debt: int


class Key(NamedTuple):
    """Whose line it is: `month` is None for the whole time, `store` None where stores are not told apart."""

    asset: str
    store: str | None
    month: date | None


@dataclass(frozen=True, slots=True)
class Line:
    """`opening` and all movements, signed as they change what is owed, add up to `closing`.

    `debt` is what members owe at the end of it: `closing + debt` is what their lots have.
    """

    key: Key
    opening: int
    movements: Mapping[str, int]
    closing: int
    debt: int


def lines(
    sums: Iterable[Sum], by: Collection[str], first: date | None = None, last: date | None = None
) -> list[Line]:
    """The lines of a report by asset and what is in `by` (month, store), in order.

    `first` and `last` are the first days of the first and the last month to show; None: as far as there is anything.
    By month there is a line for each month from the first movement of its asset and store to the last of all.
    """
    moved: dict[tuple[str, str], dict[date, list[Sum]]] = {}
    for each in sums:
        if last is None or each.month <= last:
            whose = (each.asset, each.store if "store" in by else "")
            moved.setdefault(whose, {}).setdefault(each.month, []).append(each)
    end = max((max(months) for months in moved.values()), default=date.min)
    found = []
    for (asset, store), months in sorted(moved.items()):
        key = Key(asset, store if "store" in by else None, None)
        monthly = [line for line in _monthly(key, months, end) if first is None or _month(line) >= first]
        if "month" in by:
            found += monthly
        elif monthly:
            found.append(_whole(key, monthly))
    return found


def movements_of(sums: Iterable[Sum]) -> dict[str, int]:
    """Amounts by the movement's name, in the order of `NAMES`; those that there are."""
    amounts: Counter[str] = Counter()
    for each in sums:
        amounts[MOVEMENTS.get((each.account, each.amount > 0), OTHER)] += each.amount
    return {name: amounts[name] for name in NAMES if name in amounts}


def next_month(month: date) -> date:
    """The first day of the month after `month`'s."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _monthly(key: Key, months: Mapping[date, Sequence[Sum]], end: date) -> Iterator[Line]:
    month, closing, debt = min(months), 0, 0
    while month <= end:
        now = months.get(month, ())
        opening, movements = closing, movements_of(now)
        closing, debt = opening + sum(movements.values()), debt - sum(each.debt for each in now)
        yield Line(key._replace(month=month), opening, movements, closing, debt)
        month = next_month(month)


def _month(line: Line) -> date:
    return line.key.month or date.min


def _whole(key: Key, monthly: Sequence[Line]) -> Line:
    """One line for all of them."""
    amounts: Counter[str] = Counter()
    for line in monthly:
        amounts.update(line.movements)
    movements = {name: amounts[name] for name in NAMES if name in amounts}
    return Line(key, monthly[0].opening, movements, monthly[-1].closing, monthly[-1].debt)
