"""An activity of somebody who is no member yet: kept, answered, and taken when they enrol."""

from __future__ import annotations

from datetime import timedelta

from services.ledger.domain.events import ActivityParked, ActivityUnparked
from services.ledger.handle import Outcome
from tests.simulation import real_book as real
from tests.simulation.parking_rules import was_parked
from tests.simulation.real_book import WALL, RealBook

LINES = [("FOOD", 2, 10_000)]


def parking() -> RealBook:
    book = RealBook()
    book.activate("v1-park")
    book.advance(WALL)
    return book


def bought(book: RealBook, id_: str = "p1", member: str = "ann") -> Outcome:
    return book.take(real.purchase_of(id_, member, WALL, LINES))


def back(book: RealBook, id_: str = "r1", of: str = "p1", units: int = 1) -> Outcome:
    return book.take(real.return_of(id_, of, "ann", WALL, {1: units}))


def events(book: RealBook, kind: type) -> list[object]:
    return [entry[4] for entry in book.loaded.journal.entries if isinstance(entry[4], kind)]


def test_it_is_kept_with_its_bytes_and_nobody_becomes_a_member() -> None:
    book = parking()
    outcome = bought(book)
    assert was_parked(outcome)
    (kept,) = events(book, ActivityParked)
    assert isinstance(kept, ActivityParked)
    assert (kept.kind, kept.reference) == ("purchase", "ann")
    assert kept.activity == real.purchase_of("p1", "ann", WALL, LINES).purchase.content  # type: ignore[attr-defined]
    assert book.book.members == {}


def test_enrolling_takes_what_waits_in_its_order_with_causes_of_its_own() -> None:
    book = parking()
    for outcome in (bought(book), back(book), back(book, "r2", units=5), bought(book, "p2", "bob")):
        assert was_parked(outcome)
    book.take(real.enrolment_of("e1", "ann"))
    assert book.member("ann").posted == 50
    causes = [entry[8] for entry in book.loaded.journal.entries[-9:]]
    assert causes == ["e1", "p1", "p1", "p1", "r1", "r1", "r1", "r2", "r2"]
    became = [e.rejection for e in events(book, ActivityUnparked) if isinstance(e, ActivityUnparked)]
    assert became == ["", "", "quantity_exceeds_purchase"]


def test_the_same_again_answers_with_what_became_of_it() -> None:
    book = parking()
    first = bought(book)
    again = bought(book)
    assert (again.duplicate, again.position, again.refusal) == (True, first.position, None)
    back(book, units=5)
    book.take(real.enrolment_of("e1", "ann"))
    taken = bought(book)
    assert (taken.duplicate, taken.refusal) == (True, None)
    assert taken.position > first.position
    refused = back(book, units=5)
    assert (refused.duplicate, refused.refusal) == (True, ("quantity_exceeds_purchase", ""))


def test_a_purchase_that_is_wrong_for_anybody_is_refused_at_once() -> None:
    book = parking()
    outcome = book.take(real.purchase_of("p1", "ann", WALL + timedelta(days=9), LINES))
    assert outcome.refusal is not None
    assert outcome.refusal[0] == "occurred_in_future"


def test_holds_of_nobody_are_refused_and_members_are_not_parked() -> None:
    book = parking()
    outcome = book.take(real.hold_of("h1", "ann", 10, 60))
    assert outcome.refusal is not None
    book.take(real.enrolment_of("e1", "ann"))
    assert not was_parked(bought(book))
    assert book.member("ann").posted == 100
    book.check_replay()


def test_what_waits_is_taken_too_where_its_member_joins_by_a_first_purchase() -> None:
    """The program went over to another choice meanwhile: by whichever way they join, nothing is left behind."""
    book = parking()
    bought(book)
    book.activate("v1")
    joining = bought(book, "p2")
    assert joining.refusal is None
    assert book.member("ann").posted == 200
    assert [e.parked for e in events(book, ActivityUnparked) if isinstance(e, ActivityUnparked)] == [3]
    assert book.loaded.waiting == {}
    # A second purchase finds nothing to take.
    bought(book, "p3")
    assert book.member("ann").posted == 300
