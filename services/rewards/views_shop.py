"""The catalogue for the HTTP API: what there is, and what a member may have of it now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Reader
from services.common.errors import Refusal
from services.rewards.domain.catalogue import Looked, Reward, why_not
from services.rewards.domain.money import Money
from services.rewards.domain.program import Program
from services.rewards.domain.standing import AS_EVERYBODY, Segments, Standing
from services.rewards.domain.wallet import Wallet
from services.rewards.handle import present_of
from services.rewards.schemas import CatalogueView, LimitView, RewardView
from services.rewards.shelf import RETURNED_STATES, stock_chain
from services.rewards.tables import (
    member_money,
    member_segments,
    program_clocks,
    programs,
    redemptions,
    reward_stock,
    wallets,
)
from services.rewards.wire import program_of


class ShopViews:
    """Answers what can be had; changes nothing."""

    def __init__(self, reader: Reader, chains: int) -> None:
        self._reader = reader
        self._chains = chains

    async def catalogue(self, program_id: str, member: str | None, store: str = "") -> CatalogueView:
        """The version in force; for a member, as it is on the member's chain. Raises Refusal("unknown_program").

        A member of whom nothing was heard has no points, and is in the lowest tier.
        """
        # A version is activated chain by chain; one chain, always the same for a program, speaks for nobody's member.
        chain = chain_of(member or program_id, self._chains)
        async with self._reader.snapshot() as connection:
            program, at = await _program(connection, chain, program_id)
            rewards = list(program.catalogue.values())
            taken = await _taken(connection, program_id, rewards, self._chains)
            why: dict[str, list[str]] | None = None
            if member is not None:
                why = await _why_not(connection, chain, program, member, store, at, taken)
        return CatalogueView(
            program=program_id,
            version=program.version,
            currency=program.currency,
            rewards=[_view(reward, taken.get(reward.id, 0), why) for reward in rewards],
        )


async def _program(connection: AsyncConnection, chain: int, program_id: str) -> tuple[Program, datetime]:
    """The version in force on the chain, and its present there."""
    query = (
        select(programs.c.document, programs.c.version, program_clocks.c.clock)
        .select_from(
            programs.outerjoin(
                program_clocks,
                (program_clocks.c.chain == programs.c.chain)
                & (program_clocks.c.program == programs.c.program),
            )
        )
        .where(programs.c.chain == chain, programs.c.program == program_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal(
            "unknown_program", f"no program {program_id!r} is active; programs are activated at the ledger"
        )
    program = program_of(row.document, row.version)
    return program, present_of(program, row.clock, utc_now())


async def _taken(
    connection: AsyncConnection, program: str, rewards: Iterable[Reward], chains: int
) -> dict[str, int]:
    """How many of each reward's stock are taken."""
    keys = [(stock_chain((program, r.id), chains), program, r.id) for r in rewards if r.stock is not None]
    if not keys:
        return {}
    columns = tuple_(reward_stock.c.chain, reward_stock.c.program, reward_stock.c.reward)
    query = select(reward_stock.c.reward, reward_stock.c.taken).where(columns.in_(keys))
    return {row.reward: row.taken for row in (await connection.execute(query)).all()}


async def _why_not(
    connection: AsyncConnection,
    chain: int,
    program: Program,
    member: str,
    store: str,
    at: datetime,
    taken: dict[str, int],
) -> dict[str, list[str]]:
    """The codes that keep a member from each reward; balances are a moment behind, and come last."""
    key = {"chain": chain, "program": program.id, "member": member}
    wallet = (await connection.execute(select(wallets).filter_by(**key))).one_or_none()
    segments = (await connection.execute(select(member_segments).filter_by(**key))).mappings().one_or_none()
    purse = select(member_money).filter_by(**key, currency=program.currency)
    money = (await connection.execute(purse)).one_or_none()
    standing = Standing(
        wallet.tier if wallet else None,
        Segments(segments["lifecycle"], segments["class"], frozenset(segments["tags"]))
        if segments
        else AS_EVERYBODY,
    )
    points = Wallet(wallet.posted, wallet.held, pending=wallet.pending).available if wallet else 0
    value = Money(money.principal, money.bonus, money.held).available if money else 0
    had = await _had(connection, key, [r for r in program.catalogue.values() if r.limit is not None])
    why: dict[str, list[str]] = {}
    for reward in program.catalogue.values():
        since = reward.limit.since(at, program.zone) if reward.limit else None
        count = sum(since is None or time >= since for time in had.get(reward.id, ()))
        looked = Looked(at, program.zone_of(store), standing, count, taken.get(reward.id, 0))
        codes = [code for code, _ in why_not(reward, looked, program.lowest_tier)]
        if reward.points > points:
            codes.append("insufficient_points")
        if reward.money > value:
            codes.append("insufficient_value")
        why[reward.id] = codes
    return why


async def _had(
    connection: AsyncConnection, key: dict[str, object], rewards: Sequence[Reward]
) -> dict[str, list[datetime]]:
    """When the member asked for each of the limited rewards that it has or is about to have."""
    if not rewards:
        return {}
    query = (
        select(redemptions.c.reward, redemptions.c.requested_at)
        .filter_by(**key)
        .where(
            redemptions.c.reward.in_([reward.id for reward in rewards]),
            redemptions.c.state.not_in(RETURNED_STATES),
        )
    )
    had: dict[str, list[datetime]] = {}
    for row in (await connection.execute(query)).all():
        had.setdefault(row.reward, []).append(row.requested_at)
    return had


def _view(reward: Reward, taken: int, why: dict[str, list[str]] | None) -> RewardView:
    return RewardView(
        id=reward.id,
        name=reward.name,
        kind=reward.kind,
        points=reward.points,
        money=reward.money,
        value=reward.value,
        stock=reward.stock,
        left=None if reward.stock is None else max(0, reward.stock - taken),
        limit=None if reward.limit is None else LimitView(count=reward.limit.count, per=reward.limit.per),
        tiers=list(reward.audience.tiers),
        available=None if why is None else not why[reward.id],
        why_not=None if why is None else why[reward.id],
    )
