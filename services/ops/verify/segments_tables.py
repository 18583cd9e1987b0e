"""Segments, tags and runs of one chain: tiering's tables beside its journal and the purchases that it kept.

Where nothing has come since a program's last run, every member is sorted once more, from its purchases.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.ops.verify.findings import Findings
from services.ops.verify.segments_journal import Run, SegmentsTold, time_of
from services.ops.verify.segments_sorting import Purchase, Sorted, rfm_of, sort_member
from services.ops.verify.snapshot import Connection, batches

PURCHASES = """
SELECT program, member, occurred_at, amount_left, promoted_left FROM purchases
WHERE chain = $1 AND purchase NOT LIKE 'top-up %'
"""
SEGMENTS = "SELECT * FROM segments WHERE chain = $1"
TAGS = "SELECT program, member, tag, since FROM tags WHERE chain = $1"
RUNS = "SELECT * FROM segment_runs WHERE chain = $1"
MEMBERS = """
SELECT program, member, enrolled_at, (standing ? 'closed') IS TRUE AS closed FROM members WHERE chain = $1
"""
ABSORBED = "SELECT program, member FROM absorbed_members WHERE chain = $1"
POSITION = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = 'ledger.v1'"
DOCUMENTS = """
SELECT program, version, document FROM programs WHERE chain = $1 AND refusal IS NULL ORDER BY program, position
"""
PARAMETERS = {
    "time_zone", "every", "window_months", "lifecycle", "scores", "high", "classes", "tags",
}  # fmt: skip
FIRST = {"lifecycle": "new", "class": "low_low"}
SCORES = ("recency", "frequency", "monetary")
CHECK = "segments"


async def check_segments(connection: Connection, chain: int, told: SegmentsTold, found: Findings) -> None:
    """Everything about one chain."""
    checked = _Chain(connection, chain, told, found)
    await checked.load()
    checked.tags(await connection.fetch(TAGS, chain))
    checked.runs(await connection.fetch(RUNS, chain))
    async for rows in batches(connection, SEGMENTS, chain):
        for row in rows:
            checked.segments(row)
    checked.end()


class _Chain:
    def __init__(self, connection: Connection, chain: int, told: SegmentsTold, found: Findings) -> None:
        self._connection = connection
        self._chain = chain
        self._told = told
        self._found = found
        self._purchases: dict[tuple[str, str], list[Purchase]] = defaultdict(list)
        self._members: dict[tuple[str, str], Any] = {}
        self._absorbed: set[tuple[str, str]] = set()
        self._zones: dict[str, ZoneInfo] = {}
        self._last: dict[str, Run] = {}
        """By program, its last run."""
        self._fresh: dict[str, Any] = {}
        """By program, the parameters of its last run, where nothing has come since."""
        self._counted: dict[str, dict[str, Counter[str]]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._documents: dict[str, Any] = {}
        """By version, what it says of segments."""
        self._late: set[str] = set()
        """Programs with a version that has none: purchases of its time are not known to the life cycle."""

    async def load(self) -> None:
        """What the rows are held against."""
        async for rows in batches(self._connection, PURCHASES, self._chain):
            for program, member, at, kept, promoted in rows:
                self._purchases[program, member].append(Purchase(at, kept, promoted))
        async for rows in batches(self._connection, MEMBERS, self._chain):
            for row in rows:
                self._members[row["program"], row["member"]] = row
        for program, member in await self._connection.fetch(ABSORBED, self._chain):
            self._absorbed.add((program, member))
        versions = {}
        for program, version, text in await self._connection.fetch(DOCUMENTS, self._chain):
            document = document_of(text)
            versions[program] = version
            self._zones[program] = ZoneInfo(document.get("time_zone", "UTC"))
            self._documents[version] = document.get("tiering", {}).get("segments")
            if self._documents[version] is None:
                self._late.add(program)
        for (program, _), run in self._told.runs.items():
            self._last[program] = run
        position = await self._connection.fetchval(POSITION, self._chain)
        rows = await self._connection.fetch(RUNS, self._chain)
        parameters = {(row["program"], row["run"]): json.loads(row["parameters"]) for row in rows}
        late = {program: at for (program, _), at in self._told.joined.items()}
        for program, run in self._last.items():
            nothing_since = (
                run.said.ledger_position == position and late.get(program, 0) < run.row["position"]
            )
            known = parameters.get((program, run.said.run))
            if nothing_since and known and versions.get(program) == run.row["program_version"]:
                self._fresh[program] = known
                self._counted[program] = {family: Counter() for family in ("lifecycle", "class", "rfm")}

    def tags(self, rows: list[Any]) -> None:
        """Each tag as the journal told it last, on both sides of it."""
        self._found.looked(CHECK, len(rows))
        wanted = {key: at for key, at in self._told.tags.items() if key[:2] not in self._absorbed}
        for program, member, tag, since in rows:
            where = f"tags {self._chain} {program} {member} {tag}"
            at = wanted.pop((program, member, tag), None)
            if at is None:
                self._found.add(CHECK, where, "the journal knows nothing of it")
            elif at != since:
                self._found.add(CHECK, where, f"since is {since}, the journal says {at}")
            if not self._told.asked.get((program, member, tag)):
                self._found.add(CHECK, where, "nobody said so")
        for key in wanted:
            self._found.add(CHECK, f"tags {self._chain} {' '.join(key)}", "is missing")

    def runs(self, rows: list[Any]) -> None:
        """Each run as the journal told it."""
        self._found.looked(CHECK, len(rows))
        wanted = dict(self._told.runs)
        for row in rows:
            where = f"segment_runs {self._chain} {row['program']} {row['run']}"
            run = wanted.pop((row["program"], row["run"]), None)
            if run is None:
                self._found.add(CHECK, where, "the journal knows nothing of it")
                continue
            said, bounds = run.said, json.loads(row["bounds"])
            told = {
                "position": run.row["position"], "version": run.row["program_version"],
                "ledger_position": said.ledger_position, "cause": said.cause, "at": time_of(said.at),
                "population": said.population, "measured_ms": said.measured_ms, "took_ms": said.took_ms,
                "changed": run.changed,
            }  # fmt: skip
            for column, value in told.items():
                if row[column] != value:
                    self._found.add(CHECK, where, f"{column} is {row[column]}, the journal says {value}")
            if bounds != _bounds(said.bounds):
                self._found.add(CHECK, where, "bounds are not those of the journal")
            counts = json.loads(row["counts"])
            if set(counts) != {"lifecycle", "class", "rfm"}:
                self._found.add(CHECK, where, f"counts are of {sorted(counts)}")
            if not _agrees(json.loads(row["parameters"]), self._documents.get(row["version"])):
                self._found.add(CHECK, where, "parameters are not those of the version")
            for family in ("lifecycle", "class", "rfm"):
                if sum(counts.get(family, {}).values()) != row["members"]:
                    self._found.add(
                        CHECK, where, f"counts of {family} do not add up to {row['members']} members"
                    )
            if row["program"] in self._fresh and run is self._last[row["program"]]:
                self._fresh[row["program"]]["counts"] = (where, counts)
        for program, name in wanted:
            self._found.add(CHECK, f"segment_runs {self._chain} {program} {name}", "is missing")

    def segments(self, row: Any) -> None:
        """One member's row."""
        key = (row["program"], row["member"])
        self._found.looked(CHECK)
        self._seen.add(key)
        where = f"segments {self._chain} {' '.join(key)}"
        member = self._members.get(key)
        if member is None:
            self._found.add(CHECK, where, "is no member")
            return
        for family, first in FIRST.items():
            segment, since = self._told.moved.get((*key, family), (first, None))
            if row[family] != segment:
                self._found.add(CHECK, where, f"{family} is {row[family]}, the journal says {segment}")
            if (family == "class" or since is not None) and row[f"{family}_since"] != since:
                was = row[f"{family}_since"]
                self._found.add(CHECK, where, f"{family}_since is {was}, the journal says {since}")
        moments = {purchase.at for purchase in self._purchases[key]}
        begun = {*moments, member["enrolled_at"]}
        moved = (*key, "lifecycle") in self._told.moved or key in self._told.joined
        if not moved and row["lifecycle_since"] not in begun:
            self._found.add(
                CHECK, where, f"lifecycle_since is {row['lifecycle_since']}, and nothing was then"
            )
        for column in ("first_at", "last_at", "won_back_at"):
            if row[column] is not None and row[column] not in moments:
                self._found.add(CHECK, where, f"{column} is {row[column]}, and no purchase was then")
        bounds = (min(moments, default=None), max(moments, default=None))
        if row["program"] not in self._late and (row["first_at"], row["last_at"]) != bounds:
            self._found.add(CHECK, where, f"first_at and last_at are not {bounds}")
        scores = tuple(row[name] for name in SCORES)
        if (row["rfm"] == "") != (scores == (None, None, None)):
            self._found.add(CHECK, where, f"rfm is {row['rfm']!r} with the scores {scores}")
        elif row["rfm"] and row["program"] not in self._last:
            self._found.add(CHECK, where, f"rfm is {row['rfm']!r}, and there was no run")
        elif row["rfm"] and row["rfm"] != rfm_of(scores, self._last[row["program"]].said.bounds):
            self._found.add(CHECK, where, f"rfm is {row['rfm']!r}, which the scores {scores} are not")
        if row["program"] in self._fresh and not member["closed"]:
            self._sorted_again(key, row, member, where)

    def _sorted_again(self, key: tuple[str, str], row: Any, member: Any, where: str) -> None:
        program = key[0]
        last = row["last_at"] or member["enrolled_at"]
        wanted: Sorted = sort_member(
            self._last[program].said, self._fresh[program], self._zones[program],
            (last, row["first_at"], row["won_back_at"]), self._purchases[key],
        )  # fmt: skip
        scores = wanted.scores or (None, None, None)
        told = {"lifecycle": wanted.lifecycle, "class": wanted.class_, "rfm": wanted.rfm}
        for column, value in {**told, **dict(zip(SCORES, scores, strict=True))}.items():
            if row[column] != value:
                self._found.add(CHECK, where, f"{column} is {row[column]}, the purchases say {value}")
        for family, segment in told.items():
            self._counted[program][family][segment] += 1

    def end(self) -> None:
        """Members and counts of the last run; members whom the journal moved and who have no row."""
        for program, counted in self._counted.items():
            where, counts = self._fresh[program].get("counts", ("", {}))
            for family, of_family in counted.items():
                if where and dict(of_family) != counts.get(family):
                    self._found.add(CHECK, where, f"counts of {family} are not those of the members")
        gone = {key[:2] for key in self._told.moved} - self._seen - self._absorbed
        for key in sorted(gone):
            self._found.add(CHECK, f"segments {self._chain} {' '.join(key)}", "is missing")


def document_of(text: bytes) -> Any:
    """A program's document; empty when it is none (its bytes are held against the ledger's)."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _agrees(parameters: dict[str, Any], document: Any) -> bool:
    """Whether a run's parameters are the document's, as far as that says any."""
    if not isinstance(document, dict) or set(parameters) != PARAMETERS:
        return False
    lifecycle = {f"{name}_days": value for name, value in parameters["lifecycle"].items()}
    known = {
        "every": parameters["every"], "window": {"months": parameters["window_months"]},
        "lifecycle": lifecycle, "classes": parameters["classes"], "scores": parameters["scores"],
    }  # fmt: skip
    for part, value in document.items():
        told = known.get(part)
        if isinstance(value, dict) and isinstance(told, dict):
            if any(told.get(name) != of_it for name, of_it in value.items()):
                return False
        elif told is not None and told != value:
            return False
    return True


def _bounds(said: Any) -> dict[str, Any]:
    """The bounds as the table has them."""
    return {
        "recency": [_iso(time_of(bound)) for bound in said.recency],
        "frequency": list(said.frequency),
        "monetary": list(said.monetary),
        "high": [said.recency_high, said.frequency_high, said.monetary_high],
        "high_spend": said.high_spend, "high_ticket": said.high_ticket,
        "bargain_hunter": said.bargain_hunter, "loyal": said.loyal,
    }  # fmt: skip


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
