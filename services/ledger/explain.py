"""Why a number is what it is: the rows of the journal behind it, with their rules, arithmetic, lots and postings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from sqlalchemy import Row, case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.as_of import ROWS_MAX, member_rows
from services.common.chain import chain_of
from services.common.errors import Refusal
from services.ledger import money_views, payloads, views
from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS
from services.ledger.domain.order_rows import OrderRows
from services.ledger.domain.postings import member_account
from services.ledger.inbox import inbox_chain
from services.ledger.statement import describe
from services.ledger.store import Programs, purchase_source
from services.ledger.tables import holds, inbox, journal, lots, members, postings
from tallybook.ledger.v1 import events_pb2 as pb

PAGE_MAX = 200
LOTS_MAX = 200
"""Lots of a member that are listed; the newest of them."""
ORDER_ROWS_MAX = 1_000
"""Rows of an order that are listed."""
HOLDERS_MAX = 20
"""Members who held points for one order."""
SAME_CAUSE_ROWS = 50
"""How far before and behind a row the others of its request are looked for."""
DOCUMENT = "document"
"""Left out of what a row says: a program's document is asked for by its version."""


NAMED = ("program", "member", "enrolled_at", "status", "absorbed", "tier", "points", "money", "lapses_at")
"""What an explanation has of the member's own answer."""


async def member(
    connection: AsyncConnection,
    known: Programs,
    place: tuple[int, str, str],
    before: int | None = None,
    limit: int = PAGE_MAX,
) -> dict[str, Any]:
    """A member's balance as the sum of its open lots, each with where it came from, and as the sum of its postings.

    `place` is (chain, program, member). The rows come newest first, a page at a time, each with the balance after it.
    Raises Refusal("unknown_member").
    """
    chain, program, member_id = place
    told = await views.member(connection, chain, program, member_id)
    c = journal.c
    query = (
        select(journal)
        .where(c.chain == chain, c.program == program, c.member == member_id)
        .order_by(c.position.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(c.position < before)
    rows = (await connection.execute(query)).all()
    page = await entries(connection, known, rows[:limit])
    account = member_account(member_id)
    sums = {POINTS: 0} | (await _carried(connection, place, rows[0].position + 1) if rows else {})
    for entry in page:
        entry["balance_after"] = {
            asset: sums[asset] for asset in sorted(sums) if sums[asset] or asset == POINTS
        }
        for posting in entry["postings"]:
            got = posting["amount"] if posting["credit"] == account else -posting["amount"]
            sums[posting["asset"]] = sums.get(posting["asset"], 0) - got
    return {
        **{name: told[name] for name in NAMED},
        "merged_into": await _merged_into(connection, place),
        "chain": chain,
        "lots": await _open_lots(connection, known, place),
        "entries": page,
        "next": str(rows[limit - 1].position) if len(rows) > limit else None,
    }


async def order(
    connection: AsyncConnection,
    known: Programs,
    chains: int,
    program: str,
    order_id: str,
    rows_max: int | None = ROWS_MAX,
) -> dict[str, Any]:
    """All that concerns an order, oldest first: its purchase, what that earned, what became of the points, its returns,
    and what was held and spent for it. An order is a purchase's id, or what a hold named.

    Raises Refusal("order_unknown"), Refusal("history_too_long").
    """
    first = await _request(connection, chains, program, order_id)
    who = await _concerned(connection, chains, program, order_id, first)
    sums: Counter[tuple[str, str]] = Counter()
    places: list[tuple[int, int]] = []
    opened: list[tuple[int, int]] = []
    for member_id in who:
        chain = chain_of(member_id, chains)
        about = OrderRows(order_id, member_id, sums)
        places += [
            (chain, row.position)
            async for row in member_rows(connection, journal, (chain, program, member_id), None, rows_max)
            if about.concerns(payloads.decode(row.type, row.payload), row.position)
        ]
        opened += [(chain, lot) for lot in about.lots]
    if first is not None and (first.journal_chain, first.position) not in places:
        # It was refused, or waits in nobody's name.
        places.insert(0, (first.journal_chain, first.position))
    if not places:
        raise Refusal(
            "order_unknown",
            f"program {program!r} has no purchase {order_id!r} and no hold for an order of that name",
        )
    rows = await _rows_at(connection, places[:ORDER_ROWS_MAX])
    of = select(lots).where(tuple_(lots.c.chain, lots.c.lot).in_(opened), lots.c.program == program)
    found = (await connection.execute(of.order_by(lots.c.chain, lots.c.lot))).all()
    return {
        "program": program, "order": order_id, "members": who,
        **{name: sums[POINTS, name] for name in ("earned", "taken_back", "spent", "given_back")},
        "money": {
            currency: {name: sums[currency, name] for name in ("spent", "given_back")}
            for currency in sorted({of for of, _ in sums} - {POINTS, ""})
        },
        "lots": [_lot(lot) for lot in found],
        "entries": await entries(connection, known, rows), "entries_in_all": len(places),
    }  # fmt: skip


async def position(
    connection: AsyncConnection, known: Programs, chains: int, program: str, chain: int, position: int
) -> dict[str, Any]:
    """A row of the journal: all that it says, its postings, the lot that it opened, and the rows of the same request.

    Raises Refusal("position_unknown").
    """
    c = journal.c
    query = select(journal).where(c.chain == chain, c.position == position, c.program == program)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refusal(
            "position_unknown", f"program {program!r} has no row {chain}:{position} (chain:position)"
        )
    near = (
        select(journal)
        .where(
            c.chain == chain, c.program == program,
            c.position.between(position - SAME_CAUSE_ROWS, position + SAME_CAUSE_ROWS),
            c.cause_source == row.cause_source, c.cause_id == row.cause_id, c.position != position,
        )
        .order_by(c.position)
    )  # fmt: skip
    (entry,) = await entries(connection, known, [row])
    same = await entries(connection, known, (await connection.execute(near)).all())
    lot = (
        await connection.execute(
            select(lots).where(
                lots.c.chain == chain, lots.c.program == program, lots.c.member == row.member,
                lots.c.lot == position,
            )
        )
    ).one_or_none()  # fmt: skip
    message = getattr(pb, row.type).FromString(row.payload)
    said = MessageToDict(message, preserving_proto_field_name=True)
    said.pop(DOCUMENT, None)
    of = getattr(payloads.decode(row.type, row.payload), "purchase", None)
    fact = await _request(connection, chains, program, of) if isinstance(of, str) and of else None
    return {
        "program": program, **entry, "says": said, "hash": row.hash.hex(),
        "lot": None if lot is None else _lot(lot),
        "purchase_at": None if fact is None else f"{fact.journal_chain}:{fact.position}",
        "same_request": same,
    }  # fmt: skip


async def program_at(connection: AsyncConnection, chain: int, position: int) -> str:
    """The program whose row stands at a place of the journal. Raises Refusal("position_unknown")."""
    c = journal.c
    query = select(c.program).where(c.chain == chain, c.position == position)
    found: str | None = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        raise Refusal(
            "position_unknown", f"the ledger's journal has no row {chain}:{position} (chain:position)"
        )
    return found


async def entries(
    connection: AsyncConnection, known: Programs, rows: Sequence[Row[Any]]
) -> list[dict[str, Any]]:
    """Rows of the journal as they are shown, in their order; `rows` have all its columns."""
    decoded = [payloads.decode(row.type, row.payload) for row in rows]
    of: defaultdict[tuple[int, str], list[e.Event]] = defaultdict(list)
    for row, event in zip(rows, decoded, strict=True):
        of[row.chain, row.program].append(event)
    for (chain, program), events in of.items():
        await views.read_versions(connection, known, chain, program, events)
    moved = await _postings(connection, [(row.chain, row.position) for row in rows])
    shown = []
    for row, event in zip(rows, decoded, strict=True):
        points, text, details = describe(event)
        shown.append({
            "chain": row.chain, "position": row.position, "member": row.member, "type": row.type,
            "occurred_at": row.occurred_at.isoformat(), "recorded_at": row.recorded_at.isoformat(),
            "cause": {"source": row.cause_source, "id": row.cause_id}, "program_version": row.program_version,
            "text": text, "points": points, "money": money_views.moved(event),
            "rules": views.rules_behind(known, event), "details": details,
            "postings": moved[row.chain, row.position],
        })  # fmt: skip
    return shown


async def _postings(
    connection: AsyncConnection, places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], list[dict[str, Any]]]:
    moved: defaultdict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    p = postings.c
    by_chain: defaultdict[int, list[int]] = defaultdict(list)
    for chain, position in places:
        by_chain[chain].append(position)
    for chain, positions in by_chain.items():
        query = (
            select(postings).where(p.chain == chain, p.position.in_(positions)).order_by(p.position, p.seq)
        )
        for row in await connection.execute(query):
            moved[row.chain, row.position].append(
                {
                    "debit": row.debit,
                    "credit": row.credit,
                    "asset": row.asset,
                    "amount": row.amount,
                    "lot": row.lot,
                }
            )
    return moved


async def _carried(connection: AsyncConnection, place: tuple[int, str, str], before: int) -> dict[str, int]:
    """By asset, the sum of a member's postings at positions before `before`."""
    chain, program, member_id = place
    j, p, account = journal.c, postings.c, member_account(place[2])
    got = case((p.credit == account, p.amount), else_=-p.amount)
    query = (
        select(p.asset, func.sum(got).label("amount"))
        .select_from(journal.join(postings, (j.chain == p.chain) & (j.position == p.position)))
        .where(j.chain == chain, j.program == program, j.member == member_id, j.position < before)
        .group_by(p.asset)
    )
    return {row.asset: int(row.amount) for row in await connection.execute(query)}


async def _open_lots(
    connection: AsyncConnection, known: Programs, place: tuple[int, str, str]
) -> list[dict[str, Any]]:
    """The newest open lots, oldest first, each with the row that opened it: a lot's id is that row's position."""
    chain, program, member_id = place
    c = lots.c
    query = (
        select(lots)
        .where(c.chain == chain, c.program == program, c.member == member_id, c.remaining > 0)
        .order_by(c.lot.desc())
        .limit(LOTS_MAX)
    )
    found = (await connection.execute(query)).all()[::-1]
    rows = await _rows_at(connection, [(lot.chain, lot.lot) for lot in found])
    because = {entry["position"]: entry for entry in await entries(connection, known, rows)}
    return [
        {**_lot(lot), "because": because[lot.lot]["text"], "rules": because[lot.lot]["rules"]}
        for lot in found
    ]


async def _rows_at(connection: AsyncConnection, places: Sequence[tuple[int, int]]) -> list[Row[Any]]:
    """The journal's rows at (chain, position), in that order."""
    at = tuple_(journal.c.chain, journal.c.position)
    rows = (await connection.execute(select(journal).where(at.in_(places)))).all() if places else []
    found = {(row.chain, row.position): row for row in rows}
    return [found[place] for place in places]


async def _request(connection: AsyncConnection, chains: int, program: str, purchase: str) -> Row[Any] | None:
    """What the inbox says of a purchase: (journal_chain, position, member, rejection)."""
    source = purchase_source(program)
    query = select(inbox).where(
        inbox.c.chain == inbox_chain(source, purchase, chains),
        inbox.c.source == source,
        inbox.c.event_id == purchase,
    )
    return (await connection.execute(query)).one_or_none()


async def _concerned(
    connection: AsyncConnection, chains: int, program: str, order_id: str, first: Row[Any] | None
) -> list[str]:
    """Who bought it, who held points or money for it, and whom those were merged into."""
    who = [first.member] if first is not None and first.member is not None and ":" not in first.member else []
    query = (
        # Nothing looks an order up by its name alone but this, so there is no index: the table is read.
        select(holds.c.member)
        .where(holds.c.program == program, holds.c.order_id == order_id)
        .distinct()
        .limit(HOLDERS_MAX)
    )
    who += [row.member for row in await connection.execute(query)]
    found: dict[str, None] = {}
    while who:
        member_id = who.pop(0)
        if member_id and member_id not in found:
            found[member_id] = None
            who.append(
                await _merged_into(connection, (chain_of(member_id, chains), program, member_id)) or ""
            )
    return list(found)


async def _merged_into(connection: AsyncConnection, place: tuple[int, str, str]) -> str | None:
    c = members.c
    key = (c.chain == place[0], c.program == place[1], c.member == place[2])
    return (await connection.execute(select(c.merged_into).where(*key))).scalar_one_or_none() or None


def _lot(lot: Row[Any]) -> dict[str, Any]:
    return {
        "chain": lot.chain, "lot": lot.lot, "member": lot.member, "asset": lot.asset, "amount": lot.amount,
        "remaining": lot.remaining, "held": lot.held, "from": lot.purchase, "earned_at": lot.earned_at.isoformat(),
        "matures_at": lot.matures_at.isoformat() if lot.matures_at else None,
        "expires_at": lot.expires_at.isoformat() if lot.expires_at else None,
    }  # fmt: skip
