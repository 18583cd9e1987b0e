"""The counters of members as accruals tell them: what each found is what the one before it left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from services.ops.verify.ledger_state import LedgerState, SettlementRead

ONE = Decimal(1)


def count(state: LedgerState, row: Any, message: Any, wrong: Callable[[str, Any, str], None]) -> None:
    """Take the counters of a purchase's first accrual into `state`."""
    key = (row["program"], row["member"])
    member = state.members[key]
    for counter in message.counters:
        name = counter.name
        try:
            found, left = Decimal(counter.before), Decimal(counter.after)
        except InvalidOperation:
            wrong("tables", row, f"counter {name} goes from {counter.before!r} to {counter.after!r}")
            continue
        before, _ = state.counters.get((*key, name), (Decimal(0), 0))
        if name == "visits":
            # The purchase of this very accrual is among them.
            before, member.uncounted = before + member.uncounted - 1, 0
        if found != before:
            wrong("tables", row, f"counter {name} was {before}, it says {found}")
        if name == "carry":
            # Where a cap cut something off, what was carried waits as it is.
            if not (0 <= left < ONE or left == found):
                wrong("tables", row, f"carries {left} of a point on")
        elif left != found + (1 if name == "visits" else message.points):
            wrong("tables", row, f"counter {name} goes from {found} to {left} by {message.points} points")
        state.counters[*key, name] = (left, row["position"])


def recount(
    state: LedgerState,
    row: Any,
    message: Any,
    settlement: SettlementRead,
    wrong: Callable[[str, Any, str], None],
) -> None:
    """Take in what a purchase counts by now, and by how much that moves the member's counters."""
    key = (row["program"], row["member"])
    names = [counter.name for counter in message.counters]
    for counter in message.moved:
        name = counter.name
        try:
            found, left = Decimal(counter.before), Decimal(counter.after)
        except InvalidOperation:
            wrong("tables", row, f"counter {name} goes from {counter.before!r} to {counter.after!r}")
            continue
        before, _ = state.counters.get((*key, name), (Decimal(0), 0))
        if found != before or left < 0 or left == found or name not in names or name == "visits":
            wrong("tables", row, f"counter {name} was {before}, it goes from {found} to {left}")
        if name != "carry" and left != left.to_integral_value():
            wrong("tables", row, f"counter {name} is of whole points, not {left}")
        state.counters[*key, name] = (left, row["position"])
    before_it = _steps(settlement.counters)
    settlement.counters = told(message.counters)
    if before_it:
        # What the purchase adds by now and did not add before is what moves the member's counters.
        steps = {
            name: step - before_it.get(name, Fraction(0))
            for name, step in _steps(settlement.counters).items()
        }
        moved = {name: step for name, step in _steps(told(message.moved)).items() if step}
        if moved != {name: step for name, step in steps.items() if step}:
            wrong("tables", row, f"purchase {message.purchase} counts {steps} more, the member {moved}")


def told(counters: Iterable[Any]) -> tuple[list[str], list[str], list[str]]:
    """Names, and what they were before and after, as the table has them."""
    some = list(counters)
    return [c.name for c in some], [c.before for c in some], [c.after for c in some]


def _steps(counters: tuple[list[str], list[str], list[str]]) -> dict[str, Fraction]:
    """By how much each goes up, exactly; nothing where one is no number, which was found before."""
    try:
        return {
            name: Fraction(after) - Fraction(before) for name, before, after in zip(*counters, strict=True)
        }
    except ValueError:
        return {}
