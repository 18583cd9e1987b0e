"""Redemptions as rows: loaded by their keys, and written as they now are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.common.db import Transaction
from services.rewards.domain.payment import PayingVoucher
from services.rewards.domain.redemption import Redemption, State
from services.rewards.wire_redemptions import basket_bytes, basket_of_bytes, refunds_bytes, refunds_of_bytes
from services.rewards.wire_vouchers import pack_bytes, pack_of_bytes

Key = tuple[str, str, str]
"""(program, member, redemption id)"""

COLUMNS: tuple[tuple[str, str, Callable[[Redemption], Any]], ...] = (
    ("program", "text", lambda r: r.program),
    ("member", "text", lambda r: r.member),
    ("redemption", "text", lambda r: r.id),
    ("reward", "text", lambda r: r.reward),
    ("name", "text", lambda r: r.name),
    ("kind", "text", lambda r: r.kind),
    ("value", "bigint", lambda r: r.value),
    ("order_id", "text", lambda r: r.order),
    ("points", "bigint", lambda r: r.points),
    ("ttl_seconds", "integer", lambda r: r.ttl_seconds),
    ("version", "text", lambda r: r.version),
    ("state", "text", lambda r: str(r.state)),
    ("requested_at", "timestamptz", lambda r: r.requested_at),
    ("changed_at", "timestamptz", lambda r: r.changed_at),
    ("first_position", "bigint", lambda r: r.position),
    ("expires_at", "timestamptz", lambda r: r.expires_at),
    ("code", "text", lambda r: r.code),
    ("detail", "text", lambda r: r.detail),
    ("pack", "bytea", lambda r: pack_bytes(r.pack)),
    ("currency", "text", lambda r: r.currency),
    ("money", "bigint", lambda r: r.money),
    ("store", "text", lambda r: r.store),
    ("vouchers", "text", lambda r: vouchers_text(r.vouchers)),
    ("outside", "bigint", lambda r: r.outside),
    ("stocked", "boolean", lambda r: r.stocked),
    ("takes_stock", "boolean", lambda r: r.takes_stock),
    ("draw", "text", lambda r: r.draw),
    ("tickets", "integer", lambda r: r.tickets),
    ("days", "integer", lambda r: r.days),
    ("basket", "bytea", lambda r: basket_bytes(r.lines)),
    ("paying_points", "bigint", lambda r: r.paying_points),
    ("worth", "bigint", lambda r: r.worth),
    ("refunds", "bytea", lambda r: refunds_bytes(r.id, r.refunds)),
)
"""(name, type, value) of each column but the chain."""
CHANGING = ("state", "changed_at", "expires_at", "code", "detail", "takes_stock", "refunds")
RENAMED = {"redemption": "id", "order_id": "order", "first_position": "position", "basket": "lines"}
"""Columns that have another name in the domain."""

_NAMES = ", ".join(name for name, _, _ in COLUMNS)
FIND_REDEMPTIONS = f"""
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT {", ".join(f"r.{name}" for name, _, _ in COLUMNS)}
FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, redemption)
CROSS JOIN LATERAL (
    SELECT * FROM redemptions
    WHERE chain = $1 AND program = k.program AND member = k.member AND redemption = k.redemption LIMIT 1
) AS r
"""  # noqa: S608 - constants
SAVE_REDEMPTIONS = f"""
INSERT INTO redemptions (chain, {_NAMES})
SELECT $1::smallint, * FROM unnest({", ".join(f"${n}::{type_}[]" for n, (_, type_, _) in enumerate(COLUMNS, 2))})
ON CONFLICT (chain, program, member, redemption) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in CHANGING)}
"""  # noqa: S608 - constants


async def find_redemptions(tx: Transaction, chain: int, keys: Iterable[Key]) -> dict[Key, Redemption]:
    """The redemptions of `keys` that exist, by one query."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await tx.fetch(FIND_REDEMPTIONS, chain, *columns_of(wanted))
    return {(row["program"], row["member"], row["redemption"]): redemption_of(row) for row in rows}


async def save_redemptions(tx: Transaction, chain: int, redemptions: Iterable[Redemption]) -> None:
    """Write redemptions as they now are, by one statement."""
    rows = sorted(redemptions, key=lambda r: (r.program, r.member, r.id))
    if rows:
        await tx.execute(SAVE_REDEMPTIONS, chain, *([value(row) for row in rows] for _, _, value in COLUMNS))


def redemption_of(row: Mapping[str, Any]) -> Redemption:
    """A redemption of its row, the columns named as in the table; its chain may be there too."""
    values = {RENAMED.get(name, name): row[name] for name, _, _ in COLUMNS if name != "takes_stock"}
    values["state"] = State(values["state"])
    values["vouchers"] = vouchers_of_text(values["vouchers"])
    values["pack"] = pack_of_bytes(values["pack"])
    values["lines"] = basket_of_bytes(values["lines"])
    values["refunds"] = refunds_of_bytes(values["refunds"])
    return Redemption(**values)


def vouchers_text(vouchers: Iterable[PayingVoucher]) -> str:
    """The column `vouchers` of a redemption: id:discount, id:discount."""
    return ",".join(f"{paying.voucher}:{paying.discount}" for paying in vouchers)


def vouchers_of_text(value: str) -> tuple[PayingVoucher, ...]:
    """The inverse of `vouchers_text`."""
    parts = [part.split(":") for part in value.split(",") if part]
    return tuple(PayingVoucher(voucher, int(discount)) for voucher, discount in parts)


def columns_of(keys: Sequence[Key]) -> tuple[list[str], list[str], list[str]]:
    """Keys as the arrays that a query takes."""
    return [k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys]
