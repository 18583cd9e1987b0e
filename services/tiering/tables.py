"""Tiering's tables, as declared; `migrations/` makes them, and a test holds the two against each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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
    Column("due", TIME, comment="When the clock decides next: a review, or a card or grant that begins or ends."),
    Column("windows", JSONB, nullable=False, comment="By metric: [after, total], after in microseconds of 1970."),
    Column("standing", JSONB, comment="What the metrics, cards and grants gave, where tier, since, until are not all."),
    Column("changed_position", BigInteger, comment="The journal row of the last TierChanged."),
    Index(
        "members_by_due", "chain", "program", "due", "member",
        postgresql_where=text("due IS NOT NULL"),
    ),
)  # fmt: skip
entries = Table(
    "entries",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("occurred_at", TIME, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "amount",
        BigInteger,
        nullable=False,
        comment="What counts, in the metric's unit; negative when taken back.",
    ),
)
purchases = Table(
    "purchases",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("purchase", Text, primary_key=True),
    Column("member", Text, nullable=False),
    Column("occurred_at", TIME, nullable=False),
    Column("amount_left", BigInteger, nullable=False, comment="What counts of it and was not brought back."),
    Column(
        "promoted_left",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="The part of amount_left that was bought in a promotion.",
    ),
    Column(
        "promoted_lines",
        ARRAY(BigInteger),
        nullable=False,
        server_default="{}",
        comment="The numbers of the lines that were.",
    ),
    comment="Only of programs that count points, visits or days, or have segments.",
)
visit_days = Table(
    "visit_days",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("visits", Integer, nullable=False),
    comment="Only of programs that count days: the visits of a local day.",
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
    Column(
        "measures",
        JSONB,
        nullable=False,
        comment="Every metric of the condition, what it held and was asked.",
    ),
    Column(
        "positions",
        ARRAY(BigInteger),
        nullable=False,
        comment="The ledger's rows counted: the latest of them.",
    ),
    Column("granted_by", Text, nullable=False, comment="The grant or card behind it; empty for metrics."),
)
tier_rankings = Table(
    "tier_rankings",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("run", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("ledger_position", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Column("version", Text, nullable=False),
    Column(
        "tops",
        JSONB,
        nullable=False,
        comment="Metric, percent, places and threshold of each, in the whole program.",
    ),
    Column("members", BigInteger, nullable=False, comment="Members of the whole program."),
    Column("changed", BigInteger, nullable=False, comment="TierChanged that it led to on this chain."),
    comment="A ranking is over when every chain has its row.",
)
absorbed_members = Table(
    "absorbed_members",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("into_member", Text, nullable=False),
    Column("position", BigInteger, nullable=False, comment="Of MemberAbsorbed, on this chain of the ledger."),
    Column("facts", ARRAY(LargeBinary), nullable=False, comment="FactsMoved, for the survivor's chain."),
    comment="Members who were merged into another, with all that had been counted of them.",
)
merges = Table(
    "merges",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("absorbed", Text, primary_key=True),
    Column("member", Text, nullable=False, comment="The survivor."),
    Column("position", BigInteger, nullable=False, comment="Of MembersMerged, on this chain of the ledger."),
    comment="Merges that the survivor's chain has got to.",
)
segments = Table(
    "segments",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text(collation="C"), primary_key=True),
    Column("lifecycle", Text, nullable=False),
    Column("lifecycle_since", TIME, nullable=False),
    Column("first_at", TIME),
    Column("last_at", TIME),
    Column("won_back_at", TIME, comment="The last purchase that came when the member was dormant."),
    Column("class", Text, nullable=False, server_default="low_low"),
    Column("class_since", TIME, comment="NULL: from the beginning."),
    Column(
        "rfm",
        Text,
        nullable=False,
        server_default="",
        comment="The group of the last run; empty without a purchase in its window.",
    ),
    Column("recency", SmallInteger, comment="The score of the last run, as frequency and monetary are."),
    Column("frequency", SmallInteger),
    Column("monetary", SmallInteger),
    comment="Members who have bought, and after a run all: who is not there is new, low_low and has no group.",
)
tags = Table(
    "tags",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text(collation="C"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("since", TIME, nullable=False),
    comment="What the outside world says of members.",
)
segment_runs = Table(
    "segment_runs",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("run", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("ledger_position", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Column("version", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("bounds", JSONB, nullable=False),
    Column(
        "population",
        BigInteger,
        nullable=False,
        comment="Members with a purchase in the window, in the whole program.",
    ),
    Column("measured_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("members", BigInteger, nullable=False, comment="Members of this chain."),
    Column("changed", BigInteger, nullable=False, comment="SegmentChanged that it led to on this chain."),
    Column("counts", JSONB, nullable=False, comment="By family and segment, the members of this chain."),
    comment="A run is over when every chain has its row.",
)
