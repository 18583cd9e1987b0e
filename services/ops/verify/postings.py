"""L1: the postings beside the journal, row by row; and their sums, by account, lot and debt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.ops.verify.findings import Findings
from services.ops.verify.ledger_money import MONEY_ACCOUNTS
from services.ops.verify.ledger_state import LedgerState, Posting

POSTINGS = """
SELECT position, seq, program, debit, credit, asset, amount, lot FROM postings WHERE chain = $1 ORDER BY position, seq
"""
MEMBER = "member/"
PROGRAM_ACCOUNTS = ("issued", "redeemed", "breakage", "clawed_back", "adjustment", *MONEY_ACCOUNTS)


def check_postings(
    chain: int, position: int, wanted: Sequence[Posting], rows: list[Any], state: LedgerState, found: Findings
) -> None:
    """The postings of one journal row against those that its payload asks for."""
    for index, row in enumerate(rows):
        where = f"postings {chain}-{position}-{row['seq']}"
        if row["seq"] != index:
            found.add("L1", where, f"seq is {row['seq']}, it should be {index}")
        if row["amount"] <= 0 or row["debit"] == row["credit"]:
            found.add("L1", where, f"{row['amount']} from {row['debit']} to {row['credit']} is no posting")
        posting: Posting = (
            row["program"], row["debit"], row["credit"], row["asset"], row["amount"], row["lot"],
        )  # fmt: skip
        if index >= len(wanted):
            found.add("L1", where, f"journal {chain}-{position} asks for {len(wanted)} postings only")
        elif posting != wanted[index]:
            found.add("L1", where, f"is {_words(posting)}, the journal says {_words(wanted[index])}")
        _sum_up(posting, where, state, found)
    if len(rows) < len(wanted):
        what = f"{len(rows)} postings where the journal asks for {len(wanted)}"
        found.add("L1", f"postings {chain}-{position}", what)


def check_strays(chain: int, strays: dict[int, list[Any]], state: LedgerState, found: Findings) -> None:
    """Postings at positions where the journal has no row."""
    for position in strays:
        found.add("L1", f"postings {chain}-{position}", "belong to no journal row")
        check_postings(chain, position, (), strays[position], state, found)


def _sum_up(posting: Posting, where: str, state: LedgerState, found: Findings) -> None:
    program, debit, credit, asset, amount, lot_id = posting
    sides = ((debit, -amount), (credit, amount))
    for account, change in sides:
        if not account.startswith(MEMBER):
            if account not in PROGRAM_ACCOUNTS:
                found.add("L1", where, f"there is no account {account}")
            key = (program, asset, account)
            state.balances[key] = state.balances.get(key, 0) + change
            continue
        member = state.members.get((program, account.removeprefix(MEMBER)))
        sums = None if member is None else member.account(asset)
        if sums is None:
            found.add("L1", where, f"nobody in {program} has an account {account} of {asset}")
            continue
        sums.by_postings += change
        if lot_id is None:
            sums.debt_by_postings -= change
        elif (lot := state.lots.get(lot_id)) is not None:
            lot.by_postings += change


def _words(posting: Posting) -> str:
    program, debit, credit, asset, amount, lot = posting
    of = "debt" if lot is None else f"lot {lot}"
    return f"{amount} {asset} from {debit} to {credit} ({of}, {program})"
