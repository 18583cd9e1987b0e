"""A program as rewards sees it: the section `rewards:` of its document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from services.common.program_section import Section, read_head
from services.rewards.domain.grants import Grant, read_grants
from services.rewards.domain.voucher_terms import Pack, Terms, read_pack, read_vouchers

REWARD_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
KINDS = ("discount", "product", "experience", "voucher_pack")
CATALOGUE_MAX = 10_000
NAME_MAX = 200
POINTS_MAX = 10**15
VALUE_MAX = 10**15
TTL_DEFAULT_SECONDS = 900
TTL_MAX_SECONDS = 366 * 86_400
"""The ledger has a limit of its own, the program's `ledger.holds.max_ttl_seconds`, and refuses what is longer."""


@dataclass(slots=True, frozen=True)
class Reward:
    """What a member can have for points. `value` is in minor units of the program's currency, 0 for none."""

    id: str
    name: str
    kind: str
    points: int
    value: int
    pack: Pack | None = None
    """What a `voucher_pack` gives."""


@dataclass(slots=True, frozen=True)
class Program:
    """One version of a program: what can be redeemed, and for how long points are held, in seconds."""

    id: str
    version: str
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's."""
    catalogue: Mapping[str, Reward]
    ttl_seconds: int
    vouchers: Mapping[str, Terms] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


def parse_program(document: Mapping[str, Any], version: str) -> Program:
    """Rewards' view of a document; one without the section has an empty catalogue.

    Raises:
        ProgramError: a field of the section is wrong; it names the field.
    """
    top = Section(document, "")
    head = read_head(top)
    rewards = top.section("rewards", optional=True)
    rewards.only("catalogue", "redemption", "vouchers", "grants")
    vouchers = read_vouchers(rewards)
    redemption = rewards.section("redemption", optional=True)
    redemption.only("ttl_seconds")
    return Program(
        id=head.program,
        version=version,
        runs_on_events=head.runs_on_events,
        catalogue=_catalogue(rewards, vouchers),
        ttl_seconds=redemption.whole("ttl_seconds", 1, TTL_MAX_SECONDS, TTL_DEFAULT_SECONDS),
        vouchers=vouchers,
        grants=read_grants(rewards, vouchers),
        zone=head.time_zone,
    )


def _catalogue(rewards: Section, vouchers: Mapping[str, Terms]) -> dict[str, Reward]:
    catalogue: dict[str, Reward] = {}
    for section in rewards.sections("catalogue", CATALOGUE_MAX):
        reward = _reward(section, vouchers)
        if reward.id in catalogue:
            raise section.wrong("id", f"{reward.id!r} is there twice")
        catalogue[reward.id] = reward
    return catalogue


def _reward(section: Section, vouchers: Mapping[str, Terms]) -> Reward:
    section.only("id", "name", "kind", "points", "value", "voucher", "count")
    reward_id = section.text("id")
    if not REWARD_ID.fullmatch(reward_id):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    name = section.text("name", reward_id)
    if len(name) > NAME_MAX or not name.isprintable():
        raise section.wrong("name", f"must be text of 1 to {NAME_MAX} printable characters")
    kind = section.choice("kind", KINDS)
    pack = read_pack(section, vouchers) if kind == "voucher_pack" else None
    for key in ("voucher", "count"):
        if pack is None and key in section.values:
            raise section.wrong(key, "is for kind voucher_pack")
    # What a discount takes off has no default.
    least, default = (1, None) if kind == "discount" else (0, 0)
    return Reward(
        id=reward_id,
        name=name,
        kind=kind,
        points=section.whole("points", 1, POINTS_MAX),
        value=section.whole("value", least, VALUE_MAX, default),
        pack=pack,
    )
