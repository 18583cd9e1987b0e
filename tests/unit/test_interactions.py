"""What interactions earn: once per this, capped per that, and never more than a campaign's budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.program_section import ProgramError
from services.ledger.domain.clock import tick_before
from services.ledger.domain.events import (
    AwardWithheld,
    InteractionRecorded,
    MemberActive,
    MemberEnrolled,
    PointsAwarded,
)
from tests.unit import ledger_given as g
from tests.unit import social_given as s
from tests.unit.ledger_given import DAY, NOON, Given

YEAR_ON = NOON.replace(year=2027)


def earned(given: Given, *told: Any) -> list[int | str]:
    """The points of each interaction, or why there are none."""
    outcomes: list[int | str] = []
    for command in told:
        last = given.when(command)[-1]
        outcomes.append(last.points if isinstance(last, PointsAwarded) else last.reason)  # type: ignore[union-attr]
    return outcomes


def test_an_interaction_enrols_is_recorded_and_earns() -> None:
    given = s.given()
    counted = [
        "interaction/review/day/2026-01-05", "interaction/review/week/2026-W02", "interaction/review/month/2026-01",
        "interaction/review/ever", "interaction/review/content/c1",
    ]  # fmt: skip
    assert given.when(s.interaction()) == [
        MemberEnrolled("first_activity"),
        InteractionRecorded("i1", "review", "c1", "app", ""),
        PointsAwarded("interaction", "i1", 10, "", 0, YEAR_ON, 0, "v1", counted),
    ]
    assert given.balance() == (10, 0, 0)
    assert given.member().lots[given.lot()].expires_at == YEAR_ON


def test_the_same_content_is_recorded_again_and_earns_nothing() -> None:
    given = s.given(s.interaction())
    assert given.when(s.interaction(id_="i2", at=NOON + 40 * DAY)) == [
        InteractionRecorded("i2", "review", "c1", "app", ""),
        AwardWithheld("interaction", "i2", "repeated", 10, "", 0),
    ]
    assert given.balance() == (10, 0, 0)


def test_the_same_content_of_another_member_or_kind_is_another() -> None:
    given = s.given(s.interaction())
    assert earned(given, s.interaction(member="bob"), s.interaction("share")) == [10, 5]


def test_a_cap_a_day_ends_with_the_day_and_a_cap_a_month_with_the_month() -> None:
    given = s.given()
    told = [s.interaction(content=f"c{n}", at=NOON + n * timedelta(hours=1)) for n in range(3)]
    assert earned(given, *told) == [10, 10, "cap_reached"]
    later = [s.interaction(content=f"d{n}", at=NOON + n * DAY) for n in (1, 2)]
    assert earned(given, *later) == [10, "cap_reached"]
    assert earned(given, s.interaction(content="e", at=datetime(2026, 2, 1, tzinfo=UTC))) == [10]


def test_what_earned_nothing_does_not_count() -> None:
    """The content that met a cap can still earn on another day."""
    given = s.given(*(s.interaction(content=f"c{n}") for n in range(3)))
    assert earned(given, s.interaction(content="c2", at=NOON + DAY)) == [10]


def test_once_a_week_is_a_calendar_week_by_business_time() -> None:
    monday = NOON
    given = s.given()
    assert earned(given, s.interaction("share", at=monday + 6 * DAY)) == [5]
    # A late one of the same week is told after; the next week has its own, and so has the last.
    assert earned(given, s.interaction("share", at=monday)) == ["repeated"]
    assert earned(given, s.interaction("share", at=monday + 7 * DAY)) == [5]
    assert earned(given, s.interaction("share", at=monday - timedelta(hours=13))) == [5]


def test_days_are_those_of_the_programs_time_zone() -> None:
    document = {
        "program": "grocer", "time_zone": "America/New_York", "clock": "events",
        "ledger": {**g.LEDGER, "interactions": [{"kind": "check_in", "points": 1, "once_per": "day"}]},
    }  # fmt: skip
    given = Given(rules=g.parse_program(document, "v1"))
    evening = datetime(2026, 1, 6, 2, tzinfo=UTC)
    assert earned(given, s.interaction("check_in", at=evening)) == [1]
    assert earned(given, s.interaction("check_in", at=evening - timedelta(hours=12))) == ["repeated"]
    assert earned(given, s.interaction("check_in", at=evening + timedelta(hours=4))) == [1]


def test_a_budget_is_never_given_beyond_and_an_award_never_in_part() -> None:
    given = s.given()
    told = [s.interaction("photo", f"c{n}", member=name) for n, name in enumerate(["ann", "bob", "eve"])]
    assert earned(given, *told) == [30, 30, "budget_exhausted"]
    assert given.book.budgets == {("grocer", "summer"): 60}
    awards = [d.event for _, d in given.journal if isinstance(d.event, PointsAwarded)]
    assert [(award.campaign, award.budget_left) for award in awards] == [("summer", 70), ("summer", 40)]


@pytest.mark.parametrize(
    ("budget", "expected"), [(0, "budget_exhausted"), (59, "budget_exhausted"), (90, 30)]
)
def test_another_version_changes_the_budget_and_not_what_was_given(budget: int, expected: int | str) -> None:
    given = s.given(s.interaction("photo", "c1"), s.interaction("photo", "c2"))
    given.activate(s.program("v2", campaigns=[{"id": "summer", "budget": budget}]))
    assert earned(given, s.interaction("photo", "c3")) == [expected]


def test_the_rule_in_season_counts_with_both_its_days() -> None:
    given = s.given()
    last = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    days = [
        last,
        last + timedelta(minutes=1),
        datetime(2026, 3, 1, tzinfo=UTC),
        NOON - 12 * timedelta(hours=1, minutes=1),
    ]
    told = [s.interaction("photo", f"c{n}", at=at) for n, at in enumerate(days)]
    given.when(g.clock(datetime(2026, 3, 2, tzinfo=UTC)))
    assert earned(given, *told) == [30, "not_running", 3, "not_running"]


def test_an_award_repays_debt_first() -> None:
    given = s.given(g.purchase(amount=600), g.hold(6), g.capture(), g.return_())
    assert given.balance() == (-6, 0, 6)
    award = given.when(s.interaction())[-1]
    assert isinstance(award, PointsAwarded)
    assert award.debt_repaid == 6
    assert given.balance() == (4, 0, 0)
    assert given.member().lots[given.lot()].amount == 4


def test_an_award_expires_as_other_points_do() -> None:
    given = s.given(s.interaction())
    given.when(g.clock(YEAR_ON))
    assert given.balance() == (0, 0, 0)


def test_first_points_begin_the_count_where_points_lapse_with_inactivity_and_keep_nobody_active() -> None:
    given = s.given(expiry={"inactivity_months": 1})
    first, second = given.when(s.interaction("like_it")), given.when(s.interaction("like_it", at=NOON + DAY))
    assert isinstance(first[-1], MemberActive)
    assert not any(isinstance(event, MemberActive) for event in second)
    given.when(g.clock(NOON.replace(month=2, day=6, hour=0)))
    assert given.balance() == (0, 0, 0)


def test_an_award_can_be_spent_at_once_where_purchases_are_pending() -> None:
    given = s.given(s.interaction(), pending={"days": 14})
    given.when(g.hold(10))
    assert given.balance() == (10, 10, 0)


def test_an_interaction_moves_the_clock_of_a_program_that_runs_on_its_events() -> None:
    given = s.given(g.clock(NOON))
    tick = tick_before(given.book, s.interaction(at=NOON + DAY))
    assert tick is not None
    assert tick.to == (NOON + DAY).replace(hour=0)
    assert tick_before(given.book, s.interaction()) is None


@pytest.mark.parametrize(
    ("ledger", "field"),
    [
        ({"interactions": [{"kind": "review", "points": 0}]}, "ledger.interactions[0].points"),
        ({"interactions": [{"kind": "Re view", "points": 1}]}, "ledger.interactions[0].kind"),
        (
            {"interactions": [{"kind": "a", "points": 1, "once_per": "year"}]},
            "ledger.interactions[0].once_per",
        ),
        (
            {"interactions": [{"kind": "a", "points": 1, "caps": {"year": 1}}]},
            "ledger.interactions[0].caps.year",
        ),
        (
            {"interactions": [{"kind": "a", "points": 1, "caps": {"day": 0}}]},
            "ledger.interactions[0].caps.day",
        ),
        ({"interactions": [{"kind": "a", "points": 1, "campaign": "x"}]}, "ledger.interactions[0].campaign"),
        ({"interactions": [{"kind": "a", "points": 1, "from": "June"}]}, "ledger.interactions[0].from"),
        (
            {"interactions": [{"kind": "a", "points": 1, "from": "2026-02-01", "to": "2026-01-01"}]},
            "ledger.interactions[0].to",
        ),
        ({"interactions": [{"kind": "a", "points": 1, "per": 1}]}, "ledger.interactions[0].per"),
        ({"campaigns": [{"id": "x", "budget": -1}]}, "ledger.campaigns[0].budget"),
        ({"campaigns": [{"id": "x", "budget": 1}, {"id": "x", "budget": 1}]}, "ledger.campaigns[1].id"),
    ],
)
def test_a_wrong_document_is_refused_by_its_field(ledger: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as error:
        g.program(**ledger)
    assert error.value.field == field
