"""What `verify` finds: each finding says which rule is broken, where, and how."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

CHECKS = {
    "chain": "journals: no gap, every hash covers its row and the one before, heads, members on their chain",
    "L1": "postings: what each row says moved, from one account to another; all accounts sum to zero",
    "L2": "posted = sum of postings = what is left in lots less debt; each lot = sum of its postings",
    "L3": "held = open holds = held in lots; no hold ever took more than was available",
    "L4": "inbox: every request beside the row that it led to",
    "L5": "each record read ended as recorded, rejected, duplicate or dead letter",
    "L6": "offsets and topics: nothing read or published that was not written, nothing published missing",
    "L8": "each purchase earned by the tier that the ledger had been told of then",
    "budgets": "what campaigns have given = the sum of their awards on all chains, each within what was left",
    "draws": "each draw says its number and prize again by its seed; turns, points and counts as the journals told",
    "segments": "segments, tags and runs as tiering's journal tells them; the last run sorted once more",
    "tiers": "tiers, their history and rankings as tiering's journal tells them, and the ledger's beside it",
    "seals": "seals: signed, one behind the other, and every row that one names is still that row",
    "tables": "members, accounts, lots, holds, referrals, budgets, ... as the journal tells them",
}
"""Every check by name, in the order in which they are shown."""

KEPT_MAX = 100
"""Findings of one chain that are kept in words; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. `chain` is None for what concerns a whole service."""

    check: str
    service: str
    chain: int | None
    where: str
    """Table and key, such as `journal 3-120`."""
    what: str

    def __str__(self) -> str:
        chain = "" if self.chain is None else f" chain {self.chain}"
        return f"{self.check} {self.service}{chain}: {self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """What one part of the work looked at and found. `looked` counts rows by check."""

    looked: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    """Findings by check, all of them."""
    findings: list[Finding] = field(default_factory=list)
    """At most KEPT_MAX a part."""
    in_transit: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What was sent to members of other chains, less what came from there, by (program, asset)."""
    given: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Points given by (program, campaign): a budget's row is a sum over all chains, so it is checked at the end."""
    counted: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """What draws added to the counts that all members share, by (program, draw, counter)."""
    ranked: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Chains that say so of a ranking of tiers, by (program, run, what they say)."""
    ranked_members: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Members whom the ledger had when a ranking was made, by (program, run)."""
    ranked_counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Chains on which these were counted."""

    def add(self, other: Report) -> None:
        """Put the report of another part into this one."""
        self.looked.update(other.looked)
        self.counts.update(other.counts)
        self.findings.extend(other.findings)
        self.in_transit.update(other.in_transit)
        self.given.update(other.given)
        self.counted.update(other.counted)
        self.ranked.update(other.ranked)
        self.ranked_members.update(other.ranked_members)
        self.ranked_counts.update(other.ranked_counts)

    @property
    def clean(self) -> bool:
        return not self.counts


def check_in_transit(report: Report) -> None:
    """L1 over all chains, once `report` has those of all: what was sent has arrived."""
    found = Findings("ledger", None)
    for (program, asset), rest in report.in_transit.items():
        if rest:
            found.add("L1", f"in_transit {program} {asset}", f"{rest} more were sent than arrived")
    report.add(found.report)


class Findings:
    """Collects the findings of one service and chain into a report."""

    def __init__(self, service: str, chain: int | None) -> None:
        self.report = Report()
        self._service = service
        self._chain = chain

    def looked(self, check: str, count: int = 1) -> None:
        """So many things were looked at."""
        self.report.looked[check] += count

    def add(self, check: str, where: str, what: str) -> None:
        """Something is wrong."""
        self.report.counts[check] += 1
        if len(self.report.findings) < KEPT_MAX:
            self.report.findings.append(Finding(check, self._service, self._chain, where, what))
