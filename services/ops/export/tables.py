"""What an export holds: the tables of each service, their rows in one order everywhere, and their form in Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.ledger.tables import metadata as ledger
from services.ops.replay.digest import Shape
from services.rewards.tables import metadata as rewards
from services.tiering.tables import metadata as tiering

METADATA: Mapping[str, MetaData] = {"ledger": ledger, "tiering": tiering, "rewards": rewards}
PERSONAL = frozenset({"member_keys", "member_birthdays"})
"""What an erasure destroys: a copy would undo it."""
LEFT_OUT = frozenset(
    {
        # Its one number is in the manifest.
        "installation",
        # Callers are given new keys: who can read an export must not be able to call.
        "api_keys",
        # Places in the topics of one Kafka. The inbox knows what was taken, whatever is read again.
        "consumer_offsets",
        # A new installation's relays publish its journals from their first rows.
        "relay_positions",
    }
)
"""Tables that a new installation fills by itself."""
TYPES: tuple[tuple[type[Any], pa.DataType], ...] = (
    (SmallInteger, pa.int16()),
    (BigInteger, pa.int64()),
    (Integer, pa.int32()),
    (Boolean, pa.bool_()),
    (Text, pa.string()),
    (LargeBinary, pa.binary()),
    (DateTime, pa.timestamp("us", tz="UTC")),
    (Date, pa.date32()),
    # As PostgreSQL writes them: a decimal type of Parquet would have to know how many digits.
    (Numeric, pa.string()),
    (JSONB, pa.string()),
)


def tables_of(service: str, *, personal_data: bool) -> tuple[str, ...]:
    """The tables that an export of a service holds, by name."""
    left_out = LEFT_OUT if personal_data else LEFT_OUT | PERSONAL
    return tuple(name for name in METADATA[service].tables if name not in left_out)


def shape_of(service: str, table: str) -> Shape:
    """The table's rows in the order of its key; texts by their bytes, whatever the database's collation.

    Columns come as Parquet takes them: a numeric as its text, which COPY writes alike.
    """
    key = (
        f'"{column.name}"' + (' COLLATE "C"' if isinstance(column.type, Text) else "")
        for column in _table(service, table).primary_key
    )
    columns = (
        f'"{column.name}"' + ("::text" if isinstance(column.type, Numeric) else "")
        for column in _table(service, table).columns
    )
    return Shape(table, tuple(key), tuple(columns))


def columns_of(service: str, table: str) -> tuple[str, ...]:
    """The table's columns, in the order in which they are declared."""
    return tuple(column.name for column in _table(service, table).columns)


def schema_of(service: str, table: str) -> pa.Schema:
    """The table's columns as Parquet has them."""
    return pa.schema(
        [
            pa.field(column.name, _type_of(column.type), nullable=bool(column.nullable))
            for column in _table(service, table).columns
        ]
    )


def _table(service: str, table: str) -> Table:
    return METADATA[service].tables[table]


def _type_of(declared: Any) -> pa.DataType:
    if isinstance(declared, ARRAY):
        return pa.list_(_type_of(declared.item_type))
    return next(arrow for cls, arrow in TYPES if isinstance(declared, cls))
