"""For auditors: what tiering said of a member at a past instant."""

from __future__ import annotations

from fastapi import APIRouter

from services.common.as_of import At, By, ByTime, instant
from services.common.clock import utc_now
from services.tiering import as_of
from services.tiering.api import From, Key, Member, Program
from services.tiering.schemas import AsOfView

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
