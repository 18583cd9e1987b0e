"""What tiering's journal says of tiers and rankings on one chain, read row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Any

from google.protobuf.message import DecodeError

from services.ops.verify.findings import Findings, Report
from services.ops.verify.segments_journal import time_of
from tallybook.tiering.v1 import events_pb2 as pb

CHECK = "tiers"
OWN = "tallybook/tiering"
Member = tuple[str, str]
"""(program, member)"""


@dataclass(slots=True)
class Ranking:
    """A TiersRanked: the journal's row, what it says, and the TierChanged that it led to on this chain."""

    row: Any
    said: pb.TiersRanked
    changed: int = 0


@dataclass(slots=True)
class Step:
    """From one TierChanged of a member to the next; `before` is None for the first."""

    where: str
    program: str
    before: tuple[str, str] | None
    """(version, tier) that the one before went to."""
    version: str
    from_tier: str


@dataclass(slots=True)
class TiersTold:
    """`changes` by (program, member, position): the columns of `tier_history` behind these three, in their order."""

    chain: int
    changes: dict[tuple[str, str, int], tuple[Any, ...]] = field(default_factory=dict)
    last: dict[Member, tuple[int, str]] = field(default_factory=dict)
    """The position and the version of each member's last change."""
    steps: list[Step] = field(default_factory=list)
    """Those that the names of the tiers alone do not explain."""
    rankings: dict[tuple[str, str], Ranking] = field(default_factory=dict)
    """By (program, run), in their order."""
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a (program, version) can't be used."""
    moved: dict[str, int] = field(default_factory=dict)
    """By program, the last row that brought a member what another had."""
    purchases: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    """Member and time of each (program, purchase) that came so."""

    def row(self, row: Any, found: Findings) -> None:
        """Take a journal row."""
        program = row["program"]
        if row["type"] not in ("TierChanged", "TiersRanked", "ProgramRefused", "FactsMoved"):
            return
        found.looked(CHECK)
        where = f"journal {self.chain}-{row['position']}"
        try:
            message: Any = getattr(pb, row["type"]).FromString(row["payload"])
        except DecodeError:
            found.add(CHECK, where, f"its payload is no {row['type']}")
            return
        if row["type"] == "TierChanged":
            self._changed(where, row, message, found)
        elif row["type"] == "TiersRanked":
            self._ranked(where, row, message, found)
        elif row["type"] == "ProgramRefused":
            self.refused[program, message.version] = message.reason
        else:
            self.moved[program] = row["position"]
            for purchase in message.purchases:
                self.purchases[program, purchase.purchase] = (row["member"], time_of(purchase.at))

    def _changed(self, where: str, row: Any, said: pb.TierChanged, found: Findings) -> None:
        key = (row["program"], row["member"])
        since = time_of(said.since)
        until = time_of(said.until) if said.HasField("until") else None
        if since != row["occurred_at"]:
            found.add(CHECK, where, f"says since {since} and occurred at {row['occurred_at']}")
        before = self.last.get(key)
        if before is None or self.changes[(*key, before[0])][2] != said.from_tier:
            known = None if before is None else (before[1], self.changes[(*key, before[0])][2])
            self.steps.append(Step(where, key[0], known, row["program_version"], said.from_tier))
        self.last[key] = (row["position"], row["program_version"])
        measures = [
            (m.metric, m.value, m.threshold, time_of(m.after), time_of(m.up_to)) for m in said.measures
        ]
        self.changes[(*key, row["position"])] = (
            said.ledger_position, said.from_tier, said.to_tier, since, until, said.reason, said.rule, said.metric,
            said.threshold, measures, list(said.positions), said.grant,
        )  # fmt: skip
        if row["cause_source"] == OWN:
            for ranking in self.rankings.values():
                if row["cause_id"] == f"{self.chain}-{ranking.row['position']}":
                    ranking.changed += 1

    def _ranked(self, where: str, row: Any, said: pb.TiersRanked, found: Findings) -> None:
        self.rankings[row["program"], said.run] = Ranking(row, said)
        chains = len(said.counted_to)
        for top in said.tops:
            asked = ceil(Fraction(top.percent) * said.members / 100)
            what = f"the best {top.percent} percent by {top.metric} of {said.members} members"
            if not 0 <= top.places <= asked:
                found.add(CHECK, where, f"{what} are {top.places}, they should be {asked}")
            if len(top.here) != chains or sum(top.here) != top.places or min(top.here, default=0) < 0:
                found.add(CHECK, where, f"{what} are {top.places}, and {list(top.here)} by chain")


def alike(said: pb.TiersRanked) -> str:
    """What every chain must say of a ranking: the message without what each chain has of its own, in hex."""
    shared = pb.TiersRanked()
    shared.CopyFrom(said)
    shared.ClearField("ledger_position")
    return shared.SerializeToString(deterministic=True).hex()


def check_rankings(report: Report, chains: int) -> None:
    """What no chain can tell alone, once `report` has what all of them told: all say the same, of all members."""
    found = Findings("tiering", None)
    first: dict[tuple[str, str], str] = {}
    for (program, run, said), told_by in report.ranked.items():
        where = f"tier_rankings {program} {run}"
        if first.setdefault((program, run), said) != said:
            found.add(CHECK, where, "is not the same on all chains")
        members = pb.TiersRanked.FromString(bytes.fromhex(said)).members
        counted = report.ranked_members[program, run]
        # A ranking that has not got to all chains is under way, and then not all have counted.
        if told_by == report.ranked_counts[program, run] == chains and members != counted:
            found.add(CHECK, where, f"is of {members} members, the ledger had enrolled {counted} by then")
    report.add(found.report)
