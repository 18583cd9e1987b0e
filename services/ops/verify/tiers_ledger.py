"""Tiering's tables and journal of one chain beside the ledger's journal: members, programs, merges, tiers assigned.

The ledger is read at a moment that is not before tiering's, so it has every row that tiering has read; what it has
taken of tiering since then is passed over by its position.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError

from services.ops.verify.findings import Findings
from services.ops.verify.segments_journal import time_of
from services.ops.verify.segments_tables import document_of
from services.ops.verify.snapshot import Connection, batches
from services.ops.verify.tiers_journal import CHECK, OWN, Member, TiersTold
from tallybook.ledger.v1 import events_pb2 as pb
from tallybook.tiering.v1 import events_pb2 as tiering_pb

LEDGER_ROWS = """
SELECT position, type, program, member, occurred_at, cause_source, cause_id, payload FROM journal
WHERE chain = $1 AND (
    type IN ('ProgramActivated', 'MemberEnrolled', 'MemberAbsorbed', 'MembersMerged', 'MemberClosed', 'TierAssigned')
    OR cause_source = 'tallybook/tiering' OR $2 AND type = 'PurchaseRecorded'
) ORDER BY position
"""
KEPT = "SELECT EXISTS (SELECT FROM purchases WHERE chain = $1)"
PURCHASES = """
SELECT program, purchase, member, occurred_at FROM purchases WHERE chain = $1 AND purchase NOT LIKE 'top-up %'
"""
MEMBERS = """
SELECT program, member, enrolled_at, (standing ? 'closed') IS TRUE AS closed FROM members WHERE chain = $1
"""
PROGRAMS = "SELECT program, position, version, document, refusal FROM programs WHERE chain = $1"
ABSORBED = "SELECT program, member, into_member, position FROM absorbed_members WHERE chain = $1"
MERGES = "SELECT program, absorbed, member, position FROM merges WHERE chain = $1"
APPLIED = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2"
HEAD = "SELECT position FROM chain_heads WHERE chain = $1"
OTHER_ROW = """
SELECT program, member, payload FROM journal WHERE chain = $1 AND position = $2 AND type = 'TierChanged'
"""


@dataclass(slots=True)
class LedgerTold:
    """What the ledger says on one chain, up to the row that tiering has read; positions are the ledger's."""

    enrolled: dict[Member, tuple[int, datetime]] = field(default_factory=dict)
    closed: dict[Member, int] = field(default_factory=dict)
    absorbed: dict[Member, tuple[str, int]] = field(default_factory=dict)
    """By absorbed member: the survivor, and where."""
    merged: dict[Member, tuple[str, int]] = field(default_factory=dict)
    """The same on the survivor's chain."""
    activated: dict[tuple[str, int], tuple[str, bytes]] = field(default_factory=dict)
    """By (program, position): version and document."""
    purchases: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    """Member and time by (program, purchase)."""
    tiered: dict[str, bool] = field(default_factory=dict)
    """Whether each version of a program had tiers: then tiering knows all its members."""

    def row(self, row: Any, message: Any) -> None:
        """Take a row of the ledger."""
        program, position = row["program"], row["position"]
        member = (program, row["member"] or "")
        if row["type"] == "ProgramActivated":
            self.activated[program, position] = (message.version, message.document)
            known = "tiering" in document_of(message.document)
            self.tiered[program] = known and self.tiered.get(program, True)
        elif row["type"] == "PurchaseRecorded":
            self.purchases[program, message.activity.id] = (member[1], row["occurred_at"])
        elif row["type"] == "MemberEnrolled":
            self.enrolled.setdefault(member, (position, row["occurred_at"]))
        elif row["type"] == "MemberClosed":
            self.closed.setdefault(member, position)
        elif row["type"] == "MemberAbsorbed":
            self.absorbed[member] = (message.into, position)
        elif row["type"] == "MembersMerged":
            self.merged[program, message.absorbed] = (member[1], position)

    def members(self, program: str, position: int) -> int:
        """Open members of a program behind the row at `position`."""
        return sum(
            enrolled[0] <= position
            and not (key in self.absorbed and self.absorbed[key][1] <= position)
            and not self.closed.get(key, position + 1) <= position
            for key, enrolled in self.enrolled.items()
            if key[0] == program
        )


async def check_beside_ledger(
    connection: Connection, ledger: Connection, chain: int, told: TiersTold, found: Findings
) -> None:
    """Hold one chain of tiering, at the moment of `connection`, against the ledger's at the moment of `ledger`."""
    read = await connection.fetchval(APPLIED, chain, "ledger.v1") or 0
    head = await connection.fetchval(HEAD, chain) or 0
    heard = min(await ledger.fetchval(APPLIED, chain, "tiers.v1") or 0, head)
    said = LedgerTold()
    changes = {position: (program, member) for program, member, position in told.changes}
    answered: set[int] = set()
    kept = await connection.fetchval(KEPT, chain)
    async for rows in batches(ledger, LEDGER_ROWS, chain, kept):
        found.looked(CHECK, len(rows))
        for row in rows:
            where = f"journal {chain}-{row['position']} of the ledger"
            cls = getattr(pb, row["type"], None)
            try:
                message = None if cls is None else cls.FromString(row["payload"])
            except DecodeError:
                # The ledger's own reading says so.
                continue
            if row["cause_source"] == OWN:
                of, _, position = row["cause_id"].partition("-")
                answered |= {int(position)} if of == str(chain) else set()
                if row["type"] == "TierAssigned" and (of != str(chain) or int(position) <= head):
                    await _check_assigned(connection, row, message, where, found)
            if row["position"] <= read:
                said.row(row, message)
    for position, (program, member) in changes.items():
        change = told.changes[program, member, position]
        # From one tier to the same: its end moved, which is nothing to the ledger.
        told_of = change[1] != change[2] and position <= heard
        # Of who was absorbed the survivor's chain is told.
        if told_of and position not in answered and (program, member) not in said.absorbed:
            where = f"journal {chain}-{position}"
            found.add(CHECK, where, f"{member} is {change[2]} now, and the ledger was not told")
    await _check_members(connection, chain, said, found)
    await _check_programs(connection, chain, said, told, found)
    await _check_merges(connection, chain, said, found)
    await _check_purchases(connection, chain, {**said.purchases, **told.purchases}, found)
    for (program, run), ranking in told.rankings.items():
        counted_to = ranking.said.counted_to
        if said.tiered.get(program) and chain < len(counted_to):
            members = said.members(program, counted_to[chain])
            found.report.ranked_members[program, run] += members
            found.report.ranked_counts[program, run] += 1


async def _check_assigned(
    connection: Connection, row: Any, message: Any, where: str, found: Findings
) -> None:
    """A tier that the ledger was told is the one that tiering's row says."""
    chain, _, position = row["cause_id"].partition("-")
    source = await connection.fetchrow(OTHER_ROW, int(chain), int(position))
    if source is None:
        found.add(CHECK, where, f"was told by row {row['cause_id']} of tiering, which is no TierChanged")
        return
    try:
        changed = tiering_pb.TierChanged.FromString(source["payload"])
    except DecodeError:
        # Tiering's own reading says so.
        return
    there = (row["program"], message.of or row["member"], message.tier, time_of(message.since))
    wanted = (source["program"], source["member"], changed.to_tier, time_of(changed.since))
    if there != wanted or message.tiering_position != int(position):
        found.add(CHECK, where, f"says {there}, row {row['cause_id']} of tiering says {wanted}")


async def _check_members(connection: Connection, chain: int, said: LedgerTold, found: Findings) -> None:
    wanted = {
        key: enrolled[1]
        for key, enrolled in said.enrolled.items()
        if key not in said.absorbed and said.tiered.get(key[0])
    }
    async for rows in batches(connection, MEMBERS, chain):
        for row in rows:
            key = (row["program"], row["member"])
            where = f"members {chain} {key[0]} {key[1]}"
            if not said.tiered.get(key[0]) and key in said.enrolled:
                continue
            at = wanted.pop(key, None)
            if at is None:
                found.add(CHECK, where, "the ledger has enrolled no such member")
            elif at != row["enrolled_at"]:
                found.add(CHECK, where, f"enrolled_at is {row['enrolled_at']}, the ledger says {at}")
            if row["closed"] != (key in said.closed):
                found.add(CHECK, where, "standing: closed here and not in the ledger, or the other way round")
    for program, member in sorted(wanted):
        found.add(CHECK, f"members {chain} {program} {member}", "is missing, the ledger has enrolled it")


async def _check_programs(
    connection: Connection, chain: int, said: LedgerTold, told: TiersTold, found: Findings
) -> None:
    wanted = dict(said.activated)
    for program, position, version, document, refusal in await connection.fetch(PROGRAMS, chain):
        found.looked(CHECK)
        where = f"programs {chain} {program} {position}"
        activated = wanted.pop((program, position), None)
        if activated is None:
            found.add(CHECK, where, "the ledger knows nothing of it")
        elif activated != (version, document):
            found.add(CHECK, where, "version or document are not those of the ledger")
        reason = told.refused.get((program, version))
        if refusal != reason:
            found.add(CHECK, where, f"refusal is {refusal}, the journal says {reason}")
    for program, position in wanted:
        found.add(CHECK, f"programs {chain} {program} {position}", "is missing")


async def _check_merges(connection: Connection, chain: int, said: LedgerTold, found: Findings) -> None:
    for table, query, told in (
        ("absorbed_members", ABSORBED, said.absorbed),
        ("merges", MERGES, said.merged),
    ):
        wanted = dict(told)
        for program, absorbed, survivor, position in await connection.fetch(query, chain):
            found.looked(CHECK)
            where = f"{table} {chain} {program} {absorbed}"
            there, ledger = (survivor, position), wanted.pop((program, absorbed), None)
            if there != ledger:
                found.add(CHECK, where, f"is {there}, the ledger says {ledger}")
        for program, absorbed in wanted:
            found.add(CHECK, f"{table} {chain} {program} {absorbed}", "is missing")


async def _check_purchases(
    connection: Connection, chain: int, told: dict[tuple[str, str], tuple[str, datetime]], found: Findings
) -> None:
    """Those that tiering keeps; which it keeps at all, and what is left of them, is for the rules to say."""
    async for rows in batches(connection, PURCHASES, chain):
        found.looked(CHECK, len(rows))
        for program, purchase, member, at in rows:
            where, wanted = f"purchases {chain} {program} {purchase}", told.get((program, purchase))
            if wanted is None:
                found.add(CHECK, where, "the ledger knows nothing of it")
            elif (member, at) != wanted:
                found.add(CHECK, where, f"is of {member} at {at}, the ledger says {wanted[0]} at {wanted[1]}")
