"""`tally program diff`: what a changed document changes, field by field."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.ops.program_diff import Difference, differences

CLUB: dict[str, Any] = {
    "program": "club",
    "ledger": {"currency": "USD", "expiry": {"months": 12}, "earning": {"exclude_categories": ["FUEL"]}},
    "tiering": {"tiers": [{"name": "member", "from": 0}, {"name": "gold", "from": 250_000}]},
    "rewards": {"catalogue": [{"id": "five_off", "points": 500}]},
}


def changed(**changes: Any) -> dict[str, Any]:
    club = deepcopy(CLUB)
    for way, value in changes.items():
        *parts, last = way.split("__")
        place: Any = club
        for part in parts:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[last] = value
    return club


def test_the_same_document_differs_in_nothing() -> None:
    assert differences(CLUB, deepcopy(CLUB)) == []


def test_a_value_that_changes_is_named_by_its_field() -> None:
    assert differences(CLUB, changed(ledger__expiry__months=24)) == [("ledger.expiry.months", 12, 24)]
    assert differences(CLUB, changed(ledger__earning__exclude_categories=["FUEL", "GIFT"])) == [
        ("ledger.earning.exclude_categories", ["FUEL"], ["FUEL", "GIFT"])
    ]


def test_a_field_that_comes_or_goes() -> None:
    club = changed(ledger__enrolment="required")
    del club["ledger"]["expiry"]["months"]
    assert differences(CLUB, club) == [
        ("ledger.expiry.months", 12, None),
        ("ledger.expiry", None, {}),
        ("ledger.enrolment", None, "required"),
    ]


def test_an_entry_is_known_by_its_name_wherever_it_stands() -> None:
    club = changed()
    club["tiering"]["tiers"].insert(1, {"name": "silver", "from": 100_000})
    assert differences(CLUB, club) == [
        ("tiering.tiers", ["member", "gold"], ["member", "silver", "gold"]),
        ("tiering.tiers[silver].from", None, 100_000),
    ]
    assert differences(CLUB, changed(rewards__catalogue__0__points=450)) == [
        Difference("rewards.catalogue[five_off].points", 500, 450)
    ]


def test_entries_that_change_places_are_a_difference() -> None:
    club = changed()
    club["tiering"]["tiers"].reverse()
    assert differences(CLUB, club) == [("tiering.tiers", ["member", "gold"], ["gold", "member"])]


TEXTS = st.text("ab.[]", max_size=3)
DOCUMENTS = st.recursive(
    st.none() | st.integers(0, 3) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "id", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(DOCUMENTS, DOCUMENTS)
def test_two_documents_differ_in_nothing_only_when_they_are_the_same(before: Any, after: Any) -> None:
    one, other = {"program": "p", "ledger": before}, {"program": "p", "ledger": after}
    assert (differences(one, other) == []) == (one == other)
