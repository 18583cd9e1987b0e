"""Who a reward or a grant is for: tiers, segments and tags as tiering tells them."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from services.common.program_section import ProgramError, Section
from services.rewards.domain.facts import SegmentChanged
from services.rewards.domain.standing import (
    EVERYBODY,
    Audience,
    Segments,
    Standing,
    evolve,
    read_audience,
    read_tiers,
)
from services.tiering.domain import segments as tiering

TIERS = ("insider", "vib", "rouge")


def told(*facts: tuple[str, str, str]) -> Segments:
    return reduce(evolve, (SegmentChanged(*fact) for fact in facts), Segments())


def test_segments_follow_what_tiering_tells() -> None:
    assert told() == Segments("new", "low_low", frozenset())
    segments = told(
        ("lifecycle", "new", "dormant"),
        ("class", "low_low", "churning"),
        ("tag", "", "vip"),
        ("tag", "", "press"),
        ("tag", "vip", ""),
    )
    assert segments == Segments("dormant", "churning", frozenset({"press"}))


def test_a_family_that_is_not_known_changes_nothing() -> None:
    assert told(("rfm", "", "general_value")) == Segments()


@pytest.mark.parametrize(
    ("audience", "standing", "missing"),
    [
        (EVERYBODY, Standing(), None),
        (Audience(tiers=("insider",)), Standing(), None),
        (Audience(tiers=("rouge",)), Standing(), "tier"),
        (Audience(tiers=("vib", "rouge")), Standing("rouge"), None),
        (Audience(lifecycle=("dormant", "lost")), Standing(segments=Segments("lost")), None),
        (Audience(lifecycle=("dormant",)), Standing(segments=Segments("lost")), "segment"),
        (Audience(classes=("loyal",)), Standing(), "segment"),
        (Audience(tags=("vip",)), Standing(segments=Segments(tags=frozenset({"vip", "press"}))), None),
        (Audience(tags=("vip",)), Standing(), "tag"),
        (Audience(("rouge",), ("lost",), (), ("vip",)), Standing(), "tier"),
        (Audience(("rouge",), ("lost",), (), ("vip",)), Standing("rouge"), "segment"),
    ],
)
def test_what_keeps_a_member_out(audience: Audience, standing: Standing, missing: str | None) -> None:
    assert audience.missing(standing, "insider") == missing


def test_the_segments_are_those_that_tiering_has() -> None:
    read = read_audience(
        Section({"segments": {"lifecycle": list(tiering.LIFECYCLE), "class": list(tiering.CLASSES)}}, ""), ()
    )
    assert (read.lifecycle, read.classes) == (tiering.LIFECYCLE, tiering.CLASSES)
    assert (Segments().lifecycle, Segments().member_class) == (
        tiering.FIRST["lifecycle"],
        tiering.FIRST["class"],
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tiers": []}, "tiers"),
        ({"tiers": ["gold"]}, "tiers"),
        ({"tiers": ["vib", "vib"]}, "tiers"),
        ({"segments": {"rfm": ["general_value"]}}, "segments.rfm"),
        ({"segments": {"lifecycle": ["asleep"]}}, "segments.lifecycle"),
        ({"segments": {"class": []}}, "segments.class"),
        ({"tags": "vip"}, "tags"),
    ],
)
def test_a_wrong_audience_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as error:
        read_audience(Section(fields, ""), TIERS)
    assert error.value.field == field


def test_the_tiers_are_read_where_they_can_be() -> None:
    assert read_tiers(Section({"tiering": {"tiers": [{"name": "a"}, {"name": "b"}]}}, "")) == ("a", "b")
    for wrong in ({}, {"tiering": 1}, {"tiering": {"tiers": 1}}, {"tiering": {"tiers": [1, {"name": 2}]}}):
        assert read_tiers(Section(wrong, "")) == ()
