"""Reads of vouchers for the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.rewards.domain.vouchers import Voucher
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
    return [voucher_of_row(row) for row in (await connection.execute(query)).mappings().all()]


def voucher_of_row(row: RowMapping | Mapping[str, Any]) -> Voucher:
    """A voucher of a whole row of the table."""
    values = dict(row)
    for name in ("chain", "due_at"):
        del values[name]
    values["id"] = values.pop("voucher")
    values["order"] = values.pop("order_id")
    values["position"] = values.pop("first_position")
    return voucher_of(values)
