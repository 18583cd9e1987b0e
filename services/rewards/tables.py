"""The tables of the rewards database. `chain` comes first in every key (DESIGN, sharding)."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
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

from services.common.tables import mechanism_tables

metadata = MetaData()
mechanism_tables(metadata)


def _chain() -> Column[int]:
    return Column("chain", SmallInteger, primary_key=True, autoincrement=False)


# The version of each program that is in force on a chain.
programs = Table(
    "programs",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("runs_on_events", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("activated_at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
)

# How far each program's time has come on a chain, as the ledger's stream tells it.
program_clocks = Table(
    "program_clocks",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("clock", DateTime(timezone=True), nullable=False),
)

wallets = Table(
    "wallets",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("posted", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("tier", Text),
    Column("tier_since", DateTime(timezone=True)),
    Column("pending", BigInteger, nullable=False),
    CheckConstraint("held >= 0", name="wallets_held_is_not_negative"),
    CheckConstraint("pending >= 0", name="wallets_pending_is_not_negative"),
)

# Where members are in tiering's families of segments, and their tags in order, as tiers.v1 last said. No row: as
# everybody is to begin with.
member_segments = Table(
    "member_segments",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("lifecycle", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
)

redemptions = Table(
    "redemptions",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("redemption", Text, primary_key=True),
    Column("reward", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("ttl_seconds", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("code", Text),
    Column("detail", Text),
    Column("first_position", BigInteger, nullable=False),
    # The vouchers that it gives when it is captured: a VoucherPack.
    Column("pack", LargeBinary),
    Column("currency", Text, nullable=False),
    Column("money", BigInteger, nullable=False),
    Column("store", Text, nullable=False),
    # The member's vouchers that pay, each with what it takes off: id:discount,id:discount
    Column("vouchers", Text, nullable=False),
    Column("outside", BigInteger, nullable=False),
    Column("stocked", Boolean, nullable=False),
    # One of the reward's stock is this redemption's by now.
    Column("takes_stock", Boolean, nullable=False),
    Column("draw", Text, nullable=False),
    Column("tickets", Integer, nullable=False),
    Column("days", Integer, nullable=False),
    # A Basket, and Refunds.
    Column("basket", LargeBinary, nullable=False),
    # Of `points` those that pay for the order, and the minor units that they pay.
    Column("paying_points", BigInteger, nullable=False),
    Column("worth", BigInteger, nullable=False),
    Column("refunds", LargeBinary, nullable=False),
    CheckConstraint(
        "state IN ('reserving', 'reserved', 'capturing', 'captured', "
        "'cancelling', 'cancelled', 'timed_out', 'refused', 'refunding', 'refunded')",
        name="redemptions_state_is_known",
    ),
    CheckConstraint("points >= 0 AND money >= 0", name="redemptions_hold_no_less_than_nothing"),
    CheckConstraint("stocked OR NOT takes_stock", name="redemptions_take_what_is_stocked"),
    CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="redemptions_refused_says_why"),
    Index("redemptions_newest_first", "chain", "program", "member", "first_position"),
    Index(
        "redemptions_reserved", "chain", "program", "expires_at", postgresql_where=text("state = 'reserved'")
    ),
)

# Work, not projection: redemptions that wait for the ledger's answer. A row is leased until `due_at`; whoever finds it
# due takes it over. It is written and deleted by the transactions that begin and finish the step.
redemption_steps = Table(
    "redemption_steps",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("redemption", Text, primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("redemption_steps_due", "due_at"),
)

# One row a voucher and member: a voucher that was given has a row for each of the two.
vouchers = Table(
    "vouchers",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("voucher", Text, primary_key=True),
    # What it is good for: a VoucherTerms.
    Column("terms", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("first_position", BigInteger, nullable=False),
    Column("giver", Text),
    Column("claimed_by", Text),
    Column("code_sha256", LargeBinary),
    Column("gift_until", DateTime(timezone=True)),
    Column("order_id", Text),
    Column("discount", BigInteger),
    # When the clock alone changes it.
    Column("due_at", DateTime(timezone=True)),
    CheckConstraint(
        "state IN ('issued', 'gifted', 'given', 'claimed', 'held', 'used', 'expired', 'voided')",
        name="vouchers_state_is_known",
    ),
    CheckConstraint(
        "(state IN ('held', 'used')) = (order_id IS NOT NULL)", name="vouchers_used_for_an_order"
    ),
    Index("vouchers_newest_first", "chain", "program", "member", "first_position"),
    Index("vouchers_due", "chain", "program", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

# Whose gift has a code, on the chain of the code's hash. Rows stay: a code is never made twice.
voucher_codes = Table(
    "voucher_codes",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("code_sha256", LargeBinary, primary_key=True),
    Column("member", Text, nullable=False),
    Column("voucher", Text, nullable=False),
)

# What a member has had of a grant, or has reached of it, by what it is given once for.
member_grants = Table(
    "member_grants",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("grant_id", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    # Given or withheld: nothing more comes of it.
    Column("settled", Boolean, nullable=False),
    Column("purchases", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

# How many vouchers a grant has given to all members, on the chain of its name.
grant_budgets = Table(
    "grant_budgets",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("grant_id", Text, primary_key=True),
    Column("given", BigInteger, nullable=False),
)

# How many of a reward's stock are taken, by redemptions of all members, on the chain of its name.
reward_stock = Table(
    "reward_stock",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("reward", Text, primary_key=True),
    Column("taken", BigInteger, nullable=False),
    CheckConstraint("taken >= 0", name="reward_stock_is_not_negative"),
)

# Stored value as the ledger's stream has told, minor units.
member_money = Table(
    "member_money",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("principal", BigInteger, nullable=False),
    Column("bonus", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    CheckConstraint("least(principal, bonus, held) >= 0", name="member_money_is_not_negative"),
)

# Work, not projection: how often an API key has lately brought a code that is no good, on the chain of the key's id.
code_guesses = Table(
    "code_guesses",
    metadata,
    _chain(),
    Column("api_key", Text, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("wrong", Integer, nullable=False),
)

# Points or stored value (minor units) that a grant, a prize or a reward gives: promised here, given by the ledger.
awards = Table(
    "awards",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("award", Text, primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("promised_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    Column("money", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    CheckConstraint("state IN ('promised', 'given', 'refused')", name="awards_state_is_known"),
    CheckConstraint("least(points, money) >= 0 AND points + money > 0", name="awards_give_something"),
    CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="awards_refused_says_why"),
)

# What a member has and has done in one draw; `today` and `free_today` are of `day`.
draw_players = Table(
    "draw_players",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("draw_id", Text, primary_key=True),
    Column("tickets", BigInteger, nullable=False),
    Column("losses", BigInteger, nullable=False),
    Column("turns", BigInteger, nullable=False),
    Column("day", Text, nullable=False),
    Column("today", BigInteger, nullable=False),
    Column("free_today", BigInteger, nullable=False),
    CheckConstraint("tickets >= 0", name="draw_players_tickets_are_not_negative"),
    CheckConstraint("turns >= 0 AND today >= 0", name="draw_players_turns_are_not_negative"),
)

draw_turns = Table(
    "draw_turns",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("turn", Text, primary_key=True),
    Column("draw_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("pay", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("day", Text, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("seed", LargeBinary, nullable=False),
    # While it waits for the ledger: a DrawTerms.
    Column("terms", LargeBinary),
    Column("number", BigInteger),
    Column("prize", Text, nullable=False),
    Column("won", Boolean, nullable=False),
    # Ids of the catalogue, to be handed over, with commas between them.
    Column("rewards", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    CheckConstraint("state IN ('paying', 'made', 'refused')", name="draw_turns_state_is_known"),
    CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="draw_turns_refused_says_why"),
    CheckConstraint("(state = 'made') = (number IS NOT NULL)", name="draw_turns_made_has_a_number"),
    CheckConstraint("(state = 'paying') = (terms IS NOT NULL)", name="draw_turns_paying_has_terms"),
    Index("draw_turns_newest_first", "chain", "program", "member", "first_position"),
)

# What all members together have had of a draw (`prize/<id>`, `budget`, `budget/<day>`), on the chain of the name.
draw_counters = Table(
    "draw_counters",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("draw_id", Text, primary_key=True),
    Column("counter", Text, primary_key=True),
    Column("used", BigInteger, nullable=False),
)

# Whom a member was merged into, as the ledger's stream has told.
heirs = Table(
    "heirs",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("into_member", Text, nullable=False),
)

# Work, not projection: points to be given and turns to be paid, for which the ledger's answer is awaited. Leased as
# `redemption_steps` are.
ledger_steps = Table(
    "ledger_steps",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    # award | turn | merge
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ledger_steps_due", "due_at"),
)

# No projection, for it is personal data and no part of any journal: month and day of members' birthdays, as the ledger
# said when it was asked. `due_at`: it is to be asked (again); `position` is the row of the ledger that said so.
member_birthdays = Table(
    "member_birthdays",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("due_at", DateTime(timezone=True)),
    Column("month", SmallInteger),
    Column("day", SmallInteger),
    Index("member_birthdays_by_day", "chain", "program", "month", "day"),
    Index("member_birthdays_due", "chain", "program", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

# Work, not projection: up to which day, and under which version, birthdays were looked for.
birthday_days = Table(
    "birthday_days",
    metadata,
    _chain(),
    Column("program", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("day", Date, nullable=False),
)
