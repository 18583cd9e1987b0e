"""A wrong program is in force for a while: found, tried, corrected by hand and explained, on a whole stack."""

from __future__ import annotations

import asyncio
import csv
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from services.ops.api import Api, ApiError, endpoints_of
from services.ops.correcting.book import asked_before
from services.ops.correcting.plan import Asked, Correction, Pair
from services.ops.correcting.post import post
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from tests.integration.misled_shop import STALL_SECONDS, Shop, document, key_of, run_process, started
from tests.poll import eventually

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        folder = tmp_path_factory.mktemp("wrong")
        yield Shop(stack, api, gauge, f"w{secrets.token_hex(4)}", folder)


async def wrong_hour(shop: Shop) -> None:
    """What people did while a purchase gave ten times too much."""
    await shop.buy("p2", "ann", 10_000)
    await shop.buy("p3", "bob", 60_000)
    await shop.level()
    # By then bob is gold, and should not be.
    await shop.buy("p4", "bob", 10_000)
    await shop.buy("p5", "cem", 20_000)
    await shop.bring_back("r5", "p5", "cem", 1)
    await shop.buy("p6", "dee", 10_000)
    hold = {"order": "o6", "amount": 800}
    await shop.api.post("ledger", f"{shop.path}/members/dee/holds", hold, "h6")
    await shop.api.post("ledger", f"{shop.path}/members/dee/holds/h6/capture", {}, "c6")
    await shop.buy("p7", "eve", 10_000)
    await shop.review("v1", "fay")
    await shop.review("v2", "gus")
    await shop.level()


async def test_a_wrong_program_is_found_tried_corrected_and_explained(shop: Shop) -> None:
    right, wrong = shop.file("right.yaml", 1, 5), shop.file("wrong.yaml", 10, 50)
    assert "decides under version" in await shop.tally("program", "activate", right)
    await shop.buy("p1", "ann", 10_000)
    marketing = await key_of(shop, "marketing")
    async with Api(replace(shop.api.endpoints, key=marketing)) as theirs:
        answer = await theirs.put("ledger", shop.path, document(shop.program, 10, 50))
    mistake = str(answer["version"])
    assert mistake in await shop.tally("program", "check", wrong)
    await wrong_hour(shop)
    refused = await shop.tally("program", "correct", right, "--instead-of", mistake, "--yes", status=1)
    assert "is in force still" in refused
    await shop.tally("program", "activate", right)
    await shop.buy("p8", "hal", 10_000)
    await shop.api.post("ledger", f"{shop.path}/members/eve/close", {"reason": "moves away"}, "eve-closes")
    await shop.level()

    await found(shop, mistake)
    await tried(shop, right, mistake)
    command = (right, "--instead-of", mistake)
    await corrected(shop, command)
    await returned_afterwards(shop, command)
    await explained(shop, mistake)
    for words in (("verify",), ("replay", "ledger"), ("re-decide",)):
        assert await run_process(shop, *words) == 0, words


async def found(shop: Shop, mistake: str) -> None:
    """Who activated what, and what it gave."""
    told = json.loads(await shop.tally("program", "history", shop.program, "--json"))
    activations = [(each["version"] == mistake, each["key_name"]) for each in told["activations"]]
    assert [wrong for wrong, _ in activations] == [False, True, False]
    assert activations[1][1] == "marketing"
    assert [each["until"] is None for each in told["activations"]] == [False, False, True]
    given = {each["version"]: (each["purchases"], each["points"]) for each in told["versions"]}
    # Gold doubles bob's second purchase; fay's review is in it too.
    assert given[mistake] == (6, 1_000 + 6_000 + 2_000 + 2_000 + 1_000 + 1_000 + 50)
    (sound,) = [each for version, each in given.items() if version != mistake]
    assert sound == (2, 200)
    assert {each["version"] for each in told["hours"]} == set(given)
    printed = await shop.tally("program", "history", shop.program)
    assert "(marketing)" in printed
    assert "2,175.0" in printed
    assert "knows no program 'nobodys'" in await shop.tally("program", "history", "nobodys", status=1)


async def tried(shop: Shop, right: str, mistake: str) -> None:
    """What the right document would have given while the wrong one was in force."""
    told = json.loads(await shop.tally("program", "try", right, "--instead-of", mistake, "--json"))
    totals = {row["what"]: (row["before"], row["after"]) for row in told["totals"]}
    assert totals["issued"] == (13_250, 1_410)
    members = {row["member"]: (row["earned_before"], row["earned_after"]) for row in told["members"]}
    assert members["ann"] == (1_100, 200)
    assert members["bob"] == (8_000, 700)
    assert members["hal"] == (100, 100)
    unknown = await shop.tally("program", "try", right, "--instead-of", "0000", status=1)
    assert "never had version '0000'" in unknown
    await shop.tally("program", "try", right, "--instead-of", mistake, "--since", "2026-01-01", status=2)


async def corrected(shop: Shop, command: tuple[str, ...]) -> None:
    """Dry, then by two at once, then again, then by a second person."""
    file = shop.folder / "corrections.csv"
    planned = await shop.correct(*command, "--csv", str(file), "--parquet", str(shop.folder))
    assert (shop.folder / "corrections.parquet").exists()
    asked = {name: (each["state"], each["points"], each["left"]) for name, each in planned.items()}
    assert asked == {
        "ann": ("at once", -900, 0),
        "bob": ("second person", -7_300, 0),
        "cem": ("at once", -900, 0),
        "dee": ("at once", -200, -700),
        "eve": ("closed", 0, -900),
        "fay": ("at once", -45, 0),
        "gus": ("at once", 5, 0),
    }
    assert (await shop.points("ann"))["posted"] == 1_100
    with file.open(encoding="utf-8") as rows:
        assert {row["member"]: row["points"] for row in csv.DictReader(rows)}["bob"] == "-7300"
    assert "no reason 'sorry'" in await shop.tally(
        "program", "correct", *command, "--reason", "sorry", "--yes", status=1
    )

    # What the ledger refuses is an answer, remembered under its id: the next attempt has another.
    pair = Pair(planned["eve"]["adjustment"].split("/")[1], planned["eve"]["adjustment"].split("/")[2])
    eve = Correction("eve", 1_000, 100, -900, "at once", planned["eve"]["adjustment"])
    (refused,) = await post(shop.api, shop.program, [eve], "correction", lambda each: "", lambda: None)
    assert (refused.state, refused.correction) == ("member_closed", eve)
    earlier, _ = await asked_before(shop.stack.owner_url("ledger"), shop.program, pair.ids)
    assert earlier == {"eve": Asked(1)}

    # Two that don't know of each other: what one has posted the other does not post again.
    both = await asyncio.gather(
        *(run_process(shop, "program", "correct", *command, "--yes") for _ in range(2))
    )
    assert all(status == 1 for status in both)
    assert await balances(shop) == {
        "ann": 200, "bob": 8_000, "cem": 100, "dee": 0, "eve": 0, "fay": 5, "gus": 5, "hal": 100,
    }  # fmt: skip
    again = await shop.correct(*command, "--yes", status=1)
    states = {name: (each["state"], each["posted"]) for name, each in again.items()}
    assert states == {"bob": ("waits", None), "dee": ("spent", None), "eve": ("closed", None)}

    with pytest.raises(ApiError, match="second_person_needed"):
        id_ = again["bob"]["adjustment"]
        await shop.api.post("ledger", f"{shop.path}/members/bob/adjustments/{id_}/approve", {}, "not-me")
    assert "TALLY_KEY" in await shop.tally("program", "correct", *command, "--approve", status=1)
    second = await key_of(shop, "head of ops")
    named = ("--ledger", shop.stack.url("ledger"))
    assert "TALLY_KEY" in await shop.tally("program", "correct", *command, *named, "--yes", status=1)
    approved = await shop.correct(*command, *named, "--approve", status=1, key=second)
    assert approved["bob"]["posted"] == "applied"
    assert (await shop.points("bob"))["posted"] == 700

    # Who has spent the points pays when there are points again.
    await shop.buy("p9", "dee", 100_000)
    await shop.level()
    paid = await shop.correct(*command, "--yes", status=1)
    assert {name: (each["points"], each["posted"]) for name, each in paid.items()} == {
        "dee": (-700, "applied"), "eve": (0, None),
    }  # fmt: skip
    assert (await shop.points("dee"))["posted"] == 300


async def balances(shop: Shop) -> dict[str, int]:
    return {
        name: (await shop.points(name))["posted"]
        for name in ("ann", "bob", "cem", "dee", "eve", "fay", "gus", "hal")
    }


async def returned_afterwards(shop: Shop, command: tuple[str, ...]) -> None:
    """A return takes what the wrong version gave, on top of the correction; the next run gives that back."""
    await shop.bring_back("r2", "p2", "ann", 2)
    await shop.level()
    assert await shop.points("ann") == {"available": 0, "posted": -800, "held": 0, "debt": 800, "pending": 0}
    given_back = await shop.correct(*command, "--yes", status=1)
    assert (given_back["ann"]["points"], given_back["ann"]["posted"]) == (900, "applied")
    # Left is the purchase before the wrong hour.
    assert await shop.points("ann") == {"available": 100, "posted": 100, "held": 0, "debt": 0, "pending": 0}
    assert set(await shop.correct(*command)) == {"eve"}


async def explained(shop: Shop, mistake: str) -> None:
    """Why ann has what she has: the wrong version by its name, and the corrections with theirs."""
    printed = await shop.tally("explain", "ann", "--program", shop.program)
    for words in (
        f"under version {mistake}",
        "10000 USD minor units x 1/10 = 1000",
        "900 points taken by hand: correction",
        f"note: version {mistake} was in force in place of",
        "1100 points given in all, 200 due",
        "900 points given by hand: correction",
        "-800 points given in all, 100 due",
    ):
        assert words in printed, words
    order = await shop.tally("explain", "--order", "p2", "--program", shop.program)
    for words in (f"under version {mistake}", "taken by hand: correction", "taken back by the return"):
        assert words in order, words


MANY = 60
CORRECTED = """
SELECT count(*) AS adjustments, count(DISTINCT member) AS members, sum(points)::int AS points
FROM adjustments WHERE program = $1 AND state = 'applied'
"""


async def test_a_run_that_was_killed_is_run_again_and_nothing_happens_twice(shop: Shop) -> None:
    own = replace(shop, program=f"k{secrets.token_hex(4)}")
    right, wrong = own.file("right2.yaml", 1, 5), own.file("wrong2.yaml", 10, 50)
    version = (await own.tally("program", "activate", wrong)).split()[-1]
    await asyncio.gather(*(own.buy(f"{own.program}-{n}", f"k{n}", 10_000) for n in range(MANY)))
    await own.tally("program", "activate", right)
    words = ("program", "correct", right, "--instead-of", version, "--yes")
    connection = await asyncpg.connect(own.stack.owner_url("ledger"))
    try:
        killed = await started(own, *words)

        async def some() -> bool:
            return killed.returncode is not None or bool(await connection.fetchval(CORRECTED, own.program))

        await eventually(some, "somebody is corrected", STALL_SECONDS)
        if killed.returncode is None:
            killed.kill()
        await killed.wait()
        assert await run_process(own, *words) == 0
        assert tuple(await connection.fetchrow(CORRECTED, own.program)) == (MANY, MANY, -900 * MANY)
    finally:
        await connection.close()
