"""The scenarios in tests/scenarios, run through the real services; and what a wrong expectation looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ops.api import Endpoints, endpoints_of
from services.ops.local.stack import Stack
from services.ops.scenario.command import run_scenarios, show
from services.ops.scenario.compare import Difference
from services.ops.scenario.load import load_scenario
from services.ops.yaml_document import DocumentError

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.yaml"))

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PROGRAM = """\
program:
  program: club
  ledger: {currency: USD, enrolment: required, earning: {points_per_unit: 1, rounding: floor}}
  tiering: {metric: spend, window: {months: 12}, review: {months: 12}, tiers: [{name: member, from: 0}]}
steps:
"""


@pytest.fixture
def endpoints(stack: Stack) -> Endpoints:
    """The run's stack; every scenario has a program of its own there."""
    return endpoints_of(stack)


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
async def test_the_services_keep_the_promises_of(file: Path, endpoints: Endpoints) -> None:
    loaded = load_scenario(file)
    (results,) = await run_scenarios([loaded], endpoints)
    assert show(loaded, results)
    assert len(results) == len(loaded.scenario.steps)


async def test_what_is_not_as_expected_is_shown_beside_what_is(
    endpoints: Endpoints, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        PROGRAM
        + """\
- at: 2026-01-01T00:00:00Z
  enroll: {member: ann}
- purchase: {id: p1, member: ann, lines: [{id: 1, amount: 1000}]}
  expect: {points: {available: 11, held: 0}, tier: gold}
- purchase: {id: p2, member: nobody, lines: [{id: 1, amount: 1000}]}
- purchase: {id: p3, member: ann, lines: [{id: 1, amount: 1000}]}
  expect: {error: insufficient_points}
"""
    )
    loaded = load_scenario(file)
    (results,) = await run_scenarios([loaded], endpoints)
    enrolled, bought, stranger, no_error = [result.differences for result in results]
    assert enrolled == []
    assert bought == [Difference("points.available", 11, 10), Difference("tier", "gold", "member")]
    assert stranger == [
        Difference("error", None, "unknown_member (member 'nobody' is not enrolled in the program)")
    ]
    assert no_error == [Difference("error", "insufficient_points", None)]
    assert not show(loaded, results)


async def test_a_program_that_the_ledger_refuses_is_an_error_in_the_document(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(PROGRAM.replace("floor", "sideways") + "- advance_to: 2026-01-01\n")
    with pytest.raises(DocumentError, match=r"wrong\.yaml:3: .*rounding"):
        await run_scenarios([load_scenario(file)], endpoints)
