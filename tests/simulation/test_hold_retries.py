"""Every way in which a hold, capture, release or refund can be sent again, down the road of every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.ledger.domain.commands import Cause, Command
from services.ledger.handle import Outcome
from tests.simulation import real_book as real
from tests.simulation.real_book import PROGRAM, WALL, RealBook


def book() -> RealBook:
    """Ann has 100 points, 40 of them spent on o1 (by h1), 30 more held for o2 (by h2); bob has nothing."""
    book = RealBook()
    book.activate("v1")
    book.advance(WALL)
    book.take(real.purchase_of("p1", "ann", WALL, [("FOOD", 1, 10_000)]))
    book.take(real.enrolment_of("e1", "bob"))
    for command in (
        real.hold_of("h1", "ann", 40, 60),
        real.capture_of("c1", "h1", "ann", None),
        real.hold_of("h2", "ann", 30, 60),
    ):
        assert book.take(command).refusal is None
    return book


def place(id_: str = "h3") -> Command:
    return real.hold_of(id_, "ann", 10, 60)


def capture(id_: str = "c2") -> Command:
    return real.capture_of(id_, "h2", "ann", 10)


def release(id_: str = "r1") -> Command:
    return real.release_of(id_, "h2", "ann")


def refund(id_: str = "f1") -> Command:
    return real.refund_of(id_, "o1", "ann", None)


ALL = [place, capture, release, refund]
commands = pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)


def code(outcome: Outcome) -> str | None:
    return None if outcome.refusal is None else outcome.refusal[0]


@commands
def test_the_same_id_with_the_same_content_has_the_first_outcome(make: Callable[..., Command]) -> None:
    ledger = book()
    first = ledger.take(make())
    rows = len(ledger.rows)
    again = ledger.take(make())
    assert first.refusal is None
    assert (again.duplicate, again.position, again.refusal) == (True, first.position, None)
    assert len(ledger.rows) == rows


@commands
def test_a_refusal_is_told_again_and_other_content_does_not_change_it(make: Callable[..., Command]) -> None:
    ledger = book()
    command = replace(make(), member="zoe")
    other = replace(make(), cause=Cause(command.cause.source, command.cause.id, b"other"))
    assert code(ledger.take(replace(command))) == "unknown_member"
    again = ledger.take(replace(command))
    assert (again.duplicate, code(again)) == (True, "unknown_member")
    assert code(ledger.take(other)) == "id_reused"


@commands
def test_another_member_is_told_nothing_of_whose_it_is(make: Callable[..., Command]) -> None:
    ledger = book()
    ledger.take(make())
    outcome = ledger.take(replace(make(), member="bob"))
    assert outcome.refusal is not None
    assert outcome.refusal[0] == "exists_with_different_member"
    assert "ann" not in outcome.refusal[1]


@pytest.mark.parametrize(
    ("make", "second"),
    [
        (capture, "hold_already_captured"),
        (release, "hold_already_released"),
        (refund, "order_already_refunded"),
        (place, None),
    ],
)
def test_the_same_under_an_id_of_its_own_is_another_request(
    make: Callable[..., Command], second: str | None
) -> None:
    ledger = book()
    ledger.take(make())
    outcome = ledger.take(make("h9"))
    assert (outcome.duplicate, code(outcome)) == (False, second)


def test_what_means_the_same_is_the_same() -> None:
    ledger = book()
    first = ledger.take(real.hold_of("h3", "ann", 20, 900))
    with_default = replace(
        real.hold_of("h3", "ann", 20, 900), ttl_seconds=None, cause=Cause(f"{PROGRAM}/hold", "h3", b"other")
    )
    again = ledger.take(with_default)
    assert (again.duplicate, again.position) == (True, first.position)
    first = ledger.take(real.capture_of("c3", "h3", "ann", None))
    again = ledger.take(real.capture_of("c3", "h3", "ann", 20))
    assert (again.duplicate, again.position) == (True, first.position)


def test_what_differs_is_recorded_and_changes_nothing() -> None:
    ledger = book()
    ledger.take(place())
    rows = len(ledger.rows)
    outcome = ledger.take(real.hold_of("h3", "ann", 11, 60))
    assert outcome.refusal == (
        "exists_with_different_amount",
        "the id was used before with amount 10, not 11: give another request an id of its own",
    )
    assert len(ledger.rows) == rows + 1
    assert ledger.member("ann").held == 40
