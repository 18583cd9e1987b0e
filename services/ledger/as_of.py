"""What a member, or a program's accounts, had at an instant that is past: folded from the journal and its postings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError
from sqlalchemy import and_, case, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.as_of import ROWS_MAX, By, last_rows, member_rows
from services.common.errors import InvariantBroken, Refusal
from services.ledger import money_views, payloads
from services.ledger.domain.book import Book, Hold, Lot, Member
from services.ledger.domain.business_time import DatedBy
from services.ledger.domain.events import Decided
from services.ledger.domain.evolve import evolve
from services.ledger.domain.postings import member_account
from services.ledger.tables import journal, postings
from services.ledger.views import balance

LOTS_MAX = 1_000
"""Lots that are listed; the balance is over all."""
MEMBERS = "members"
"""All members' accounts in one."""


async def member(
    connection: AsyncConnection,
    place: tuple[int, str, str],
    at: datetime,
    by: By,
    rows_max: int | None = ROWS_MAX,
) -> dict[str, Any]:
    """Balance, lots and holds of a member, `place` being (chain, program, member), at `at`.

    Raises:
        Refusal: unknown_member (also one who was no member yet), history_too_long, book_broken.
    """
    chain, program, member_id = place
    last = (await last_rows(connection, [chain], at))[chain] if by is By.RECORDED else None
    book, dated = Book(keeps_purchases=False), DatedBy(at)
    found = None
    position = rows = 0
    async for row in member_rows(connection, journal, place, last, rows_max):
        try:
            event = payloads.decode(row.type, row.payload)
            evolve(book, chain, program, Decided(event, member_id, row.occurred_at), row.position)
        except (InvariantBroken, KeyError, DecodeError) as broken:
            raise Refusal(
                "book_broken",
                f"row {chain}:{row.position} can't follow from the rows before it ({broken!r}): run `tally verify`",
            ) from broken
        found = book.members.get((program, member_id))
        if found is not None and by is By.BUSINESS:
            dated.take(found, event, row.occurred_at, row.position)
        if by is By.RECORDED or row.occurred_at <= at:
            position, rows = row.position, rows + 1
    if found is not None and by is By.BUSINESS:
        found = dated.member(found)
    if found is None:
        raise Refusal(
            "unknown_member",
            f"member {member_id!r} was not enrolled in {program!r} at {at.isoformat()} by {by} time",
        )
    return {
        "program": program, "member": member_id, "at": at.isoformat(), "by": by.value,
        "chain": chain, "position": position, "rows": rows, **shown(found),
    }  # fmt: skip


def shown(member: Member) -> dict[str, Any]:
    """A member of the book as it is shown: open lots in the order in which they were opened, open holds."""
    lots = [lot for part in (member.lots, member.money) for lot in part.values() if lot.remaining]
    return {
        "enrolled_at": member.enrolled_at.isoformat(),
        "status": member.status,
        "merged_into": member.merged_into or None,
        "absorbed": list(member.absorbed),
        "tier": member.tier,
        "points": balance(member.posted, member.held, member.debt, member.pending),
        "money": money_views.by_currency(_accounts(member.money.values())),
        "lapses_at": _time(member.lapses_at),
        "lots": [_lot(lot) for lot in sorted(lots, key=lambda lot: lot.id)[:LOTS_MAX]],
        "lots_in_all": len(lots),
        "holds": [_hold(hold) for hold in member.holds.values() if hold.state == "open"],
    }


async def accounts(
    connection: AsyncConnection, chains: int, program: str, at: datetime, by: By
) -> list[dict[str, Any]]:
    """Every account of a program at `at`: what it was credited less what it was debited, by asset.

    The members' are one, `members`. Over all accounts an asset adds up to nothing.
    """
    p = postings.c
    if by is By.RECORDED:
        last = await last_rows(connection, range(chains), at)
        counts = p.position <= case(last, value=p.chain, else_=0)
    else:
        counts = journal.c.occurred_at <= at
    sides = []
    for account, sign in ((p.debit, -1), (p.credit, 1)):
        name = case((account.startswith(member_account("")), MEMBERS), else_=account)
        side = select(name.label("account"), p.asset, (p.amount * sign).label("amount"))
        if by is By.BUSINESS:
            same = and_(journal.c.chain == p.chain, journal.c.position == p.position)
            side = side.join_from(postings, journal, same)
        sides.append(side.where(p.program == program, counts))
    both = union_all(*sides).subquery()
    query = (
        select(both.c.account, both.c.asset, func.sum(both.c.amount).label("balance"))
        .group_by(both.c.account, both.c.asset)
        .order_by(both.c.asset, both.c.account)
    )
    return [
        {"account": row.account, "asset": row.asset, "balance": int(row.balance)}
        for row in await connection.execute(query)
    ]


def _accounts(lots: Iterable[Lot]) -> list[dict[str, Any]]:
    """Lots of money added up by asset, as rows of the table `accounts`."""
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for lot in lots:
        sums[lot.asset][0] += lot.remaining
        sums[lot.asset][1] += lot.held
    return [{"asset": asset, "posted": left, "held": held} for asset, (left, held) in sorted(sums.items())]


def _lot(lot: Lot) -> dict[str, Any]:
    return {
        "lot": lot.id, "asset": lot.asset, "amount": lot.amount, "remaining": lot.remaining, "held": lot.held,
        "from": lot.purchase, "earned_at": lot.earned_at.isoformat(), "matures_at": _time(lot.matures_at),
        "expires_at": _time(lot.expires_at),
    }  # fmt: skip


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "hold": hold.id, "order": hold.order, "amount": hold.amount, "captured": hold.captured, "left": hold.left,
        "money": {"currency": hold.money.currency, "amount": hold.money.amount, "captured": hold.money.captured,
                  "left": hold.money.left} if hold.money.currency else None,
        "expires_at": hold.expires_at.isoformat(),
    }  # fmt: skip


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
