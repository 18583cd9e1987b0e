"""A member as a row: what the columns `windows` and `standing` hold, in and out of JSON. Times are in microseconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from services.common.chain import from_micros, micros
from services.tiering.domain.program import Rules
from services.tiering.domain.state import Grant, Member, Standing, Window

COLUMNS = (
    "program", "member", "enrolled_at", "tier", "since", "until", "as_of", "due", "windows", "standing",
    "changed_position",
)  # fmt: skip


def member_of(row: Any, rules: Rules) -> Member:
    """The member in a row of `COLUMNS`.

    A metric that has no window there (a version brought it, maybe back) gets one that holds nothing because it begins
    where the member's time ends: moved to where it belongs, it finds what entries there are.
    """
    as_of = row["as_of"]
    kept = orjson.loads(row["windows"])
    windows = {
        metric.name: Window(from_micros(kept[metric.name][0]), kept[metric.name][1])
        if metric.name in kept
        else Window(as_of)
        for metric in rules.counted
    }
    member = Member(
        row["member"], row["enrolled_at"], row["tier"], row["since"], row["until"], as_of, windows,
        Standing(row["tier"], row["since"], row["until"]), changed_position=row["changed_position"],
    )  # fmt: skip
    if row["standing"] is not None:
        _read(member, orjson.loads(row["standing"]))
    return member


def came_over(
    name: str, tier: str | None, since: datetime, until: datetime | None, as_of: datetime, standing: str
) -> Member:
    """An absorbed member by its row's columns, without windows."""
    member = Member(name, as_of, tier, since, until, as_of, {}, Standing(tier, since, until))
    if standing:
        _read(member, orjson.loads(standing))
    return member


def row_of(program: str, member: Member) -> tuple[object, ...]:
    """The values of `COLUMNS`."""
    # Written by hand: half the time of a mapping and its dump, for every member of every batch. Names need no escape.
    windows = ",".join(f'"{name}":[{micros(w.start)},{w.total}]' for name, w in member.windows.items())
    return (
        program, member.member, member.enrolled_at, member.tier, member.since, member.until, member.as_of, member.due,
        f"{{{windows}}}", _standing(member), member.changed_position,
    )  # fmt: skip


def _standing(member: Member) -> str | None:
    """None when what is published is all there is: the metrics gave it and nothing else has to be known."""
    standing = member.standing
    if (
        not member.grants
        and not member.issued
        and standing.tier == member.tier
        and standing.until == member.until
        and standing.since == member.since
        and standing.floor is None
        and standing.lowered_at is None
        and standing.earned_at is None
        and not (standing.grace or standing.soft or standing.lent or standing.closing or standing.ranked)
        and not standing.by_card
        and not (member.tops or member.closed)
    ):
        return None
    # SQL asks for some of these by their keys (services/tiering/population.py): each is there or it is not.
    also = {
        "ranked": standing.ranked, "tops": member.tops, "closed": member.closed, "by_card": standing.by_card,
    }  # fmt: skip
    return orjson.dumps(
        {
            **{key: value for key, value in also.items() if value},
            "tier": standing.tier,
            "since": _micros(standing.since),
            "until": _micros(standing.until),
            "floor": standing.floor,
            "lowered_at": _micros(standing.lowered_at),
            "grace": standing.grace,
            "soft": standing.soft,
            "lent": standing.lent,
            "earned_at": _micros(standing.earned_at),
            "closing": standing.closing,
            "issued": member.issued,
            "grants": [
                {
                    "id": grant.id,
                    "card": grant.card,
                    "tier": grant.tier,
                    "at": _micros(grant.at),
                    "start": _micros(grant.start),
                    "until": _micros(grant.until),
                    "months": grant.months,
                    "units": grant.units,
                    "started": grant.started,
                }
                for grant in member.grants
            ],
        }
    ).decode()


def _read(member: Member, kept: dict[str, Any]) -> None:
    member.issued = kept["issued"]
    member.grants = [
        Grant(
            g["id"], g["card"], g["tier"], from_micros(g["at"]), from_micros(g["start"]), _time(g["until"]),
            g["months"], g["units"], g["started"],
        )
        for g in kept["grants"]
    ]  # fmt: skip
    member.standing = Standing(
        tier=kept["tier"],
        since=from_micros(kept["since"]),
        until=_time(kept["until"]),
        floor=kept["floor"],
        lowered_at=_time(kept["lowered_at"]),
        grace=kept["grace"],
        soft=kept["soft"],
        lent=kept["lent"],
        earned_at=_time(kept["earned_at"]),
        closing=kept["closing"],
        ranked=kept.get("ranked", False),
        by_card=kept.get("by_card", False),
    )
    member.tops = kept.get("tops", {})
    member.closed = kept.get("closed", False)


def _micros(time: datetime | None) -> int | None:
    return None if time is None else micros(time)


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_micros(value)
