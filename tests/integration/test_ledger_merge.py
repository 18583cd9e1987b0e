"""Merges through the database: late activities find the survivor, whatever came between, and both chains agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.ledger.domain.merge import MERGE_ROWS_MAX
from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, purchase, served
from tests.integration.ledger_pair import in_order, ledger_pair, take
from tests.integration.ledger_rows import NOON, SOCIAL, Ledger, member_on
from tests.integration.verify_book import COUNTING, DAY

pytestmark = pytest.mark.integration

BOB, ANN = member_on(2), "ann"


@pytest_asyncio.fixture
async def pair(database: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Ann and bob live on different chains."""
    async with ledger_pair(database) as both:
        yield both


async def test_late_activities_of_the_old_id_find_the_survivor_in_every_process(
    pair: tuple[Ledger, Ledger],
) -> None:
    one, other = pair
    await one.take(one.enrol(BOB, "6001"), one.enrol(ANN))
    await other.take(other.purchase("p1", 30_000, member=BOB, quantity=3), other.purchase("p0"))
    await one.take(one.tier("silver", NOON - DAY, member=BOB), one.hold(40, "h1", BOB))
    await one.take(one.hold(5, "h0", BOB))
    await one.take(one.release("h0", BOB))
    (merged,) = await one.take(one.merge(ANN, BOB))
    assert merged.refusal is None
    assert await one.balance(BOB) == (0, 0, 0)
    assert await one.balance(ANN) == (475, 40, 0)

    # `other` has not heard of it: neither by the id, nor by the card, nor of what was sent before.
    late, by_card, again = await other.take(
        other.purchase("p2", 10_000, member=BOB),
        other.purchase("p3", 10_000, member="card:6001"),
        other.purchase("p1", 30_000, member=BOB, quantity=3),
    )
    assert {late.command.member, by_card.command.member} == {ANN}
    assert again.duplicate
    (returned,) = await other.take(other.return_("p1", member=BOB))
    (captured,) = await other.take(other.capture("h1", 30, BOB))
    (over,) = await other.take(other.capture("h0", member=ANN))
    assert (returned.refusal, captured.refusal) == (None, None)
    assert over.refusal is not None
    assert over.refusal[0] == "hold_already_released"
    # Tiering learns of the merge when it learns; what bob bought, and only that, earns by what it says of bob.
    (tier,) = await other.take(other.tier("gold", NOON - DAY / 2, 9, BOB))
    assert tier.refusal is None
    assert await one.balance(ANN) == (475 + 200 - 125 - 30 + 50, 0, 0)
    assert await in_order(one)


async def test_merges_of_merges_lead_to_the_last_from_any_of_them(pair: tuple[Ledger, Ledger]) -> None:
    one, other = pair
    cid, dan = member_on(3), member_on(0)
    for n, member in enumerate((BOB, cid, dan, ANN)):
        await one.take(one.purchase(f"p{n}", 10_000, member=member))
    await one.take(one.merge(cid, BOB))
    await one.take(one.merge(dan, cid))
    (last,) = await one.take(one.merge(ANN, dan))
    assert last.refusal is None
    outcomes = await other.take(
        *(other.return_(f"p{n}", f"r{n}", member=member) for n, member in enumerate((BOB, cid, dan)))
    )
    assert [(o.refusal, o.command.member) for o in outcomes] == [(None, ANN)] * 3
    assert await one.balance(ANN) == (100, 0, 0)
    (again,) = await other.take(other.merge(cid, BOB))
    assert again.duplicate
    (refused,) = await other.take(other.merge(BOB, dan, id_="other"))
    assert refused.refusal is not None
    assert refused.refusal[0] == "already_merged"
    assert await in_order(one)


async def test_purchases_and_merges_that_meet_lose_nothing(pair: tuple[Ledger, Ledger]) -> None:
    one, other = pair
    people = [member_on(n % 4, n // 4) for n in range(8)]
    await one.take(one.enrol(ANN), *(one.enrol(member) for member in people))

    async def buy(ledger: Ledger, place: int) -> None:
        for n in range(12):
            await take(ledger, *(ledger.purchase(f"{m}-{place}-{n}", 1_000, member=m) for m in people))

    async def merge() -> None:
        for member in people:
            await take(one, one.merge(ANN, member))

    await asyncio.gather(buy(one, 1), buy(other, 2), buy(other, 3), merge())
    assert await one.balance(ANN) == (8 * 3 * 12 * 10, 0, 0)
    assert await in_order(one)


async def test_ten_thousand_lots_come_over_in_one_transaction(pair: tuple[Ledger, Ledger]) -> None:
    one, _ = pair
    assert MERGE_ROWS_MAX >= 10_000
    await one.take(one.enrol(ANN), *(one.purchase(f"p{n}", 100, member=BOB) for n in range(10_000)))
    (merged,) = await one.take(one.merge(ANN, BOB))
    assert merged.refusal is None
    assert await one.balance(ANN) == (10_000, 0, 0)
    assert await one.value("SELECT count(*) FROM lots WHERE member = $1 AND remaining > 0", ANN) == 10_000


async def test_over_http_the_old_id_answers_with_the_survivor(
    postgres: LocalPostgres, bootstrap: str
) -> None:
    async with served(postgres.url, bootstrap) as ledger:
        async with ledger.client(await ledger.token("pos")) as till:
            path = f"{GROCER}/members/{ANN}/merge"
            assert (await till.post(path, json={"member": BOB}, headers=key("m"))).status_code == 403
        async with ledger.client(ledger.tokens["ops"]) as ops:
            card = {"member": BOB, "identifiers": [{"kind": "card", "value": "6001"}]}
            await ops.post(f"{GROCER}/members", json=card)
            await ops.post(f"{GROCER}/members", json={"member": ANN})
            await ops.post(f"{GROCER}/purchases", json=purchase("p1", member=BOB))
            held = await ops.post(
                f"{GROCER}/members/{BOB}/holds", json={"order": "o", "amount": 30}, headers=key("h1")
            )
            assert held.status_code == 201
            first = await ops.post(path, json={"member": "card:6001"}, headers=key("m"))
            again = await ops.post(path, json={"member": "card:6001"}, headers=key("m"))
            assert (first.status_code, again.status_code) == (201, 200)
            body = first.json()
            assert (body["member"], body["absorbed"], body["points"], body["held"]) == (ANN, BOB, 100, 30)
            assert body["balance"] == {"available": 70, "posted": 100, "held": 30, "debt": 0, "pending": 0}
            assert again.json() == {**body, "duplicate": True}

            for reference in (BOB, "card:6001"):
                found = (await ops.get(f"{GROCER}/members/{reference}")).json()
                assert (found["member"], found["absorbed"]) == (ANN, [BOB])
                assert found["points"]["posted"] == 100
            assert (await ops.get(f"{GROCER}/members/{BOB}")).json()["merged_from"] == BOB
            assert (await ops.get(f"{GROCER}/members/{ANN}")).json()["merged_from"] is None
            statement = (await ops.get(f"{GROCER}/members/{BOB}/statement")).json()["entries"]
            assert [entry["type"] for entry in statement] == [
                "MemberEnrolled", "MembersMerged", "LotMoved", "HoldMoved", "IdentifiersLinked",
            ]  # fmt: skip
            assert (await ops.get(f"{GROCER}/totals")).json()["members"] == 1

            some = {"amount": 10, "final": False}
            for status in (201, 200):
                told = await ops.post(f"{GROCER}/members/{BOB}/holds/h1/capture", json=some, headers=key("b"))
                assert (told.status_code, told.json()["captured"]) == (status, 10)
                assert (told.json()["state"], told.json()["expires_at"]) == (
                    "open",
                    held.json()["expires_at"],
                )
            captured = await ops.post(f"{GROCER}/members/{BOB}/holds/h1/capture", json={}, headers=key("c"))
            assert captured.json()["captured"] == 30
            assert (await ops.get(f"{GROCER}/members/{BOB}/holds/h1")).json()["state"] == "captured"
            for target, absorbed, code in (
                (ANN, BOB, "already_merged"),
                (ANN, ANN, "merge_into_itself"),
                (BOB, ANN, "merge_into_itself"),
                (ANN, "nobody", "unknown_member"),
                ("nobody", BOB, "unknown_member"),
            ):
                refused = await ops.post(
                    f"{GROCER}/members/{target}/merge",
                    json={"member": absorbed},
                    headers=key(f"{target}-{absorbed}-x"),
                )
                assert refused.json()["code"] == code


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_what_is_counted_of_two_members_on_two_chains_adds_up(pair: tuple[Ledger, Ledger]) -> None:
    one, other = pair
    await one.activate(COUNTING)
    await one.take(
        one.purchase("p1", 160, program="counting"), one.purchase("p2", 170, member=BOB, program="counting")
    )
    merge = one.merge(ANN, BOB)
    merge.program = "counting"
    await one.take(merge)
    rows = await one.rows("SELECT counter, value::text FROM counters WHERE member = $1 ORDER BY counter", ANN)
    # 1.12 and 1.19 points, and 5 for each second visit: 1 + 1, and 0.12 + 0.19 to carry on.
    assert {row["counter"]: row["value"] for row in rows} == {
        "carry": "0.31", "day 2026-01-05": "2", "lifetime": "2", "month 2026-01": "2", "visits": "2",
    }  # fmt: skip
    await other.take(other.purchase("p3", 100, member=BOB, program="counting"))
    await other.take(other.purchase("p4", 100, member=ANN, program="counting"))
    assert await one.balance(ANN) == (1 + 1 + 1 + 5, 0, 0)
    assert await in_order(one)


async def test_a_hold_with_money_goes_on_with_the_survivor_in_every_process(
    pair: tuple[Ledger, Ledger],
) -> None:
    one, other = pair
    await one.activate(SOCIAL)
    await one.take(one.enrol(ANN), one.purchase("p1", 10_000, member=BOB), one.top_up("t1", member=BOB))
    await one.take(one.hold(40, "h1", BOB, money=3_000), one.hold(0, "h2", BOB, ttl=60, money=500))
    await one.take(one.capture_part(10, "c1", "h1", BOB, 1_200))
    (merged,) = await one.take(one.merge(ANN, BOB))
    assert merged.refusal is None
    assert await money(one, BOB) == (0, 0)
    before, held = await money(one, ANN)
    points, _, _ = await one.balance(ANN)
    assert held == 1_800 + 500

    # What is left of the hold is two captures', by either id, in a process that has not heard of the merge.
    (part,) = await other.take(other.capture_part(0, "c2", "h1", BOB, 800))
    (rest,) = await other.take(other.capture("h1", member=ANN))
    (over,) = await other.take(other.capture_part(1, "c3", "h1", BOB))
    assert (part.refusal, rest.refusal) == (None, None)
    assert over.refusal is not None
    assert over.refusal[0] == "hold_already_captured"
    assert await money(one, ANN) == (before - 1_800, 500)
    (back,) = await one.take(one.refund("f1", 40, "order-h1", BOB, 3_000))
    assert back.refusal is None
    assert await money(one, ANN) == (before + 1_200, 500)
    await one.advance(NOON + DAY)
    assert await money(one, ANN) == (before + 1_200, 0)
    assert await one.balance(ANN) == (points + 10, 0, 0)
    assert await in_order(one)


async def money(ledger: Ledger, member: str) -> tuple[int, int]:
    """(posted, held) minor units of both buckets."""
    (row,) = await ledger.rows(
        "SELECT coalesce(sum(posted), 0)::bigint AS posted, coalesce(sum(held), 0)::bigint AS held"
        " FROM accounts WHERE member = $1 AND asset <> 'points'",
        member,
    )
    return row["posted"], row["held"]


async def test_captures_and_refunds_that_meet_a_merge_are_taken_once(pair: tuple[Ledger, Ledger]) -> None:
    one, other = pair
    await one.activate(SOCIAL)
    await one.take(one.enrol(ANN), one.purchase("p1", 10_000, member=BOB), one.top_up("t1", member=BOB))
    await one.take(one.hold(40, "h1", BOB, money=3_000))
    before, _ = await money(one, BOB)

    async def capture(ledger: Ledger, place: int) -> int:
        taken = 0
        for n in range(15):
            (outcome,) = await take(ledger, ledger.capture_part(0, f"c{place}-{n}", "h1", BOB, 150))
            taken += outcome.refusal is None
        return taken

    async def merge() -> None:
        await take(one, one.merge(ANN, BOB))

    first, second, _ = await asyncio.gather(capture(one, 1), capture(other, 2), merge())
    # Twenty times 150 are all that was held.
    assert first + second == 20
    assert await money(one, ANN) == (before - 3_000, 0)
    assert await in_order(one)


async def test_a_line_of_referrals_leads_through_merged_referrers_of_all_chains(
    pair: tuple[Ledger, Ledger],
) -> None:
    """Bob brings dan; bob is cid, cid is eve, eve came by ann: so dan came by ann, and can't bring her."""
    one, other = pair
    await one.activate(SOCIAL)
    cid, dan, eve = member_on(3), member_on(0), member_on(1, 5)
    await one.take(*(one.enrol(member) for member in (ANN, BOB, cid, eve)))
    await one.take(one.referral("f1", eve, referrer=ANN), one.referral("f2", dan, referrer=BOB))
    await one.take(one.merge(cid, BOB))
    await one.take(one.merge(eve, cid))
    (loop,) = await other.take(other.referral("f3", ANN, referrer=dan))
    assert loop.refusal is not None
    assert loop.refusal[0] == "referral_loop"
    # Nor does a merge make one: who came by dan does not become ann.
    fay = member_on(2, 7)
    await one.take(one.referral("f4", fay, referrer=dan))
    (merged,) = await other.take(other.merge(ANN, fay))
    assert merged.refusal is None
    assert await one.rows("SELECT 1 FROM referrals WHERE member = $1", ANN) == []
    assert await in_order(one)
