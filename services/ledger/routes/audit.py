"""For auditors: what anyone had at a past instant, and what is behind a number."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from services.common.as_of import At, By, ByTime, instant
from services.common.clock import utc_now
from services.ledger import answers_audit, as_of, explain, schemas, views
from services.ledger.routes.asking import PREFIX, Key, LedgerDep, MemberPath, ProgramPath

AnyOrder = Annotated[schemas.OrderId, Path(description="A purchase's id, or the order that a hold named.")]
Place = Annotated[
    str, Path(pattern=r"^[0-9]{1,4}:[0-9]{1,18}$", description="chain:position, such as 3:1042.")
]

router = APIRouter(prefix=PREFIX, tags=["audit"])


@router.get("/members/{member}/as-of", response_model=answers_audit.AsOfAnswer)
async def get_member_as_of(
    program: ProgramPath,
    member: MemberPath,
    key: Key,
    ledger: LedgerDep,
    at: At = None,
    by: ByTime = By.RECORDED,
) -> JSONResponse:
    """A member's balance, lots and holds at a past instant; of one who was merged later, what that one had then."""
    key.allow(("audit",), program)
    at = instant(at, by, utc_now())
    chain, member_id = await ledger.resolve(program, member)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await as_of.member(connection, (chain, program, member_id), at, by))


@router.get("/accounts/as-of", response_model=answers_audit.AccountsAnswer)
async def get_accounts_as_of(
    program: ProgramPath, key: Key, ledger: LedgerDep, at: At = None, by: ByTime = By.RECORDED
) -> JSONResponse:
    """The balance of every account of a program at a past instant. It reads all postings of the program."""
    key.allow(("audit",), program)
    at = instant(at, by, utc_now())
    async with ledger.reader.snapshot() as connection:
        await views.program(connection, program)
        accounts = await as_of.accounts(connection, ledger.chains, program, at, by)
    return JSONResponse({"program": program, "at": at.isoformat(), "by": by.value, "accounts": accounts})


@router.get("/members/{member}/explain", response_model=answers_audit.MemberExplained)
async def explain_member(
    program: ProgramPath,
    member: MemberPath,
    key: Key,
    ledger: LedgerDep,
    before: Annotated[
        int | None, Query(ge=1, le=2**63 - 1, description="The `next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=explain.PAGE_MAX)] = 50,
) -> JSONResponse:
    """The lots and the rows that a member's balance is made of, newest first, each with rules and postings."""
    key.allow(("audit",), program)
    chain, member_id = await ledger.resolve(program, member)
    async with ledger.reader.snapshot() as connection:
        place = (chain, program, member_id)
        return JSONResponse(await explain.member(connection, ledger.programs, place, before, limit))


@router.get("/orders/{order:path}/explain", response_model=answers_audit.OrderExplained)
async def explain_order(program: ProgramPath, order: AnyOrder, key: Key, ledger: LedgerDep) -> JSONResponse:
    """What an order earned and cost, and all that came of it since."""
    key.allow(("audit",), program)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await explain.order(connection, ledger.programs, ledger.chains, program, order))


@router.get("/positions/{place}/explain", response_model=answers_audit.PositionExplained)
async def explain_position(program: ProgramPath, place: Place, key: Key, ledger: LedgerDep) -> JSONResponse:
    """One row of the journal: all that it says, its rules and postings, and the rows of the same request."""
    key.allow(("audit",), program)
    chain, _, position = place.partition(":")
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(
            await explain.position(
                connection, ledger.programs, ledger.chains, program, int(chain), int(position)
            )
        )
