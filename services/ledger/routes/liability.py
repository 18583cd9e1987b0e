"""What a program owes its members, for who keeps its books."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from services.common.errors import Refusal
from services.ledger import answers_liability as answers
from services.ledger.liability import breakage, liability
from services.ledger.routes.asking import PREFIX, Key, LedgerDep, ProgramPath

LINES_MAX = 20_000
MONTH = r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$"
BY = r"^(month|asset|store)(,(month|asset|store))*$"

router = APIRouter(prefix=PREFIX, tags=["liability"])
From = Annotated[str | None, Query(alias="from", pattern=MONTH, description="The first month, as 2026-01.")]
To = Annotated[str | None, Query(pattern=MONTH, description="The last month, as 2026-12.")]


@router.get("/liability", response_model=answers.LiabilityAnswer)
async def get_liability(
    program: ProgramPath,
    key: Key,
    ledger: LedgerDep,
    from_: From = None,
    to: To = None,
    by: Annotated[str, Query(pattern=BY, description="month, asset, store; the asset always is.")] = "month",
    time: Annotated[
        Literal["recorded", "business"], Query(description="What decides the month.")
    ] = "recorded",
) -> JSONResponse:
    """Points and stored value owed, and what moved them, by month and store; reconciled with every account."""
    key.allow(("audit", "ops"), program)
    async with ledger.reader.snapshot() as connection:
        report = await liability(connection, program, by.split(","), time, _first(from_), _first(to))
    if len(report.lines) > LINES_MAX:
        raise Refusal(
            "invalid_request",
            f"the report has {len(report.lines)} lines, at most {LINES_MAX} are answered: "
            "ask for fewer months, or use `tally liability --csv`",
        )
    return JSONResponse(answers.liability_answer(report))


@router.get("/liability/breakage", response_model=answers.BreakageAnswer)
async def get_breakage(program: ProgramPath, key: Key, ledger: LedgerDep, to: To = None) -> JSONResponse:
    """How much of what was earned, and of what is left, will never be spent, by month of earning."""
    key.allow(("audit", "ops"), program)
    async with ledger.reader.snapshot() as connection:
        found = await breakage(connection, program, _first(to))
    return JSONResponse(answers.breakage_answer(program, found))


def _first(month: str | None) -> date | None:
    """The first day of a month."""
    return None if month is None else date.fromisoformat(f"{month}-01")
