"""The HTTP API of tiering: reads only, by member id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from services.common.auth import SCOPES, ApiKey, authenticated
from services.common.clock import utc_now
from services.common.db import Reader
from services.common.errors import Refusal
from services.tiering import views
from services.tiering.schemas import DistributionView, HistoryView, ProgressView, TierView

STATUS_OF = {"unknown_program": 404, "not_tiered": 404, "unknown_member": 404}
MEMBER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
PAGE_DEFAULT = 50
PAGE_MAX = 500

Program = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Key = Annotated[ApiKey, Depends(authenticated)]


@dataclass(slots=True, frozen=True)
class Views:
    """What the API reads from."""

    reader: Reader
    chains: int


def the_views(request: Request) -> Views:
    """FastAPI dependency."""
    found: Views = request.app.state.views
    return found


From = Annotated[Views, Depends(the_views)]


def member_id(member: Annotated[str, Path(max_length=256)]) -> str:
    """FastAPI dependency: the member's id. Raises Refusal("invalid_request") for anything else."""
    if not MEMBER_ID.fullmatch(member):
        raise Refusal(
            "invalid_request",
            "path.member: tiering knows members by id (1 to 64 of A-Z, a-z, 0-9, _, . and -); "
            "ask the ledger for the id of an identifier such as card:6001",
        )
    return member


Member = Annotated[str, Depends(member_id)]
router = APIRouter(prefix="/v1/programs/{program}", tags=["tiers"])


@router.get("/members/{member}/tier")
async def get_tier(source: From, key: Key, program: Program, member: Member) -> TierView:
    """A member's tier: since when, until when, by which rule."""
    key.allow(SCOPES, program)
    async with source.reader.snapshot() as read:
        return await views.tier(read, source.chains, program, member)


@router.get("/members/{member}/progress")
async def get_progress(source: From, key: Key, program: Program, member: Member) -> ProgressView:
    """How far a member is on the way to the next tier."""
    key.allow(SCOPES, program)
    async with source.reader.snapshot() as read:
        return await views.progress(read, source.chains, program, member, utc_now())


@router.get("/members/{member}/history")
async def get_history(
    source: From,
    key: Key,
    program: Program,
    member: Member,
    after: Annotated[str, Query(pattern=r"^[0-9]{1,18}$", description="`next` of the page before.")] = "0",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
) -> HistoryView:
    """Every change and renewal of a member's tier, oldest first."""
    key.allow(SCOPES, program)
    async with source.reader.snapshot() as read:
        return await views.history(read, source.chains, program, member, int(after), limit)


@router.get("/distribution")
async def get_distribution(source: From, key: Key, program: Program) -> DistributionView:
    """How many members have each tier."""
    key.allow(SCOPES, program)
    async with source.reader.snapshot() as read:
        return await views.distribution(read, program)
