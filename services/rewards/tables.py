"""The tables of the rewards database. `chain` comes first in every key (DESIGN, sharding)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from services.common.tables import mechanism_tables

metadata = MetaData()
mechanism_tables(metadata)


def _chain() -> Column[int]:
    return Column("chain", SmallInteger, primary_key=True, autoincrement=False)


# The version of each program that is in force on a chain.
programs = Table(
    "programs",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("runs_on_events", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("activated_at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
)

# How far each program's time has come on a chain, as the ledger's stream tells it.
program_clocks = Table(
    "program_clocks",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("clock", DateTime(timezone=True), nullable=False),
)

wallets = Table(
    "wallets",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("posted", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("tier", Text),
    Column("tier_since", DateTime(timezone=True)),
    Column("pending", BigInteger, nullable=False),
    CheckConstraint("held >= 0", name="wallets_held_is_not_negative"),
    CheckConstraint("pending >= 0", name="wallets_pending_is_not_negative"),
)

redemptions = Table(
    "redemptions",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("redemption", Text, primary_key=True),
    Column("reward", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("ttl_seconds", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("code", Text),
    Column("detail", Text),
    Column("first_position", BigInteger, nullable=False),
    CheckConstraint(
        "state IN ('reserving', 'reserved', 'capturing', 'captured', "
        "'cancelling', 'cancelled', 'timed_out', 'refused')",
        name="redemptions_state_is_known",
    ),
    CheckConstraint("points > 0", name="redemptions_points_are_positive"),
    CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="redemptions_refused_says_why"),
    Index("redemptions_newest_first", "chain", "program", "member", "first_position"),
)

# Work, not projection: redemptions that wait for the ledger's answer. A row is leased until `due_at`; whoever finds it
# due takes it over. It is written and deleted by the transactions that begin and finish the step.
redemption_steps = Table(
    "redemption_steps",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("redemption", Text, primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("redemption_steps_due", "due_at"),
)
