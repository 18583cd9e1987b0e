"""What the steps of a scenario do with vouchers."""

from __future__ import annotations

from typing import Any

from services.ops.api import Api
from services.ops.scenario import model

UNDOING = {"unuse": ("used",), "withdraw": ("gifted",)}
"""The states that some steps look for; the others look for what can be used."""
USABLE = ("issued", "claimed")


class VoucherSteps:
    """A run's vouchers. The codes of gifts are remembered: they are shown once."""

    def __init__(self, api: Api, program: str) -> None:
        self._api = api
        self._program = program
        self._codes: dict[str, str] = {}

    async def take(self, step: model.VoucherStep, request: str) -> None:
        """Do what a step says. Raises ApiError for a refusal."""
        here = f"/v1/programs/{self._program}/members/{step.member}/vouchers"
        if step.step == "issue":
            body: dict[str, Any] = {"voucher": step.reward, "count": step.count}
            await self._api.post("rewards", here, body, idempotency_key=request)
        elif step.step == "claim":
            body = {"code": self._codes.get(step.from_ or "", "A" * 32)}
            await self._api.post("rewards", f"{here}/claim", body, idempotency_key=request)
        else:
            path = f"{here}/{await self._voucher(here, step)}/{step.step}"
            answer = await self._api.post("rewards", path, _body(step), idempotency_key=request)
            if step.step == "gift":
                self._codes[step.member] = str(answer["code"])

    async def usable(self, member: str, reward: str) -> str:
        """The member's oldest voucher of the program's entry `reward` that can be used; else the newest of it."""
        step = model.VoucherStep(member=member, reward=reward, step="use")
        return await self._voucher(f"/v1/programs/{self._program}/members/{member}/vouchers", step)

    async def _voucher(self, here: str, step: model.VoucherStep) -> str:
        """The oldest that the step can be about; else the newest of that kind, for the services to say why not."""
        mine = [
            voucher
            for voucher in (await self._api.get("rewards", here))["vouchers"]
            if voucher["reward"] == step.reward
        ]
        fitting = [v for v in mine if v["state"] in UNDOING.get(step.step, USABLE)]
        found = fitting[-1:] or mine[:1]
        return str(found[0]["voucher"]) if found else "0" * 24


def _body(step: model.VoucherStep) -> dict[str, Any]:
    match step.step:
        case "use":
            lines = [
                {"sku": line.sku, "category": line.category, "quantity": line.quantity, "amount": line.amount}
                for line in step.lines
            ]
            return {"order": step.order, "store": step.store, "lines": lines}
        case "unuse":
            return {"order": step.order}
        case "void":
            return {"reason": "the scenario says so"}
    return {}
