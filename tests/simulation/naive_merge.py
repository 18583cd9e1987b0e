"""Merging, read naively: whose things are whose now. A part of NaiveLedger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.naive_ledger import Account, Credit, NaiveLedger


def last_heir(heirs: dict[str, str], member: str) -> str:
    """Who has everything of `member` now."""
    return last_heir(heirs, heirs[member]) if member in heirs else member


def hand_over(ledger: NaiveLedger, gone: Account, to: Account) -> list[Credit]:
    """Every credit, hold and purchase changes hands; debts add up. Returns the credits."""
    new = {}
    for credit in gone.credits:
        if credit.left:
            ledger.count += 1
            new[credit.number] = replace(credit, number=ledger.count)
    to.credits += new.values()
    for id_, hold in gone.holds.items():
        if hold.state == "open":
            hold.parts = [(new[credit.number], points) for credit, points in hold.parts if points]
            to.holds[id_] = hold
        else:
            to.ended[id_] = hold
    to.ended |= gone.ended
    to.bought |= gone.bought
    to.debt += gone.debt
    to.lapses = max([at for at in (to.lapses, gone.lapses) if at is not None], default=None)
    to.carry += gone.carry
    to.earned.update(gone.earned)
    return list(new.values())
