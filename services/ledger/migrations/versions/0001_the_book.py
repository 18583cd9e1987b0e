"""The book: mechanism, postings and inline projections."""

from alembic import context

from services.common import schema_v1
from services.common.migration_env import run_sql

revision = "0001"
down_revision = None

LEDGER = """
CREATE TABLE postings (
    chain smallint NOT NULL, position bigint NOT NULL, seq integer NOT NULL, program text NOT NULL,
    debit text NOT NULL, credit text NOT NULL, asset text NOT NULL,
    amount bigint NOT NULL CONSTRAINT posting_amount_is_positive CHECK (amount > 0),
    lot bigint,
    PRIMARY KEY (chain, position, seq),
    CONSTRAINT posting_has_two_accounts CHECK (debit <> credit)
);
CREATE TABLE members (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, enrolled_at timestamptz NOT NULL,
    tier_since timestamptz[] NOT NULL, tier_names text[] NOT NULL, tier_of text[] NOT NULL,
    merged_into text NOT NULL, absorbed text[] NOT NULL, status text NOT NULL,
    PRIMARY KEY (chain, program, member)
);
CREATE TABLE accounts (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, asset text NOT NULL,
    posted bigint NOT NULL, held bigint NOT NULL, debt bigint NOT NULL,
    pending bigint NOT NULL, lapses_at timestamptz,
    PRIMARY KEY (chain, program, member, asset),
    CONSTRAINT account_held_is_not_negative CHECK (held >= 0),
    CONSTRAINT account_debt_is_not_negative CHECK (debt >= 0),
    CONSTRAINT account_pending_is_not_negative CHECK (pending >= 0),
    CONSTRAINT account_holds_what_it_has CHECK (posted + debt >= held + pending)
) WITH (fillfactor = 70);
CREATE INDEX accounts_lapsing ON accounts (chain, program, lapses_at) WHERE lapses_at IS NOT NULL;
CREATE TABLE lots (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, lot bigint NOT NULL,
    amount bigint NOT NULL, remaining bigint NOT NULL, held bigint NOT NULL,
    earned_at timestamptz NOT NULL, expires_at timestamptz, purchase text NOT NULL, matures_at timestamptz,
    asset text NOT NULL,
    PRIMARY KEY (chain, program, member, lot),
    CONSTRAINT lot_adds_up CHECK (0 <= held AND held <= remaining AND remaining <= amount),
    CONSTRAINT lot_holds_mature_points CHECK (matures_at IS NULL OR held = 0)
);
CREATE INDEX lots_due ON lots (chain, program, expires_at) WHERE remaining > held;
CREATE INDEX lots_pending ON lots (chain, program, matures_at) WHERE matures_at IS NOT NULL AND remaining > 0;
CREATE TABLE holds (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, hold text NOT NULL,
    order_id text NOT NULL, amount bigint NOT NULL, captured bigint NOT NULL, expires_at timestamptz NOT NULL,
    state text NOT NULL, allocation_lots bigint[] NOT NULL, allocation_points bigint[] NOT NULL,
    spent_lots bigint[] NOT NULL, spent_points bigint[] NOT NULL, refunded bigint NOT NULL,
    money_currency text NOT NULL, money_amount bigint NOT NULL, money_captured bigint NOT NULL,
    money_allocation_lots bigint[] NOT NULL, money_allocation_amounts bigint[] NOT NULL,
    money_spent_lots bigint[] NOT NULL, money_spent_amounts bigint[] NOT NULL, money_refunded bigint NOT NULL,
    PRIMARY KEY (chain, program, member, hold),
    CONSTRAINT hold_adds_up CHECK (0 <= captured AND captured <= amount),
    CONSTRAINT hold_gives_back_what_was_spent CHECK (0 <= refunded AND refunded <= captured),
    CONSTRAINT hold_of_money_adds_up CHECK (
        0 <= money_refunded AND money_refunded <= money_captured AND money_captured <= money_amount
    ),
    CONSTRAINT hold_holds_something CHECK (amount + money_amount > 0)
);
CREATE INDEX holds_open ON holds (chain, program, member, hold) WHERE state = 'open';
CREATE INDEX holds_due ON holds (chain, program, expires_at) WHERE state = 'open';
CREATE TABLE settlements (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, purchase text NOT NULL,
    returned_lines bigint[] NOT NULL, returned_units bigint[] NOT NULL, adjusted bigint NOT NULL,
    counter_names text[] NOT NULL, counters_before text[] NOT NULL, counters_after text[] NOT NULL,
    PRIMARY KEY (chain, program, member, purchase)
);
CREATE TABLE top_ups (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, top_up text NOT NULL,
    currency text NOT NULL, amount bigint NOT NULL, points bigint NOT NULL, bonus bigint NOT NULL,
    principal_lot bigint NOT NULL, bonus_lot bigint NOT NULL, bonus_expired bigint NOT NULL, reversed boolean NOT NULL,
    PRIMARY KEY (chain, program, member, top_up),
    CONSTRAINT top_up_adds_up CHECK (amount > 0 AND 0 <= bonus_expired AND bonus_expired <= bonus)
);
CREATE TABLE parked_returns (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, purchase text NOT NULL,
    return_id text NOT NULL, position bigint NOT NULL,
    PRIMARY KEY (chain, program, member, purchase, return_id)
);
CREATE TABLE adjustments (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, adjustment text NOT NULL,
    points bigint NOT NULL, reason text NOT NULL, note text NOT NULL, state text NOT NULL,
    requested_by text NOT NULL, requested_at timestamptz NOT NULL, decided_by text NOT NULL,
    PRIMARY KEY (chain, program, member, adjustment)
);
CREATE INDEX adjustments_waiting ON adjustments (chain, program, requested_at) WHERE state = 'requested';
CREATE TABLE counters (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, counter text NOT NULL,
    value numeric NOT NULL CONSTRAINT counter_is_not_negative CHECK (value >= 0), position bigint NOT NULL,
    PRIMARY KEY (chain, program, member, counter)
) WITH (fillfactor = 70);
CREATE TABLE identifiers (
    chain smallint NOT NULL, program text NOT NULL, hash bytea NOT NULL, kind text NOT NULL, member text NOT NULL,
    PRIMARY KEY (chain, program, hash)
);
CREATE INDEX identifiers_of_member ON identifiers (program, member);
CREATE TABLE profiles (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, sealed bytea NOT NULL,
    PRIMARY KEY (chain, program, member)
);
CREATE TABLE member_keys (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, key bytea NOT NULL,
    PRIMARY KEY (chain, program, member)
);
CREATE TABLE parked (
    chain smallint NOT NULL, position bigint NOT NULL, program text NOT NULL, reference text NOT NULL,
    member text, applied_chain smallint, applied_position bigint, rejection text,
    PRIMARY KEY (chain, position)
);
CREATE INDEX parked_waiting ON parked (chain, program, reference) WHERE member IS NULL;
CREATE TABLE programs (
    chain smallint NOT NULL, program text NOT NULL, version text NOT NULL, clock_at timestamptz NOT NULL,
    PRIMARY KEY (chain, program)
);
CREATE TABLE program_versions (
    chain smallint NOT NULL, program text NOT NULL, version text NOT NULL, document bytea NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (chain, program, version)
);
CREATE TABLE award_counts (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, slot text NOT NULL, awards bigint NOT NULL,
    PRIMARY KEY (chain, program, member, slot)
);
CREATE TABLE budgets (
    chain smallint NOT NULL, program text NOT NULL, campaign text NOT NULL,
    given bigint NOT NULL CONSTRAINT budget_given_is_not_negative CHECK (given >= 0),
    PRIMARY KEY (chain, program, campaign)
);
CREATE TABLE referrals (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, referral text NOT NULL,
    referrer text NOT NULL, registered_at timestamptz NOT NULL, qualified_at timestamptz, tasks text[] NOT NULL,
    owed_sides text[] NOT NULL, owed_since timestamptz[] NOT NULL,
    PRIMARY KEY (chain, program, member),
    CONSTRAINT referral_is_of_another CHECK (member <> referrer)
);
CREATE INDEX referrals_owed ON referrals (chain, program, member) WHERE owed_sides <> '{}';
"""
APPEND_ONLY = (*schema_v1.MECHANISM_APPEND_ONLY, "postings")
MUTABLE = (
    *schema_v1.MECHANISM_MUTABLE, "members", "accounts", "lots", "holds", "settlements", "parked_returns", "top_ups",
    "counters", "identifiers", "parked", "profiles", "member_keys", "programs", "program_versions", "award_counts",
    "budgets", "referrals", "adjustments",
)  # fmt: skip


def upgrade() -> None:
    run_sql(schema_v1.MECHANISM)
    run_sql(LEDGER)
    run_sql(schema_v1.append_only(APPEND_ONLY))
    run_sql(schema_v1.grants(context.config.attributes["app_role"], APPEND_ONLY, MUTABLE))
