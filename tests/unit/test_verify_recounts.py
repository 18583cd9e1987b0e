"""The verifier's reading of purchases that are counted again."""

from __future__ import annotations

import pytest

from tallybook.ledger.v1 import events_pb2 as pb
from tests.unit.test_verify_reading import Reading

DAY = "day 2026-01-05"


def recounted(
    counters: dict[str, tuple[str, str]], moved: dict[str, tuple[str, str]]
) -> pb.PurchaseRecounted:
    told, by = (
        [pb.Counter(name=name, before=before, after=after) for name, (before, after) in some.items()]
        for some in (counters, moved)
    )
    return pb.PurchaseRecounted(purchase="p1", reason="return", counters=told, moved=by)


@pytest.fixture
def reading() -> Reading:
    reading = Reading()
    reading.count("p1", ("carry", "0", "0.3"), (DAY, "0", "5"))
    reading.count("p2", ("carry", "0.3", "0.6"), (DAY, "5", "10"))
    return reading


def test_what_a_purchase_counts_again_moves_the_member(reading: Reading) -> None:
    reading.take(
        recounted({"carry": ("0", "-0.2"), DAY: ("0", "9")}, {"carry": ("0.6", "0.1"), DAY: ("10", "14")})
    )
    reading.take(recounted({"carry": ("0", "0.1"), DAY: ("0", "9")}, {"carry": ("0.1", "0.4")}))
    assert reading.wrong == []
    state = reading.journal.state
    assert str(state.counters["grocer", "ann", "carry"][0]) == "0.4"
    assert state.settlements["grocer", "ann", "p1"].counters == (["carry", DAY], ["0", "0"], ["0.1", "9"])


@pytest.mark.parametrize(
    "moved",
    [
        {"carry": ("0.5", "0.1")},
        {"carry": ("0.6", "-0.1")},
        {"carry": ("0.6", "0.6")},
        {"carry": ("0.6", "much")},
        {DAY: ("10", "10.5")},
        {"month 2026-01": ("0", "3")},
        {"visits": ("0", "1")},
    ],
)
def test_a_move_that_cannot_be_is_found(reading: Reading, moved: dict[str, tuple[str, str]]) -> None:
    reading.take(recounted({"carry": ("0", "0.1"), DAY: ("0", "6")}, moved))
    assert {check for check, _ in reading.wrong} == {"tables"}


@pytest.mark.parametrize(
    "moved", [{}, {"carry": ("0.4", "0.5")}, {"carry": ("0.4", "0.3"), DAY: ("10", "11")}]
)
def test_a_move_by_another_amount_than_the_purchase_counts_is_found(
    reading: Reading, moved: dict[str, tuple[str, str]]
) -> None:
    reading.take(recounted({"carry": ("0", "0.1"), DAY: ("0", "5")}, {"carry": ("0.6", "0.4")}))
    assert reading.wrong == []
    reading.take(recounted({"carry": ("0", "0"), DAY: ("0", "5")}, moved))
    assert {check for check, _ in reading.wrong} == {"tables"}
