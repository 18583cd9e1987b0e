"""The section `rewards:` of a program document: what it may say, and errors that name the field."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.program_section import ProgramError
from services.rewards.domain.catalogue import CATALOGUE_MAX, Reward
from services.rewards.domain.program import TTL_DEFAULT_SECONDS, parse_program

FIVE_OFF = {"id": "five_off", "name": "5 off the basket", "kind": "discount", "points": 500, "value": 500}


def document(**rewards: Any) -> dict[str, Any]:
    return {"program": "grocer", "clock": "events", "ledger": {}, "tiering": {}, "rewards": rewards}


def test_a_catalogue_is_read_by_reward_id() -> None:
    program = parse_program(document(catalogue=[FIVE_OFF], redemption={"ttl_seconds": 60}), "v1")
    assert program.catalogue == {"five_off": Reward("five_off", "5 off the basket", "discount", 500, 500)}
    assert (program.id, program.version, program.ttl_seconds) == ("grocer", "v1", 60)
    assert program.runs_on_events


def test_a_program_without_rewards_has_an_empty_catalogue_and_the_wall_s_clock() -> None:
    program = parse_program({"program": "grocer"}, "v1")
    assert program.catalogue == {}
    assert program.ttl_seconds == TTL_DEFAULT_SECONDS
    assert not program.runs_on_events


def test_a_product_needs_no_value_and_is_named_by_its_id() -> None:
    program = parse_program(document(catalogue=[{"id": "mug", "kind": "product", "points": 900}]), "v1")
    assert program.catalogue["mug"] == Reward("mug", "mug", "product", 900, 0)


@pytest.mark.parametrize(
    ("rewards", "field"),
    [
        ([], "rewards"),
        ({"catalog": []}, "rewards.catalog"),
        ({"catalogue": {}}, "rewards.catalogue"),
        ({"catalogue": [FIVE_OFF, {**FIVE_OFF, "name": "again"}]}, "rewards.catalogue[1].id"),
        ({"catalogue": ["five_off"]}, "rewards.catalogue[0]"),
        ({"catalogue": [{**FIVE_OFF, "id": "five off"}]}, "rewards.catalogue[0].id"),
        ({"catalogue": [{**FIVE_OFF, "id": "x" * 65}]}, "rewards.catalogue[0].id"),
        ({"catalogue": [{**FIVE_OFF, "name": ""}]}, "rewards.catalogue[0].name"),
        ({"catalogue": [{**FIVE_OFF, "name": "a\x00b"}]}, "rewards.catalogue[0].name"),
        ({"catalogue": [{**FIVE_OFF, "kind": "gift"}]}, "rewards.catalogue[0].kind"),
        ({"catalogue": [{**FIVE_OFF, "points": 0}]}, "rewards.catalogue[0].points"),
        ({"catalogue": [{**FIVE_OFF, "points": "500"}]}, "rewards.catalogue[0].points"),
        ({"catalogue": [{**FIVE_OFF, "points": True}]}, "rewards.catalogue[0].points"),
        ({"catalogue": [{**FIVE_OFF, "value": 0}]}, "rewards.catalogue[0].value"),
        ({"catalogue": [{k: v for k, v in FIVE_OFF.items() if k != "value"}]}, "rewards.catalogue[0].value"),
        ({"catalogue": [{**FIVE_OFF, "stocks": 3}]}, "rewards.catalogue[0].stocks"),
        ({"catalogue": [FIVE_OFF] * (CATALOGUE_MAX + 1)}, "rewards.catalogue"),
        ({"redemption": {"ttl_seconds": 0}}, "rewards.redemption.ttl_seconds"),
        ({"redemption": {"ttl": 60}}, "rewards.redemption.ttl"),
        ({"redemption": 60}, "rewards.redemption"),
    ],
)
def test_an_error_names_the_field(rewards: Any, field: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse_program({"program": "grocer", "rewards": rewards}, "v1")
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize(("top", "field"), [({}, "program"), ({"program": "g", "clock": "moon"}, "clock")])
def test_the_fields_above_the_section_are_checked_too(top: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse_program(top, "v1")
    assert caught.value.field == field
