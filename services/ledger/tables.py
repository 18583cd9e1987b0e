"""The ledger's tables: the mechanism's, the postings, and the inline projections that replay rebuilds."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)

from services.common.tables import mechanism_tables

metadata = MetaData()
mechanism_tables(metadata)

journal = metadata.tables["journal"]
inbox = metadata.tables["inbox"]

postings = Table(
    "postings",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("program", Text, nullable=False),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("lot", BigInteger),
    CheckConstraint("amount > 0", name="posting_amount_is_positive"),
    CheckConstraint("debit <> credit", name="posting_has_two_accounts"),
)

members = Table(
    "members",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("enrolled_at", DateTime(timezone=True), nullable=False),
    Column("tier_since", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("tier_names", ARRAY(Text), nullable=False),
    Column("tier_of", ARRAY(Text), nullable=False),
    Column("merged_into", Text, nullable=False),
    Column("absorbed", ARRAY(Text), nullable=False),
    Column("status", Text, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("asset", Text, primary_key=True),
    Column("posted", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("debt", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("lapses_at", DateTime(timezone=True)),
    CheckConstraint("held >= 0", name="account_held_is_not_negative"),
    CheckConstraint("debt >= 0", name="account_debt_is_not_negative"),
    CheckConstraint("pending >= 0", name="account_pending_is_not_negative"),
    CheckConstraint("posted + debt >= held + pending", name="account_holds_what_it_has"),
    Index(
        "accounts_lapsing", "chain", "program", "lapses_at", postgresql_where=text("lapses_at IS NOT NULL")
    ),
)

lots = Table(
    "lots",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("lot", BigInteger, primary_key=True, autoincrement=False),
    Column("amount", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("earned_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("purchase", Text, nullable=False),
    Column("matures_at", DateTime(timezone=True)),
    Column("asset", Text, nullable=False),
    CheckConstraint("0 <= held AND held <= remaining AND remaining <= amount", name="lot_adds_up"),
    CheckConstraint("matures_at IS NULL OR held = 0", name="lot_holds_mature_points"),
    Index("lots_due", "chain", "program", "expires_at", postgresql_where=text("remaining > held")),
    Index(
        "lots_pending",
        "chain",
        "program",
        "matures_at",
        postgresql_where=text("matures_at IS NOT NULL AND remaining > 0"),
    ),
)

holds = Table(
    "holds",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("hold", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("allocation_lots", ARRAY(BigInteger), nullable=False),
    Column("allocation_points", ARRAY(BigInteger), nullable=False),
    Column("spent_lots", ARRAY(BigInteger), nullable=False),
    Column("spent_points", ARRAY(BigInteger), nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("money_currency", Text, nullable=False),
    Column("money_amount", BigInteger, nullable=False),
    Column("money_captured", BigInteger, nullable=False),
    Column("money_allocation_lots", ARRAY(BigInteger), nullable=False),
    Column("money_allocation_amounts", ARRAY(BigInteger), nullable=False),
    Column("money_spent_lots", ARRAY(BigInteger), nullable=False),
    Column("money_spent_amounts", ARRAY(BigInteger), nullable=False),
    Column("money_refunded", BigInteger, nullable=False),
    CheckConstraint("0 <= captured AND captured <= amount", name="hold_adds_up"),
    CheckConstraint("0 <= refunded AND refunded <= captured", name="hold_gives_back_what_was_spent"),
    CheckConstraint(
        "0 <= money_refunded AND money_refunded <= money_captured AND money_captured <= money_amount",
        name="hold_of_money_adds_up",
    ),
    CheckConstraint("amount + money_amount > 0", name="hold_holds_something"),
    Index("holds_open", "chain", "program", "member", "hold", postgresql_where=text("state = 'open'")),
    Index("holds_due", "chain", "program", "expires_at", postgresql_where=text("state = 'open'")),
)

settlements = Table(
    "settlements",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("purchase", Text, primary_key=True),
    Column("returned_lines", ARRAY(BigInteger), nullable=False),
    Column("returned_units", ARRAY(BigInteger), nullable=False),
    Column("adjusted", BigInteger, nullable=False),
    Column("counter_names", ARRAY(Text), nullable=False),
    Column("counters_before", ARRAY(Text), nullable=False),
    Column("counters_after", ARRAY(Text), nullable=False),
)

adjustments = Table(
    "adjustments",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("adjustment", Text, primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("decided_by", Text, nullable=False),
    Index(
        "adjustments_waiting", "chain", "program", "requested_at",
        postgresql_where=text("state = 'requested'"),
    ),
)  # fmt: skip

top_ups = Table(
    "top_ups",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("top_up", Text, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("bonus", BigInteger, nullable=False),
    Column("principal_lot", BigInteger, nullable=False),
    Column("bonus_lot", BigInteger, nullable=False),
    Column("bonus_expired", BigInteger, nullable=False),
    Column("reversed", Boolean, nullable=False),
    CheckConstraint("amount > 0 AND 0 <= bonus_expired AND bonus_expired <= bonus", name="top_up_adds_up"),
)

parked_returns = Table(
    "parked_returns",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("purchase", Text, primary_key=True),
    Column("return_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("counter", Text, primary_key=True),
    Column("value", Numeric, nullable=False),
    Column("position", BigInteger, nullable=False),
    CheckConstraint("value >= 0", name="counter_is_not_negative"),
)

identifiers = Table(
    "identifiers",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("member", Text, nullable=False),
    Index("identifiers_of_member", "program", "member"),
)

profiles = Table(
    "profiles",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

member_keys = Table(
    "member_keys",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("key", LargeBinary, nullable=False),
)
"""No projection: a key that is gone is gone for good."""

parked = Table(
    "parked",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("program", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("member", Text),
    Column("applied_chain", SmallInteger),
    Column("applied_position", BigInteger),
    Column("rejection", Text),
    Index("parked_waiting", "chain", "program", "reference", postgresql_where=text("member IS NULL")),
)

programs = Table(
    "programs",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("clock_at", DateTime(timezone=True), nullable=False),
)

program_versions = Table(
    "program_versions",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
)

award_counts = Table(
    "award_counts",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("awards", BigInteger, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("campaign", Text, primary_key=True),
    Column("given", BigInteger, nullable=False),
    CheckConstraint("given >= 0", name="budget_given_is_not_negative"),
)

referrals = Table(
    "referrals",
    metadata,
    Column("chain", SmallInteger, primary_key=True, autoincrement=False),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("referral", Text, nullable=False),
    Column("referrer", Text, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
    Column("qualified_at", DateTime(timezone=True)),
    Column("tasks", ARRAY(Text), nullable=False),
    Column("owed_sides", ARRAY(Text), nullable=False),
    Column("owed_since", ARRAY(DateTime(timezone=True)), nullable=False),
    CheckConstraint("member <> referrer", name="referral_is_of_another"),
    Index("referrals_owed", "chain", "program", "member", postgresql_where=text("owed_sides <> '{}'")),
)

APPEND_ONLY = ("postings",)
PROJECTIONS = (
    "members",
    "accounts",
    "lots",
    "holds",
    "settlements",
    "adjustments",
    "top_ups",
    "parked_returns",
    "counters",
    "identifiers",
    "profiles",
    "parked",
    "programs",
    "program_versions",
    "award_counts",
    "budgets",
    "referrals",
)
"""What replay throws away and rebuilds from the journal."""
