"""The verifier's own reading of points by hand and of members who are suspended and closed."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb
from tests.unit.test_verify_reading import Reading, parts

ASKED = pb.AdjustmentRequested(adjustment="a", points=500, reason="goodwill", requested_by="carol")
CARD = pb.HashedIdentifier(kind="card", hash=b"1")


def approved(**changes: Any) -> pb.PointsAdjusted:
    told = {
        "adjustment": "a",
        "points": 500,
        "reason": "goodwill",
        "requested_by": "carol",
        "approved_by": "dave",
    }
    return pb.PointsAdjusted(**{**told, **changes})


def taken(points: int, lots: dict[int, int]) -> pb.PointsAdjusted:
    return pb.PointsAdjusted(adjustment="t", points=points, allocations=parts(lots))


def test_points_by_hand_are_read_with_their_postings() -> None:
    reading = Reading()
    assert reading.take(ASKED) == ()
    assert reading.take(approved()) == [("grocer", "adjustment", "member/ann", "points", 500, 5)]
    assert reading.take(taken(-30, {3: 30})) == [("grocer", "member/ann", "adjustment", "points", 30, 3)]
    reading.take(pb.AdjustmentRequested(adjustment="b", points=501, requested_by="carol"))
    reading.take(pb.AdjustmentDeclined(adjustment="b", declined_by="carol"))
    assert reading.wrong == []
    assert [a.state for a in reading.journal.state.adjustments.values()] == ["applied", "applied", "declined"]


def test_a_closing_takes_everything_to_breakage() -> None:
    reading = Reading()
    reading.take(pb.MemberSuspended(reason="r", by="c"))
    reading.take(pb.MemberReactivated(reason="r", by="c"))
    closed = pb.MemberClosed(reason="r", by="c", points=100, allocations=parts({3: 100}))
    assert reading.take(closed) == [("grocer", "member/ann", "breakage", "points", 100, 3)]
    assert reading.wrong == []


@pytest.mark.parametrize(
    ("before", "message", "check"),
    [
        ([ASKED], approved(approved_by="carol"), "tables"),
        ([ASKED], approved(approved_by=""), "tables"),
        ([ASKED], approved(points=600), "tables"),
        ([ASKED], approved(reason="fraud"), "tables"),
        ([ASKED, approved()], approved(), "tables"),
        ([ASKED], ASKED, "tables"),
        ([], pb.AdjustmentDeclined(adjustment="a"), "tables"),
        ([], taken(-30, {3: 20}), "L2"),
        ([], taken(-101, {3: 101}), "L2"),
        ([], taken(0, {}), "L2"),
        ([], pb.PointsAdjusted(adjustment="t", points=5, debt_repaid=5), "L2"),
        ([], pb.MemberReactivated(), "tables"),
        ([pb.MemberSuspended()], pb.MemberSuspended(), "tables"),
        ([pb.MemberSuspended()], pb.HoldPlaced(hold="h", amount=1, allocations=parts({3: 1})), "L3"),
        ([], pb.MemberClosed(points=99, allocations=parts({3: 99})), "L2"),
        ([], pb.MemberClosed(points=99, allocations=parts({3: 100})), "L2"),
        (
            [pb.MemberClosed(points=100, allocations=parts({3: 100}))],
            pb.PurchaseRecorded(activity=activities.Purchase(id="p")),
            "tables",
        ),
        ([], pb.IdentifiersUnlinked(identifiers=[CARD]), "tables"),
    ],
)
def test_a_row_that_cannot_follow_is_found(before: list[Any], message: Any, check: str) -> None:
    reading = Reading()
    for earlier in before:
        reading.take(earlier)
    assert reading.wrong == []
    reading.take(message)
    assert check in [finding[0] for finding in reading.wrong]
