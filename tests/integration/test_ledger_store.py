"""The ledger on real PostgreSQL: what a transaction wrote, the next one reads, whatever the batches were."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.ledger import payloads
from services.ledger.domain.book import Book
from services.ledger.domain.commands import Command
from services.ledger.domain.events import Decided
from services.ledger.domain.evolve import evolve
from services.ledger.store import Programs
from services.ledger.tables import PROJECTIONS, metadata
from tests.databases import service_role
from tests.integration.ledger_rows import DOCUMENT, NOON, WINDOWED, Ledger, member_on

DAY = timedelta(days=1)
YEAR_ON = NOON.replace(year=2027)
pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def url(database: str) -> AsyncIterator[str]:
    async with service_role("ledger", database) as url:
        yield url


@pytest_asyncio.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with Ledger.open(url) as ledger:
        await ledger.activate()
        yield ledger


def code(outcome: object) -> str | None:
    refusal: tuple[str, str] | None = outcome.refusal  # type: ignore[attr-defined]
    return None if refusal is None else refusal[0]


async def test_a_purchase_and_what_it_earned_are_read_again(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase(amount=3_745))
    assert await ledger.balance() == (37, 0, 0)
    (outcome,) = await ledger.take(ledger.purchase(amount=3_745))
    assert outcome.duplicate
    assert await ledger.balance() == (37, 0, 0)


async def test_a_hold_is_read_again_captured_and_freed(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase())
    await ledger.take(ledger.hold(60))
    assert await ledger.balance() == (100, 60, 0)
    assert code((await ledger.take(ledger.hold(41, "h2")))[0]) == "insufficient_points"
    await ledger.take(ledger.capture(amount=45))
    assert await ledger.balance() == (55, 0, 0)
    assert code((await ledger.take(ledger.release()))[0]) == "hold_already_captured"
    await ledger.take(ledger.hold(55, "h3"))
    await ledger.take(ledger.release("h3"))
    assert await ledger.balance() == (55, 0, 0)


async def test_an_order_is_paid_from_more_tiny_lots_than_a_small_integer_counts(ledger: Ledger) -> None:
    tiny = [ledger.purchase(f"p{n}", 100) for n in range(2**15 + 1)]
    for first in range(0, len(tiny), 5_000):
        await ledger.take(*tiny[first : first + 5_000])
    await ledger.take(ledger.hold(len(tiny)))
    (outcome,) = await ledger.take(ledger.capture())
    assert outcome.refusal is None
    assert await ledger.balance() == (0, 0, 0)
    assert await ledger.value("SELECT max(seq) FROM postings") == 2**15
    assert await ledger.value("SELECT sum(remaining) FROM lots") == 0


async def test_returns_in_parts_are_read_again_and_become_debt(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase(quantity=3))
    await ledger.take(ledger.hold(90))
    await ledger.take(ledger.capture())
    await ledger.take(ledger.return_(id_="r1"))
    await ledger.take(ledger.return_(id_="r2"))
    assert await ledger.balance() == (-56, 0, 56)
    assert code((await ledger.take(ledger.return_(id_="r3", units=2)))[0]) == "quantity_exceeds_purchase"
    await ledger.take(ledger.return_(id_="r4"))
    assert await ledger.balance() == (-90, 0, 90)
    await ledger.take(ledger.purchase("p2"))
    assert await ledger.balance() == (10, 0, 0)


async def test_the_highest_line_id_can_be_returned(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase(line=2**32 - 1))
    (outcome,) = await ledger.take(ledger.return_(line=2**32 - 1))
    assert outcome.refusal is None
    assert await ledger.balance() == (0, 0, 0)


async def test_a_tier_is_read_again_and_makes_good_what_came_before_it_was_known(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase("p1", at=NOON + DAY))
    await ledger.take(ledger.tier("gold", NOON))
    assert await ledger.balance() == (150, 0, 0)
    await ledger.take(ledger.purchase("p2", at=NOON + DAY))
    assert await ledger.balance() == (300, 0, 0)
    await ledger.take(ledger.tier("member", NOON + DAY, 2))
    await ledger.take(ledger.purchase("p3", at=NOON + 2 * DAY))
    assert await ledger.balance() == (400, 0, 0)


async def test_expiry_and_time_outs_are_found_by_the_clock(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase())
    await ledger.advance(YEAR_ON - DAY)
    await ledger.take(ledger.hold(60, ttl=86_400 + 60))
    await ledger.advance(YEAR_ON)
    assert await ledger.balance() == (60, 60, 0)
    await ledger.advance(YEAR_ON + timedelta(seconds=60))
    assert await ledger.balance() == (0, 0, 0)
    assert [row["state"] for row in await ledger.rows("SELECT state FROM holds")] == ["expired"]


async def test_maturity_and_lapse_are_found_by_the_clock(ledger: Ledger) -> None:
    await ledger.activate(WINDOWED)
    await ledger.take(ledger.purchase(), ledger.purchase("p2", at=NOON + DAY))
    assert await account(ledger) == (200, 200, NOON.replace(month=2, day=7, hour=0))
    assert code((await ledger.take(ledger.hold(1)))[0]) == "insufficient_points"
    await ledger.advance(NOON + 14 * DAY)
    assert await account(ledger) == (200, 100, NOON.replace(month=2, day=7, hour=0))
    await ledger.take(ledger.return_("p2", "r1"))
    assert await account(ledger) == (100, 0, NOON.replace(month=2, day=7, hour=0))
    await ledger.advance(NOON + 30 * DAY)
    await ledger.take(ledger.hold(60, "h2", ttl=86_400 * 9))
    await ledger.advance(NOON + 35 * DAY)
    assert await ledger.balance() == (60, 60, 0)
    await ledger.take(ledger.release("h2"))
    assert await account(ledger) == (0, 0, None)
    assert await ledger.value("SELECT sum(remaining) FROM lots") == 0


async def account(ledger: Ledger) -> tuple[int, int, datetime | None]:
    """(posted, pending, when all of it lapses)"""
    (row,) = await ledger.rows("SELECT posted, pending, lapses_at FROM accounts")
    return tuple(row)


async def test_a_purchase_of_another_day_moves_the_clock_for_all_of_its_chain(ledger: Ledger) -> None:
    chain = ledger.purchase().chain
    other = member_on(chain)
    await ledger.take(ledger.purchase(), ledger.purchase("p2", member=other, at=NOON + timedelta(hours=1)))
    for command in (ledger.purchase("p3", member=other, at=YEAR_ON + DAY),):
        command.now = YEAR_ON + DAY
        await ledger.take(command)
    assert await ledger.balance() == (0, 0, 0)
    assert await ledger.balance(other) == (100, 0, 0)


async def test_identifiers_lead_to_their_member_on_any_chain(ledger: Ledger) -> None:
    unknown = ledger.purchase("p0", member="card:6001")
    assert code((await ledger.take(unknown))[0]) == "unknown_member"
    await ledger.take(ledger.enrol("ann", "6001"))
    (outcome,) = await ledger.take(ledger.purchase("p1", member="card:6001"))
    assert (outcome.command.member, outcome.refusal) == ("ann", None)
    (again,) = await ledger.take(ledger.purchase("p1", member="ann"))
    assert again.duplicate
    assert code((await ledger.take(ledger.enrol("bob", "6001")))[0]) == "identifier_taken"
    clear = await ledger.value(
        "SELECT count(*) FROM journal WHERE position(convert_to('6001', 'UTF8') IN payload) > 0"
    )
    assert clear == 0


async def test_a_refusal_is_recorded_and_told_again(ledger: Ledger) -> None:
    command = ledger.return_("p9")
    _, first = await ledger.take(ledger.enrol(), command)
    (again,) = await ledger.take(ledger.return_("p9"))
    assert (code(first), code(again), again.duplicate, again.position) == (
        "purchase_unknown", "purchase_unknown", True, first.position
    )  # fmt: skip
    (row,) = await ledger.rows(
        "SELECT type, member FROM journal WHERE position = $1 AND chain = $2", first.position, first.chain
    )
    assert tuple(row) == ("ActivityRejected", "ann")


async def test_an_id_that_was_used_is_refused_for_other_content_and_for_another_member(
    ledger: Ledger,
) -> None:
    await ledger.take(ledger.purchase())
    for other in (
        ledger.purchase(amount=1),
        ledger.purchase(member=member_on(1)),
        ledger.purchase(member=member_on(2)),
    ):
        (outcome,) = await ledger.take(other)
        assert (code(outcome), outcome.duplicate) == ("id_reused", False)
    assert await ledger.balance() == (100, 0, 0)
    assert await ledger.value("SELECT count(*) FROM inbox WHERE event_id = 'p1'") == 1


async def test_the_same_id_twice_in_one_batch_counts_once(ledger: Ledger) -> None:
    outcomes = await ledger.take(ledger.purchase(), ledger.purchase(), ledger.purchase(amount=1))
    assert [(o.duplicate, code(o)) for o in outcomes] == [(False, None), (True, None), (False, "id_reused")]
    assert await ledger.balance() == (100, 0, 0)


async def test_a_version_that_came_and_went_elsewhere_still_settles_its_purchases(url: str) -> None:
    """Two processes: one activates v2, books under it and goes back to v1; the other knows v1 only."""
    second = {
        **DOCUMENT,
        "name": "double",
        "ledger": {**DOCUMENT["ledger"], "earning": {"points_per_unit": 2}},
    }
    async with Ledger.open(url) as one, Ledger.open(url) as other:
        await one.activate()
        await other.take(other.purchase("p0"))
        await one.activate(second)
        await one.take(one.purchase("p1"))
        await one.activate()
        assert await one.balance() == (300, 0, 0)
        (outcome,) = await other.take(other.return_("p1"))
        assert outcome.refusal is None
        assert await other.balance() == (100, 0, 0)


def stream(ledger: Ledger, seed: int, count: int) -> list[Command]:
    """Commands of every kind, for a few members on several chains, with repeats and mistakes among them."""
    rng = random.Random(seed)
    members = [member_on(chain, start) for chain in range(3) for start in range(2)]
    commands: list[Command] = []
    for n in range(count):
        member = rng.choice(members)
        at = NOON + timedelta(hours=n * 20)
        kind = rng.randrange(10)
        some = rng.randrange(max(1, n))
        if kind < 4:
            told = at - rng.choice([0, 0, 0, 40, 70]) * DAY
            commands.append(
                ledger.purchase(f"p{n}", rng.randrange(30_000), member=member, at=told, quantity=3)
            )
        elif kind == 4:
            commands.append(ledger.return_(f"p{some}", f"r{n}", member=member, at=at))
        elif kind == 5:
            commands.append(ledger.hold(rng.randrange(1, 200), f"h{n}", member, rng.choice([60, 86_400_0])))
        elif kind == 6:
            commands.append(ledger.capture(f"h{some}", rng.choice([None, 10]), member))
        elif kind == 7:
            commands.append(ledger.release(f"h{some}", member))
        elif kind == 8:
            commands.append(ledger.tier(rng.choice(["silver", "gold"]), at, n, member))
        else:
            commands.append(ledger.enrol(member, str(rng.randrange(9)), id_=f"e{n}"))
        commands[-1].now = at
    return commands + commands[:: max(1, count // 7)]


async def content(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    """Every projection and the journal, without the times at which rows were recorded."""
    tables = dict.fromkeys((*PROJECTIONS, "postings"), "*")
    tables["journal"] = (
        "chain, position, program, member, type, occurred_at, cause_source, cause_id, cause_digest, payload"
    )
    tables["inbox"] = "*"
    return {
        name: [
            tuple(row)
            for row in await ledger.rows(
                f"SELECT {columns} FROM {name} ORDER BY {', '.join(c.name for c in metadata.tables[name].primary_key)}"  # noqa: S608
            )
        ]
        for name, columns in tables.items()
    }


@pytest.mark.parametrize("document", [DOCUMENT, WINDOWED], ids=["months", "windowed"])
@pytest.mark.parametrize("seed", range(3))
async def test_batches_of_any_size_give_the_same_book_and_every_row_replays_to_it(
    url: str, database: str, seed: int, document: dict[str, Any]
) -> None:
    books = []
    for size in (1, 7, 1_000):
        async with Ledger.open(url) as ledger:
            await ledger.activate(document)
            commands = stream(ledger, seed, 120)
            by_chain = [[c for c in commands if c.chain == chain] for chain in range(ledger.chains)]
            for of_chain in by_chain:
                for start in range(0, len(of_chain), size):
                    await ledger.take(*of_chain[start : start + size])
            books.append(await content(ledger))
            await check_replay(ledger)
        await empty(database)
    assert books[0] == books[1] == books[2]
    assert len(books[0]["journal"]) > 150


async def empty(owner_url: str) -> None:
    """Forget everything, as nobody but an owner who switches the triggers off can."""
    async with Ledger.open(owner_url) as owner, owner.writer.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        for name in metadata.tables:
            await tx.execute(f"DELETE FROM {name}")  # noqa: S608


async def check_replay(ledger: Ledger) -> None:
    """The journal's bytes, evolved, say the same of every member as the tables (L7)."""
    programs = Programs()
    for row in await ledger.rows("SELECT DISTINCT version, document FROM program_versions"):
        programs.parsed(row["version"], row["document"])
    book = Book(keeps_purchases=False)
    book.versions = programs.versions
    for row in await ledger.rows("SELECT * FROM journal ORDER BY chain, position"):
        event = payloads.decode(row["type"], row["payload"])
        evolve(
            book,
            row["chain"],
            row["program"],
            Decided(event, row["member"], row["occurred_at"]),
            row["position"],
        )
    accounts = {
        (r["program"], r["member"]): tuple(r)
        for r in await ledger.rows(
            "SELECT program, member, posted, held, debt, pending, lapses_at FROM accounts"
        )
    }
    assert accounts == {
        key: (*key, m.posted, m.held, m.debt, m.pending, m.lapses_at) for key, m in book.members.items()
    }
    lots = {
        tuple(r)
        for r in await ledger.rows(
            "SELECT member, lot, amount, remaining, held, earned_at, expires_at, purchase FROM lots"
        )
    }
    assert lots == {
        (m.id, x.id, x.amount, x.remaining, x.held, x.earned_at, x.expires_at, x.purchase)
        for m in book.members.values() for x in m.lots.values()
    }  # fmt: skip
    clocks = {
        (r["chain"], r["program"]): r["clock_at"]
        for r in await ledger.rows("SELECT chain, program, clock_at FROM programs")
    }
    assert clocks == {key: state.clock for key, state in book.programs.items()}
