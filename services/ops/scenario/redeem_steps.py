"""What the steps of a scenario do with redemptions."""

from __future__ import annotations

from typing import Any

from services.ops.api import Api
from services.ops.scenario import model
from services.ops.scenario.voucher_steps import VoucherSteps


class RedeemSteps:
    """A run's redemptions: those that were never reserved are reserved by their first step."""

    def __init__(self, api: Api, program: str, vouchers: VoucherSteps) -> None:
        self._api = api
        self._program = program
        self._vouchers = vouchers
        self._reserved: set[str] = set()

    async def take(self, redeem: model.Redeem, request: str) -> None:
        """Do what a step says. Raises ApiError for a refusal."""
        redemptions = f"/v1/programs/{self._program}/members/{redeem.member}/redemptions"
        if redeem.step == "reserve" or (redeem.step == "capture" and redeem.id not in self._reserved):
            await self._api.post("rewards", redemptions, await self._order(redeem), idempotency_key=redeem.id)
            self._reserved.add(redeem.id)
        if redeem.step != "reserve":
            body = {}
            if redeem.step == "refund":
                lines = [line.model_dump() for line in redeem.returned or ()]
                body = given(
                    points=redeem.points, money=redeem.money, lines=lines or None, restock=redeem.restock
                )
            path = f"{redemptions}/{redeem.id}/{redeem.step}"
            await self._api.post("rewards", path, body, idempotency_key=request)

    async def _order(self, redeem: model.Redeem) -> dict[str, Any]:
        voucher = redeem.voucher and await self._vouchers.usable(redeem.member, redeem.voucher)
        return given(
            reward=redeem.reward,
            order=redeem.order or redeem.id,
            ttl_seconds=redeem.ttl_seconds,
            store=redeem.store,
            money=redeem.money,
            voucher=voucher,
            outside=redeem.outside,
            points=redeem.points,
            expected=redeem.expected,
            lines=[
                line.model_dump(include={"id", "sku", "category", "quantity", "amount", "new"})
                for line in redeem.lines or ()
            ]
            or None,
        )


def given(**values: Any) -> dict[str, Any]:
    """What is not None, as a body."""
    return {name: value for name, value in values.items() if value is not None}
