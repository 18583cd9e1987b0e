"""What rewards did for an order: its redemptions and vouchers as they stand, and every row of ours behind them."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.as_of import ROWS_MAX, member_rows
from services.common.chain import chain_of
from services.common.errors import Refusal
from services.rewards.as_of import thing_of
from services.rewards.schemas_audit import OrderView, RowView
from services.rewards.schemas_redemptions import redemption_view
from services.rewards.schemas_vouchers import voucher_view
from services.rewards.store_redemptions import redemption_of
from services.rewards.tables import metadata, redemptions, vouchers
from services.rewards.views_vouchers import voucher_of_row
from services.rewards.wire import event_of
from tallybook.rewards.v1 import events_pb2 as pb

FOUND_MAX = 100
"""Redemptions, and vouchers, of one order."""


async def order(
    connection: AsyncConnection,
    chains: int,
    program: str,
    order_id: str,
    rows_max: int | None = ROWS_MAX,
) -> OrderView:
    """All that concerns an order. Raises Refusal order_unknown, history_too_long."""
    # Nothing looks an order up by its name alone but this, so there are no indexes: the tables are read.
    r, v = redemptions.c, vouchers.c
    of_order = select(redemptions).where(r.program == program, r.order_id == order_id).limit(FOUND_MAX)
    redeemed = [redemption_of(dict(row)) for row in (await connection.execute(of_order)).mappings()]
    used_for = select(vouchers).where(v.program == program, v.order_id == order_id).limit(FOUND_MAX)
    used = [voucher_of_row(row) for row in (await connection.execute(used_for)).mappings()]
    things = {(found.member, "redemption", found.id) for found in redeemed}
    things |= {(found.member, "voucher", found.id) for found in used}
    if not things:
        raise Refusal(
            "order_unknown", f"nothing of program {program!r} was redeemed or used for order {order_id!r}"
        )
    rows: list[RowView] = []
    for member in sorted({member for member, _, _ in things}):
        chain = chain_of(member, chains)
        journal = metadata.tables["journal"]
        async for row in member_rows(connection, journal, (chain, program, member), None, rows_max):
            thing = thing_of(event_of(row.type, row.payload))
            if thing is not None and (member, *thing) in things:
                rows.append(_row(chain, member, row))
    return OrderView(
        program=program,
        order=order_id,
        redemptions=[redemption_view(redemption) for redemption in redeemed],
        vouchers=[voucher_view(voucher) for voucher in used],
        entries=rows,
    )


def _row(chain: int, member: str, row: Any) -> RowView:
    message = getattr(pb, row.type).FromString(row.payload)
    return RowView(
        chain=chain,
        position=row.position,
        member=member,
        type=row.type,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        says=MessageToDict(message, preserving_proto_field_name=True),
    )
