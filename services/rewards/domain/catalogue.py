"""What a member can have: an entry of `rewards.catalogue`, and what keeps a member from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from services.common import local_time
from services.common.local_time import ALWAYS, Window, read_window
from services.common.program_section import Section
from services.rewards.domain.standing import AUDIENCE, EVERYBODY, NOT_TOLD, Audience, Standing, read_audience
from services.rewards.domain.voucher_terms import PACK_MAX, Pack, Terms, read_pack

REWARD_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
KINDS = ("discount", "product", "experience", "trial", "voucher_pack", "stored_value", "draw_ticket")
CATALOGUE_MAX = 10_000
NAME_MAX = 200
POINTS_MAX = 10**15
MONEY_MAX = 10**12
VALUE_MAX = 10**15
STOCK_MAX = 10**9
LIMIT_MAX = 10**6
DAYS_MAX = 3_660
PERIODS = ("day", "week", "month", "year", "ever")

KIND_FIELDS = {
    "voucher": ("voucher_pack",),
    "count": ("voucher_pack", "draw_ticket"),
    "draw": ("draw_ticket",),
    "days": ("trial",),
}
"""Fields that only some kinds have."""
WITH_VALUE = ("discount", "stored_value")
"""Kinds whose value has no default: what is taken off, or loaded."""

WHY_NOT = {
    "tier": ("reward_not_for_tier", "it is for other tiers: {}"),
    "segment": ("reward_not_for_segment", "it is for members of other segments"),
    "tag": ("reward_not_for_tag", "it is for members with other tags"),
}
Reason = tuple[str, str]
"""(code, what to tell of it)"""


@dataclass(slots=True, frozen=True)
class Limit:
    """So many for a member in each period, by the program's calendar."""

    count: int
    per: Literal["day", "week", "month", "year", "ever"]

    def since(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """When the period that `at` is in began; None: ever."""
        today = at.astimezone(zone).date()
        match self.per:
            case "day":
                first = today
            case "week":
                first = today - timedelta(days=today.weekday())
            case "month":
                first = today.replace(day=1)
            case "year":
                first = today.replace(month=1, day=1)
            case _:
                return None
        return datetime(first.year, first.month, first.day, tzinfo=zone).astimezone(UTC)


@dataclass(slots=True, frozen=True)
class Reward:
    """What a member can have. `value` and `money` are minor units of the program's currency, 0 for none."""

    id: str
    name: str
    kind: str
    points: int
    value: int
    pack: Pack | None = None
    """What a `voucher_pack` gives."""
    money: int = 0
    """Of stored value, beside the points."""
    stock: int | None = None
    """So many over all members; None: no end of them."""
    limit: Limit | None = None
    audience: Audience = EVERYBODY
    when: Window = ALWAYS
    draw: str = ""
    tickets: int = 0
    """What a `draw_ticket` is for, and how many there are."""
    days: int = 0
    """How long a `trial` lasts."""


@dataclass(slots=True, frozen=True)
class Looked:
    """What a reward is judged by beside the program: the moment, the place, the member, and what was taken before."""

    at: datetime
    zone: ZoneInfo
    """Of the store, else of the program."""
    standing: Standing = NOT_TOLD
    had: int = 0
    """So many the member has had in the period of the reward's limit."""
    taken: int = 0
    """So many of the stock are taken, by anybody."""


def why_not(reward: Reward, looked: Looked, lowest_tier: str) -> list[Reason]:
    """All that keeps the member from it, in the order in which it is told (docs/redemptions.md); empty: nothing."""
    reasons: list[Reason] = []
    if not reward.when.holds(looked.at, looked.zone):
        reasons.append(("reward_not_now", "it can't be had at this time: see its `when`"))
    missing = reward.audience.missing(looked.standing, lowest_tier)
    if missing is not None:
        code, text = WHY_NOT[missing]
        reasons.append((code, text.format(", ".join(reward.audience.tiers))))
    if reward.limit is not None and looked.had >= reward.limit.count:
        per = "" if reward.limit.per == "ever" else f" a {reward.limit.per}"
        reasons.append(("limit_reached", f"a member can have {reward.limit.count} of it{per}"))
    if reward.stock is not None and looked.taken >= reward.stock:
        reasons.append(("out_of_stock", f"all {reward.stock} are taken"))
    return reasons


def read_catalogue(
    rewards: Section, vouchers: Mapping[str, Terms], tiers: Sequence[str], keeps_money: bool
) -> dict[str, Reward]:
    """`rewards.catalogue` by id; `keeps_money`: the program has stored value. Raises ProgramError."""
    catalogue: dict[str, Reward] = {}
    for section in rewards.sections("catalogue", CATALOGUE_MAX):
        reward = _reward(section, vouchers, tiers, keeps_money)
        if reward.id in catalogue:
            raise section.wrong("id", f"{reward.id!r} is there twice")
        catalogue[reward.id] = reward
    return catalogue


def _reward(
    section: Section, vouchers: Mapping[str, Terms], tiers: Sequence[str], keeps_money: bool
) -> Reward:
    section.only(
        "id", "name", "kind", "points", "money", "value", *KIND_FIELDS, "stock", "limit", "when", *AUDIENCE
    )
    reward_id = section.text("id")
    if not REWARD_ID.fullmatch(reward_id):
        raise section.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    name = section.text("name", reward_id)
    if len(name) > NAME_MAX or not name.isprintable():
        raise section.wrong("name", f"must be text of 1 to {NAME_MAX} printable characters")
    kind = section.choice("kind", KINDS)
    for key, kinds in KIND_FIELDS.items():
        if key in section.values and kind not in kinds:
            raise section.wrong(key, f"is for kind {' or '.join(kinds)}")
    money = section.whole("money", 1, MONEY_MAX) if "money" in section.values else 0
    for key, asked in (("money", bool(money)), ("kind", kind == "stored_value")):
        if asked and not keeps_money:
            raise section.wrong(key, "needs stored value: the document has no `ledger.stored_value`")
    when = section.section("when", optional=True)
    when.only(*local_time.FIELDS)
    least, default = (1, None) if kind in WITH_VALUE else (0, 0)
    return Reward(
        id=reward_id,
        name=name,
        kind=kind,
        # What is paid with money may cost no points.
        points=section.whole("points", 1, POINTS_MAX) if "points" in section.values or not money else 0,
        value=section.whole("value", least, MONEY_MAX if kind == "stored_value" else VALUE_MAX, default),
        pack=read_pack(section, vouchers) if kind == "voucher_pack" else None,
        money=money,
        stock=section.whole("stock", 0, STOCK_MAX) if "stock" in section.values else None,
        limit=_limit(section.section("limit")) if "limit" in section.values else None,
        audience=read_audience(section, tiers),
        when=read_window(when),
        draw=section.text("draw") if kind == "draw_ticket" else "",
        tickets=section.whole("count", 1, PACK_MAX, 1) if kind == "draw_ticket" else 0,
        days=section.whole("days", 1, DAYS_MAX) if kind == "trial" else 0,
    )


def _limit(section: Section) -> Limit:
    section.only("count", "per")
    per = section.choice("per", PERIODS, "ever")
    return Limit(section.whole("count", 1, LIMIT_MAX), per)  # type: ignore[arg-type]
