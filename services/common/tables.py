"""The mechanism's tables, the same in every service's database. Rules have no place here."""

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
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)


def mechanism_tables(metadata: MetaData) -> None:
    """Declare the mechanism's tables in a service's metadata."""
    Table(
        "installation",
        metadata,
        Column("one", Boolean, primary_key=True, server_default=text("true")),
        Column("chains", Integer, nullable=False),
        Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
        CheckConstraint("one", name="installation_is_one"),
    )
    Table(
        "journal",
        metadata,
        Column("chain", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("program", Text, nullable=False),
        Column("member", Text),
        Column("type", Text, nullable=False),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("recorded_at", DateTime(timezone=True), nullable=False),
        Column("cause_source", Text, nullable=False),
        Column("cause_id", Text, nullable=False),
        Column("cause_digest", LargeBinary),
        Column("program_version", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        CheckConstraint("position > 0", name="journal_position_is_positive"),
        CheckConstraint("octet_length(hash) = 32", name="journal_hash_is_sha256"),
        Index(
            "journal_by_member", "chain", "program", "member", "position",
            postgresql_where=text("member IS NOT NULL"),
        ),
    )  # fmt: skip
    Table(
        "inbox",
        metadata,
        Column("chain", SmallInteger, primary_key=True, autoincrement=False),
        Column("source", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        Column("journal_chain", SmallInteger, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("member", Text),
        Column("rejection", Text),
        Index("inbox_rejections", "chain", "source", postgresql_where=text("rejection IS NOT NULL")),
    )
    Table(
        "chain_heads",
        metadata,
        Column("chain", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
        Column("hash", LargeBinary, nullable=False),
    )
    Table(
        "consumer_offsets",
        metadata,
        Column("chain", SmallInteger, primary_key=True, autoincrement=False),
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("first_offset", BigInteger, nullable=False),
        Column("next_offset", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("owner", Text, nullable=False),
        Column("recorded", BigInteger, nullable=False, server_default=text("0")),
        Column("rejected", BigInteger, nullable=False, server_default=text("0")),
        Column("duplicates", BigInteger, nullable=False, server_default=text("0")),
        Column("dead_lettered", BigInteger, nullable=False, server_default=text("0")),
        Column("without_record", BigInteger, nullable=False, server_default=text("0")),
    )
    Table(
        "stream_positions",
        metadata,
        Column("chain", SmallInteger, primary_key=True, autoincrement=False),
        Column("topic", Text, primary_key=True),
        Column("position", BigInteger, nullable=False),
    )
    Table(
        "relay_positions",
        metadata,
        Column("chain", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
    )
    Table(
        "api_keys",
        metadata,
        Column("key_id", Text, primary_key=True),
        Column("secret_sha256", LargeBinary, nullable=False),
        Column("name", Text, nullable=False),
        Column("scopes", ARRAY(Text), nullable=False),
        Column("programs", ARRAY(Text), nullable=False),
        Column("stores", ARRAY(Text), nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True)),
        Column("revoked_at", DateTime(timezone=True)),
    )
