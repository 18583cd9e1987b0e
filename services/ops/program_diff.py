"""What a changed program document would change: field by field, in the words of the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

NAMES = ("id", "name")
"""An entry of a list is known by one of these, so that a tier put in between changes no other tier."""


class Difference(NamedTuple):
    """A field such as `ledger.expiry.months`; None where one of the documents has no such field."""

    field: str
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Fields that are not the same in two documents: those of `before` in its order, then the new ones.

    An order of named entries in which nothing else changed is a difference of the list itself.
    """
    old, new = dict(_fields(before, "")), dict(_fields(after, ""))
    return [
        Difference(field, old.get(field), new.get(field))
        for field in dict.fromkeys([*old, *new])
        if field not in old or field not in new or old[field] != new[field]
    ]


def _fields(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Every leaf by its field; of a list of named entries their order too."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{field}.{key}" if field else key)
        return
    name = _name_of_entries(value)
    if name is None:
        yield field, value
        return
    yield field, [entry[name] for entry in value]
    for entry in value:
        rest = {key: inner for key, inner in entry.items() if key != name}
        yield from _fields(rest, f"{field}[{entry[name]}]")


def _name_of_entries(value: Any) -> str | None:
    """Which of `NAMES` tells the entries of a list apart; None: it is no list of named entries."""
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        return None
    for name in NAMES:
        names = [entry.get(name) for entry in value]
        if all(isinstance(each, str) for each in names) and len(set(names)) == len(names):
            return name
    return None
