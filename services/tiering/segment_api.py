"""The HTTP API of segments: where members are, who is where, tags, and runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.common.auth import SCOPES
from services.tiering import segment_views as views
from services.tiering.api import PAGE_DEFAULT, PAGE_MAX, By, From, Key, Member, Program, RequestKey
from services.tiering.segment_schemas import (
    MembersView,
    RunAnswer,
    RunsView,
    SegmentDistributionView,
    SegmentsView,
    TagAnswer,
    TagRequest,
)
from services.tiering.segments import Segments

NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"
MARKETING = ("ops", "audit")
"""Lists of members are not for tills."""


def the_segments(request: Request) -> Segments:
    """FastAPI dependency."""
    found: Segments = request.app.state.segments
    return found


Runs = Annotated[Segments, Depends(the_segments)]
Wanted = Annotated[str | None, Query(pattern=NAME)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
router = APIRouter(prefix="/v1/programs/{program}", tags=["segments"])


@router.get("/members/{member}/segments")
async def get_segments(source: From, key: Key, program: Program, member: Member) -> SegmentsView:
    """Where a member is: life cycle, class, RFM group, tags."""
    key.allow(SCOPES, program)
    async with source.reader.snapshot() as read:
        return await views.one(read, source.chains, program, member)


@router.post(
    "/members/{member}/tags",
    status_code=201,
    responses={200: {"description": "The same request had been taken before."}},
)
async def post_tag(
    source: From,
    by: By,
    key: Key,
    program: Program,
    member: Member,
    body: TagRequest,
    idempotency_key: RequestKey,
    response: Response,
) -> TagAnswer:
    """Say something of a member, or take it back: the tags are those of the program's document."""
    key.allow(("ops",), program)
    duplicate = await by.tag(program, member, idempotency_key, body.tag, body.set, body.reason)
    response.status_code = 200 if duplicate else 201
    async with source.reader.snapshot() as read:
        found = await views.one(read, source.chains, program, member)
    return TagAnswer(duplicate=duplicate, segments=found)


@router.get("/members")
async def get_members(
    source: From,
    key: Key,
    program: Program,
    tier: Wanted = None,
    lifecycle: Wanted = None,
    class_: Annotated[str | None, Query(alias="class", pattern=NAME)] = None,
    rfm: Wanted = None,
    tag: Wanted = None,
    after: Annotated[
        str, Query(pattern=r"^[0-9]{1,4}\.[A-Za-z0-9_.-]{0,64}$", description="`next` of the page before.")
    ] = "0.",
    limit: Limit = PAGE_DEFAULT,
) -> MembersView:
    """Members by tier or segment; several conditions narrow it down."""
    key.allow(MARKETING, program)
    asked = {"tier": tier, "lifecycle": lifecycle, "class": class_, "rfm": rfm, "tag": tag}
    wanted = {family: segment for family, segment in asked.items() if segment is not None}
    chain, _, member = after.partition(".")
    async with source.reader.snapshot() as read:
        return await views.listed(read, program, wanted, (int(chain), member), limit)


@router.get("/segments")
async def get_distribution(source: From, key: Key, program: Program) -> SegmentDistributionView:
    """How many members are in each segment."""
    key.allow(MARKETING, program)
    async with source.reader.snapshot() as read:
        return await views.distribution(read, program)


@router.post(
    "/segment_runs",
    status_code=201,
    responses={200: {"description": "The same run had been done before."}},
)
async def post_run(
    source: From, runs: Runs, key: Key, program: Program, idempotency_key: RequestKey, response: Response
) -> RunAnswer:
    """Sort everybody now; the Idempotency-Key becomes the run's name. Answers when it is done."""
    key.allow(("ops",), program)
    duplicate = await runs.run(program, idempotency_key)
    response.status_code = 200 if duplicate else 201
    async with source.reader.snapshot() as read:
        found = await views.runs(read, program, 1, run=idempotency_key)
    return RunAnswer(duplicate=duplicate, run=found.runs[0])


@router.get("/segment_runs")
async def get_runs(
    source: From,
    key: Key,
    program: Program,
    after: Annotated[
        str | None,
        Query(pattern=r"^[0-9]{1,17}\.[A-Za-z0-9_.:-]{1,100}$", description="`next` of the page before."),
    ] = None,
    limit: Limit = PAGE_DEFAULT,
) -> RunsView:
    """Every run with its parameters, counts and duration, the newest first."""
    key.allow(MARKETING, program)
    async with source.reader.snapshot() as read:
        return await views.runs(read, program, limit, views.cursor_of(after) if after else None)
