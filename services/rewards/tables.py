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
    # The vouchers that it gives when it is captured: a VoucherPack.
    Column("pack", LargeBinary),
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

# One row a voucher and member: a voucher that was given has a row for each of the two.
vouchers = Table(
    "vouchers",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("voucher", Text, primary_key=True),
    # What it is good for: a VoucherTerms.
    Column("terms", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("first_position", BigInteger, nullable=False),
    Column("giver", Text),
    Column("claimed_by", Text),
    Column("code_sha256", LargeBinary),
    Column("gift_until", DateTime(timezone=True)),
    Column("order_id", Text),
    Column("discount", BigInteger),
    # When the clock alone changes it.
    Column("due_at", DateTime(timezone=True)),
    CheckConstraint(
        "state IN ('issued', 'gifted', 'given', 'claimed', 'used', 'expired', 'voided')",
        name="vouchers_state_is_known",
    ),
    CheckConstraint("(state = 'used') = (order_id IS NOT NULL)", name="vouchers_used_for_an_order"),
    Index("vouchers_newest_first", "chain", "program", "member", "first_position"),
    Index("vouchers_due", "chain", "program", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

# Whose gift has a code, on the chain of the code's hash. Rows stay: a code is never made twice.
voucher_codes = Table(
    "voucher_codes",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("code_sha256", LargeBinary, primary_key=True),
    Column("member", Text, nullable=False),
    Column("voucher", Text, nullable=False),
)

# What a member has had of a grant, or has reached of it, by what it is given once for.
member_grants = Table(
    "member_grants",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("grant_id", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    # Given or withheld: nothing more comes of it.
    Column("settled", Boolean, nullable=False),
    Column("purchases", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

# How many vouchers a grant has given to all members, on the chain of its name.
grant_budgets = Table(
    "grant_budgets",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("grant_id", Text, primary_key=True),
    Column("given", BigInteger, nullable=False),
)

# Work, not projection: how often an API key has lately brought a code that is no good, on the chain of the key's id.
code_guesses = Table(
    "code_guesses",
    metadata,
    _chain(),
    Column("api_key", Text, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("wrong", Integer, nullable=False),
)
