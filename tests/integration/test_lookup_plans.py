"""The write path looks up by key even where the plan was made while every table was empty: plans stay."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from services.common.db import KEYED_LOOKUPS
from services.ops.local.postgres import LocalPostgres
from tests.databases import service_database

MODULES = (
    "ledger.store", "ledger.inbox", "ledger.project_holds", "ledger.store_holds", "ledger.store_parked",
    "ledger.social_store", "ledger.counting", "ledger.adjustments", "ledger.identifiers", "ledger.money_rows",
    "ledger.project", "ledger.project_profile", "ledger.project_settlements", "ledger.heirs", "ledger.parking",
    "tiering.store", "rewards.store", "rewards.project",
    "rewards.store_vouchers", "rewards.handle_vouchers", "rewards.lapse", "rewards.granting",
)  # fmt: skip
SMALL = {
    "chain_heads", "relay_positions", "programs", "program_versions", "stream_positions", "redemption_steps",
}  # fmt: skip
"""Tables of a few rows a chain."""
pytestmark = pytest.mark.integration


def statements(module: str) -> dict[str, str]:
    """The module's statements that read or change rows by key."""
    found = vars(importlib.import_module(f"services.{module}"))
    return {
        name: value
        for name, value in found.items()
        if name.isupper() and isinstance(value, str) and re.search(r"\b(SELECT|UPDATE|DELETE)\b", value)
    }


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def faults(plan: dict[str, Any]) -> Iterator[str]:
    """Where a plan reads more of a table than its keys ask for."""
    for node in nodes(plan):
        if "Join Filter" in node and node["Join Filter"].count("chain"):
            yield f"{node['Node Type']}: rows of a table are compared one by one: {node['Join Filter']}"
        kind, condition = node["Node Type"], node.get("Index Cond", node.get("Recheck Cond", ""))
        reads = kind in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
        if reads and node["Relation Name"] not in SMALL and len(re.findall(r"[=<>]", condition)) < 2:
            yield f"{kind} of {node['Relation Name']} by ({condition})"


@pytest.mark.parametrize("module", MODULES)
async def test_plans_made_on_empty_tables_go_key_by_key(postgres: LocalPostgres, module: str) -> None:
    service = module.partition(".")[0]
    found = {}
    async with service_database(postgres.url, service) as (owner_url, _):
        connection = await asyncpg.connect(owner_url, server_settings=KEYED_LOOKUPS)
        try:
            for name, statement in statements(module).items():
                parameters = max((int(n) for n in re.findall(r"\$(\d+)", statement)), default=0)
                await connection.execute(f"PREPARE looked AS {statement}")
                arguments = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
                plan = await connection.fetchval(f"EXPLAIN (FORMAT json) EXECUTE looked{arguments}")
                await connection.execute("DEALLOCATE looked")
                if wrong := list(faults(json.loads(plan)[0]["Plan"])):
                    found[name] = wrong
        finally:
            await connection.close()
    assert statements(module)
    assert found == {}
