"""The counters of members as accruals tell them: what each found is what the one before it left."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from services.ops.verify.ledger_state import LedgerState

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
            if not 0 <= left < ONE:
                wrong("tables", row, f"carries {left} of a point on")
        elif left != found + (1 if name == "visits" else message.points):
            wrong("tables", row, f"counter {name} goes from {found} to {left} by {message.points} points")
        state.counters[*key, name] = (left, row["position"])
