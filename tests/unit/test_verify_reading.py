"""The verifier's own reading of a journal, and how far it agrees with the code that writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.chain import genesis, micros, row_hash
from services.ledger.domain.book import Book, Member, ProgramState
from services.ledger.domain.commands import Purchase
from services.ledger.domain.events import ActivityRejected, Decided, Event, PurchaseRecorded
from services.ledger.domain.evolve import evolve
from services.ledger.project import Changes
from services.ops.replay.ledger import WITHOUT_TRACE
from services.ops.verify.findings import Findings
from services.ops.verify.journal_chain import first_previous, hash_of
from services.ops.verify.ledger_journal import LedgerJournal
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
COLUMNS = (
    "position", "program", "member", "type", "occurred_at", "recorded_at", "cause_source", "cause_id", "cause_digest",
    "program_version", "payload",
)  # fmt: skip
texts = st.text(max_size=12)
rows = st.fixed_dictionaries(
    {
        "position": st.integers(1, 2**63 - 1), "program": texts, "member": st.none() | texts, "type": texts,
        "occurred_at": times, "recorded_at": times, "cause_source": texts, "cause_id": texts,
        "cause_digest": st.none() | st.binary(max_size=12), "program_version": texts, "payload": st.binary(max_size=40),
    }
)  # fmt: skip


@given(st.integers(0, 1023), st.binary(min_size=32, max_size=32), rows)
def test_two_implementations_of_the_hash_agree(chain: int, previous: bytes, row: dict[str, Any]) -> None:
    written = row_hash(
        previous, chain, row["position"], row["program"], row["member"], row["type"], micros(row["occurred_at"]),
        micros(row["recorded_at"]), row["cause_source"], row["cause_id"], row["cause_digest"], row["program_version"],
        row["payload"],
    )  # fmt: skip
    assert hash_of(previous, chain, (*(row[column] for column in COLUMNS), written)) == written


@given(st.integers(0, 1023))
def test_both_begin_a_chain_alike(chain: int) -> None:
    assert first_previous(chain) == genesis(chain)


class Reading:
    """A journal of one member with 100 points in the lot 3, read row after row."""

    def __init__(self) -> None:
        self.found = Findings("ledger", 0)
        self.journal = LedgerJournal(0, self.found)
        self.position = 0
        self.take(pb.ProgramActivated(version="v"), None, version="")
        self.take(pb.MemberEnrolled(by="enrolment"))
        self.accrue(100)

    def take(
        self, message: Any, member: str | None = "ann", *, version: str = "v", at: datetime = NOON
    ) -> Any:
        self.position += 1
        return self.journal.row(
            {
                "position": self.position, "program": "grocer", "member": member, "occurred_at": at,
                "type": message.DESCRIPTOR.name, "program_version": version, "payload": message.SerializeToString(),
            }
        )  # fmt: skip

    def accrue(self, points: int, debt_repaid: int = 0) -> Any:
        message = pb.PointsAccrued(purchase="p", reason="tier_change", points=points, debt_repaid=debt_repaid)
        message.expires_at.FromDatetime(NOON + timedelta(days=365))
        return self.take(message)

    def count(self, purchase: str, *counters: tuple[str, str, str]) -> None:
        """A purchase of 5 points that was counted."""
        self.take(pb.PurchaseRecorded(activity=activities.Purchase(id=purchase)))
        told = [pb.Counter(name=name, before=before, after=after) for name, before, after in counters]
        self.take(pb.PointsAccrued(purchase=purchase, reason="purchase", points=5, counters=told))

    def place(self, amount: int, lots: dict[int, int], hold: str = "h", at: datetime = NOON) -> None:
        message = pb.HoldPlaced(hold=hold, order="o", amount=amount, allocations=parts(lots))
        message.expires_at.FromDatetime(NOON + timedelta(hours=1))
        self.take(message, at=at)

    @property
    def wrong(self) -> list[tuple[str, str]]:
        return [(finding.check, finding.what) for finding in self.found.report.findings]


def parts(lots: dict[int, int]) -> list[pb.Allocation]:
    return [pb.Allocation(lot=lot, amount=amount) for lot, amount in lots.items()]


def test_a_journal_in_order_is_read_without_a_finding() -> None:
    reading = Reading()
    reading.place(60, {3: 60})
    captured = pb.HoldCaptured(
        hold="h", order="o", amount=40, allocations=parts({3: 40}), released=parts({3: 20})
    )
    assert reading.take(captured) == [("grocer", "member/ann", "redeemed", "points", 40, 3)]
    clawed = pb.PointsClawedBack(
        purchase="p", reason="return", points=70, allocations=parts({3: 60}), debt=10
    )
    assert [posting[4:] for posting in reading.take(clawed)] == [(60, 3), (10, None)]
    assert [posting[4:] for posting in reading.accrue(30, debt_repaid=10)] == [(20, 7), (10, None)]
    assert reading.wrong == []


def test_a_hold_of_more_than_was_available_is_found() -> None:
    reading = Reading()
    reading.place(60, {3: 60})
    reading.place(60, {3: 60}, "h2")
    assert ("L3", "holds 60 points where 40 were available") in reading.wrong
    assert ("L3", "takes 60 of lot 3, free are 40") in reading.wrong


def test_a_hold_of_an_expired_lot_is_found() -> None:
    reading = Reading()
    reading.place(10, {3: 10}, at=NOON + timedelta(days=365))
    assert [check for check, _ in reading.wrong] == ["L3"]


@pytest.mark.parametrize(
    ("message", "check"),
    [
        (pb.PointsExpired(lot=3, points=100), "L2"),
        (pb.PointsExpired(lot=99, points=1), "L2"),
        (pb.PointsClawedBack(purchase="p", points=50, allocations=parts({3: 40})), "L2"),
        (pb.PointsClawedBack(purchase="p", points=101, allocations=parts({3: 101})), "L2"),
        (pb.PointsAccrued(purchase="p", reason="return", points=5, debt_repaid=1), "L2"),
        (pb.HoldPlaced(hold="h", amount=10, allocations=parts({3: 9})), "L3"),
        (pb.HoldCaptured(hold="nobody's", amount=10, allocations=parts({3: 10})), "L3"),
        (pb.HoldReleased(hold="nobody's", amount=10, reason="released"), "L3"),
        (pb.MemberEnrolled(by="enrolment"), "tables"),
        (pb.PointsAccrued(purchase="other", reason="purchase", points=5), "tables"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_follow_is_found(message: Any, check: str) -> None:
    reading = Reading()
    reading.take(message)
    assert check in [finding[0] for finding in reading.wrong]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("carry", "0.5", "0.3"), ("carry", "0.3", "1"), ("carry", "x", "0"), ("visits", "0", "1"), ("visits", "1", "1"),
        ("day 2026-01-05", "5", "6"), ("day 2026-01-05", "6", "12"),
    ],
)  # fmt: skip
def test_a_counter_that_cannot_follow_is_found(name: str, before: str, after: str) -> None:
    reading = Reading()
    reading.count("p1", ("carry", "0", "0.3"), ("visits", "0", "1"), ("day 2026-01-05", "0", "5"))
    assert reading.wrong == []
    reading.count("p2", (name, before, after))
    assert {check for check, _ in reading.wrong} == {"tables"}


def test_counters_that_follow_from_each_other_are_in_order() -> None:
    reading = Reading()
    reading.count("p1", ("carry", "0", "0.3"), ("visits", "0", "1"), ("day 2026-01-05", "0", "5"))
    reading.take(pb.PurchaseRecorded(activity=activities.Purchase(id="uncounted")))
    reading.count("p2", ("carry", "0.3", "0.3"), ("visits", "2", "3"), ("day 2026-01-05", "5", "10"))
    assert reading.wrong == []


def test_a_capture_after_the_hold_timed_out_is_found() -> None:
    reading = Reading()
    reading.place(10, {3: 10})
    captured = pb.HoldCaptured(hold="h", order="o", amount=10, allocations=parts({3: 10}))
    reading.take(captured, at=NOON + timedelta(hours=1))
    assert [check for check, _ in reading.wrong] == ["L3"]


def pending(reading: Reading, points: int) -> int:
    """Open a lot that matures in a fortnight; its id."""
    message = pb.PointsAccrued(purchase="q", reason="tier_change", points=points)
    message.matures_at.FromDatetime(NOON + timedelta(days=14))
    reading.take(message)
    return reading.position


def active(lapses_at: datetime) -> pb.MemberActive:
    message = pb.MemberActive(kind="purchase")
    message.lapses_at.FromDatetime(lapses_at)
    return message


def test_points_that_wait_mature_and_lapse_are_read_without_a_finding() -> None:
    reading, month = Reading(), timedelta(days=30)
    lot = pending(reading, 50)
    reading.take(active(NOON + month))
    taken = pb.PointsClawedBack(
        purchase="q", reason="return", points=10, allocations=parts({lot: 10}), pending=10
    )
    reading.take(taken)
    reading.take(pb.PointsMatured(lot=lot, points=40), at=NOON + timedelta(days=14))
    lapsed = pb.MemberLapsed(points=140, allocations=parts({3: 100, lot: 40}))
    assert [posting[2:] for posting in reading.take(lapsed, at=NOON + month)] == [
        ("breakage", "points", 100, 3), ("breakage", "points", 40, lot)
    ]  # fmt: skip
    (member,) = reading.journal.state.members.values()
    assert (member.posted, member.pending, member.lapses_at) == (0, 0, None)
    assert reading.wrong == []


def test_what_cannot_follow_of_points_in_time_is_found() -> None:
    reading = Reading()
    lot = pending(reading, 50)
    reading.place(10, {lot: 10}, at=NOON)
    reading.take(pb.PointsMatured(lot=lot, points=50), at=NOON + timedelta(days=13))
    reading.take(pb.PointsMatured(lot=3, points=100), at=NOON + timedelta(days=30))
    reading.take(
        pb.PointsClawedBack(purchase="q", reason="return", points=1, allocations=parts({3: 1}), pending=1)
    )
    reading.take(pb.MemberLapsed(points=1, allocations=parts({3: 1})))
    reading.take(active(NOON + timedelta(days=9)))
    reading.take(active(NOON + timedelta(days=8)))
    assert [check for check, _ in reading.wrong] == ["L3", "L3", "L3", "L3", "L2", "tables"]


def test_points_of_somebody_who_is_no_member_are_found() -> None:
    reading = Reading()
    reading.take(pb.PointsExpired(lot=3, points=1), "bob")
    assert reading.wrong == [("tables", "bob is not enrolled in grocer")]


def test_a_hold_in_parts_and_its_refund_are_read_without_a_finding() -> None:
    reading = Reading()
    reading.place(60, {3: 60})
    reading.take(pb.HoldCaptured(hold="h", order="o", amount=20, allocations=parts({3: 20}), left=40))
    reading.take(
        pb.HoldReleased(
            hold="h", order="o", amount=40, reason="released", allocations=parts({3: 40}), captured=20
        )
    )
    refunded = pb.SpendRefunded(
        order="o", amount=15, parts=[pb.SpentPart(hold="h", lot=3, amount=15)],
        allocations=parts({3: 15}), left=5,
    )  # fmt: skip
    assert reading.take(refunded) == [("grocer", "redeemed", "member/ann", "points", 15, 3)]
    assert reading.wrong == []


@pytest.mark.parametrize(
    ("message", "check"),
    [
        (pb.HoldCaptured(hold="h", order="o", amount=1, allocations=parts({3: 1}), left=40), "L3"),
        (pb.HoldCaptured(hold="h", order="o", amount=1, allocations=parts({3: 1}), left=39), "L3"),
        (pb.HoldReleased(hold="h", amount=40, reason="released", allocations=parts({3: 40})), "L3"),
        (pb.HoldReleased(hold="h", amount=39, captured=20, allocations=parts({3: 39})), "L3"),
        (pb.SpendRefunded(order="o", amount=21, parts=[pb.SpentPart(hold="h", lot=3, amount=21)],
                          allocations=parts({3: 21})), "L2"),
        (pb.SpendRefunded(order="x", amount=20, parts=[pb.SpentPart(hold="h", lot=3, amount=20)],
                          allocations=parts({3: 20})), "L2"),
        (pb.SpendRefunded(order="o", amount=20, parts=[pb.SpentPart(hold="h", lot=3, amount=20)],
                          allocations=parts({3: 19})), "L2"),
        (pb.SpendRefunded(order="o", amount=20, parts=[pb.SpentPart(hold="h", lot=3, amount=20)],
                          allocations=parts({3: 19}), debt_repaid=1), "L2"),
        (pb.SpendRefunded(order="o", amount=19, parts=[pb.SpentPart(hold="h", lot=3, amount=19)],
                          allocations=parts({3: 19})), "L2"),
        (pb.SpendRefunded(order="o", amount=20, parts=[pb.SpentPart(hold="h", lot=3, amount=20)],
                          allocations=parts({3: 20}), expired=20), "L2"),
        (pb.LotsReinstated(lots=[3]), "L2"),
    ],
)  # fmt: skip
def test_a_part_or_refund_that_cannot_follow_is_found(message: Any, check: str) -> None:
    reading = Reading()
    reading.place(60, {3: 60})
    reading.take(pb.HoldCaptured(hold="h", order="o", amount=20, allocations=parts({3: 20}), left=40))
    assert reading.wrong == []
    reading.take(message)
    assert check in [finding[0] for finding in reading.wrong]


TRACELESS: list[Event] = [
    PurchaseRecorded(Purchase("p1", NOON, "USD", [], b"")),
    ActivityRejected("purchase", "unknown_member", ""),
]


@pytest.mark.parametrize("event", TRACELESS, ids=lambda event: type(event).__name__)
def test_rows_that_replay_passes_over_leave_nothing_in_the_projections(event: Event) -> None:
    book = Book(keeps_purchases=False)
    book.programs[0, "grocer"] = ProgramState("v")
    book.members["grocer", "ann"] = Member("ann", "grocer", 0, NOON)
    before, changes = repr([book.members, book.programs, book.identifiers]), Changes()
    decided = Decided(event, "ann", NOON)
    evolve(book, 0, "grocer", decided, 1)
    changes.note(0, "grocer", "ann", event, 1)
    assert repr([book.members, book.programs, book.identifiers]) == before
    assert all(not getattr(changes, name) for name in vars(Changes()))


def test_those_are_all_that_replay_passes_over() -> None:
    assert sorted(type(event).__name__ for event in TRACELESS) == sorted(WITHOUT_TRACE)
