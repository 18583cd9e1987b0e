"""`tally scenario FILE...`: run scenario documents and show where the services do otherwise."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from aiokafka import AIOKafkaProducer
from rich.markup import escape
from rich.table import Table

from services.ops.api import Api, Endpoints, endpoints_of
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.scenario.load import LoadedScenario, load_scenario
from services.ops.scenario.refusals import Refusals
from services.ops.scenario.run import ScenarioRun, StepResult
from services.ops.screen import err, out

SUFFIX_BYTES = 4


def register(app: typer.Typer) -> None:
    """Add the command `scenario`."""
    app.command("scenario")(scenario)


def scenario(
    files: Annotated[list[Path], typer.Argument(help="Scenario documents (tests/scenarios has some).")],
) -> None:
    """Run scenarios through the real services, on a stack of their own that is removed afterwards.

    Exit status 1 when anything is not as a scenario expects it.
    """
    scenarios = [load_scenario(file) for file in files]
    # A stack of its own on the same servers must not meet another: everything it makes has a name of its own.
    suffix = secrets.token_hex(SUFFIX_BYTES)
    home = Path(tempfile.mkdtemp(prefix="tallybook-scenario-"))
    stack = Stack.at(home, topic_prefix=f"scenario-{suffix}.", database_prefix=f"scenario_{suffix}")
    try:
        with err().status("starting a stack for the scenarios"):
            stack.up(lambda line: err().print(line, markup=False))
        with err().status("running") as status:
            results = asyncio.run(run_scenarios(scenarios, endpoints_of(stack), status.update))
    finally:
        with err().status("removing the stack"):
            stack.down()
        shutil.rmtree(home, ignore_errors=True)
    failed = sum(not show(loaded, result) for loaded, result in zip(scenarios, results, strict=True))
    out().print(f"{len(scenarios)} scenarios, {failed} not as expected")
    if failed:
        raise typer.Exit(1)


async def run_scenarios(
    scenarios: Sequence[LoadedScenario], endpoints: Endpoints, on_step: Callable[[str], None] = lambda _: None
) -> list[list[StepResult]]:
    """Run each scenario on a running installation; results in the same order, one a step.

    Raises:
        DocumentError: a document or its program turns out to be wrong.
        NotLevelError: the services don't do their work.
    """
    producer = AIOKafkaProducer(bootstrap_servers=endpoints.bootstrap, enable_idempotence=True)
    results = []
    async with Api(endpoints) as api, LevelGauge(api) as gauge, Refusals(endpoints) as refusals, producer:
        for loaded in scenarios:
            run = ScenarioRun(loaded, api, producer, gauge, refusals)
            results.append(
                await run.run(
                    lambda index, loaded=loaded: on_step(f"{loaded.file}: {loaded.step_name(index)}")  # type: ignore[misc]
                )
            )
    return results


def show(loaded: LoadedScenario, results: Sequence[StepResult]) -> bool:
    """Print a scenario's outcome, expected beside actual where they differ; True when all is as expected."""
    wrong = [result for result in results if result.differences]
    if not wrong:
        out().print(f"ok    {loaded.file}  ({len(results)} steps)", markup=False)
        return True
    out().print(f"WRONG {loaded.file}", markup=False, style="red")
    for result in wrong:
        table = Table("", "expected", "actual", box=None, pad_edge=False)
        for difference in result.differences:
            row = (difference.what, _text(difference.expected), _text(difference.actual))
            table.add_row(*(escape(cell) for cell in row))
        where = f"{loaded.file}:{loaded.line_of_step(result.index)}: {loaded.step_name(result.index)}"
        out().print(f"  {where}", markup=False)
        out().print(table)
    return False


def _text(value: object) -> str:
    return "(none)" if value is None else str(value)
