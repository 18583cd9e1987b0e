"""A ledger's book with something of everything in it, and the verifier's look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from services.ledger.domain.commands import (
    Adjust,
    ApproveAdjustment,
    AwardMoney,
    CloseMember,
    DeclineAdjustment,
    ReactivateMember,
    SuspendMember,
    TakeBackMoney,
    UnlinkIdentifiers,
)
from services.ledger.referral_rewards import owed
from services.ops.verify.broker import STREAMS, check_applied
from services.ops.verify.chain import verify_chain
from services.ops.verify.findings import Findings, Report, check_in_transit
from services.ops.verify.service_tables import check_service
from services.ops.verify.social_tables import check_budgets
from tests.databases import service_role
from tests.integration.ledger_rows import (
    CHAINS,
    DOCUMENT,
    IDENTIFIERS,
    NOON,
    PARKS,
    SOCIAL,
    WINDOWED,
    Ledger,
    member_on,
)

DAY = timedelta(days=1)
OFFSETS = """
INSERT INTO consumer_offsets (chain, consumer, topic, first_offset, next_offset, epoch, owner,
                              recorded, rejected, duplicates, dead_lettered)
VALUES (1, 'ledger', 'purchases.v1', 3, 20, 1, 'somebody', 11, 3, 2, 1)
"""
RELAYED = (
    "UPDATE relay_positions AS r SET position = h.position FROM chain_heads AS h WHERE h.chain = r.chain"
)
MEMBERS_EACH = 3
COUNTING: dict[str, Any] = {
    **DOCUMENT,
    "program": "counting",
    "ledger": {
        **DOCUMENT["ledger"],
        "earning": {
            "points_per_unit": "0.7",
            "rounding": "carry",
            "rules": [{"id": "second", "when": {"visits": {"every": 2}}, "earn": {"points_per_visit": 5}}],
            "caps": {"day": 10, "month": 20, "lifetime": 30},
        },
    },
}
"""A program that counts all that can be counted."""


@asynccontextmanager
async def filled_ledger(owner_url: str) -> AsyncIterator[Ledger]:
    """Members on every chain, each with accruals, debt, holds in every state, tiers, returns, expiries, refusals."""
    async with service_role("ledger", owner_url) as url, Ledger.open(url) as ledger:
        await ledger.activate(SOCIAL)
        await ledger.activate(COUNTING)
        for chain in range(CHAINS):
            for number in range(MEMBERS_EACH):
                await _live(ledger, member_on(chain, number))
            await _count(ledger, member_on(chain, MEMBERS_EACH))
        for chain in range(CHAINS):
            # Somebody else's purchase under an id that was used, and an identifier that nobody is known by.
            member = member_on(chain)
            await ledger.take(ledger.purchase(f"{member}-1", 777, member=member))
            await ledger.take(ledger.purchase(f"{member}-n", 777, member=f"card:{member}-unknown"))
            # Money goes round all chains: paid in, given on, handed back; some of each bonus is left to run out.
            for top_up in ("t1", "t2", "t3"):
                await ledger.take(ledger.top_up(f"{member}-{top_up}", member=member))
            to = member_on((chain + 1) % CHAINS)
            await ledger.take(ledger.gift(2_700, to, f"{member}-g", member))
            await ledger.take(ledger.reverse_top_up(f"{member}-t1", f"{member}-u1", member=member))
            await ledger.take(ledger.reverse_top_up(f"{member}-t1", f"{member}-u2", member=member))
            await _pay_with_money(ledger, member)
            await _recommend(ledger, member, chain)
            await _by_hand(ledger, member_on(chain, 4), member_on(chain, 5))
            # A reward that stays, and one whose redemption was refunded.
            for award, cents in ((f"{member}-w1", 300), (f"{member}-w2", 200)):
                given = award, "USD", cents
                await ledger.take(ledger.member_command(AwardMoney, award, member, *given))
            await ledger.take(ledger.member_command(TakeBackMoney, f"{member}-w2", member, *given))
        for chain in range(CHAINS):
            # Somebody from the next chain, and somebody from the same.
            for absorbed in (
                member_on((chain + 1) % CHAINS, MEMBERS_EACH),
                member_on(chain, MEMBERS_EACH + 3),
            ):
                await _merge(ledger, member_on(chain), absorbed)
        await ledger.activate(PARKS)
        for chain in range(CHAINS):
            # Members of that program only.
            await _park(ledger, member_on(chain, MEMBERS_EACH + 2))
            await _tell(ledger, member_on(chain, 1), member_on(chain, 2))
        await ledger.advance(NOON + 400 * DAY)
        for chain in range(CHAINS):
            member = member_on(chain)
            undone = ledger.reverse_top_up(f"{member}-t3", f"{member}-u3", member=member, at=NOON + 400 * DAY)
            await ledger.take(undone)
        await _live_in_the_club(ledger)
        await _days_after_their_last(ledger)
        async with ledger.writer.transaction() as tx:
            await tx.execute(OFFSETS)
            await tx.execute("INSERT INTO stream_positions VALUES (1, 'tiers.v1', 7)")
            await tx.execute(
                "UPDATE relay_positions AS r SET position = h.position FROM chain_heads h WHERE h.chain = r.chain"
            )
        yield ledger


async def _days_after_their_last(ledger: Ledger) -> None:
    """Under a version that is kinder: points come back to lots that have expired, and returns wait for purchases."""
    kinder = {"expired_lots": {"reinstate_days": 30}, "unknown_purchase": "park"}
    section = {**DOCUMENT["ledger"], "returns": kinder}
    await ledger.activate({**DOCUMENT, "ledger": section})
    for chain in range(CHAINS):
        member = member_on(chain)
        # Debt would be repaid first.
        await ledger.take(ledger.purchase(f"{member}-pays", 900_000, member=member))
        await ledger.take(ledger.refund(f"{member}-late", 3, f"order-{member}-a", member))
        await ledger.take(ledger.refund(f"{member}-later", None, f"order-{member}-m", member, 100))
        await ledger.take(ledger.hold(0, f"{member}-o", member, ttl=86_400 * 9, money=500))
        await ledger.take(ledger.capture_part(0, f"{member}-o1", f"{member}-o", member, 50))
        for number, units in enumerate((1, 2)):
            for of in ("4", "never"):
                back = f"{member}-r{of}{number}"
                await ledger.take(ledger.return_(f"{member}-{of}", back, member=member, units=units))
        await ledger.take(ledger.purchase(f"{member}-4", 5_000, member=member))


async def _pay_with_money(ledger: Ledger, member: str) -> None:
    """Points and money for one order in parts, given back in part; of other holds one is released, one times out."""
    await ledger.take(ledger.hold(5, f"{member}-m", member, money=1_000))
    await ledger.take(ledger.capture_part(2, f"{member}-m1", f"{member}-m", member, 400))
    await ledger.take(ledger.capture(f"{member}-m", member=member))
    await ledger.take(ledger.refund(f"{member}-m2", 1, f"order-{member}-m", member, 720))
    for name in "xy":
        await ledger.take(ledger.hold(0, f"{member}-{name}", member, money=300))
    await ledger.take(ledger.release(f"{member}-x", member))


async def _live(ledger: Ledger, member: str) -> None:
    """What one member does in a year."""
    await ledger.take(ledger.enrol(member, f"{member}-card"))
    await ledger.take(ledger.purchase(f"{member}-1", 30_000, member=member, quantity=3))
    await ledger.take(ledger.purchase(f"{member}-2", 20_000, member=f"card:{member}-card", at=NOON + DAY))
    await ledger.take(ledger.purchase(f"{member}-2", 20_000, member=member, at=NOON + DAY))
    await ledger.take(ledger.tier("silver", NOON + DAY / 2, member=member))
    for hold in "abcd":
        await ledger.take(ledger.hold(50, f"{member}-{hold}", member, ttl=86_400 * (2 if hold == "d" else 9)))
    await ledger.take(ledger.capture(f"{member}-a", 30, member))
    await ledger.take(ledger.release(f"{member}-b", member))
    await ledger.take(ledger.capture_part(20, f"{member}-part", f"{member}-c", member))
    await ledger.take(ledger.refund(f"{member}-f", 10, f"order-{member}-a", member))
    await ledger.take(
        ledger.return_(f"{member}-1", f"{member}-r1", member=member, at=NOON + 2 * DAY, units=2)
    )
    await ledger.take(ledger.hold(100, f"{member}-e", member))
    await ledger.take(ledger.capture(f"{member}-e", member=member))
    await ledger.take(ledger.return_(f"{member}-2", f"{member}-r2", member=member, at=NOON + 3 * DAY))
    await ledger.take(ledger.return_(f"{member}-2", f"{member}-r3", member=member, at=NOON + 3 * DAY))
    await ledger.take(ledger.hold(10_000, f"{member}-f", member))
    if not member.endswith("0"):
        await ledger.take(ledger.purchase(f"{member}-3", 9_000, member=member, at=NOON + 40 * DAY))


async def _by_hand(ledger: Ledger, ann: str, bob: str) -> None:
    """Points by hand in every state and way; one member is suspended, one closed in debt, and a card changes hands."""
    for member in (ann, bob):
        await ledger.take(ledger.enrol(member, f"{ann}-card" if member == ann else f"{bob}-card"))
        await ledger.take(ledger.purchase(f"{member}-1", 20_000, member=member))
        for number, points in enumerate((90, 120, 130, -140, -20)):
            id_ = f"{member}-a{number}"
            command = ledger.member_command(Adjust, id_, member, id_, points, "goodwill", "sorry", "carol")
            await ledger.take(command)
        for number in (1, 3):
            await ledger.take(
                ledger.member_command(
                    ApproveAdjustment, f"{member}-y{number}", member, f"{member}-a{number}", "dave"
                )
            )
        await ledger.take(
            ledger.member_command(DeclineAdjustment, f"{member}-n", member, f"{member}-a2", "no", "dave")
        )
        await ledger.take(ledger.member_command(SuspendMember, f"{member}-s", member, "fraud?", "carol"))
    await ledger.take(ledger.member_command(ReactivateMember, f"{bob}-o", bob, "no fraud", "carol"))
    asked = ledger.member_command(Adjust, f"{ann}-w", ann, f"{ann}-w", 500, "goodwill", "", "carol")
    await ledger.take(asked)
    await ledger.take(ledger.hold(1, f"{ann}-h", ann))
    await ledger.take(ledger.hold(240, f"{bob}-h", bob), ledger.capture(f"{bob}-h", member=bob))
    await ledger.take(ledger.return_(f"{bob}-1", f"{bob}-r", member=bob))
    await ledger.take(ledger.member_command(CloseMember, f"{bob}-c", bob, "as asked", "carol"))
    await ledger.take(ledger.purchase(f"{bob}-2", member=bob))
    card = ("card", IDENTIFIERS.digest("card", f"{bob}-card"))
    await ledger.take(ledger.member_command(UnlinkIdentifiers, f"{bob}-u", bob, [card]))
    await ledger.take(ledger.enrol(ann, f"{bob}-card"))


async def _reward(ledger: Ledger) -> None:
    """What the ticker does."""
    async with ledger.writer.session() as session:
        rewards = await owed(session, CHAINS, NOON)
    for reward in rewards:
        await ledger.take(reward)


async def _recommend(ledger: Ledger, referrer: str, chain: int) -> None:
    """What one member says and whom it brings: a friend on the next chain, rewarded, and one who has yet to buy."""
    for n, content in enumerate(("c1", "c1", "c2")):
        await ledger.take(ledger.interaction(f"{referrer}-i{n}", "review", content, member=referrer))
    friend, other = (member_on((chain + n) % CHAINS, MEMBERS_EACH + n) for n in (1, 2))
    for name in (friend, other):
        await ledger.take(ledger.referral(f"{name}-f", name, referrer=referrer))
    await ledger.take(ledger.purchase(f"{friend}-1", 5_000, member=friend))
    await _reward(ledger)
    await ledger.take(ledger.referral(f"{friend}-t", friend, task="bind_phone"))
    await ledger.take(ledger.interaction(f"{referrer}-p", "photo", member=referrer))


async def _merge(ledger: Ledger, survivor: str, absorbed: str) -> None:
    """`absorbed` brings lots, debt, a hold, a settled purchase and a card, and both go on."""
    day = NOON + 40 * DAY
    await ledger.take(ledger.enrol(absorbed, f"{absorbed}-card"))
    await ledger.take(ledger.referral(f"{absorbed}-by", absorbed, referrer=member_on(0, 1)))
    await ledger.take(ledger.purchase(f"{absorbed}-1", 30_000, member=absorbed, quantity=3, at=day))
    await ledger.take(ledger.tier("gold", day - DAY, member=absorbed))
    await ledger.take(ledger.hold(430, f"{absorbed}-a", absorbed, ttl=86_400))
    await ledger.take(ledger.return_(f"{absorbed}-1", f"{absorbed}-r1", member=absorbed, at=day))
    # What is owed for a referral blocks a merge.
    await _reward(ledger)
    for top_up in "mt":
        await ledger.take(ledger.top_up(f"{absorbed}-{top_up}", member=absorbed))
    await ledger.take(ledger.interaction(f"{absorbed}-i", "review", "c9", member=absorbed))
    await ledger.take(
        ledger.hold(20, f"{absorbed}-b", absorbed), ledger.capture(f"{absorbed}-b", member=absorbed)
    )
    # One order paid with both in parts and given back in part, and money that is held until the time is over.
    await ledger.take(ledger.hold(5, f"{absorbed}-m", absorbed, ttl=86_400, money=400))
    await ledger.take(ledger.capture_part(2, f"{absorbed}-m1", f"{absorbed}-m", absorbed, 150))
    await ledger.take(ledger.refund(f"{absorbed}-m2", 0, f"order-{absorbed}-m", absorbed, 30))
    await ledger.take(ledger.hold(0, f"{absorbed}-w", absorbed, ttl=86_400, money=250))
    (merged,) = await ledger.take(ledger.merge(survivor, absorbed))
    assert merged.refusal is None, merged.refusal
    await ledger.take(ledger.capture_part(1, f"{absorbed}-m3", f"{absorbed}-m", absorbed, 100))
    await ledger.take(ledger.refund(f"{absorbed}-m4", 1, f"order-{absorbed}-m", survivor, 60))
    await ledger.take(ledger.release(f"{absorbed}-m", survivor))
    await ledger.take(ledger.refund(f"{absorbed}-f", 5, f"order-{absorbed}-b", absorbed))
    await ledger.take(ledger.reverse_top_up(f"{absorbed}-t", f"{absorbed}-u", member=absorbed))
    await ledger.take(ledger.merge(survivor, absorbed, id_=f"{absorbed}-again"))
    await ledger.take(ledger.purchase(f"{absorbed}-2", 1_000, member=absorbed, at=day + DAY))
    await ledger.take(ledger.return_(f"{absorbed}-1", f"{absorbed}-r2", member=absorbed, at=day + DAY))


async def _park(ledger: Ledger, member: str) -> None:
    """Two purchases and a return of too much before the enrolment, and somebody who never enrols."""
    card = f"card:{member}-late"
    await ledger.take(ledger.purchase(f"{member}-k1", 10_000, member=card, program="parker"))
    await ledger.take(ledger.return_(f"{member}-k1", f"{member}-kr1", member=card, units=9, program="parker"))
    await ledger.take(ledger.purchase(f"{member}-k2", 10_000, member=member, program="parker"))
    await ledger.take(ledger.purchase(f"{member}-k3", 10_000, member=f"{member}-never", program="parker"))
    await ledger.take(ledger.enrol(member, f"{member}-late", program="parker"))
    await ledger.take(ledger.return_(f"{member}-k1", f"{member}-kr2", member=member, program="parker"))


async def _tell(ledger: Ledger, keeps: str, erased: str) -> None:
    """Both tell of themselves, one is erased."""
    for member in (keeps, erased):
        await ledger.take(ledger.profile(member, name="Ann Example"))
    await ledger.take(ledger.erase(erased))


async def _live_in_the_club(ledger: Ledger) -> None:
    """A program with a return window, whose points lapse: on every chain, for one who stays and one who does not."""
    await ledger.activate({**WINDOWED, "program": "club"})
    for chain in range(CHAINS):
        for n, days in enumerate((0, 19)):
            member, at = member_on(chain, n), NOON + days * DAY
            await ledger.take(ledger.purchase(f"{member}-c", 5_000, member=member, at=at, program="club"))
    await ledger.advance(NOON + 40 * DAY, "club")
    for chain in range(CHAINS):
        member, at = member_on(chain, 1), NOON + 40 * DAY
        await ledger.take(ledger.purchase(f"{member}-d", 5_000, member=member, at=at, program="club"))


async def _count(ledger: Ledger, member: str) -> None:
    """What a member of the program that counts does."""
    for number, day in enumerate((0, 0, 1, 40)):
        told = ledger.purchase(
            f"{member}-c{number}", 1_001, member=member, program="counting", at=NOON + day * DAY
        )
        await ledger.take(told)
    # A fraction goes with the first, and is counted again.
    await ledger.take(ledger.return_(f"{member}-c0", f"{member}-cr", member=member, program="counting"))


async def look(connection: asyncpg.Connection, *some: int) -> Report:
    """What `verify` says of a ledger's database, without Kafka, in the transaction that the connection is in.

    Of all chains, or of `some`, and then not of what all of them tell together.
    """
    chains = await connection.fetchval("SELECT chains FROM installation")
    found = Findings("ledger", None)
    await check_service(connection, "ledger", chains, found)
    await check_applied(connection, {(STREAMS["tiering"], 1): 7}, found)
    report = found.report
    for chain in [one for one in some if 0 <= one < chains] or range(chains):
        report.add(await verify_chain(connection, "ledger", chain, chains))
    if some:
        return report
    check_in_transit(report)
    whole = Findings("ledger", None)
    await check_budgets(connection, chains, report.given, whole)
    report.add(whole.report)
    return report
