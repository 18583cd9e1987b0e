"""Members and points by hand, read naively: what each command does to a `NaiveLedger`, or its refusal."""

from __future__ import annotations

from tests.simulation import naive_lots
from tests.simulation.naive_accounts import Account, Credit, spending
from tests.simulation.naive_ledger import NaiveLedger, Refused

LIMIT = 50
"""Points by hand over this need a second person."""


def link(ledger: NaiveLedger, member: str, card: str) -> None:
    member = ledger.heir(member)
    if member in ledger.members:
        ledger.account(member)
    if ledger.cards.get(card, member) != member:
        raise Refused("identifier_taken")
    if member in ledger.members and card in ledger.cards:
        raise Refused("already_enrolled")
    ledger.cards[card] = member
    if member not in ledger.members:
        ledger.enrol(member)


def unlink(ledger: NaiveLedger, member: str, card: str) -> None:
    member = ledger.heir(member)
    if member not in ledger.members:
        raise Refused("unknown_member")
    if ledger.cards.get(card) != member:
        raise Refused("identifier_unknown")
    del ledger.cards[card]


def suspend(ledger: NaiveLedger, member: str) -> None:
    account = ledger.account(member)
    if account.status == "suspended":
        raise Refused("member_already_suspended")
    account.status = "suspended"


def reactivate(ledger: NaiveLedger, member: str) -> None:
    account = ledger.account(member)
    if account.status == "active":
        raise Refused("member_not_suspended")
    account.status = "active"


def close(ledger: NaiveLedger, member: str) -> None:
    account = ledger.account(member)
    if any(hold.state == "open" for hold in account.holds.values()):
        raise Refused("holds_open")
    if ledger.money_of(ledger.heir(member)):
        raise Refused("stored_value_left")
    account.status = "closed"
    account.debt = 0
    account.lapses = None
    for credit in account.credits:
        credit.left = 0


def adjust(ledger: NaiveLedger, id_: str, member: str, points: int, by: str) -> None:
    account = ledger.account(member)
    _check(ledger, account, points)
    if abs(points) > LIMIT:
        account.by_hand[id_] = (points, by, "requested")
    else:
        _move(ledger, account, points)
        account.by_hand[id_] = (points, by, "applied")


def approve(ledger: NaiveLedger, id_: str, member: str, by: str) -> None:
    account = ledger.account(member)
    points, asked_by = _waiting(account, id_)
    if by == asked_by:
        raise Refused("second_person_needed")
    _check(ledger, account, points)
    _move(ledger, account, points)
    account.by_hand[id_] = (points, asked_by, "applied")


def decline(ledger: NaiveLedger, id_: str, member: str) -> None:
    account = ledger.account(member)
    points, asked_by = _waiting(account, id_)
    account.by_hand[id_] = (points, asked_by, "declined")


def _waiting(account: Account, id_: str) -> tuple[int, str]:
    if id_ not in account.by_hand:
        raise Refused("adjustment_unknown")
    points, by, state = account.by_hand[id_]
    if state != "requested":
        raise Refused(f"adjustment_already_{state}")
    return points, by


def _usable(ledger: NaiveLedger, account: Account) -> list[Credit]:
    if account.lapses is not None and account.lapses <= ledger.clock:
        return []
    usable = [c for c in account.credits if c.expires is None or c.expires > ledger.clock]
    return [c for c in usable if c.matures is None]


def _check(ledger: NaiveLedger, account: Account, points: int) -> None:
    free = sum(credit.free for credit in _usable(ledger, account)) - account.debt
    if points < 0 and -points > max(0, free):
        raise Refused("insufficient_points")


def _move(ledger: NaiveLedger, account: Account, points: int) -> None:
    if points > 0:
        repaid = min(points, account.debt)
        account.debt -= repaid
        ledger.count += 1
        expires = naive_lots.expiry(ledger.version, ledger.clock)
        if account.lapses is None:
            account.lapses = naive_lots.lapse(ledger.version, "points", ledger.clock, None)
        account.credits.append(Credit(ledger.count, points - repaid, expires, "", None))
        return
    left = -points
    for credit in sorted(_usable(ledger, account), key=spending(ledger.version)):
        part = min(credit.free, left)
        credit.left -= part
        left -= part
