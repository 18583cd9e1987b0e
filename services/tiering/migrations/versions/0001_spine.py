"""Journal and mechanism, members with their windows, spend, history of tiers."""

from __future__ import annotations

from alembic import context

from services.common.migration_env import run_sql
from services.common.schema_v1 import (
    MECHANISM,
    MECHANISM_APPEND_ONLY,
    MECHANISM_MUTABLE,
    append_only,
    grants,
)

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE programs (
    chain smallint NOT NULL, program text NOT NULL, position bigint NOT NULL,
    version text NOT NULL, document bytea NOT NULL, refusal text,
    PRIMARY KEY (chain, program, position)
);
COMMENT ON TABLE programs IS
    'Every activation, by its position in the ledger; in force is the last one that was not refused.';
CREATE TABLE program_clocks (
    chain smallint NOT NULL, program text NOT NULL, clock timestamptz NOT NULL,
    PRIMARY KEY (chain, program)
);
CREATE TABLE members (
    chain smallint NOT NULL, program text NOT NULL, member text COLLATE "C" NOT NULL,
    enrolled_at timestamptz NOT NULL, tier text, since timestamptz NOT NULL, until timestamptz,
    as_of timestamptz NOT NULL, window_start timestamptz NOT NULL, window_total bigint NOT NULL,
    changed_position bigint,
    PRIMARY KEY (chain, program, member)
) WITH (fillfactor = 80);
COMMENT ON COLUMN members.tier IS 'NULL: the lowest tier of the version in force.';
COMMENT ON COLUMN members.window_total IS 'Spend after window_start, minor units.';
COMMENT ON COLUMN members.changed_position IS 'The journal row of the last TierChanged.';
CREATE INDEX members_by_review ON members (chain, program, until, member) WHERE until IS NOT NULL;
CREATE TABLE spend (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL,
    occurred_at timestamptz NOT NULL, position bigint NOT NULL, amount bigint NOT NULL,
    PRIMARY KEY (chain, program, member, occurred_at, position)
);
COMMENT ON COLUMN spend.amount IS 'Minor units that count; negative for a return.';
CREATE TABLE tier_history (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, position bigint NOT NULL,
    ledger_position bigint NOT NULL, from_tier text NOT NULL, to_tier text NOT NULL,
    since timestamptz NOT NULL, until timestamptz, reason text NOT NULL, rule text NOT NULL,
    metric bigint NOT NULL, threshold bigint NOT NULL,
    PRIMARY KEY (chain, program, member, position)
);
"""
PROJECTIONS = ("programs", "program_clocks", "members", "spend", "tier_history")


def upgrade() -> None:
    """Make everything, and give the service's login role what it needs."""
    run_sql(MECHANISM + TABLES + append_only(MECHANISM_APPEND_ONLY))
    role = context.config.attributes["app_role"]
    run_sql(grants(role, MECHANISM_APPEND_ONLY, (*MECHANISM_MUTABLE, *PROJECTIONS)))


def downgrade() -> None:
    raise NotImplementedError("the way back is a restore: projections can be rebuilt, a journal cannot")
