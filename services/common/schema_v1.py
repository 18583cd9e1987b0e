"""The mechanism's tables as the first migration of every service makes them. Frozen: change them by a new migration."""

from __future__ import annotations

from collections.abc import Iterable

MECHANISM = """
CREATE TABLE installation (
    one boolean PRIMARY KEY DEFAULT true CONSTRAINT installation_is_one CHECK (one),
    chains integer NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
CREATE TABLE journal (
    chain smallint NOT NULL, position bigint NOT NULL CONSTRAINT journal_position_is_positive CHECK (position > 0),
    program text NOT NULL, member text, type text NOT NULL,
    occurred_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
    cause_source text NOT NULL, cause_id text NOT NULL, cause_digest bytea,
    program_version text NOT NULL, payload bytea NOT NULL,
    hash bytea NOT NULL CONSTRAINT journal_hash_is_sha256 CHECK (octet_length(hash) = 32),
    PRIMARY KEY (chain, position)
);
CREATE INDEX journal_by_member ON journal (chain, program, member, position) WHERE member IS NOT NULL;
CREATE TABLE inbox (
    chain smallint NOT NULL, source text NOT NULL, event_id text NOT NULL,
    digest bytea NOT NULL, journal_chain smallint NOT NULL, position bigint NOT NULL,
    member text, rejection text,
    PRIMARY KEY (chain, source, event_id)
);
CREATE INDEX inbox_rejections ON inbox (chain, source) WHERE rejection IS NOT NULL;
CREATE TABLE chain_heads (chain smallint PRIMARY KEY, position bigint NOT NULL, hash bytea NOT NULL);
CREATE TABLE consumer_offsets (
    chain smallint NOT NULL, consumer text NOT NULL, topic text NOT NULL,
    first_offset bigint NOT NULL, next_offset bigint NOT NULL, epoch bigint NOT NULL, owner text NOT NULL,
    recorded bigint NOT NULL DEFAULT 0, rejected bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0, dead_lettered bigint NOT NULL DEFAULT 0,
    without_record bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (chain, consumer, topic)
);
CREATE TABLE stream_positions (
    chain smallint NOT NULL, topic text NOT NULL, position bigint NOT NULL, PRIMARY KEY (chain, topic)
);
CREATE TABLE relay_positions (chain smallint PRIMARY KEY, position bigint NOT NULL);
CREATE TABLE api_keys (
    key_id text PRIMARY KEY, secret_sha256 bytea NOT NULL, name text NOT NULL,
    scopes text[] NOT NULL, programs text[] NOT NULL, stores text[] NOT NULL,
    created_at timestamptz NOT NULL, expires_at timestamptz, revoked_at timestamptz
);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
"""


def append_only(tables: Iterable[str]) -> str:
    """SQL that makes tables refuse UPDATE, DELETE and TRUNCATE, even to their owner."""
    return "\n".join(
        f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
        for table in tables
    )


def grants(role: str, append_only_tables: Iterable[str], mutable_tables: Iterable[str]) -> str:
    """SQL that gives the service's login role what it needs and no more. API keys are made by ops, not here."""
    return "\n".join(
        [f'GRANT USAGE ON SCHEMA public TO "{role}";', f'GRANT SELECT ON api_keys TO "{role}";']
        + [f'GRANT SELECT, INSERT ON {table} TO "{role}";' for table in append_only_tables]
        + [f'GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO "{role}";' for table in mutable_tables]
    )


MECHANISM_APPEND_ONLY = ("journal", "inbox", "installation")
MECHANISM_MUTABLE = ("chain_heads", "consumer_offsets", "stream_positions", "relay_positions")
