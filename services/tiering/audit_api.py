"""For auditors: what tiering said of a member at a past instant, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.common.as_of import At, By, ByTime, instant
from services.common.clock import utc_now
from services.tiering import as_of, explain
from services.tiering.api import PAGE_DEFAULT, PAGE_MAX, From, Key, Member, Program
from services.tiering.schemas import AsOfView, ChangesView

router = APIRouter(prefix="/v1/programs/{program}", tags=["audit"])


@router.get("/members/{member}/as-of")
async def get_as_of(
    source: From,
    key: Key,
    program: Program,
    member: Member,
    at: At = None,
    by: ByTime = By.RECORDED,
) -> AsOfView:
    """A member's tier and segments at a past instant; of one who was merged later, what that one had then."""
    key.allow(("audit",), program)
    at = instant(at, by, utc_now())
    async with source.reader.snapshot() as read:
        return await as_of.member(read, source.chains, program, member, at, by)


@router.get("/members/{member}/explain")
async def get_explanation(
    source: From,
    key: Key,
    program: Program,
    member: Member,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
) -> ChangesView:
    """Every change of a member's tier, newest first, with its rule, what was measured, and the ledger's rows behind."""
    key.allow(("audit",), program)
    async with source.reader.snapshot() as read:
        return await explain.member(read, source.chains, program, member, before, limit)
