"""The HTTP API of tiering, by member id: tiers and why, and tiers given by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from services.common.auth import SCOPES, ApiKey, authenticated
from services.common.chain import from_micros
from services.common.clock import utc_now
from services.common.db import Reader
from services.common.errors import Refusal
from services.tiering import views
from services.tiering.handle import Grants
from services.tiering.ranking import Rankings
from services.tiering.schemas import (
    DistributionView,
    GrantAnswer,
    GrantRequest,
    HistoryView,
    ProgressView,
    RankingAnswer,
    RankingsView,
    RevokeRequest,
    TierView,
)

STATUS_OF = {
    "unknown_program": 404,
    "not_tiered": 404,
    "unknown_member": 404,
    "unknown_grant": 404,
    "no_tier_changes": 404,
    "member_merged": 409,
    "not_segmented": 404,
    "not_ranked": 404,
    "run_in_progress": 409,
    "no_clock": 409,
    "id_reused": 409,
    "too_many_grants": 409,
    "member_closed": 409,
}
KEY = r"^[A-Za-z0-9_.:-]{1,100}$"
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


def the_grants(request: Request) -> Grants:
    """FastAPI dependency."""
    found: Grants = request.app.state.grants
    return found


def the_rankings(request: Request) -> Rankings:
    """FastAPI dependency."""
    found: Rankings = request.app.state.rankings
    return found


Member = Annotated[str, Depends(member_id)]
Ranks = Annotated[Rankings, Depends(the_rankings)]
By = Annotated[Grants, Depends(the_grants)]
RequestKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=KEY,
        description="The same key with the same content counts once, and gets the same outcome.",
    ),
]
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


@router.post("/rankings", status_code=201, responses={200: {"description": "It had been made before."}})
async def post_ranking(
    source: From, by: Ranks, key: Key, program: Program, idempotency_key: RequestKey, response: Response
) -> RankingAnswer:
    """Make the ranking of the last review now, not when the service looks at the clock again. Each review has one,
    whatever the Idempotency-Key is."""
    key.allow(("ops",), program)
    run, duplicate = await by.run(program)
    response.status_code = 200 if duplicate else 201
    async with source.reader.snapshot() as read:
        found = await views.rankings(read, program, 1, run=run)
    return RankingAnswer(duplicate=duplicate, ranking=found.rankings[0])


@router.get("/rankings")
async def get_rankings(
    source: From,
    key: Key,
    program: Program,
    after: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,17}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
) -> RankingsView:
    """Every ranking of all members: how many places, and what the last one in had."""
    key.allow(("ops", "audit"), program)
    async with source.reader.snapshot() as read:
        return await views.rankings(read, program, limit, from_micros(int(after)) if after else None)


@router.post(
    "/members/{member}/grants",
    status_code=201,
    responses={200: {"description": "The same request had been taken before."}},
)
async def post_grant(
    source: From,
    by: By,
    key: Key,
    program: Program,
    member: Member,
    body: GrantRequest,
    idempotency_key: RequestKey,
    response: Response,
) -> GrantAnswer:
    """Give a tier by hand until a day, whatever the metrics say; the Idempotency-Key becomes the grant's id."""
    key.allow(("ops",), program)
    duplicate = await by.grant(program, member, idempotency_key, body.tier, body.until, body.reason)
    response.status_code = 200 if duplicate else 201
    return await _granted(source, program, member, idempotency_key, duplicate)


@router.post("/members/{member}/grants/{grant}/revoke")
async def post_revocation(
    source: From,
    by: By,
    key: Key,
    program: Program,
    member: Member,
    grant: Annotated[str, Path(pattern=KEY)],
    body: RevokeRequest,
    idempotency_key: RequestKey,
) -> GrantAnswer:
    """Take a tier that was given by hand back before its end."""
    key.allow(("ops",), program)
    duplicate = await by.revoke(program, member, grant, idempotency_key, body.reason)
    return await _granted(source, program, member, grant, duplicate)


async def _granted(source: Views, program: str, member: str, grant: str, duplicate: bool) -> GrantAnswer:
    async with source.reader.snapshot() as read:
        tier = await views.tier(read, source.chains, program, member)
    return GrantAnswer(grant=grant, duplicate=duplicate, tier=tier)
