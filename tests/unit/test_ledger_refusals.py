"""Every refusal of the ledger's core, and which is told first when several hold, as docs/refusals.md says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from services.common.errors import Refusal
from services.ledger.domain import decide
from tests.unit.ledger_mistakes import TABLES as LEDGER_TABLES
from tests.unit.ledger_mistakes import Changes, Table
from tests.unit.members_mistakes import MEMBER_TABLES
from tests.unit.people_mistakes import PEOPLE_TABLES
from tests.unit.retry_mistakes import RETRIES
from tests.unit.social_mistakes import TABLES as SOCIAL_TABLES
from tests.unit.stored_value_mistakes import TABLES as STORED_VALUE_TABLES

DOC = Path(__file__).parents[2] / "docs" / "refusals.md"
LEDGER = Path(decide.__file__).parents[1]
FIRST_TIME = (*LEDGER_TABLES, *STORED_VALUE_TABLES, *SOCIAL_TABLES, *MEMBER_TABLES, *PEOPLE_TABLES)
TABLES = (*FIRST_TIME, *RETRIES)


def told(table: Table, changes: Changes) -> str:
    """The code that a request with `changes` is refused with; the book must be as it was."""
    given, command = table.build(changes)
    before = given.position
    with pytest.raises(Refusal) as refused:
        given.when(command)
    assert given.position == before, "a refusal comes before the first event"
    assert refused.value.detail
    return refused.value.code


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.command)
def test_the_request_without_a_mistake_is_taken(table: Table) -> None:
    given, command = table.build({})
    assert given.when(command)


@pytest.mark.parametrize(
    ("table", "code", "changes"),
    [
        pytest.param(table, m.code, m.changes, id=f"{table.command}-{m.code}-{n}")
        for table in TABLES
        for n, m in enumerate(table.mistakes)
    ],
)
def test_a_mistake_is_told_by_its_code(table: Table, code: str, changes: Changes) -> None:
    assert told(table, changes) == code


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.command)
def test_of_two_mistakes_the_earlier_in_the_table_is_told(table: Table) -> None:
    pairs = list(table.together())
    wrong = {
        f"{code} with {changes}": got for code, changes in pairs if (got := told(table, changes)) != code
    }
    assert not wrong
    assert len(pairs) >= len(table.codes()) - 1


def documented() -> dict[str, list[str]]:
    """From the page: codes by the command whose heading they stand under."""
    tables: dict[str, list[str]] = {}
    command = ""
    for text in DOC.read_text().splitlines():
        if heading := re.match(r"## `(\w+)`( again)?$", text):
            command = heading[1] + (heading[2] or "")
            tables[command] = []
        elif text.startswith("## "):
            command = ""
        elif (row := re.match(r"\| \d+ \| `(\w+)` \|", text)) and command:
            tables[command].append(row[1])
    return tables


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.command)
def test_the_page_lists_a_commands_refusals_in_the_order_of_the_code(table: Table) -> None:
    assert documented()[table.command] == table.codes()


def test_no_code_of_the_ledger_is_missing_from_the_page() -> None:
    raised = {
        call.args[0].value
        for file in LEDGER.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Refusal"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    page = DOC.read_text()
    assert {code for code in raised if f"`{code}`" not in page} == set()


def test_every_code_of_the_core_has_a_row_in_a_table() -> None:
    raised = {
        call.args[0].value
        for file in Path(decide.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Refusal"
        if isinstance(call.args[0], ast.Constant)
    }
    assert raised == {code for table in FIRST_TIME for code in table.codes()}
