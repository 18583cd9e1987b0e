"""What a scenario expects, beside what is: only what it names counts."""

from __future__ import annotations

from services.ops.scenario.compare import ABSENT, Difference, differences


def test_what_is_not_named_is_not_compared() -> None:
    assert (
        differences({"points": {"available": 3}}, {"points": {"available": 3, "held": 9}, "tier": "x"}) == []
    )


def test_a_difference_names_its_place_and_both_values() -> None:
    found = differences(
        {"points": {"available": 3}, "tier": "gold"}, {"points": {"available": 4}, "tier": "gold"}
    )
    assert found == [Difference("points.available", 3, 4)]


def test_what_is_missing_differs_from_everything() -> None:
    assert differences({"tier": None}, {}) == [Difference("tier", None, ABSENT)]
    assert differences({"points": {"held": 0}}, {"points": None}) == [Difference("points", {"held": 0}, None)]


def test_list_items_are_found_by_id_in_any_order() -> None:
    actual = [{"id": "a", "state": "captured"}, {"id": "b", "state": "reserved"}]
    assert differences([{"id": "b", "state": "reserved"}], actual, "redemptions") == []
    assert differences([{"id": "b", "state": "captured"}], actual, "redemptions") == [
        Difference("redemptions[b].state", "captured", "reserved")
    ]


def test_each_expected_item_needs_an_item_of_its_own() -> None:
    actual = [{"id": "a", "state": "captured"}]
    assert differences([{"state": "captured"}, {"state": "captured"}], actual, "redemptions") == [
        Difference("redemptions", {"state": "captured"}, ABSENT)
    ]


def test_an_empty_list_expects_that_there_is_nothing() -> None:
    assert differences([], [], "redemptions") == []
    assert differences([], [{"id": "a"}], "redemptions") == [Difference("redemptions", [], [{"id": "a"}])]
