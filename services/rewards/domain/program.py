"""A program as rewards sees it: the section `rewards:` of its document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REWARD_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
KINDS = ("discount", "product", "experience")
CATALOGUE_MAX = 10_000
NAME_MAX = 200
POINTS_MAX = 10**15
VALUE_MAX = 10**15
TTL_DEFAULT_SECONDS = 900
TTL_MAX_SECONDS = 366 * 86_400
"""The ledger has a limit of its own, the program's `ledger.holds.max_ttl_seconds`, and refuses what is longer."""


class ProgramError(ValueError):
    """The document is wrong at `field` (a path such as `rewards.catalogue[0].points`)."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


@dataclass(slots=True, frozen=True)
class Reward:
    """What a member can have for points. `value` is in minor units of the program's currency, 0 for none."""

    id: str
    name: str
    kind: str
    points: int
    value: int


@dataclass(slots=True, frozen=True)
class Program:
    """One version of a program: what can be redeemed, and for how long points are held, in seconds."""

    id: str
    version: str
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's."""
    catalogue: Mapping[str, Reward]
    ttl_seconds: int


def parse_program(document: Mapping[str, Any], version: str) -> Program:
    """Rewards' view of a document; one without the section has an empty catalogue.

    Raises:
        ProgramError: a field of the section is wrong; it names the field.
    """
    program_id = document.get("program")
    if not isinstance(program_id, str) or not program_id:
        raise ProgramError("program", "is missing")
    clock = document.get("clock", "wall")
    if clock not in ("wall", "events"):
        raise ProgramError("clock", f"is {clock!r}; one of wall, events")
    section = _mapping(document.get("rewards", {}), "rewards", ("catalogue", "redemption"))
    redemption = _mapping(section.get("redemption", {}), "rewards.redemption", ("ttl_seconds",))
    ttl = redemption.get("ttl_seconds", TTL_DEFAULT_SECONDS)
    return Program(
        id=program_id,
        version=version,
        runs_on_events=clock == "events",
        catalogue=_catalogue(section.get("catalogue", [])),
        ttl_seconds=_whole(ttl, "rewards.redemption.ttl_seconds", 1, TTL_MAX_SECONDS),
    )


def _catalogue(values: Any) -> dict[str, Reward]:
    if not isinstance(values, list):
        raise ProgramError("rewards.catalogue", "must be a list")
    if len(values) > CATALOGUE_MAX:
        raise ProgramError(
            "rewards.catalogue", f"has {len(values)} rewards, at most {CATALOGUE_MAX} are taken"
        )
    catalogue: dict[str, Reward] = {}
    for number, value in enumerate(values):
        path = f"rewards.catalogue[{number}]"
        reward = _reward(value, path)
        if reward.id in catalogue:
            raise ProgramError(f"{path}.id", f"{reward.id!r} is there twice")
        catalogue[reward.id] = reward
    return catalogue


def _reward(value: Any, path: str) -> Reward:
    fields = _mapping(value, path, ("id", "name", "kind", "points", "value"))
    reward_id = fields.get("id")
    if not isinstance(reward_id, str) or not REWARD_ID.fullmatch(reward_id):
        raise ProgramError(f"{path}.id", "must be 1 to 64 of letters, digits, _ . and -")
    name = fields.get("name", reward_id)
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise ProgramError(f"{path}.name", f"must be text of 1 to {NAME_MAX} printable characters")
    kind = fields.get("kind")
    if kind not in KINDS:
        raise ProgramError(f"{path}.kind", f"is {kind!r}; one of {', '.join(KINDS)}")
    if kind == "discount" and "value" not in fields:
        raise ProgramError(f"{path}.value", "is missing: what the discount takes off, in minor units")
    return Reward(
        id=reward_id,
        name=name,
        kind=kind,
        points=_whole(fields.get("points"), f"{path}.points", 1, POINTS_MAX),
        value=_whole(fields.get("value", 0), f"{path}.value", 1 if kind == "discount" else 0, VALUE_MAX),
    )


def _mapping(value: Any, path: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ProgramError(path, "must be a mapping")
    for key in value:
        if key not in keys:
            raise ProgramError(f"{path}.{key}", f"is not known here; known: {', '.join(keys)}")
    return value


def _whole(value: Any, path: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ProgramError(path, f"must be a whole number from {least} to {most}")
    return value
