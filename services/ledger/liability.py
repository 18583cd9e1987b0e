"""Reads what a program owes its members, from postings and the journal rows that they belong to, and proves the sum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.program_section import Section, read_head
from services.ledger import liability_stores, views
from services.ledger.domain.breakage import Breakage, Cohort, chain_ladder
from services.ledger.domain.liability import Key, Line, Sum, lines, next_month
from services.ledger.domain.postings import BREAKAGE, REDEEMED

RECORDED, BUSINESS = "recorded", "business"
TIMES = {RECORDED: "recorded_at", BUSINESS: "occurred_at"}
"""What decides the month of a posting: when the book learnt of it, or when it happened."""

# Each posting has one member's account and one of the program's.
MOVED = """
SELECT date_trunc('month', j.{time} AT TIME ZONE :zone)::date AS month, p.asset, {store} AS store,
       CASE WHEN starts_with(p.credit, 'member/') THEN p.debit ELSE p.credit END AS account,
       sum(CASE WHEN starts_with(p.credit, 'member/') THEN p.amount ELSE -p.amount END) AS amount,
       coalesce(sum(CASE WHEN starts_with(p.credit, 'member/') THEN p.amount ELSE -p.amount END)
                FILTER (WHERE p.lot IS NULL), 0) AS debt
FROM postings AS p JOIN journal AS j ON j.chain = p.chain AND j.position = p.position {stores}
WHERE p.program = :program
GROUP BY 1, 2, 3, 4, starts_with(p.credit, 'member/')
"""
MOVED_ALL = {time: text(MOVED.format(time=column, store="''", stores="")) for time, column in TIMES.items()}
MOVED_BY_STORE = {
    time: text(
        MOVED.format(
            time=column,
            store="coalesce(s.store, '')",
            stores="LEFT JOIN unnest(CAST(:lots AS bigint[]), CAST(:stores AS text[])) AS s (lot, store)"
            " ON s.lot = p.lot",
        )
        # Lots are numbered chain by chain.
        .replace("WHERE", "WHERE p.chain = :chain AND j.chain = :chain AND")
    )
    for time, column in TIMES.items()
}
RECONCILED = text("""
WITH posted AS (
    SELECT chain, asset, CASE WHEN starts_with(credit, 'member/') THEN credit ELSE debit END AS account,
           sum(CASE WHEN starts_with(credit, 'member/') THEN amount ELSE -amount END) AS amount
    FROM postings WHERE program = :program GROUP BY 1, 2, 3
), kept AS (
    SELECT chain, asset, 'member/' || member AS account, posted, held, debt, pending
    FROM accounts WHERE program = :program
), in_lots AS (
    SELECT asset, sum(remaining) AS remaining FROM lots WHERE program = :program GROUP BY asset
), sides AS (
    SELECT asset, coalesce(sum(p.amount), 0) AS postings, coalesce(sum(k.posted), 0) AS accounts,
           coalesce(sum(k.held), 0) AS held, coalesce(sum(k.debt), 0) AS debt,
           coalesce(sum(k.pending), 0) AS pending,
           array_agg(account ORDER BY account)
               FILTER (WHERE coalesce(p.amount, 0) <> coalesce(k.posted, 0)) AS wrong
    FROM posted AS p FULL JOIN kept AS k USING (chain, asset, account) GROUP BY asset
)
SELECT asset, postings, accounts, coalesce(remaining, 0) AS lots, held, debt, pending,
       coalesce(cardinality(wrong), 0) AS wrong, wrong[1:5] AS first_wrong
FROM sides FULL JOIN in_lots USING (asset) ORDER BY asset
""")
AGED = text("""
-- By the month in which a lot was earned, and that in which its points moved. A merge keeps the day of earning.
SELECT p.asset, date_trunc('month', l.earned_at AT TIME ZONE :zone)::date AS earned,
       date_trunc('month', j.occurred_at AT TIME ZONE :zone)::date AS month,
       CASE WHEN starts_with(p.credit, 'member/') THEN p.debit ELSE p.credit END AS account,
       sum(CASE WHEN starts_with(p.credit, 'member/') THEN p.amount ELSE -p.amount END) AS amount
FROM postings AS p
JOIN journal AS j ON j.chain = p.chain AND j.position = p.position
JOIN lots AS l ON l.chain = p.chain AND l.lot = p.lot AND l.program = p.program
WHERE p.program = :program
GROUP BY 1, 2, 3, 4
""")
CLOCK = text(
    "SELECT date_trunc('month', max(clock_at) AT TIME ZONE :zone)::date FROM programs WHERE program = :program"
)
CHAINS = text("SELECT chains FROM installation")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """An asset's sum by four roads: the report's lines, postings, accounts, and lots less debt.

    `wrong` accounts have another balance than their postings add up to; `first_wrong` names some of them.
    """

    asset: str
    report: int
    postings: int
    accounts: int
    lots: int
    debt: int
    held: int
    pending: int
    in_transit: int
    wrong: int
    first_wrong: tuple[str, ...]

    @property
    def same(self) -> bool:
        """True: all roads give the same, account by account, and nothing is on its way between members."""
        return (
            self.report == self.postings == self.accounts == self.lots - self.debt
            and self.in_transit == 0
            and self.wrong == 0
        )


@dataclass(frozen=True, slots=True)
class Liability:
    """A program's report at one moment of the book."""

    program: str
    zone: str
    time: str
    lines: Sequence[Line]
    reconciled: Sequence[Reconciled]

    @property
    def same(self) -> bool:
        """True: every asset reconciles."""
        return all(each.same for each in self.reconciled)


async def liability(
    connection: AsyncConnection,
    program: str,
    by: Collection[str] = ("month",),
    time: str = RECORDED,
    first: date | None = None,
    last: date | None = None,
) -> Liability:
    """What was owed, moved and is owed, by asset and what is in `by` (month, store), for the months shown.

    It is reconciled over all months, whichever are shown. The connection should stay at one moment.

    Raises:
        Refusal: unknown_program.
    """
    zone = await zone_of(connection, program)
    sums = await _sums(connection, program, zone, time, by_store="store" in by)
    shown = lines(sums, by, first, last)
    reconciled = await _reconcile(connection, program, sums)
    return Liability(program, zone.key, time, shown, reconciled)


async def breakage(
    connection: AsyncConnection, program: str, last: date | None = None
) -> dict[str, Breakage]:
    """The chain ladder of each asset, up to `last` or the last month that the program's clock has left behind.

    It goes by business time, whatever the books go by: a lot's age is a matter of the member and not of the file
    that told of it.

    Raises:
        Refusal: unknown_program.
    """
    zone = await zone_of(connection, program)
    here = {"program": program, "zone": zone.key}
    current: date = (await connection.execute(CLOCK, here)).scalar_one()
    end = current if last is None else min(current, next_month(last))
    aged: dict[str, dict[date, list[tuple[date, str, int]]]] = {}
    for asset, earned, month, account, amount in await connection.execute(AGED, here):
        if max(earned, month) < end:
            aged.setdefault(asset, {}).setdefault(earned, []).append((month, account, int(amount)))
    return {
        asset: chain_ladder([cohort(earned, moved, end) for earned, moved in sorted(cohorts.items())])
        for asset, cohorts in sorted(aged.items())
    }


def cohort(earned: date, moved: Sequence[tuple[date, str, int]], end: date) -> Cohort:
    """A cohort as it was when the month `end` began, from its movements (month, account, what members gained)."""
    amount = expired = 0
    redeemed: dict[int, int] = {}
    for month, account, gained in moved:
        if account == REDEEMED:
            age = max(0, _months_between(earned, month))
            redeemed[age] = redeemed.get(age, 0) - gained
        elif account == BREAKAGE:
            expired -= gained
        else:
            amount += gained
    row, total = [], 0
    for age in range(_months_between(earned, end)):
        total += redeemed.get(age, 0)
        row.append(total)
    return Cohort(earned, amount, tuple(row), expired)


async def zone_of(connection: AsyncConnection, program: str) -> ZoneInfo:
    """The time zone of the version in force: months are the program's own. Raises Refusal("unknown_program")."""
    found = await views.program(connection, program)
    return read_head(Section(found["document"], "")).time_zone


async def _sums(
    connection: AsyncConnection, program: str, zone: ZoneInfo, time: str, by_store: bool
) -> list[Sum]:
    here: Mapping[str, object] = {"program": program, "zone": zone.key}
    if not by_store:
        return [_sum(row) for row in await connection.execute(MOVED_ALL[time], here)]
    sums = []
    chains: int = (await connection.execute(CHAINS)).scalar_one()
    for chain in range(chains):
        lots, stores = await liability_stores.of_chain(connection, chain, chains, program)
        arguments = {**here, "chain": chain, "lots": lots, "stores": stores}
        sums += [_sum(row) for row in await connection.execute(MOVED_BY_STORE[time], arguments)]
    return sums


def _sum(row: Any) -> Sum:
    # PostgreSQL adds whole numbers up to a numeric, which has no end.
    month, asset, store, account, amount, debt = row
    return Sum(month, asset, store, account, int(amount), int(debt))


async def _reconcile(connection: AsyncConnection, program: str, sums: Sequence[Sum]) -> list[Reconciled]:
    whole = {line.key.asset: line for line in lines(sums, ())}
    found = []
    for row in await connection.execute(RECONCILED, {"program": program}):
        line = whole.get(row.asset) or Line(Key(row.asset, None, None), 0, {}, 0, 0)
        found.append(
            Reconciled(
                row.asset, line.closing, int(row.postings), int(row.accounts), int(row.lots), int(row.debt),
                int(row.held), int(row.pending), line.movements.get("transferred", 0), row.wrong,
                tuple(row.first_wrong or ()),
            )
        )  # fmt: skip
    return found


def _months_between(earlier: date, later: date) -> int:
    return (later.year - earlier.year) * 12 + later.month - earlier.month
