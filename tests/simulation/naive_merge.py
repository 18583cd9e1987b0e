"""Merging, read naively: whose things are whose now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.naive_accounts import Account
    from tests.simulation.naive_ledger import NaiveLedger
    from tests.simulation.naive_social import NaiveSocial


def last_heir(heirs: dict[str, str], member: str) -> str:
    """Who has everything of `member` now."""
    return last_heir(heirs, heirs[member]) if member in heirs else member


def merge(ledger: NaiveLedger, social: NaiveSocial, survivor: str, absorbed: str) -> None:
    """Everything of one member is the other's."""
    survivor = ledger.heir(survivor)
    if survivor == absorbed:
        raise ledger.Refused("merge_into_itself")
    to = ledger.account(survivor)
    if absorbed not in ledger.members:
        raise ledger.Refused("unknown_member")
    if absorbed in ledger.heirs:
        raise ledger.Refused("already_merged")
    gone = ledger.account(absorbed)
    if any(state == "requested" for _, _, state in gone.by_hand.values()):
        raise ledger.Refused("merge_blocked")
    if absorbed in social.referred and social.referred[absorbed].owed:
        raise ledger.Refused("merge_blocked")
    left = type(gone)()
    left.tiers, left.carry, left.status, left.by_hand = gone.tiers, gone.carry, gone.status, gone.by_hand
    ledger.members[absorbed] = left
    ledger.heirs[absorbed] = survivor
    social.merge(survivor, absorbed)
    coins = ledger.coins.pop(absorbed, [])
    ledger.coins.setdefault(survivor, []).extend(coins)
    ledger.top_ups.setdefault(survivor, {}).update(ledger.top_ups.pop(absorbed, {}))
    for card, owner in ledger.cards.items():
        if owner == absorbed:
            ledger.cards[card] = survivor
    # What is past its day expires as it comes over.
    ledger._drop(_hand_over(ledger, gone, to))
    ledger.drop_money(survivor, coins)
    for of in [of for of in to.parked if of in to.bought]:
        for at, units in to.parked.pop(of):
            with suppress(ledger.Refused):
                ledger._back(to, of, units, at)


def _hand_over(ledger: NaiveLedger, gone: Account, to: Account) -> list[Any]:
    """Every credit, hold and purchase changes hands; debts add up. Returns the credits, new as of today."""
    new: dict[int, Any] = {}
    for credit in gone.credits:
        ledger.count += 1
        new[credit.number] = replace(credit, number=ledger.count)
    to.credits += new.values()
    for id_, hold in gone.holds.items():
        if hold.state == "open" or hold.captured or hold.coins.captured:
            hold.parts = [(_new(new, credit), points) for credit, points in hold.parts if points]
            hold.spent = [_new(new, credit) for credit in hold.spent]
            to.holds[id_] = hold
        else:
            to.ended[id_] = hold
    to.ended |= gone.ended
    to.bought |= gone.bought
    to.debt += gone.debt
    to.lapses = max([at for at in (to.lapses, gone.lapses) if at is not None], default=None)
    to.carry += gone.carry
    to.earned.update(gone.earned)
    for of, waiting in gone.parked.items():
        to.parked.setdefault(of, []).extend(waiting)
    if gone.status == "suspended":
        to.status = "suspended"
    return list(new.values())


def _new(new: dict[int, Any], credit: Any) -> Any:
    return new[credit.number]


def erase(ledger: NaiveLedger, member: str) -> None:
    """Nothing leads to the member but the id."""
    member = ledger.heir(member)
    if member not in ledger.members:
        raise ledger.Refused("unknown_member")
    ledger.cards = {card: owner for card, owner in ledger.cards.items() if owner != member}
