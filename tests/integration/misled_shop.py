"""A program whose wrong document gives ten times too much, what its members do, and the command line on its stack."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from services.common.clock import utc_now
from services.ops.api import Api
from services.ops.cli import EXPECTED, create_cli
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack

STALL_SECONDS = 60.0
LIMIT = 5_000


def document(program: str, rate: int, review: int) -> dict[str, Any]:
    return {
        "program": program,
        "ledger": {
            "currency": "USD",
            "enrolment": "on_first_activity",
            "earning": {"points_per_unit": rate, "tier_multipliers": {"gold": 2}},
            "adjustments": {"reasons": ["correction", "goodwill"], "limit": LIMIT},
            "campaigns": [{"id": "summer", "budget": 60}],
            "interactions": [{"kind": "review", "points": review, "campaign": "summer"}],
        },
        "tiering": {
            "metric": "points",
            "window": {"months": 12},
            "review": {"months": 12},
            "tiers": [{"name": "member"}, {"name": "gold", "from": 5_000}],
        },
    }


@dataclass
class Shop:
    """A program on the stack, and what its members do."""

    stack: Stack
    api: Api
    gauge: LevelGauge
    program: str
    folder: Path

    @property
    def path(self) -> str:
        return f"/v1/programs/{self.program}"

    def file(self, name: str, rate: int, review: int) -> str:
        """A document as a file."""
        path = self.folder / name
        path.write_text(yaml.safe_dump(document(self.program, rate, review)), encoding="utf-8")
        return str(path)

    async def tally(self, *words: str, status: int = 0, key: str = "") -> str:
        """What the command line prints on this stack; with a `status` of 1, what it complains of."""
        env = {"TALLY_HOME": str(self.stack.home), "TALLY_KEY": key}
        result = await asyncio.to_thread(CliRunner().invoke, create_cli(), [*words], env=env)
        if isinstance(result.exception, EXPECTED):
            assert status == 1, result.exception
            return str(result.exception)
        assert result.exit_code == status, result.output
        return result.stdout

    async def correct(self, *words: str, status: int = 0, key: str = "") -> dict[str, Any]:
        """`tally program correct` of the right document, by member."""
        told = await self.tally("program", "correct", *words, "--json", status=status, key=key)
        return {each["member"]: each for each in json.loads(told)["members"]}

    async def buy(self, id_: str, member: str, amount: int) -> None:
        line = {"id": 1, "sku": "A", "category": "FOOD", "quantity": 2, "amount": amount}
        body = {
            "id": id_,
            "member": member,
            "occurred_at": utc_now().isoformat(),
            "currency": "USD",
            "lines": [line],
        }
        await self.api.post("ledger", f"{self.path}/purchases", body)

    async def bring_back(self, id_: str, of: str, member: str, units: int) -> None:
        body = {
            "id": id_, "member": member, "occurred_at": utc_now().isoformat(), "of": of,
            "lines": [{"line": 1, "quantity": units}],
        }  # fmt: skip
        await self.api.post("ledger", f"{self.path}/returns", body)

    async def review(self, id_: str, member: str) -> None:
        body = {
            "id": id_,
            "member": member,
            "occurred_at": utc_now().isoformat(),
            "kind": "review",
            "content": id_,
        }
        await self.api.post("ledger", f"{self.path}/interactions", body)

    async def points(self, member: str) -> dict[str, int]:
        found: dict[str, int] = (await self.api.get("ledger", f"{self.path}/members/{member}"))["points"]
        return found

    async def level(self) -> None:
        await self.gauge.wait(STALL_SECONDS)


async def key_of(shop: Shop, name: str) -> str:
    """An API key for a person of the programme's own."""
    words = ("keys", "create", "--scope", "ops", "--program", shop.program, "--name", name)
    return (await shop.tally(*words)).strip().splitlines()[-1]


async def run_process(shop: Shop, *words: str) -> int:
    """The exit status of the command line in a process of its own."""
    return await (await started(shop, *words)).wait()


async def started(shop: Shop, *words: str) -> asyncio.subprocess.Process:
    """The command line in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ops.cli", *words,
        env={**os.environ, "TALLY_HOME": str(shop.stack.home)},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
