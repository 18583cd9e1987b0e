"""Rankings: the places among the best of all members. Merges: who was absorbed, and which chain knows."""

from __future__ import annotations

from alembic import context

from services.common.migration_env import run_sql
from services.common.schema_v1 import grants

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE tier_rankings (
    chain smallint NOT NULL, program text NOT NULL, run text NOT NULL,
    position bigint NOT NULL, ledger_position bigint NOT NULL,
    cause text NOT NULL, at timestamptz NOT NULL, version text NOT NULL,
    tops jsonb NOT NULL, members bigint NOT NULL, changed bigint NOT NULL,
    PRIMARY KEY (chain, program, run)
);
COMMENT ON TABLE tier_rankings IS 'A ranking is over when every chain has its row.';
COMMENT ON COLUMN tier_rankings.tops IS 'Metric, percent, places and threshold of each, in the whole program.';
COMMENT ON COLUMN tier_rankings.members IS 'Members of the whole program.';
COMMENT ON COLUMN tier_rankings.changed IS 'TierChanged that it led to on this chain.';
CREATE TABLE absorbed_members (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL,
    into_member text NOT NULL, position bigint NOT NULL, facts bytea[] NOT NULL,
    PRIMARY KEY (chain, program, member)
);
COMMENT ON TABLE absorbed_members IS
    'Members who were merged into another, with all that had been counted of them.';
COMMENT ON COLUMN absorbed_members.position IS 'Of MemberAbsorbed, on this chain of the ledger.';
COMMENT ON COLUMN absorbed_members.facts IS 'FactsMoved, for the survivor''s chain.';
CREATE TABLE merges (
    chain smallint NOT NULL, program text NOT NULL, absorbed text NOT NULL,
    member text NOT NULL, position bigint NOT NULL,
    PRIMARY KEY (chain, program, absorbed)
);
COMMENT ON TABLE merges IS 'Merges that the survivor''s chain has got to.';
COMMENT ON COLUMN merges.member IS 'The survivor.';
COMMENT ON COLUMN merges.position IS 'Of MembersMerged, on this chain of the ledger.';
"""


def upgrade() -> None:
    """Make the tables, and give the service's login role what it needs."""
    run_sql(TABLES)
    run_sql(
        grants(context.config.attributes["app_role"], (), ("tier_rankings", "absorbed_members", "merges"))
    )


def downgrade() -> None:
    raise NotImplementedError("the way back is a restore: projections can be rebuilt, a journal cannot")
