"""Reads of vouchers for the HTTP API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.rewards.domain.vouchers import USABLE, Voucher
from services.rewards.store_vouchers import voucher_of
from services.rewards.tables import vouchers


async def newest_vouchers(
    connection: AsyncConnection, chain: int, program: str, member: str, limit: int, before: int | None = None
) -> list[Voucher]:
    """A member's newest vouchers, newest first; with `before`, of those that began before that position."""
    query = (
        select(vouchers)
        .where(vouchers.c.chain == chain, vouchers.c.program == program, vouchers.c.member == member)
        .order_by(vouchers.c.first_position.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(vouchers.c.first_position < before)
    return [_voucher(row) for row in (await connection.execute(query)).mappings().all()]


async def usable_vouchers(
    connection: AsyncConnection, chain: int, program: str, member: str, at: datetime, limit: int
) -> list[Voucher]:
    """A member's vouchers that can be used at `at`; where there are over `limit`, those that expire first."""
    expires_at = vouchers.c.expires_at
    query = (
        select(vouchers)
        .where(vouchers.c.chain == chain, vouchers.c.program == program, vouchers.c.member == member)
        .where(vouchers.c.state.in_(USABLE), expires_at.is_(None) | (expires_at > at))
        .order_by(expires_at.nulls_last(), vouchers.c.first_position)
        .limit(limit)
    )
    return [_voucher(row) for row in (await connection.execute(query)).mappings().all()]


def _voucher(row: RowMapping) -> Voucher:
    values = dict(row)
    for name in ("chain", "due_at"):
        del values[name]
    values["id"] = values.pop("voucher")
    values["order"] = values.pop("order_id")
    values["position"] = values.pop("first_position")
    return voucher_of(values)
