"""Segments: a member's life cycle and classes, tags, runs; and what of a purchase was bought in a promotion."""

from __future__ import annotations

from alembic import context

from services.common.migration_env import run_sql
from services.common.schema_v1 import grants

revision = "0002"
down_revision = "0001"

TABLES = """
ALTER TABLE purchases ADD COLUMN promoted_left bigint NOT NULL DEFAULT 0;
ALTER TABLE purchases ADD COLUMN promoted_lines bigint[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN purchases.promoted_left IS 'The part of amount_left that was bought in a promotion.';
COMMENT ON COLUMN purchases.promoted_lines IS 'The numbers of the lines that were.';
COMMENT ON TABLE purchases IS 'Only of programs that count points, visits or days, or have segments.';
CREATE TABLE segments (
    chain smallint NOT NULL, program text NOT NULL, member text COLLATE "C" NOT NULL,
    lifecycle text NOT NULL, lifecycle_since timestamptz NOT NULL,
    first_at timestamptz, last_at timestamptz, won_back_at timestamptz,
    class text NOT NULL DEFAULT 'low_low', class_since timestamptz,
    rfm text NOT NULL DEFAULT '', recency smallint, frequency smallint, monetary smallint,
    PRIMARY KEY (chain, program, member)
) WITH (fillfactor = 80);
COMMENT ON TABLE segments IS
    'Members who have bought, and after a run all: who is not there is new, low_low and has no group.';
COMMENT ON COLUMN segments.won_back_at IS 'The last purchase that came when the member was dormant.';
COMMENT ON COLUMN segments.class_since IS 'NULL: from the beginning.';
COMMENT ON COLUMN segments.rfm IS 'The group of the last run; empty without a purchase in its window.';
COMMENT ON COLUMN segments.recency IS 'The score of the last run, as frequency and monetary are.';
CREATE TABLE tags (
    chain smallint NOT NULL, program text NOT NULL, member text COLLATE "C" NOT NULL, tag text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (chain, program, member, tag)
);
COMMENT ON TABLE tags IS 'What the outside world says of members.';
CREATE TABLE segment_runs (
    chain smallint NOT NULL, program text NOT NULL, run text NOT NULL,
    position bigint NOT NULL, ledger_position bigint NOT NULL,
    cause text NOT NULL, at timestamptz NOT NULL, version text NOT NULL,
    parameters jsonb NOT NULL, bounds jsonb NOT NULL, population bigint NOT NULL,
    measured_ms bigint NOT NULL, took_ms bigint NOT NULL,
    members bigint NOT NULL, changed bigint NOT NULL, counts jsonb NOT NULL,
    PRIMARY KEY (chain, program, run)
);
COMMENT ON TABLE segment_runs IS 'A run is over when every chain has its row.';
COMMENT ON COLUMN segment_runs.population IS 'Members with a purchase in the window, in the whole program.';
COMMENT ON COLUMN segment_runs.members IS 'Members of this chain.';
COMMENT ON COLUMN segment_runs.changed IS 'SegmentChanged that it led to on this chain.';
COMMENT ON COLUMN segment_runs.counts IS 'By family and segment, the members of this chain.';
"""


def upgrade() -> None:
    """Make the tables, and give the service's login role what it needs."""
    run_sql(TABLES)
    run_sql(grants(context.config.attributes["app_role"], (), ("segments", "tags", "segment_runs")))


def downgrade() -> None:
    raise NotImplementedError("the way back is a restore: projections can be rebuilt, a journal cannot")
