"""By business time: what is dated by an instant, whenever it was booked."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.ledger.domain.book import NEVER, Book, Member
from services.ledger.domain.business_time import DatedBy
from services.ledger.domain.evolve import evolve
from tests.unit.ledger_given import (
    CHAIN,
    DAY,
    NOON,
    Given,
    capture,
    clock,
    hold,
    program,
    purchase,
    release,
    return_,
    tier,
    top_up,
    usd,
)

SECOND = timedelta(seconds=1)
LATER = NOON + 2 * DAY


def at(given: Given, time: datetime, member: str = "ann") -> Member | None:
    """A member at an instant by business time, from the journal alone."""
    book, dated = Book(keeps_purchases=False), DatedBy(time)
    book.versions = given.book.versions
    for position, decided in given.journal:
        evolve(book, CHAIN, "grocer", decided, position)
        if decided.member == member:
            dated.take(book.members["grocer", member], decided.event, decided.occurred_at, position)
    return dated.member(book.members["grocer", member])


def posted(given: Given, time: datetime) -> int:
    found = at(given, time)
    assert found is not None
    return found.posted


def test_a_late_purchase_counts_from_the_day_it_was_made() -> None:
    given = Given(purchase("p2", at=LATER, now=LATER), purchase("p1", 3_000, at=NOON))
    assert [posted(given, NOON + days * DAY) for days in range(4)] == [30, 30, 80, 80]


def test_nobody_is_a_member_before_anything_has_happened() -> None:
    given = Given(purchase(at=NOON))
    assert at(given, NOON - SECOND) is None


def test_who_was_enrolled_late_has_what_was_bought_before() -> None:
    given = Given(purchase("p2", at=LATER, now=LATER), purchase("p1", 3_000, at=NOON))
    found = at(given, NOON)
    assert found is not None
    assert found.enrolled_at == LATER


def test_an_expiry_counts_from_its_own_instant_and_not_from_when_the_clock_came_by() -> None:
    given = Given(purchase(at=NOON), clock(NOON + 900 * DAY))
    expires = NOON.replace(year=2027)
    assert (posted(given, expires - SECOND), posted(given, expires)) == (50, 0)


def test_a_late_purchase_is_seen_beside_the_expiry_that_was_booked_before_it() -> None:
    given = Given(purchase(at=NOON), clock(NOON + 400 * DAY), purchase("late", 2_000, at=NOON + DAY))
    assert posted(given, NOON + 2 * DAY) == 70
    assert posted(given, NOON + 364 * DAY) == 70


def test_a_lot_is_below_zero_where_what_is_dated_earlier_took_from_it() -> None:
    """Wednesday's points paid for a return of Tuesday, which was told on Thursday."""
    given = Given(purchase("p1", at=NOON), hold(50), capture())
    given.when(purchase("p2", 8_000, at=LATER, now=LATER))
    given.when(return_("p1", at=NOON + DAY, now=NOON + 3 * DAY))
    on_tuesday, on_wednesday = at(given, NOON + DAY), at(given, LATER)
    assert on_tuesday is not None
    assert on_wednesday is not None
    lot = given.lot()
    assert (on_tuesday.posted, on_tuesday.lots[lot].remaining) == (-50, -50)
    assert (on_wednesday.posted, on_wednesday.lots[lot].remaining) == (30, 30)


def test_a_hold_counts_until_its_end_is_dated() -> None:
    given = Given(purchase(at=NOON), top_up(at=NOON), rules=program(clock="wall", stored_value={}))
    given.when(hold(20, money=usd(700), now=NOON + DAY))
    given.when(release(now=NOON + DAY + timedelta(minutes=5)))
    found = [at(given, NOON + DAY + minutes * timedelta(minutes=1)) for minutes in (-1, 0, 4, 5)]
    assert [member.held for member in found if member is not None] == [0, 20, 20, 0]
    assert [sum(lot.held for lot in member.money.values()) for member in found if member is not None] == [
        0, 700, 700, 0,
    ]  # fmt: skip
    assert [member.available for member in found if member is not None] == [50, 30, 30, 50]


def test_points_are_pending_until_their_day() -> None:
    given = Given(purchase(at=NOON), clock(NOON + 20 * DAY), rules=program(pending={"days": 14}))
    assert [(m := at(given, NOON + days * DAY)) and m.pending for days in (0, 13, 14)] == [50, 50, 0]


def test_a_tier_counts_from_when_it_was_reached() -> None:
    given = Given(purchase(at=NOON), tier("gold", NOON + DAY))
    assert [(m := at(given, NOON + days * DAY)) and m.tier for days in (0, 1)] == ["", "gold"]


def test_in_the_end_it_is_what_the_book_has() -> None:
    given = Given(purchase(at=NOON), hold(20), capture(amount=5, final=False))
    given.when(purchase("p0", at=NOON - DAY))
    given.when(return_("p1", at=NOON))
    found, today = at(given, NEVER), given.member()
    assert found is not None
    for name in ("posted", "held", "debt", "pending", "available", "tier", "status", "lapses_at"):
        assert getattr(found, name) == getattr(today, name), name
    left = {id_: lot for id_, lot in today.lots.items() if lot.remaining}
    assert {id_: lot for id_, lot in found.lots.items() if lot.remaining} == left
    assert found.holds == today.holds
