"""The ledger's tables beside what its journal told, and their sums beside each other (L1, L2, L3)."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.ops.verify import ledger_held_money, social_tables
from services.ops.verify.findings import Findings
from services.ops.verify.ledger_state import LedgerState
from services.ops.verify.snapshot import Connection, batches

IDENTIFIERS = """
-- Identifiers are spread by their own hash, so those of a chain's members stand on any chain.
SELECT i.chain, i.program, i.hash, i.kind, i.member
FROM members AS m JOIN identifiers AS i ON i.program = m.program AND i.member = m.member WHERE m.chain = $1
"""

Told = Mapping[tuple[Any, ...], tuple[Any, ...]]
"""Values by key, as the journal tells them."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A table whose every row follows from the journal. `each` looks at a row of the table once more."""

    table: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    told: Callable[[LedgerState], Told]
    each: Callable[[LedgerState, Any, str, Findings], None] = lambda state, row, where, found: None
    sums: tuple[str, ...] = ()
    """The checks that `each` makes."""


async def check_tables(
    connection: Connection, chain: int, chains: int, state: LedgerState, found: Findings
) -> None:
    """Every projection of one chain. `state` is what the journal told and what the postings add up to."""
    for projection in PROJECTIONS:
        await _compare(connection, chain, projection, state, found)
    _check_zero(chain, state, found)
    for (program, asset, account), balance in state.balances.items():
        if account == "in_transit":
            found.report.in_transit[program, asset] += balance
    await _check_identifiers(connection, chain, chains, state, found)
    found.report.given.update(state.budgets)


async def _compare(
    connection: Connection, chain: int, projection: Projection, state: LedgerState, found: Findings
) -> None:
    told = dict(projection.told(state))
    columns = ", ".join((*projection.keys, *projection.columns))
    query = f"SELECT {columns} FROM {projection.table} WHERE chain = $1"  # noqa: S608 - made of constants
    width = len(projection.keys)
    async for rows in batches(connection, query, chain):
        for check in ("tables", *projection.sums):
            found.looked(check, len(rows))
        for row in rows:
            key, values = tuple(row[:width]), tuple(row[width:])
            where = f"{projection.table} {chain} {_words(key)}"
            if key not in told:
                found.add("tables", where, "the journal knows nothing of it")
            elif values != (wanted := told.pop(key)):
                found.add("tables", where, _differences(projection.columns, values, wanted))
            projection.each(state, row, where, found)
    for key in told:
        found.add(
            "tables", f"{projection.table} {chain} {_words(key)}", "the journal tells of it, it is missing"
        )


def _members(state: LedgerState) -> Told:
    told = {}
    for key, m in state.members.items():
        # The member's own first, then those of each absorbed member.
        tiers = sorted(m.tiers, key=lambda tier: ["", *m.absorbed].index(tier[2]))
        columns = ([tier[n] for tier in tiers] for n in range(3))
        told[key] = (m.enrolled_at, *columns, m.merged_into, m.absorbed, m.status)
    return told


def _lots(state: LedgerState) -> Told:
    return {
        (*lot.owner, id_): (
            lot.amount,
            lot.remaining,
            lot.held,
            lot.earned_at,
            lot.expires_at,
            lot.purchase,
            lot.matures_at,
            lot.asset,
        )
        for id_, lot in state.lots.items()
    }  # fmt: skip


def _each_lot(state: LedgerState, row: Any, where: str, found: Findings) -> None:
    lot, member = state.lots.get(row["lot"]), state.members.get((row["program"], row["member"]))
    by_postings = 0 if lot is None else lot.by_postings
    if row["remaining"] != by_postings:
        found.add("L2", where, f"remaining is {row['remaining']}, its postings add up to {by_postings}")
    if not 0 <= row["held"] <= row["remaining"] <= row["amount"]:
        found.add("L3", where, f"held {row['held']} of {row['remaining']} of {row['amount']}")
    sums = None if member is None else member.account(row["asset"])
    if sums is not None:
        sums.lots_remaining += row["remaining"]
        sums.lots_held += row["held"]
        if row["matures_at"] is not None:
            sums.lots_pending += row["remaining"]


def _holds(state: LedgerState) -> Told:
    return {
        key: (
            hold.order, hold.amount, hold.captured, hold.expires_at, hold.state,
            [lot for lot, _ in hold.parts], [points for _, points in hold.parts],
            list(hold.spent), list(hold.spent.values()), hold.refunded, *ledger_held_money.columns(hold.money),
        )
        for key, hold in state.holds.items()
    }  # fmt: skip


def _each_hold(state: LedgerState, row: Any, where: str, found: Findings) -> None:
    if row["state"] == "moved":
        # What it has spent is said by the hold that goes on under the survivor.
        return
    member = state.members.get((row["program"], row["member"]))
    held = sum(row["allocation_points"])
    if row["state"] == "open" and held != row["amount"] - row["captured"]:
        left = row["amount"] - row["captured"]
        found.add("L3", where, f"holds {left} points, and {held} of lots")
    if sum(row["spent_points"]) != row["captured"] - row["refunded"]:
        spent = row["captured"] - row["refunded"]
        found.add("L3", where, f"has spent {spent} points, and {sum(row['spent_points'])} of lots")
    if member is not None and row["state"] == "open":
        member.holds_open += held
    ledger_held_money.each_hold(state, row, lambda what: found.add("L3", where, what))


def _accounts(state: LedgerState) -> Told:
    return {
        (*key, asset): (sums.posted, sums.held, sums.debt, sums.pending, sums.lapses_at)
        for key, member in state.members.items()
        for asset, sums in member.accounts()
    }


def _each_account(state: LedgerState, row: Any, where: str, found: Findings) -> None:
    total = (row["program"], row["asset"])
    state.accounts_total[total] = state.accounts_total.get(total, 0) + row["posted"]
    known = state.members.get((row["program"], row["member"]))
    member = None if known is None else known.account(row["asset"])
    if member is None:
        return
    posted, held, debt = row["posted"], row["held"], row["debt"]
    if posted != member.by_postings:
        found.add("L2", where, f"posted is {posted}, the postings add up to {member.by_postings}")
    if debt != member.debt_by_postings:
        found.add("L2", where, f"debt is {debt}, the postings without a lot say {member.debt_by_postings}")
    if posted != member.lots_remaining - debt:
        found.add("L2", where, f"posted is {posted}, lots have {member.lots_remaining} less debt {debt}")
    if held != member.holds_open or held != member.lots_held:
        what = f"held is {held}, open holds have {member.holds_open}, lots hold {member.lots_held}"
        found.add("L3", where, what)
    pending = row["pending"]
    if pending != member.lots_pending:
        found.add("L3", where, f"pending is {pending}, lots that are not mature have {member.lots_pending}")
    if posted - held - pending < 0 and debt == 0:
        found.add("L3", where, f"available is {posted - held - pending} and there is no debt")


def _settlements(state: LedgerState) -> Told:
    return {
        key: (sorted(s.returned), [s.returned[line] for line in sorted(s.returned)], s.adjusted, *s.counters)
        for key, s in state.settlements.items()
    }


def _adjustments(state: LedgerState) -> Told:
    return {
        key: (a.points, a.reason, a.note, a.state, a.requested_by, a.requested_at, a.decided_by)
        for key, a in state.adjustments.items()
    }


def _top_ups(state: LedgerState) -> Told:
    return {
        key: (
            t.currency,
            t.amount,
            t.points,
            t.bonus,
            t.principal_lot,
            t.bonus_lot,
            t.bonus_expired,
            t.reversed,
        )
        for key, t in state.top_ups.items()
    }


def _counters(state: LedgerState) -> Told:
    return state.counters


def _programs(state: LedgerState) -> Told:
    return {(program,): told for program, told in state.programs.items()}


PROJECTIONS = (
    Projection(
        "members", ("program", "member"),
        ("enrolled_at", "tier_since", "tier_names", "tier_of", "merged_into", "absorbed", "status"), _members,
    ),
    Projection(
        "lots", ("program", "member", "lot"),
        ("amount", "remaining", "held", "earned_at", "expires_at", "purchase", "matures_at", "asset"),
        _lots, _each_lot, ("L2",),
    ),
    Projection(
        "holds", ("program", "member", "hold"),
        ("order_id", "amount", "captured", "expires_at", "state", "allocation_lots", "allocation_points",
         "spent_lots", "spent_points", "refunded", *ledger_held_money.COLUMNS),
        _holds, _each_hold, ("L3",),
    ),
    # After lots and holds, whose sums it is held against.
    Projection(
        "accounts", ("program", "member", "asset"), ("posted", "held", "debt", "pending", "lapses_at"),
        _accounts, _each_account, ("L2", "L3"),
    ),
    Projection(
        "settlements", ("program", "member", "purchase"),
        ("returned_lines", "returned_units", "adjusted", "counter_names", "counters_before", "counters_after"),
        _settlements,
    ),
    Projection(
        "adjustments", ("program", "member", "adjustment"),
        ("points", "reason", "note", "state", "requested_by", "requested_at", "decided_by"), _adjustments,
    ),
    Projection(
        "top_ups", ("program", "member", "top_up"),
        ("currency", "amount", "points", "bonus", "principal_lot", "bonus_lot", "bonus_expired", "reversed"),
        _top_ups,
    ),
    Projection(
        "parked_returns", ("program", "member", "purchase", "return_id"), ("position",),
        lambda state: {key: (position,) for key, position in state.parked.items()},
    ),
    Projection("counters", ("program", "member", "counter"), ("value", "position"), _counters),
    Projection(
        "profiles", ("program", "member"), ("sealed",),
        lambda state: {key: (sealed,) for key, sealed in state.profiles.items()},
    ),
    Projection(
        "parked", ("position",),
        ("program", "reference", "member", "applied_chain", "applied_position", "rejection"),
        lambda state: {(position,): told for position, told in state.waiting.items()},
    ),
    Projection("programs", ("program",), ("version", "clock_at"), _programs),
    Projection(
        "program_versions", ("program", "version"), ("document", "position"), lambda state: state.versions
    ),
    Projection("award_counts", ("program", "member", "slot"), ("awards",), social_tables.award_counts),
    Projection("referrals", ("program", "member"), social_tables.REFERRAL_COLUMNS, social_tables.referrals),
)  # fmt: skip


def _check_zero(chain: int, state: LedgerState, found: Findings) -> None:
    """L1: what the members have is what the program accounts have given, to the point."""
    totals = Counter(state.accounts_total)
    for (program, asset, _), balance in state.balances.items():
        totals[program, asset] += balance
    for (program, asset), total in totals.items():
        if total:
            found.add(
                "L1", f"accounts {chain}", f"all accounts of {asset} in {program} sum to {total}, not to 0"
            )


async def _check_identifiers(
    connection: Connection, chain: int, chains: int, state: LedgerState, found: Findings
) -> None:
    told = dict(state.identifiers)
    async for rows in batches(connection, IDENTIFIERS, chain):
        found.looked("tables", len(rows))
        for row in rows:
            where = f"identifiers {row['chain']} {row['program']} {row['hash'].hex()}"
            wanted = told.pop((row["program"], row["hash"]), None)
            if wanted is None:
                found.add("tables", where, "the journal knows nothing of it")
            elif wanted != (row["kind"], row["member"]):
                found.add("tables", where, _differences(("kind", "member"), row[3:], wanted))
            if row["chain"] != zlib.crc32(row["hash"]) % chains:
                found.add("tables", where, f"belongs on chain {zlib.crc32(row['hash']) % chains}")
    for program, digest in told:
        where = f"identifiers {program} {digest.hex()}"
        found.add("tables", where, "the journal tells of it, it is missing")


def _words(key: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in key)


def _differences(columns: tuple[str, ...], values: tuple[Any, ...], wanted: tuple[Any, ...]) -> str:
    return "; ".join(
        f"{column} is {_short(value)}, the journal says {_short(want)}"
        for column, value, want in zip(columns, values, wanted, strict=True)
        if value != want
    )


def _short(value: Any) -> str:
    text = value.isoformat() if hasattr(value, "isoformat") else repr(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "..."


SHOWN_CHARS_MAX = 80
