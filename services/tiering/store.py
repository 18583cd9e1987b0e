"""State in and out of PostgreSQL: one query a table for a whole batch. Table names follow the search_path, so that
`replay` runs the same code in a schema of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from services.common.db import Transaction
from services.tiering.domain.decide import time_after
from services.tiering.domain.events import Fact, ReturnRecorded
from services.tiering.domain.program import Rules, parse_rules
from services.tiering.domain.state import Member, ProgramState, State, Window

PAD = timedelta(days=4)
"""Month ends make the start of a window step back by up to three days while its end goes on (28 February is a month
before 29, 30 and 31 March), and a change of the clocks by hours: entries are loaded that much further on both sides."""

PROGRAMS = """
SELECT DISTINCT ON (p.program) p.program, p.version, p.document, c.clock
FROM programs AS p LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
WHERE p.chain = $1 AND p.program = ANY($2::text[]) AND p.refusal IS NULL
ORDER BY p.program, p.position DESC
"""
MEMBER_COLUMNS = (
    "program", "member", "enrolled_at", "tier", "since", "until", "as_of", "window_start", "window_total",
    "changed_position",
)  # fmt: skip
_SELECTED = ", ".join(f"m.{column}" for column in MEMBER_COLUMNS)
MEMBERS = f"""
-- LIMIT keeps it to one look into the primary key a member: a plan made while the table was empty must stay good.
SELECT {_SELECTED}
FROM unnest($2::text[], $3::text[]) AS w (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE chain = $1 AND program = w.program AND member = w.member LIMIT 1
) AS m
"""  # noqa: S608 - made of constants
DUE = f"""
-- The first $4 reviews of each program up to its new clock, in the order in which they are decided.
SELECT {_SELECTED}
FROM unnest($2::text[], $3::timestamptz[]) AS w (program, clock)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE chain = $1 AND program = w.program AND until <= w.clock
    ORDER BY until, member LIMIT $4
) AS m
"""  # noqa: S608 - made of constants
RETIRED = f"""
-- Members of a tier that the version in force does not have ($3: the names above the lowest).
SELECT {_SELECTED} FROM members AS m
WHERE m.chain = $1 AND m.program = $2 AND m.tier <> ALL($3::text[])
ORDER BY m.member LIMIT $4
"""  # noqa: S608 - made of constants
ENTRIES = """
-- What may leave the windows (or come back, after a change of rules). LIMIT for the same reason as above.
SELECT w.program, w.member, s.occurred_at, s.amount
FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) AS w (program, member, after, up_to)
CROSS JOIN LATERAL (
    SELECT occurred_at, amount FROM spend
    WHERE chain = $1 AND program = w.program AND member = w.member AND occurred_at > w.after AND occurred_at <= w.up_to
    ORDER BY occurred_at LIMIT 1000000000
) AS s
"""
UPSERT_MEMBERS = f"""
INSERT INTO members (chain, {", ".join(MEMBER_COLUMNS)})
SELECT $1, * FROM unnest(
    $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
    $9::timestamptz[], $10::bigint[], $11::bigint[]
)
ON CONFLICT (chain, program, member) DO UPDATE SET
    tier = EXCLUDED.tier, since = EXCLUDED.since, until = EXCLUDED.until, as_of = EXCLUDED.as_of,
    window_start = EXCLUDED.window_start, window_total = EXCLUDED.window_total,
    changed_position = EXCLUDED.changed_position
"""  # noqa: S608 - made of constants
UPSERT_CLOCKS = """
INSERT INTO program_clocks (chain, program, clock)
SELECT $1, * FROM unnest($2::text[], $3::timestamptz[])
ON CONFLICT (chain, program) DO UPDATE SET clock = EXCLUDED.clock
"""
INSERT_PROGRAM = "INSERT INTO programs VALUES ($1, $2, $3, $4, $5, $6)"
SPEND_COLUMNS = ("chain", "program", "member", "occurred_at", "position", "amount")
HISTORY_COLUMNS = (
    "chain", "program", "member", "position", "ledger_position", "from_tier", "to_tier", "since", "until", "reason",
    "rule", "metric", "threshold",
)  # fmt: skip
POSITION = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2"
MOVE_POSITION = """
INSERT INTO stream_positions (chain, topic, position) VALUES ($1, $2, $3)
ON CONFLICT (chain, topic) DO UPDATE SET position = EXCLUDED.position
"""
VERSIONS_REMEMBERED = 256


@lru_cache(maxsize=VERSIONS_REMEMBERED)
def rules_of(document: bytes, version: str) -> Rules | None:
    """The rules in a document; None when it has no tiers. Raises ProgramError."""
    return parse_rules(orjson.loads(document), version)


@dataclass(slots=True)
class Loaded:
    """What a batch needs. `more_due`: by program, the last review loaded when more are due than were loaded."""

    state: State
    more_due: dict[str, tuple[datetime, str]]


async def load(tx: Transaction, chain: int, facts: Sequence[Fact], reviews_max: int) -> Loaded:
    """The state for `facts`: programs, members, the reviews that fall due on the way, what leaves the windows."""
    state = await load_programs(tx, chain, {fact.program for fact in facts})
    if not state:
        return Loaded(state, {})
    clocks, latest = _times(state, facts)
    rows = await tx.fetch(DUE, chain, list(clocks), list(clocks.values()), reviews_max)
    by_program: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_program[row["program"]].append(row)
    more = {
        program: (due[-1]["until"], due[-1]["member"])
        for program, due in by_program.items()
        if len(due) == reviews_max
    }
    if latest:
        rows = [*rows, *await tx.fetch(MEMBERS, chain, [p for p, _ in latest], [m for _, m in latest])]
    found = {(row["program"], row["member"]): _member(row) for row in rows}
    ends: dict[tuple[str, str], datetime] = {}
    for (program, name), member in found.items():
        # Up to the clock, even if no review is due yet: a late purchase may give a tier whose review is due at once.
        end = max(member.as_of, latest.get((program, name), member.as_of))
        ends[program, name] = max(end, clocks.get(program, end))
    await load_entries(tx, chain, state, found, ends)
    members: dict[str, dict[str, Member]] = defaultdict(dict)
    for (program, name), member in found.items():
        members[program][name] = member
    for program, empty in state.items():
        state[program] = ProgramState.of(empty.rules, empty.clock, members[program])
    return Loaded(state, more)


async def load_programs(tx: Transaction, chain: int, programs: Iterable[str]) -> State:
    """The programs in force that have tiers, with their clocks and no members."""
    state: State = {}
    for row in await tx.fetch(PROGRAMS, chain, list(programs)):
        rules = rules_of(row["document"], row["version"])
        if rules is not None:
            state[row["program"]] = ProgramState(rules, row["clock"], {})
    return state


async def load_retired(
    tx: Transaction, chain: int, program: ProgramState, at: datetime, most: int
) -> list[Member]:
    """Up to `most` members whose tier is not in the rules, added to `program`, with what a review at `at` needs."""
    rules = program.rules
    rows = await tx.fetch(RETIRED, chain, rules.program, [tier.name for tier in rules.tiers[1:]], most)
    found = {(rules.program, row["member"]): _member(row) for row in rows}
    ends = {key: max(member.as_of, at) for key, member in found.items()}
    await load_entries(tx, chain, {rules.program: program}, found, ends)
    program.members = {member.member: member for member in found.values()}
    return list(found.values())


async def load_entries(
    tx: Transaction,
    chain: int,
    state: State,
    members: dict[tuple[str, str], Member],
    ends: dict[tuple[str, str], datetime],
) -> None:
    """Give each window the entries between any two starts that it takes while its end goes from as_of to `ends`."""
    if not members:
        return
    after, up_to = [], []
    for key, member in members.items():
        rules, start = state[key[0]].rules, member.window.start
        after.append(_earlier(min(start, rules.window_start(member.as_of))))
        up_to.append(max(start, rules.window_start(ends[key])) + PAD)
    rows = await tx.fetch(ENTRIES, chain, [p for p, _ in members], [m for _, m in members], after, up_to)
    for program, name, occurred_at, amount in rows:
        members[program, name].window.entries.append((occurred_at, amount))


async def save(tx: Transaction, chain: int, state: State, history: list[tuple[object, ...]]) -> None:
    """Write what has changed; the state is not to be used after this."""
    changed = [
        (p, m.member, m.enrolled_at, m.tier, m.since, m.until, m.as_of, m.window.start, m.window.total,
         m.changed_position)
        for p, program in state.items()
        for m in program.members.values()
        if m.dirty
    ]  # fmt: skip
    if changed:
        await tx.execute(UPSERT_MEMBERS, chain, *(list(column) for column in zip(*changed, strict=True)))
    spent = [
        (chain, p, member, at, position, amount)
        for p, program in state.items()
        for member, at, position, amount in program.spent
    ]
    if spent:
        await tx.copy_records_to_table("spend", records=spent, columns=SPEND_COLUMNS)
    if history:
        await tx.copy_records_to_table("tier_history", records=history, columns=HISTORY_COLUMNS)
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


def _times(
    state: State, facts: Sequence[Fact]
) -> tuple[dict[str, datetime], dict[tuple[str, str], datetime]]:
    """Each program's clock after `facts`, and the latest time that they tell of each member."""
    clocks: dict[str, datetime] = {}
    latest: dict[tuple[str, str], datetime] = {}
    for fact in facts:
        program = state.get(fact.program)
        if program is None:
            continue
        now = time_after(program, fact)
        if now is not None and (fact.program not in clocks or now > clocks[fact.program]):
            clocks[fact.program] = now
        if fact.member is None:
            continue
        key, at = (fact.program, fact.member), fact.occurred_at
        if isinstance(fact.event, ReturnRecorded):
            at = fact.event.purchased_at
        before = latest.get(key)
        if before is None or at > before:
            latest[key] = at
    return clocks, latest


def _member(row: Any) -> Member:
    return Member(
        row["member"], row["enrolled_at"], row["tier"], row["since"], row["until"], row["as_of"],
        Window(row["window_start"], row["window_total"]), row["changed_position"],
    )  # fmt: skip


def _earlier(time: datetime) -> datetime:
    """`time` less PAD, where that exists."""
    try:
        return time - PAD
    except OverflowError:
        return time
