"""What a grant or a prize gives: vouchers, points, stored value, tickets for a draw, something of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.common.program_section import Section
from services.rewards.domain.award_events import MoneyPromised, PointsPromised, Promise
from services.rewards.domain.awards import REASON, award_id
from services.rewards.domain.catalogue import MONEY_MAX, Reward
from services.rewards.domain.draw_events import TicketsGiven
from services.rewards.domain.voucher_events import VoucherStep
from services.rewards.domain.voucher_terms import Pack, Terms, read_pack
from services.rewards.domain.vouchers import issued

POINTS_MAX = 10**12
TICKETS_MAX = 1_000
KINDS = ("voucher", "points", "money", "draw", "reward")
"""An entry has one of these fields."""


@dataclass(slots=True, frozen=True)
class PointsGift:
    """Points, which the ledger gives."""

    points: int


@dataclass(slots=True, frozen=True)
class MoneyGift:
    """Stored value, minor units of the currency, which the ledger gives."""

    money: int
    currency: str


@dataclass(slots=True, frozen=True)
class TicketsGift:
    """Tickets for one of the program's draws."""

    draw: str
    tickets: int


@dataclass(slots=True, frozen=True)
class RewardGift:
    """An entry of the catalogue, handed over for nothing."""

    reward: str


Gift = Pack | PointsGift | MoneyGift | TicketsGift | RewardGift
Delivered = VoucherStep | Promise | TicketsGiven


@dataclass(slots=True, frozen=True)
class Shelf:
    """What a gift may name: the program's vouchers, draws and catalogue, and so many points at most."""

    vouchers: Mapping[str, Terms]
    draws: Collection[str]
    catalogue: Mapping[str, Reward]
    points_max: int = 0
    """The ledger gives so many by its adjustments without a second person."""
    currency: str = ""
    """Of the program's stored value; "" where it keeps none."""


def deliver(
    gifts: Sequence[Gift], program: str, member: str, source: str, source_id: str, at: datetime
) -> list[Delivered]:
    """The events that give a member all this. The same source gives the same ids."""
    events: list[Delivered] = []
    for number, gift in enumerate(gifts, 1):
        match gift:
            case Pack():
                events += issued(gift, program, member, source, source_id, at)
            case PointsGift(points):
                award = award_id(program, member, source, source_id, number)
                events.append(PointsPromised(award, points, source, source_id))
            case MoneyGift(money, currency):
                award = award_id(program, member, source, source_id, number, "money")
                events.append(MoneyPromised(award, money, currency, source, source_id))
            case TicketsGift(draw, tickets):
                events.append(TicketsGiven(draw, tickets, source, source_id))
    return events


def rewards_of(gifts: Sequence[Gift]) -> tuple[str, ...]:
    """The entries of the catalogue among them."""
    return tuple(gift.reward for gift in gifts if isinstance(gift, RewardGift))


def read_gifts(section: Section, most: int, shelf: Shelf) -> tuple[Gift, ...]:
    """The list `give`. Raises ProgramError.

    Two entries of one voucher would give vouchers of the same ids, so each is named once.
    """
    gifts: list[Gift] = []
    vouchers: set[str] = set()
    for entry in section.sections("give", most):
        entry.only(*KINDS, "count", "tickets")
        kinds = [kind for kind in KINDS if kind in entry.values]
        if len(kinds) != 1:
            raise entry.wrong("voucher", f"an entry gives one of {', '.join(f'`{kind}`' for kind in KINDS)}")
        for key, only_of in (("count", "voucher"), ("tickets", "draw")):
            if key in entry.values and kinds != [only_of]:
                raise entry.wrong(key, f"is for `{only_of}`")
        match kinds[0]:
            case "voucher":
                pack = read_pack(entry, shelf.vouchers)
                if pack.terms.id in vouchers:
                    raise entry.wrong("voucher", f"{pack.terms.id!r} is there twice: say `count`")
                vouchers.add(pack.terms.id)
                gifts.append(pack)
            case "points":
                gifts.append(PointsGift(_points(entry, shelf.points_max)))
            case "draw":
                tickets = entry.whole("tickets", 1, TICKETS_MAX, 1)
                gifts.append(TicketsGift(_named(entry, "draw", shelf.draws, "draws"), tickets))
            case "money":
                gifts.append(MoneyGift(_money(entry, shelf.currency), shelf.currency))
            case _:
                gifts.append(RewardGift(_reward(entry, shelf.catalogue)))
    return tuple(gifts)


def _money(entry: Section, currency: str) -> int:
    if not currency:
        raise entry.wrong("money", "needs stored value: the document has no `ledger.stored_value`")
    return entry.whole("money", 1, MONEY_MAX)


def _reward(entry: Section, catalogue: Mapping[str, Reward]) -> str:
    reward = _named(entry, "reward", catalogue, "catalogue")
    if catalogue[reward].kind == "stored_value":
        raise entry.wrong("reward", f"{reward!r} is handed over by nobody: give `money` instead")
    return reward


def _points(entry: Section, most: int) -> int:
    points = entry.whole("points", 1, POINTS_MAX)
    if points > most:
        needed = f"`{REASON}` among `ledger.adjustments.reasons` and a `limit` of at least {points}"
        raise entry.wrong("points", f"the ledger gives them as an adjustment: it needs {needed}")
    return points


def _named(entry: Section, key: str, known: Collection[str], where: str) -> str:
    name = entry.text(key)
    if name not in known:
        raise entry.wrong(key, f"{name!r} is not among `rewards.{where}`")
    return name


def points_max(top: Section) -> int:
    """So many points the ledger gives for us at once: its own section, looked at and not checked here."""
    ledger = top.values.get("ledger")
    adjustments = ledger.get("adjustments") if isinstance(ledger, Mapping) else None
    if not isinstance(adjustments, Mapping) or REASON not in (adjustments.get("reasons") or ()):
        return 0
    limit = adjustments.get("limit")
    return limit if isinstance(limit, int) else 0
