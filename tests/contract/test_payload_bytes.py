"""Payloads that are written without the library are byte for byte what the library would have written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ledger import payloads, proto_bytes
from services.ledger.domain.counters import Contribution, Counter
from services.ledger.domain.events import PointsAccrued
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
AMOUNTS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20_000)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = (st.integers(-(10**16), 2 * 10**17) | st.integers(0, 10**6)).map(
    lambda number: BEGINNING + timedelta(microseconds=number)
)
ACCRUALS = st.builds(
    PointsAccrued,
    TEXTS, TEXTS, AMOUNTS, TEXTS, AMOUNTS, TEXTS, TIMES | st.none(), AMOUNTS,
    st.lists(st.builds(Contribution, TEXTS, AMOUNTS), max_size=3),
    st.lists(st.builds(Counter, TEXTS, TEXTS, TEXTS), max_size=3),
    TIMES | st.none(),
)  # fmt: skip


PLAIN_ACCRUALS = st.builds(
    PointsAccrued,
    st.text("pq1-", min_size=1, max_size=300), st.sampled_from(["purchase", "tier_change"]), st.integers(0, 20_000),
    st.sampled_from(["", "gold"]), st.integers(0, 2**29), st.text("v", max_size=200),
    TIMES.map(lambda time: time.replace(microsecond=0)) | st.none(), st.just(0),
    st.lists(st.builds(Contribution, TEXTS, AMOUNTS), max_size=3),
)  # fmt: skip


@given(ACCRUALS | PLAIN_ACCRUALS)
def test_an_accrual_is_what_the_library_writes(event: PointsAccrued) -> None:
    type_, payload = payloads.encode(event)
    assert payload == payloads.FORMS[type_].message_of(event).SerializeToString()
    assert payloads.decode(type_, payload) == event


def test_an_ordinary_accrual_needs_no_library() -> None:
    at = datetime(2027, 1, 5, 12, tzinfo=UTC)
    assert proto_bytes.plain_accrual(PointsAccrued("p1", "purchase", 37, "", 3_750, "v", at, 0)) is not None


def test_the_time_at_which_all_begins_is_a_time() -> None:
    nothing = PointsAccrued("", "", 0, "", 0, "", BEGINNING, 0)
    assert (
        payloads.encode(nothing)[1] == payloads.FORMS["PointsAccrued"].message_of(nothing).SerializeToString()
    )


@given(TEXTS.map(lambda text: activities.Purchase(id=text)) | st.just(activities.Purchase(id="x" * 20_000)))
def test_a_purchase_is_recorded_as_the_library_writes_it(purchase: activities.Purchase) -> None:
    content = purchase.SerializeToString()
    payload = proto_bytes.embedded(content)
    assert payload == pb.PurchaseRecorded(activity=purchase).SerializeToString()
    assert proto_bytes.unembedded(payload) == content
