"""The rewards database: the mechanism, wallets, redemptions."""

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

MUTABLE = (
    "programs", "program_clocks", "wallets", "redemptions", "redemption_steps", "vouchers", "voucher_codes",
    "code_guesses",
    "member_grants",
    "grant_budgets",
)  # fmt: skip

TABLES = """
CREATE TABLE programs (
    chain smallint NOT NULL, program text NOT NULL, version text NOT NULL,
    runs_on_events boolean NOT NULL, document text NOT NULL,
    activated_at timestamptz NOT NULL, position bigint NOT NULL,
    PRIMARY KEY (chain, program)
);
CREATE TABLE program_clocks (
    chain smallint NOT NULL, program text NOT NULL, clock timestamptz NOT NULL,
    PRIMARY KEY (chain, program)
);
CREATE TABLE wallets (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL,
    posted bigint NOT NULL, held bigint NOT NULL CONSTRAINT wallets_held_is_not_negative CHECK (held >= 0),
    tier text, tier_since timestamptz,
    pending bigint NOT NULL CONSTRAINT wallets_pending_is_not_negative CHECK (pending >= 0),
    PRIMARY KEY (chain, program, member)
) WITH (fillfactor = 80);
CREATE TABLE redemptions (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, redemption text NOT NULL,
    reward text NOT NULL, name text NOT NULL, kind text NOT NULL, value bigint NOT NULL, order_id text NOT NULL,
    points bigint NOT NULL CONSTRAINT redemptions_points_are_positive CHECK (points > 0),
    ttl_seconds integer NOT NULL, version text NOT NULL,
    state text NOT NULL CONSTRAINT redemptions_state_is_known CHECK (state IN
        ('reserving', 'reserved', 'capturing', 'captured', 'cancelling', 'cancelled', 'timed_out', 'refused')),
    requested_at timestamptz NOT NULL, changed_at timestamptz NOT NULL, expires_at timestamptz,
    code text, detail text, first_position bigint NOT NULL, pack bytea,
    PRIMARY KEY (chain, program, member, redemption),
    CONSTRAINT redemptions_refused_says_why CHECK ((state = 'refused') = (code IS NOT NULL))
);
CREATE INDEX redemptions_newest_first ON redemptions (chain, program, member, first_position);
CREATE TABLE redemption_steps (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, redemption text NOT NULL,
    due_at timestamptz NOT NULL, attempts integer NOT NULL,
    PRIMARY KEY (chain, program, member, redemption)
);
CREATE INDEX redemption_steps_due ON redemption_steps (due_at);
CREATE TABLE vouchers (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, voucher text NOT NULL,
    terms bytea NOT NULL,
    state text NOT NULL CONSTRAINT vouchers_state_is_known CHECK (state IN
        ('issued', 'gifted', 'given', 'claimed', 'used', 'expired', 'voided')),
    source text NOT NULL, source_id text NOT NULL,
    issued_at timestamptz NOT NULL, changed_at timestamptz NOT NULL, expires_at timestamptz,
    first_position bigint NOT NULL, giver text, claimed_by text, code_sha256 bytea, gift_until timestamptz,
    order_id text, discount bigint, due_at timestamptz,
    PRIMARY KEY (chain, program, member, voucher),
    CONSTRAINT vouchers_used_for_an_order CHECK ((state = 'used') = (order_id IS NOT NULL))
);
CREATE INDEX vouchers_newest_first ON vouchers (chain, program, member, first_position);
CREATE INDEX vouchers_due ON vouchers (chain, program, due_at) WHERE due_at IS NOT NULL;
CREATE TABLE voucher_codes (
    chain smallint NOT NULL, program text NOT NULL, code_sha256 bytea NOT NULL,
    member text NOT NULL, voucher text NOT NULL,
    PRIMARY KEY (chain, program, code_sha256)
);
CREATE TABLE member_grants (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, grant_id text NOT NULL, slot text NOT NULL,
    settled boolean NOT NULL, purchases bigint NOT NULL, amount bigint NOT NULL,
    PRIMARY KEY (chain, program, member, grant_id, slot)
);
CREATE TABLE grant_budgets (
    chain smallint NOT NULL, program text NOT NULL, grant_id text NOT NULL, given bigint NOT NULL,
    PRIMARY KEY (chain, program, grant_id)
) WITH (fillfactor = 50);
CREATE TABLE code_guesses (
    chain smallint NOT NULL, api_key text NOT NULL, since timestamptz NOT NULL, wrong integer NOT NULL,
    PRIMARY KEY (chain, api_key)
);
"""


def upgrade() -> None:
    run_sql(
        MECHANISM
        + TABLES
        + append_only(MECHANISM_APPEND_ONLY)
        + grants(context.config.attributes["app_role"], MECHANISM_APPEND_ONLY, MECHANISM_MUTABLE + MUTABLE)
    )
