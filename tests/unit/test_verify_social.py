"""The verifier's own reading of awards and referrals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tallybook.ledger.v1 import events_pb2 as pb
from tests.unit.test_verify_reading import Reading


def referred() -> Reading:
    """Ann was referred by Eve and has qualified."""
    reading = Reading()
    reading.take(pb.ReferralRegistered(referral="f", referrer="eve"))
    reading.take(pb.ReferralTaskDone(referral="f", task="bind_phone"))
    reading.take(
        pb.ReferralQualified(referral="f", referrer="eve", by="purchase", owed=["referrer", "referee"])
    )
    return reading


def award(points: int = 10, **more: Any) -> pb.PointsAwarded:
    return pb.PointsAwarded(source="interaction", source_id="i", points=points, **more)


def test_awards_and_referrals_in_order_are_read_without_a_finding() -> None:
    reading = referred()
    reading.take(pb.ReferralRewarded(referral="f", referrer="eve", sides=["referrer", "referee"]))
    postings = reading.take(award(campaign="summer", budget_left=10, counted=["a/ever", "b/ever"]))
    reading.take(award(5, campaign="summer", budget_left=100, counted=["a/ever"]))
    assert [posting[1:5] for posting in postings] == [("issued", "member/ann", "points", 10)]
    assert reading.wrong == []
    state = reading.journal.state
    assert state.budgets == {("grocer", "summer"): 15}
    assert state.awards == {("grocer", "ann", "a/ever"): 2, ("grocer", "ann", "b/ever"): 1}
    assert state.referrals["grocer", "ann"].owed == []


@pytest.mark.parametrize(
    ("message", "check"),
    [
        (award(11, campaign="summer", budget_left=10), "budgets"),
        (award(0), "L2"),
        (award(5, debt_repaid=1), "L2"),
        (pb.ReferralRegistered(referral="g", referrer="bob"), "tables"),
        (pb.ReferralTaskDone(referral="f", task="bind_phone"), "tables"),
        (pb.ReferralQualified(referral="f", referrer="eve", by="task"), "tables"),
        (pb.ReferralRewarded(referral="f", referrer="eve", sides=["nobody"]), "tables"),
    ],
)
def test_a_row_that_cannot_follow_is_found(message: Any, check: str) -> None:
    reading = referred()
    reading.take(message)
    assert check in [finding[0] for finding in reading.wrong]


def test_a_side_that_is_rewarded_twice_is_found() -> None:
    reading = referred()
    rewarded = pb.ReferralRewarded(referral="f", referrer="eve", sides=["referee"])
    reading.take(rewarded)
    reading.take(rewarded)
    assert reading.wrong == [("tables", "rewards ['referee'], owed is ['referrer']")]


@pytest.mark.parametrize("message", [pb.ReferralQualified(), pb.ReferralTaskDone(), pb.ReferralRewarded()])
def test_what_happens_to_no_referral_is_found(message: Any) -> None:
    reading = Reading()
    reading.take(message)
    assert reading.wrong == [("tables", "nobody has referred ann")]


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"ledger": {"campaigns": 5}}'])
def test_what_is_no_document_opens_no_budget(document: bytes) -> None:
    reading = Reading()
    reading.take(pb.ProgramActivated(version="w", document=document), None)
    assert reading.journal.state.budgets == {}


def test_a_campaign_has_its_budget_from_its_activation_on() -> None:
    document = json.dumps({"ledger": {"campaigns": [{"id": "summer", "budget": 5}]}}).encode()
    reading = Reading()
    reading.take(pb.ProgramActivated(version="w", document=document), None)
    assert reading.journal.state.budgets == {("grocer", "summer"): 0}
