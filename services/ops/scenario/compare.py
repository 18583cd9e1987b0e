"""Expected beside actual: only what the scenario names is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = "(nothing)"


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` was expected to be one thing and is another."""

    what: str
    expected: Any
    actual: Any


def differences(expected: Any, actual: Any, what: str = "") -> list[Difference]:
    """Where `actual` is not what `expected` names.

    A mapping is compared key by key and may hold more than is expected. Of a list, each expected item must be
    met by an item of its own, in any order; the one with the same `id` when the expected item names one. An
    empty list expects that there is nothing.
    """
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [Difference(what, expected, actual)]
        return [
            difference
            for key, wanted in expected.items()
            for difference in differences(
                wanted, actual.get(key, ABSENT), f"{what}.{key}" if what else str(key)
            )
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list) or (not expected and actual):
            return [Difference(what, expected, actual)]
        return _list_differences(expected, actual, what)
    return [] if expected == actual else [Difference(what, expected, actual)]


def _list_differences(expected: Sequence[Any], actual: Sequence[Any], what: str) -> list[Difference]:
    left = list(actual)
    found: list[Difference] = []
    for wanted in expected:
        named = isinstance(wanted, Mapping) and "id" in wanted
        candidates = [item for item in left if not named or _id(item) == wanted["id"]]
        match = next((item for item in candidates if not differences(wanted, item)), None)
        if match is not None:
            left.remove(match)
        elif named and candidates:
            found += differences(wanted, candidates[0], f"{what}[{wanted['id']}]")
            left.remove(candidates[0])
        else:
            found.append(Difference(what, wanted, left or ABSENT))
    return found


def _id(item: Any) -> Any:
    return item.get("id") if isinstance(item, Mapping) else None
