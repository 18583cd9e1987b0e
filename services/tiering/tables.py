"""Tiering's tables, as declared; `migrations/` makes them, and a test holds the two against each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from services.common.tables import mechanism_tables

metadata = MetaData()
mechanism_tables(metadata)

TIME = DateTime(timezone=True)


def _chain() -> Column[int]:
    return Column("chain", SmallInteger, primary_key=True, autoincrement=False)


programs = Table(
    "programs",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("refusal", Text),
    comment="Every activation, by its position in the ledger; in force is the last one that was not refused.",
)
program_clocks = Table(
    "program_clocks",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("clock", TIME, nullable=False),
)
members = Table(
    "members",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text(collation="C"), primary_key=True),  # reviews at one moment go in code point order
    Column("enrolled_at", TIME, nullable=False),
    Column("tier", Text, comment="NULL: the lowest tier of the version in force."),
    Column("since", TIME, nullable=False),
    Column("until", TIME),
    Column("as_of", TIME, nullable=False),
    Column("window_start", TIME, nullable=False),
    Column("window_total", BigInteger, nullable=False, comment="Spend after window_start, minor units."),
    Column("changed_position", BigInteger, comment="The journal row of the last TierChanged."),
    Index(
        "members_by_review", "chain", "program", "until", "member",
        postgresql_where=text("until IS NOT NULL"),
    ),
)  # fmt: skip
spend = Table(
    "spend",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("occurred_at", TIME, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("amount", BigInteger, nullable=False, comment="Minor units that count; negative for a return."),
)
tier_history = Table(
    "tier_history",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("ledger_position", BigInteger, nullable=False),
    Column("from_tier", Text, nullable=False),
    Column("to_tier", Text, nullable=False),
    Column("since", TIME, nullable=False),
    Column("until", TIME),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("metric", BigInteger, nullable=False),
    Column("threshold", BigInteger, nullable=False),
)
