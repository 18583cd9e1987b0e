"""Tiers, their history and rankings of one chain: tiering's tables beside its journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any

from services.ops.verify.findings import Findings
from services.ops.verify.segments_journal import time_of
from services.ops.verify.segments_tables import document_of
from services.ops.verify.snapshot import Connection, batches
from services.ops.verify.tiers_journal import CHECK, Ranking, TiersTold, alike

COLUMNS = (
    "ledger_position", "from_tier", "to_tier", "since", "until", "reason", "rule", "metric", "threshold", "measures",
    "positions", "granted_by",
)  # fmt: skip
HISTORY = f"SELECT program, member, position, {', '.join(COLUMNS)} FROM tier_history WHERE chain = $1"  # noqa: S608
MEMBERS = """
SELECT program, member, enrolled_at, tier, since, until, changed_position FROM members WHERE chain = $1
"""
ABSORBED = "SELECT program, member FROM absorbed_members WHERE chain = $1"
RANKINGS = "SELECT * FROM tier_rankings WHERE chain = $1"
DOCUMENTS = "SELECT program, version, document FROM programs WHERE chain = $1 AND refusal IS NULL"
WINDOWS = """
-- What a member holds of a metric is the sum of its entries after the moment that is written with it.
SELECT m.program, m.member, w.key AS metric, (w.value ->> 1)::bigint AS held, e.total
FROM members AS m CROSS JOIN LATERAL jsonb_each(m.windows) AS w CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount), 0)::bigint AS total FROM entries
    WHERE chain = m.chain AND program = m.program AND member = m.member AND metric = w.key
    AND (extract(epoch FROM occurred_at) * 1000000)::bigint > (w.value ->> 0)::bigint
) AS e WHERE m.chain = $1 AND e.total IS DISTINCT FROM (w.value ->> 1)::bigint
"""
PLACES = """
-- Members by the flags that the last ranking gave them.
SELECT t.flag, count(*) AS members
FROM members AS m CROSS JOIN LATERAL jsonb_object_keys(m.standing -> 'tops') AS t (flag)
WHERE m.chain = $1 AND m.program = $2 GROUP BY t.flag
"""
POSITION = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = 'ledger.v1'"


async def check_tiers(connection: Connection, chain: int, told: TiersTold, found: Findings) -> None:
    """Everything about one chain that tiering's own database tells."""
    documents = {
        (program, version): document_of(text)
        for program, version, text in await connection.fetch(DOCUMENTS, chain)
    }
    _check_steps(told, documents, found)
    await _check_history(connection, chain, told, found)
    await _check_members(connection, chain, told, documents, found)
    for row in await connection.fetch(WINDOWS, chain):
        where = f"members {chain} {row['program']} {row['member']}"
        found.add(CHECK, where, f"windows: {row['metric']} is {row['held']}, entries have {row['total']}")
    await _check_rankings(connection, chain, told, found)
    await _check_places(connection, chain, told, documents, found)


def _lowest(documents: dict[tuple[str, str], Any], program: str, version: str) -> str | None:
    """The tier that everybody begins with."""
    tiers = documents.get((program, version), {}).get("tiering", {}).get("tiers") or [{}]
    name: str | None = tiers[0].get("name")
    return name


def _check_steps(told: TiersTold, documents: dict[tuple[str, str], Any], found: Findings) -> None:
    """From the lowest tier on, each change begins where the one before has ended."""
    for step in told.steps:
        begins_lowest = step.from_tier == _lowest(documents, step.program, step.version)
        was_lowest = step.before is None or step.before[1] == _lowest(documents, step.program, step.before[0])
        if not (begins_lowest and was_lowest):
            had = "the lowest tier" if step.before is None else step.before[1]
            found.add(CHECK, step.where, f"goes from {step.from_tier}, the member had {had}")


async def _check_history(connection: Connection, chain: int, told: TiersTold, found: Findings) -> None:
    wanted = dict(told.changes)
    async for rows in batches(connection, HISTORY, chain):
        found.looked(CHECK, len(rows))
        for row in rows:
            key, values = tuple(row)[:3], dict(zip(COLUMNS, tuple(row)[3:], strict=True))
            where = f"tier_history {chain} {key[0]} {key[1]} {key[2]}"
            change = wanted.pop((key[0], key[1], key[2]), None)
            if change is None:
                found.add(CHECK, where, "the journal knows nothing of it")
                continue
            values["measures"] = [_measure(told) for told in json.loads(values["measures"])]
            for column, value in zip(COLUMNS, change, strict=True):
                if values[column] != value:
                    found.add(CHECK, where, f"{column} is {values[column]}, the journal says {value}")
    for program, member, position in wanted:
        found.add(CHECK, f"tier_history {chain} {program} {member} {position}", "is missing")


async def _check_members(
    connection: Connection,
    chain: int,
    told: TiersTold,
    documents: dict[tuple[str, str], Any],
    found: Findings,
) -> None:
    """Tier, since and until are those of the last change; who has none has the lowest."""
    gone = {(row["program"], row["member"]) for row in await connection.fetch(ABSORBED, chain)}
    left = set(told.last) - gone
    async for rows in batches(connection, MEMBERS, chain):
        found.looked(CHECK, len(rows))
        for row in rows:
            key = (row["program"], row["member"])
            where = f"members {chain} {key[0]} {key[1]}"
            left.discard(key)
            if key in gone:
                found.add(CHECK, where, "was absorbed by another member")
            position, version = told.last.get(key, (None, ""))
            wanted: dict[str, Any] = {"tier": None, "since": row["enrolled_at"], "until": None}
            if position is not None:
                change = dict(zip(COLUMNS, told.changes[(*key, position)], strict=True))
                lowest = change["to_tier"] == _lowest(documents, key[0], version)
                wanted = {"tier": None if lowest else change["to_tier"]}
                wanted |= {name: change[name] for name in ("since", "until")}
            wanted["changed_position"] = position
            for column, value in wanted.items():
                if row[column] != value:
                    found.add(CHECK, where, f"{column} is {row[column]}, the journal says {value}")
    for program, member in sorted(left):
        found.add(CHECK, f"members {chain} {program} {member}", "is missing")


async def _check_rankings(connection: Connection, chain: int, told: TiersTold, found: Findings) -> None:
    wanted = dict(told.rankings)
    for (program, run), ranking in wanted.items():
        found.report.ranked[program, run, alike(ranking.said)] += 1
    for row in await connection.fetch(RANKINGS, chain):
        found.looked(CHECK)
        where = f"tier_rankings {chain} {row['program']} {row['run']}"
        known = wanted.pop((row["program"], row["run"]), None)
        if known is None:
            found.add(CHECK, where, "the journal knows nothing of it")
            continue
        for column, value in _columns(known).items():
            there = json.loads(row[column]) if column == "tops" else row[column]
            if there != value:
                found.add(CHECK, where, f"{column} is {there}, the journal says {value}")
    for program, run in wanted:
        found.add(CHECK, f"tier_rankings {chain} {program} {run}", "is missing")


def _columns(ranking: Ranking) -> dict[str, Any]:
    said = ranking.said
    return {
        "position": ranking.row["position"], "version": ranking.row["program_version"],
        "ledger_position": said.ledger_position, "cause": said.cause, "at": time_of(said.at),
        "members": said.members, "changed": ranking.changed,
        "tops": [
            {"metric": top.metric, "percent": top.percent, "places": top.places, "threshold": top.threshold}
            for top in said.tops
        ],
    }  # fmt: skip


async def _check_places(
    connection: Connection,
    chain: int,
    told: TiersTold,
    documents: dict[tuple[str, str], Any],
    found: Findings,
) -> None:
    """Where nothing has come since, exactly so many members of the chain have a place as the last ranking gave."""
    position = await connection.fetchval(POSITION, chain)
    last = {program: ranking for (program, _), ranking in told.rankings.items()}
    for program, ranking in last.items():
        since = told.moved.get(program, 0) > ranking.row["position"]
        if since or ranking.said.ledger_position != position:
            continue
        document = documents.get((program, ranking.row["program_version"]), {})
        asked = set(_percents(document.get("tiering", {})))
        given = {row["flag"]: row["members"] for row in await connection.fetch(PLACES, chain, program)}
        for top in ranking.said.tops:
            # What the version in force does not ask for is given to nobody.
            places = top.here[chain] if Fraction(top.percent) in asked else 0
            prefix = f"top {top.percent} percent by {top.metric}"
            # Behind the metric's name stands its window.
            have = sum(given[flag] for flag in given if f"{flag} ".startswith(f"{prefix} "))
            if have != places:
                where = f"tier_rankings {chain} {program} {ranking.said.run}"
                found.add(CHECK, where, f"gave {places} places, {have} members have one ({prefix})")


def _percents(document: Any) -> Iterator[Fraction]:
    """Every `top_percent` in a part of a document."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "top_percent":
                yield Fraction(str(value))
            else:
                yield from _percents(value)
    elif isinstance(document, list):
        for value in document:
            yield from _percents(value)


def _measure(told: Any) -> Any:
    """One of the column `measures` as `TiersTold` has it; as it stands when it is no measure."""
    if not isinstance(told, dict) or set(told) != {"metric", "value", "threshold", "after", "up_to"}:
        return told
    after, up_to = (datetime.fromisoformat(told[name]) for name in ("after", "up_to"))
    return told["metric"], told["value"], told["threshold"], after, up_to
