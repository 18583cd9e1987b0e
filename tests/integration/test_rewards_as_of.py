"""What a member had of rewards at any instant is what rewards said at it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from services.common.as_of import By
from services.common.clock import utc_now
from services.common.errors import Refusal
from services.rewards import as_of, explain
from services.rewards.lapse import Lapsing
from tests.integration.rewards_stack import CHAINS, RewardsStack, bearer, nothing, utc
from tests.integration.test_vouchers import LINES, VOUCHERS, Shop

pytestmark = pytest.mark.integration

MEMBERS = ("ann", "bob")
NEXT_YEAR = utc("2027-01-05T12:00:00Z")


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    """A program with vouchers, where two members have points since noon of 5 January 2026."""
    stack = await servers.with_program()
    await stack.activate(VOUCHERS)
    for member in MEMBERS:
        await stack.buy(member, 1_000)
    await stack.carry()
    return stack


@pytest_asyncio.fixture
async def ops(stack: RewardsStack) -> Shop:
    return Shop(stack, await stack.key("ops"))


async def then(stack: RewardsStack, member: str, at: datetime, by: By = By.RECORDED) -> as_of.AsOfView:
    async with stack.views.reader.snapshot() as connection:
        return await as_of.member(connection, CHAINS, stack.program, member, at, by)


async def test_every_step_of_a_vouchers_life_can_be_asked_for(stack: RewardsStack, ops: Shop) -> None:
    said: list[tuple[datetime, str, list[Any], list[Any]]] = []

    async def look() -> None:
        for member in MEMBERS:
            wallet = await stack.views.wallet(stack.program, member)
            said.append((utc_now(), member, wallet.vouchers, wallet.redemptions))

    await look()
    first, second = await ops.issue("ann", count=2)
    await look()
    code = await ops.gift("ann", first)
    await look()
    assert (await ops.post("bob", "/claim", code=code)).status_code == 200
    await look()
    assert (await ops.post("bob", f"/{first}/use", order="o1", lines=LINES)).status_code == 200
    await look()
    assert (await ops.post("ann", f"/{second}/void", reason="a test")).status_code == 200
    await look()
    seen = set()
    for at, member, vouchers, redemptions in said:
        found = await then(stack, member, at)
        assert (found.vouchers, found.redemptions) == (vouchers, redemptions), (member, at)
        seen |= {voucher.state for voucher in vouchers}
    assert seen == {"issued", "gifted", "given", "claimed", "used", "voided"}


async def test_by_business_time_a_voucher_is_as_it_was_before_its_first_later_row(
    stack: RewardsStack, ops: Shop
) -> None:
    await ops.issue("ann")
    (row,) = (await stack.views.wallet(stack.program, "ann")).vouchers
    await stack.advance(NEXT_YEAR)
    await stack.carry()
    await Lapsing(stack.writer, nothing).round(NEXT_YEAR)
    assert row.expires_at is not None
    at_issue = await then(stack, "ann", row.issued_at, By.BUSINESS)
    assert [voucher.state for voucher in at_issue.vouchers] == ["issued"]
    after = await then(stack, "ann", NEXT_YEAR, By.BUSINESS)
    assert [voucher.state for voucher in after.vouchers] == ["expired"]
    assert (await then(stack, "ann", utc("2025-01-01T00:00:00Z"), By.BUSINESS)).vouchers == []


async def test_an_order_says_which_voucher_it_was_and_all_its_rows(stack: RewardsStack, ops: Shop) -> None:
    (drink,) = await ops.issue("ann")
    await ops.post("ann", f"/{drink}/use", order="till 3/o1", lines=LINES)
    async with stack.views.reader.snapshot() as connection:
        told = await explain.order(connection, CHAINS, stack.program, "till 3/o1")
        with pytest.raises(Refusal) as refused:
            await explain.order(connection, CHAINS, stack.program, "another")
    assert refused.value.code == "order_unknown"
    assert [voucher.voucher for voucher in told.vouchers] == [drink]
    assert [row.type for row in told.entries] == ["VoucherIssued", "VoucherUsed"]


async def test_auditors_may_ask_and_tills_may_not(stack: RewardsStack, ops: Shop) -> None:
    (drink,) = await ops.issue("ann")
    await ops.post("ann", f"/{drink}/use", order="o1", lines=LINES)
    for path in ("members/ann/as-of", "orders/o1/explain"):
        for scope, status in (("audit", 200), ("ops", 200), ("pos", 403), ("checkout", 403), ("member", 403)):
            answer = await stack.http.get(
                f"/v1/programs/{stack.program}/{path}", headers=bearer(await stack.key(scope))
            )
            assert answer.status_code == status, (path, scope, answer.text)
