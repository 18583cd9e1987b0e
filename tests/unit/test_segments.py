"""Segments of one member: the life cycle at its edges, tags, and what a document may say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.common.program_section import ProgramError
from services.tiering.domain.events import Fact, MemberTagged, PurchaseRecorded, SegmentChanged
from services.tiering.domain.program import Rules, parse_rules
from services.tiering.domain.program_segments import LifecycleDays
from services.tiering.domain.segments import GROUPS, Life, after_purchase, lifecycle, take
from services.tiering.domain.state import ProgramState
from tests.integration.tiering_rows import day, document

DAYS = LifecycleDays(new=30, dormant=90, lost=365, won_back=30)
START = day("2026-01-05")
MOMENT = timedelta(microseconds=1)


def rules(**segments: Any) -> Rules:
    found = parse_rules(document(segments=segments), "v1")
    assert found is not None
    return found


def after(days: int) -> datetime:
    return START + timedelta(days=days)


def bought(*days: int) -> Life:
    """A life with purchases on these days, each seen when it was made."""
    life = Life(since=START)
    for number in days:
        life = after_purchase(DAYS, life, after(number), after(number))
    return life


@pytest.mark.parametrize(
    ("purchases", "at", "segment"),
    [
        ((0,), after(30) - MOMENT, "new"),
        ((0,), after(30), "active"),
        ((0,), after(90) - MOMENT, "active"),
        ((0,), after(90), "dormant"),
        ((0,), after(365) - MOMENT, "dormant"),
        ((0,), after(365), "lost"),
        ((0, 89), after(89), "active"),
        ((0, 90), after(90), "won_back"),
        ((0, 90), after(120) - MOMENT, "won_back"),
        ((0, 90), after(120), "active"),
        ((0, 90, 110), after(120), "active"),
        ((0, 90), after(180), "dormant"),
        ((0, 400), after(400), "won_back"),
        ((0, 5), after(29), "new"),
    ],
)
def test_the_life_cycle_at_its_edges(purchases: tuple[int, ...], at: datetime, segment: str) -> None:
    assert lifecycle(DAYS, bought(*purchases), at) == segment


def test_a_late_purchase_tells_when_the_member_began_and_moves_nobody_back() -> None:
    life = bought(40, 130)
    late = after_purchase(DAYS, life, after(0), after(131))
    assert (late.first_at, late.last_at, late.won_back_at) == (after(0), after(130), after(130))
    assert (late.segment, late.since) == ("won_back", after(130))


def test_a_late_purchase_wakes_who_was_taken_for_dormant() -> None:
    asleep = Life(after(90), "dormant", START, START)
    woken = after_purchase(DAYS, asleep, after(50), after(100))
    assert (woken.segment, woken.since, woken.won_back_at) == ("active", after(100), None)


def facts(program: ProgramState, *events: tuple[datetime, Any]) -> list[SegmentChanged]:
    said = []
    for position, (at, event) in enumerate(events, 1):
        program.advance(at)
        said += take(program, Fact(position, "grocer", "ann", at, event))
    return said


def test_a_purchase_of_a_dormant_member_is_said_at_once() -> None:
    program = ProgramState(rules(), None, {})
    purchase = PurchaseRecorded([("food", 1_00, 1, "")], "p")
    said = facts(program, (START, purchase), (after(31), purchase), (after(200), purchase))
    assert [(e.from_segment, e.to_segment, e.at, e.ledger_position) for e in said] == [
        ("new", "active", after(31), 2),
        ("active", "won_back", after(200), 3),
    ]
    assert said[1].rule == "a purchase within 30 days, after none for 90"


def test_a_program_without_segments_says_nothing() -> None:
    plain = parse_rules(document(), "v1")
    assert plain is not None
    assert plain.segments is None
    assert not plain.follows_purchases
    purchase = PurchaseRecorded([("food", 1_00, 1, "")], "p")
    assert facts(ProgramState(plain, None, {}), (START, purchase), (after(200), purchase)) == []


def test_a_tag_moves_once() -> None:
    program = ProgramState(rules(tags=["vip"]), None, {})
    tagged = [
        MemberTagged(f"r{n}", "vip", set_, "the press", 0) for n, set_ in enumerate([True, True, False])
    ]
    said = facts(program, *((after(n), event) for n, event in enumerate(tagged)))
    assert [(e.family, e.from_segment, e.to_segment) for e in said] == [
        ("tag", "", "vip"),
        ("tag", "vip", ""),
    ]
    assert program.tags == {("ann", "vip"): False}


def test_the_eight_groups_have_eight_names() -> None:
    assert len(set(GROUPS.values())) == len(GROUPS) == 8


@pytest.mark.parametrize(
    ("segments", "field"),
    [
        ({"evry": "day"}, "tiering.segments.evry"),
        ({"every": "hour"}, "tiering.segments.every"),
        ({"window": {"months": 0}}, "tiering.segments.window.months"),
        ({"lifecycle": {"dormant_days": 100, "lost_days": 100}}, "tiering.segments.lifecycle.lost_days"),
        ({"scores": {"recency_days": [30]}}, "tiering.segments.scores.frequency"),
        (
            {"scores": {"recency_days": [30, 60], "frequency": [2], "monetary": [1]}},
            "tiering.segments.scores.recency_days",
        ),
        (
            {"scores": {"recency_days": [30], "frequency": [2, 2], "monetary": [1]}},
            "tiering.segments.scores.frequency",
        ),
        ({"high": {"recency": 2, "frequency": 2}}, "tiering.segments.high.monetary"),
        ({"high": {"recency": 1, "frequency": 2, "monetary": 2}}, "tiering.segments.high.recency"),
        ({"classes": {"high_spend_percent": 101}}, "tiering.segments.classes.high_spend_percent"),
        ({"tags": ["Very Important"]}, "tiering.segments.tags"),
    ],
)
def test_a_document_that_is_wrong_names_the_field(segments: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as wrong:
        rules(**segments)
    assert wrong.value.field == field
