"""Journal and mechanism, members with their windows, what counts, history of tiers."""

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
    as_of timestamptz NOT NULL, due timestamptz, windows jsonb NOT NULL, standing jsonb,
    changed_position bigint,
    PRIMARY KEY (chain, program, member)
) WITH (fillfactor = 80);
COMMENT ON COLUMN members.tier IS 'NULL: the lowest tier of the version in force.';
COMMENT ON COLUMN members.due IS
    'When the clock decides next: a review, or a card or grant that begins or ends.';
COMMENT ON COLUMN members.windows IS 'By metric: [after, total], after in microseconds of 1970.';
COMMENT ON COLUMN members.standing IS
    'What the metrics, cards and grants gave, where tier, since, until are not all.';
COMMENT ON COLUMN members.changed_position IS 'The journal row of the last TierChanged.';
CREATE INDEX members_by_due ON members (chain, program, due, member) WHERE due IS NOT NULL;
CREATE TABLE entries (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, metric text NOT NULL,
    occurred_at timestamptz NOT NULL, position bigint NOT NULL, amount bigint NOT NULL,
    PRIMARY KEY (chain, program, member, metric, occurred_at, position)
);
COMMENT ON COLUMN entries.amount IS 'What counts, in the metric''s unit; negative when taken back.';
CREATE TABLE purchases (
    chain smallint NOT NULL, program text NOT NULL, purchase text NOT NULL, member text NOT NULL,
    occurred_at timestamptz NOT NULL, amount_left bigint NOT NULL,
    PRIMARY KEY (chain, program, purchase)
);
COMMENT ON TABLE purchases IS 'Only of programs that count points, visits or days.';
COMMENT ON COLUMN purchases.amount_left IS 'What counts of it and was not brought back.';
CREATE TABLE visit_days (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, metric text NOT NULL,
    day date NOT NULL, visits integer NOT NULL,
    PRIMARY KEY (chain, program, member, metric, day)
);
COMMENT ON TABLE visit_days IS 'Only of programs that count days: the visits of a local day.';
CREATE TABLE tier_history (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, position bigint NOT NULL,
    ledger_position bigint NOT NULL, from_tier text NOT NULL, to_tier text NOT NULL,
    since timestamptz NOT NULL, until timestamptz, reason text NOT NULL, rule text NOT NULL,
    metric bigint NOT NULL, threshold bigint NOT NULL,
    measures jsonb NOT NULL, positions bigint[] NOT NULL, granted_by text NOT NULL,
    PRIMARY KEY (chain, program, member, position)
);
COMMENT ON COLUMN tier_history.measures IS 'Every metric of the condition, what it held and was asked.';
COMMENT ON COLUMN tier_history.positions IS 'The ledger''s rows counted: the latest of them.';
COMMENT ON COLUMN tier_history.granted_by IS 'The grant or card behind it; empty for metrics.';
"""
PROJECTIONS = (
    "programs", "program_clocks", "members", "entries", "purchases", "visit_days", "tier_history",
)  # fmt: skip


def upgrade() -> None:
    """Make everything, and give the service's login role what it needs."""
    run_sql(MECHANISM + TABLES + append_only(MECHANISM_APPEND_ONLY))
    role = context.config.attributes["app_role"]
    run_sql(grants(role, MECHANISM_APPEND_ONLY, (*MECHANISM_MUTABLE, *PROJECTIONS)))


def downgrade() -> None:
    raise NotImplementedError("the way back is a restore: projections can be rebuilt, a journal cannot")
