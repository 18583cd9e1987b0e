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
    "member_segments",
    "reward_stock",
    "member_money",
    "awards",
    "draw_players",
    "draw_turns",
    "draw_counters",
    "heirs",
    "ledger_steps",
    "member_birthdays",
    "birthday_days",
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
CREATE TABLE member_segments (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL,
    lifecycle text NOT NULL, class text NOT NULL, tags text[] NOT NULL,
    PRIMARY KEY (chain, program, member)
);
CREATE TABLE redemptions (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, redemption text NOT NULL,
    reward text NOT NULL, name text NOT NULL, kind text NOT NULL, value bigint NOT NULL, order_id text NOT NULL,
    points bigint NOT NULL,
    ttl_seconds integer NOT NULL, version text NOT NULL,
    state text NOT NULL CONSTRAINT redemptions_state_is_known CHECK (state IN
        ('reserving', 'reserved', 'capturing', 'captured', 'cancelling', 'cancelled', 'timed_out', 'refused',
        'refunding', 'refunded')),
    requested_at timestamptz NOT NULL, changed_at timestamptz NOT NULL, expires_at timestamptz,
    code text, detail text, first_position bigint NOT NULL, pack bytea,
    currency text NOT NULL, money bigint NOT NULL, store text NOT NULL, vouchers text NOT NULL,
    outside bigint NOT NULL, stocked boolean NOT NULL, takes_stock boolean NOT NULL,
    draw text NOT NULL, tickets integer NOT NULL, days integer NOT NULL,
    basket bytea NOT NULL, paying_points bigint NOT NULL, worth bigint NOT NULL, refunds bytea NOT NULL,
    PRIMARY KEY (chain, program, member, redemption),
    CONSTRAINT redemptions_hold_no_less_than_nothing CHECK (points >= 0 AND money >= 0),
    CONSTRAINT redemptions_take_what_is_stocked CHECK (stocked OR NOT takes_stock),
    CONSTRAINT redemptions_refused_says_why CHECK ((state = 'refused') = (code IS NOT NULL))
);
CREATE INDEX redemptions_newest_first ON redemptions (chain, program, member, first_position);
CREATE INDEX redemptions_reserved ON redemptions (chain, program, expires_at) WHERE state = 'reserved';
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
        ('issued', 'gifted', 'given', 'claimed', 'held', 'used', 'expired', 'voided')),
    source text NOT NULL, source_id text NOT NULL,
    issued_at timestamptz NOT NULL, changed_at timestamptz NOT NULL, expires_at timestamptz,
    first_position bigint NOT NULL, giver text, claimed_by text, code_sha256 bytea, gift_until timestamptz,
    order_id text, discount bigint, due_at timestamptz,
    PRIMARY KEY (chain, program, member, voucher),
    CONSTRAINT vouchers_used_for_an_order CHECK ((state IN ('held', 'used')) = (order_id IS NOT NULL))
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
CREATE TABLE reward_stock (
    chain smallint NOT NULL, program text NOT NULL, reward text NOT NULL,
    taken bigint NOT NULL CONSTRAINT reward_stock_is_not_negative CHECK (taken >= 0),
    PRIMARY KEY (chain, program, reward)
) WITH (fillfactor = 50);
CREATE TABLE member_money (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, currency text NOT NULL,
    principal bigint NOT NULL, bonus bigint NOT NULL, held bigint NOT NULL,
    PRIMARY KEY (chain, program, member, currency),
    CONSTRAINT member_money_is_not_negative CHECK (least(principal, bonus, held) >= 0)
) WITH (fillfactor = 80);
CREATE TABLE code_guesses (
    chain smallint NOT NULL, api_key text NOT NULL, since timestamptz NOT NULL, wrong integer NOT NULL,
    PRIMARY KEY (chain, api_key)
);
CREATE TABLE awards (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, award text NOT NULL,
    points bigint NOT NULL, source text NOT NULL, source_id text NOT NULL,
    state text NOT NULL CONSTRAINT awards_state_is_known CHECK (state IN ('promised', 'given', 'refused')),
    promised_at timestamptz NOT NULL, changed_at timestamptz NOT NULL, first_position bigint NOT NULL,
    code text, detail text, money bigint NOT NULL, currency text NOT NULL,
    PRIMARY KEY (chain, program, member, award),
    CONSTRAINT awards_give_something CHECK (least(points, money) >= 0 AND points + money > 0),
    CONSTRAINT awards_refused_says_why CHECK ((state = 'refused') = (code IS NOT NULL))
);
CREATE TABLE draw_players (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, draw_id text NOT NULL,
    tickets bigint NOT NULL CONSTRAINT draw_players_tickets_are_not_negative CHECK (tickets >= 0),
    losses bigint NOT NULL, turns bigint NOT NULL, day text NOT NULL, today bigint NOT NULL, free_today bigint NOT NULL,
    PRIMARY KEY (chain, program, member, draw_id),
    CONSTRAINT draw_players_turns_are_not_negative CHECK (turns >= 0 AND today >= 0)
);
CREATE TABLE draw_turns (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, turn text NOT NULL, draw_id text NOT NULL,
    state text NOT NULL CONSTRAINT draw_turns_state_is_known CHECK (state IN ('paying', 'made', 'refused')),
    pay text NOT NULL, points bigint NOT NULL, day text NOT NULL,
    begun_at timestamptz NOT NULL, changed_at timestamptz NOT NULL, first_position bigint NOT NULL,
    seed bytea NOT NULL, terms bytea, number bigint, prize text NOT NULL, won boolean NOT NULL, rewards text NOT NULL,
    code text, detail text,
    PRIMARY KEY (chain, program, member, turn),
    CONSTRAINT draw_turns_refused_says_why CHECK ((state = 'refused') = (code IS NOT NULL)),
    CONSTRAINT draw_turns_made_has_a_number CHECK ((state = 'made') = (number IS NOT NULL)),
    CONSTRAINT draw_turns_paying_has_terms CHECK ((state = 'paying') = (terms IS NOT NULL))
);
CREATE INDEX draw_turns_newest_first ON draw_turns (chain, program, member, first_position);
CREATE TABLE draw_counters (
    chain smallint NOT NULL, program text NOT NULL, draw_id text NOT NULL, counter text NOT NULL, used bigint NOT NULL,
    PRIMARY KEY (chain, program, draw_id, counter)
) WITH (fillfactor = 50);
CREATE TABLE heirs (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, into_member text NOT NULL,
    PRIMARY KEY (chain, program, member)
);
CREATE TABLE ledger_steps (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, kind text NOT NULL, id text NOT NULL,
    due_at timestamptz NOT NULL, attempts integer NOT NULL,
    PRIMARY KEY (chain, program, member, kind, id)
);
CREATE INDEX ledger_steps_due ON ledger_steps (due_at);
CREATE TABLE member_birthdays (
    chain smallint NOT NULL, program text NOT NULL, member text NOT NULL, position bigint NOT NULL,
    due_at timestamptz, month smallint, day smallint,
    PRIMARY KEY (chain, program, member)
);
CREATE INDEX member_birthdays_by_day ON member_birthdays (chain, program, month, day);
CREATE INDEX member_birthdays_due ON member_birthdays (chain, program, due_at) WHERE due_at IS NOT NULL;
CREATE TABLE birthday_days (
    chain smallint NOT NULL, program text NOT NULL, version text NOT NULL, day date NOT NULL,
    PRIMARY KEY (chain, program)
);
"""


def upgrade() -> None:
    run_sql(
        MECHANISM
        + TABLES
        + append_only(MECHANISM_APPEND_ONLY)
        + grants(context.config.attributes["app_role"], MECHANISM_APPEND_ONLY, MECHANISM_MUTABLE + MUTABLE)
    )
