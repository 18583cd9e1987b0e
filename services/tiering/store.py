"""State in and out of PostgreSQL: one query a table for a whole batch. Table names follow the search_path, so that
`replay` runs the same code in a schema of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from services.common import arrays
from services.common.db import Transaction
from services.tiering import segment_store
from services.tiering.domain.events import Fact
from services.tiering.domain.months import EARLIEST
from services.tiering.domain.program import Rules, parse_rules
from services.tiering.domain.state import Bought, Member, ProgramState, State, Visits
from services.tiering.domain.windows import MOMENT
from services.tiering.member_row import COLUMNS, member_of, row_of
from services.tiering.needs import Needs, needed_days, needed_purchases, needs_of

PAD = timedelta(days=4)
"""Month ends make the start of a window step back by up to three days while its end goes on (28 February is a month
before 29, 30 and 31 March), and a change of the clocks by hours: entries are loaded that much further on both sides."""

PROGRAMS = """
SELECT DISTINCT ON (p.program) p.program, p.version, p.document, c.clock
FROM programs AS p LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
WHERE p.chain = $1 AND p.program = ANY($2::text[]) AND p.refusal IS NULL
ORDER BY p.program, p.position DESC
"""
_SELECTED = ", ".join(
    f"m.{name}::text" if name in ("windows", "standing") else f"m.{name}" for name in COLUMNS
)
MEMBERS = f"""
-- LIMIT keeps it to one look into the primary key a member: a plan made while the table was empty must stay good.
SELECT {_SELECTED}
FROM unnest($2::text::text[], $3::text::text[]) AS w (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE chain = $1 AND program = w.program AND member = w.member LIMIT 1
) AS m
"""  # noqa: S608 - made of constants
DUE = f"""
-- The first $4 members of each program for whom the clock decides up to its new time, in the order of that.
SELECT {_SELECTED}
FROM unnest($2::text[], $3::timestamptz[]) AS w (program, clock)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE chain = $1 AND program = w.program AND due <= w.clock
    ORDER BY due, member LIMIT $4
) AS m
"""  # noqa: S608 - made of constants
RETIRED = f"""
-- Members of a tier that the version in force does not have ($3: the names above the lowest), or that it ranks no more
-- ($5: the names of those that it ranks). Closed accounts stay as they are.
SELECT {_SELECTED} FROM members AS m
WHERE m.chain = $1 AND m.program = $2 AND m.standing ? 'closed' IS NOT TRUE
AND (m.tier <> ALL($3::text[]) OR (m.standing ? 'ranked' AND m.standing ->> 'tier' <> ALL($5::text[])))
ORDER BY m.member LIMIT $4
"""  # noqa: S608 - made of constants
ENTRIES = """
-- What may leave the windows (or come back, after a change of rules). LIMIT for the same reason as above.
SELECT w.program, w.member, w.metric, e.occurred_at, e.amount
FROM unnest(
    $2::text::text[], $3::text::text[], $4::text::text[], $5::text::timestamptz[], $6::text::timestamptz[]
) AS w (program, member, metric, after, up_to)
CROSS JOIN LATERAL (
    SELECT occurred_at, amount FROM entries
    WHERE chain = $1 AND program = w.program AND member = w.member AND metric = w.metric
    AND occurred_at > w.after AND occurred_at <= w.up_to
    ORDER BY occurred_at LIMIT 1000000000
) AS e
"""
PURCHASES = """
SELECT p.program, p.purchase, p.member, p.occurred_at, p.amount_left, p.promoted_left, p.promoted_lines
FROM unnest($2::text[], $3::text[]) AS w (program, purchase)
CROSS JOIN LATERAL (
    SELECT * FROM purchases WHERE chain = $1 AND program = w.program AND purchase = w.purchase LIMIT 1
) AS p
"""
VISIT_DAYS = """
SELECT d.program, d.member, d.metric, d.day, d.visits
FROM unnest($2::text[], $3::text[], $4::text[], $5::date[]) AS w (program, member, metric, day)
CROSS JOIN LATERAL (
    SELECT * FROM visit_days
    WHERE chain = $1 AND program = w.program AND member = w.member AND metric = w.metric AND day = w.day LIMIT 1
) AS d
"""
UPSERT_MEMBERS = f"""
INSERT INTO members (chain, {", ".join(COLUMNS)})
SELECT $1, program, member, enrolled_at, tier, since, until, as_of, due, windows::jsonb, standing::jsonb, changed
FROM unnest(
    $2::text::text[], $3::text::text[], $4::text::timestamptz[], $5::text::text[], $6::text::timestamptz[],
    $7::text::timestamptz[], $8::text::timestamptz[], $9::text::timestamptz[], $10::text::text[], $11::text::text[],
    $12::text::bigint[]
) AS n (program, member, enrolled_at, tier, since, until, as_of, due, windows, standing, changed)
ON CONFLICT (chain, program, member) DO UPDATE SET
    tier = EXCLUDED.tier, since = EXCLUDED.since, until = EXCLUDED.until, as_of = EXCLUDED.as_of, due = EXCLUDED.due,
    windows = EXCLUDED.windows, standing = EXCLUDED.standing, changed_position = EXCLUDED.changed_position
"""  # noqa: S608 - made of constants
ADD_ENTRIES = """
-- What came over by a merge may lie at the moment and the row of one of the survivor's own.
INSERT INTO entries AS e (chain, program, member, metric, occurred_at, position, amount)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[])
ON CONFLICT (chain, program, member, metric, occurred_at, position) DO UPDATE SET amount = e.amount + EXCLUDED.amount
"""
UPSERT_PURCHASES = """
-- The lines' numbers come as text, for an array of arrays would be unnested to the last number.
INSERT INTO purchases (chain, program, purchase, member, occurred_at, amount_left, promoted_left, promoted_lines)
SELECT $1, program, purchase, member, occurred_at, amount_left, promoted_left, promoted_lines::bigint[]
FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::text[])
    AS n (program, purchase, member, occurred_at, amount_left, promoted_left, promoted_lines)
ON CONFLICT (chain, program, purchase) DO UPDATE SET
    amount_left = EXCLUDED.amount_left, promoted_left = EXCLUDED.promoted_left
"""
UPSERT_DAYS = """
INSERT INTO visit_days (chain, program, member, metric, day, visits)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::date[], $6::integer[])
ON CONFLICT (chain, program, member, metric, day) DO UPDATE SET visits = EXCLUDED.visits
"""
UPSERT_CLOCKS = """
INSERT INTO program_clocks (chain, program, clock)
SELECT $1, * FROM unnest($2::text[], $3::timestamptz[])
ON CONFLICT (chain, program) DO UPDATE SET clock = EXCLUDED.clock
"""
INSERT_PROGRAM = "INSERT INTO programs VALUES ($1, $2, $3, $4, $5, $6)"
ENTRY_COLUMNS = ("chain", "program", "member", "metric", "occurred_at", "position", "amount")
POSITION = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2"
MOVE_POSITION = """
INSERT INTO stream_positions (chain, topic, position) VALUES ($1, $2, $3)
ON CONFLICT (chain, topic) DO UPDATE SET position = EXCLUDED.position
"""
VERSIONS_REMEMBERED = 256
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""After every moment that a member's time can get to."""


@lru_cache(maxsize=VERSIONS_REMEMBERED)
def rules_of(document: bytes, version: str) -> Rules | None:
    """The rules in a document; None when it has no tiers. Raises ProgramError."""
    return parse_rules(orjson.loads(document), version)


@dataclass(slots=True)
class Loaded:
    """What a batch needs. `more_due`: by program, the last review loaded when more are due than were loaded."""

    state: State
    more_due: dict[str, tuple[datetime, str]]


async def load(
    tx: Transaction, chain: int, facts: Sequence[Fact], reviews_max: int, programs: State | None = None
) -> Loaded:
    """The state for `facts`: programs (unless they are known), members, the reviews that fall due on the way, what
    leaves the windows."""
    state = programs
    if state is None:
        state = await load_programs(tx, chain, {fact.program for fact in facts})
    if not state:
        return Loaded(state, {})
    purchases = await _load_purchases(tx, chain, needed_purchases(state, facts))
    needs = needs_of(state, facts, purchases)
    rows = await tx.fetch(DUE, chain, list(needs.clocks), list(needs.clocks.values()), reviews_max)
    by_program: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_program[row["program"]].append(row)
    more = {
        program: (due[-1]["due"], due[-1]["member"])
        for program, due in by_program.items()
        if len(due) == reviews_max
    }
    if needs.latest:
        keys = list(needs.latest)
        rows = [*rows, *await _member_rows(tx, chain, keys)]
    found = {(row["program"], row["member"]): member_of(row, state[row["program"]].rules) for row in rows}
    await load_entries(tx, chain, state, found, needs)
    members: dict[str, dict[str, Member]] = defaultdict(dict)
    for (program, name), member in found.items():
        members[program][name] = member
    for program, empty in state.items():
        state[program] = ProgramState.of(empty.rules, empty.clock, members[program])
    for (program, purchase), bought in purchases.items():
        state[program].purchases[purchase] = bought
    await _load_days(tx, chain, state, facts)
    await segment_store.load(tx, chain, state, facts)
    return Loaded(state, more)


async def load_programs(tx: Transaction, chain: int, programs: Iterable[str]) -> State:
    """The programs in force that have tiers, with their clocks and no members."""
    state: State = {}
    for row in await tx.fetch(PROGRAMS, chain, list(programs)):
        rules = rules_of(row["document"], row["version"])
        if rules is not None:
            state[row["program"]] = ProgramState(rules, row["clock"], {})
    return state


async def find_member(tx: Transaction, chain: int, rules: Rules, name: str) -> Member | None:
    """One member with every entry that windows from now on can hold; None when nobody is known by that id."""
    rows = await _member_rows(tx, chain, [(rules.program, name)])
    if not rows:
        return None
    (row,) = rows
    member = member_of(row, rules)
    state: State = {rules.program: ProgramState(rules, None, {})}
    await load_entries(
        tx, chain, state, {(rules.program, name): member}, Needs(clocks={rules.program: LATEST})
    )
    return member


async def load_members(
    tx: Transaction, chain: int, program: ProgramState, names: Sequence[str], at: datetime
) -> list[Member]:
    """Members by id, added to `program`, with what a review at `at` needs, in the order of `names`."""
    rows = await _member_rows(tx, chain, [(program.rules.program, name) for name in names])
    # A ranking looks at the year that ended `at` then, even when it is told in the year after it.
    found = {member.member: member for member in await _add(tx, chain, program, rows, at, at - MOMENT)}
    return [found[name] for name in names]


async def load_retired(
    tx: Transaction, chain: int, program: ProgramState, at: datetime, most: int
) -> list[Member]:
    """The same of up to `most` members whose tier is not in the rules."""
    rules = program.rules
    names = [tier.name for tier in rules.tiers[1:]]
    rows = await tx.fetch(RETIRED, chain, rules.program, names, most, list(rules.ranked))
    return await _add(tx, chain, program, rows, at)


async def _add(
    tx: Transaction,
    chain: int,
    program: ProgramState,
    rows: Sequence[Any],
    at: datetime,
    earliest: datetime | None = None,
) -> list[Member]:
    rules = program.rules
    found = {(rules.program, row["member"]): member_of(row, rules) for row in rows}
    needs = Needs(clocks={rules.program: at}, earliest=dict.fromkeys(found, earliest or at))
    await load_entries(tx, chain, {rules.program: program}, found, needs)
    program.members = {member.member: member for member in found.values()}
    return list(found.values())


async def load_entries(
    tx: Transaction, chain: int, state: State, members: dict[tuple[str, str], Member], needs: Needs
) -> None:
    """Give each window the entries between any two starts that it takes while the member's time goes to where `needs`
    say, and those of the years gone by that late facts belong to."""
    wanted: list[tuple[str, str, str, datetime, datetime]] = []
    for key, member in members.items():
        rules = state[key[0]].rules
        end = needs.end(key, member.as_of)
        for metric in rules.counted:
            span, start = metric.span, member.windows[metric.name].start
            after = min(start, span.start(member.as_of, member.enrolled_at, closing=True))
            up_to = max(start, span.start(end, member.enrolled_at)) + PAD
            if span.is_yearly and key in needs.earliest:
                after = min(after, span.start(needs.earliest[key], member.enrolled_at))
            if rules.returns_at_once and key in needs.falls:
                standing = member.standing
                earned_at = standing.earned_at or standing.since
                after = min(after, span.start(earned_at, member.enrolled_at, standing.closing))
                up_to = max(up_to, end)
            if not span.is_lifetime or start != EARLIEST:
                wanted.append((*key, metric.name, _earlier(after), up_to))
    if not wanted:
        return
    programs, names, metrics, afters, up_tos = zip(*wanted, strict=True)
    keys = arrays.texts(programs), arrays.texts(names), arrays.texts(metrics)
    between = arrays.times(afters), arrays.times(up_tos)
    for program, name, metric_name, occurred_at, amount in await tx.fetch(ENTRIES, chain, *keys, *between):
        members[program, name].windows[metric_name].entries.append((occurred_at, amount))


async def save(tx: Transaction, chain: int, state: State) -> None:
    """Write what has changed; the state is not to be used after this."""
    changed = [row_of(p, m) for p, program in state.items() for m in program.members.values() if m.dirty]
    if changed:
        await tx.execute(UPSERT_MEMBERS, chain, *_literals(changed))
    counted = [(chain, p, *entry) for p, program in state.items() for entry in program.counted]
    if counted:
        await tx.copy_records_to_table("entries", records=counted, columns=ENTRY_COLUMNS)
    moved = [
        (p, *key, amount) for p, program in state.items() for key, amount in program.moved.items() if amount
    ]
    if moved:
        await tx.execute(ADD_ENTRIES, chain, *_columns(moved))
    purchases = [
        (
            p,
            purchase,
            bought.member,
            bought.at,
            bought.left,
            bought.promoted_left,
            f"{{{','.join(map(str, sorted(bought.promoted_lines)))}}}" if bought.promoted_lines else "{}",
        )
        for p, program in state.items()
        for purchase, bought in program.purchases.items()
        if bought.dirty
    ]
    if purchases:
        await tx.execute(UPSERT_PURCHASES, chain, *_columns(purchases))
    days = [
        (p, *key, visits.count)
        for p, program in state.items()
        for key, visits in program.days.items()
        if visits.dirty
    ]
    if days:
        await tx.execute(UPSERT_DAYS, chain, *_columns(days))
    await segment_store.save(tx, chain, state)
    clocks = [(p, program.clock) for p, program in state.items() if program.clock_moved]
    if clocks:
        await tx.execute(UPSERT_CLOCKS, chain, [p for p, _ in clocks], [clock for _, clock in clocks])


async def save_program(
    tx: Transaction,
    chain: int,
    program: str,
    position: int,
    version: str,
    document: bytes,
    refusal: str | None,
) -> None:
    """Write down an activation."""
    await tx.execute(INSERT_PROGRAM, chain, program, position, version, document, refusal)


async def position(tx: Transaction, chain: int, topic: str) -> int:
    """The last position of `topic` on the chain that was applied."""
    return int(await tx.fetchval(POSITION, chain, topic) or 0)


async def move_position(tx: Transaction, chain: int, topic: str, to: int) -> None:
    """Note how far the chain of `topic` is applied."""
    await tx.execute(MOVE_POSITION, chain, topic, to)


async def _load_purchases(
    tx: Transaction, chain: int, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Bought]:
    """Purchases by (program, id), those that were followed."""
    if not wanted:
        return {}
    rows = await tx.fetch(PURCHASES, chain, *_columns(wanted))
    return {
        (p, purchase): Bought(member, at, left, promoted, frozenset(lines))
        for p, purchase, member, at, left, promoted, lines in rows
    }


async def _load_days(tx: Transaction, chain: int, state: State, facts: Sequence[Fact]) -> None:
    """The visits of the local days that the facts tell of, in programs that count days."""
    wanted = needed_days(state, facts)
    if wanted:
        for program, member, metric, day, visits in await tx.fetch(VISIT_DAYS, chain, *_columns(wanted)):
            state[program].days[member, metric, day] = Visits(visits)


async def _member_rows(tx: Transaction, chain: int, keys: Sequence[tuple[str, str]]) -> Sequence[Any]:
    """The rows of members by (program, id); those that there are."""
    programs, names = arrays.texts(p for p, _ in keys), arrays.texts(m for _, m in keys)
    rows: Sequence[Any] = await tx.fetch(MEMBERS, chain, programs, names)
    return rows


def _literals(members: Sequence[tuple[Any, ...]]) -> list[str]:
    """The columns of members' rows as arrays."""
    programs, names, enrolled, tiers, *times, windows, standings, changed = zip(*members, strict=True)
    return [
        arrays.texts(programs), arrays.texts(names), arrays.times(enrolled), arrays.texts_or_none(tiers),
        *map(arrays.times, times), arrays.texts(windows), arrays.texts_or_none(standings), arrays.numbers(changed),
    ]  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _earlier(time: datetime) -> datetime:
    """`time` less PAD, where that exists."""
    try:
        return time - PAD
    except OverflowError:
        return time
