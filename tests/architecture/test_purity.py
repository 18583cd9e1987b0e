"""What import rules can't say: a domain that reads no clock and throws no dice, files that fit in a head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
DOMAIN = sorted(SERVICES.glob("*/domain/*.py"))
LINES_MAX = 400
LONGER_MAX = 3
LINES_EVER = 500
FORBIDDEN_MODULES = {
    "asyncio", "random", "secrets", "time", "uuid", "os", "socket", "threading", "logging", "structlog",
}  # fmt: skip
FORBIDDEN_CALLS = {"now", "utcnow", "today", "time", "monotonic", "open", "print", "input", "uuid4"}
SPINE = {
    "ledger": ["consume.py", "domain/decide.py", "store.py", "project.py"],
    "tiering": ["consume.py", "domain/decide.py", "store.py", "project.py"],
    "rewards": ["consume.py", "domain/decide.py", "store.py", "project.py"],
    "common": ["relay.py"],
}


def impurities(tree: ast.AST) -> Iterator[str]:
    """What a pure module may not hold, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (
                    f"{node.lineno}: import {n.name}"
                    for n in names
                    if n.name.split(".")[0] in FORBIDDEN_MODULES
                )
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                yield f"{node.lineno}: from {module}"
            case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)) if (
                name in FORBIDDEN_CALLS
            ):
                yield f"{node.lineno}: {name}()"
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"{node.lineno}: async"
            case ast.Constant(value=float()):
                yield f"{node.lineno}: a float"
            case ast.Call(func=ast.Name(id="float")):
                yield f"{node.lineno}: float()"


@pytest.mark.parametrize("file", DOMAIN, ids=lambda f: str(f.relative_to(SERVICES)))
def test_the_domain_reads_no_clock_and_throws_no_dice(file: Path) -> None:
    assert list(impurities(ast.parse(file.read_text()))) == []


def test_the_check_sees_what_it_looks_for() -> None:
    for text in (
        "import random",
        "from time import monotonic",
        "datetime.now(UTC)",
        "async def f(): pass",
        "x = 0.5",
        "float(x)",
    ):
        assert list(impurities(ast.parse(text))), text


def test_only_one_module_reads_the_wall_clock() -> None:
    readers = {
        str(file.relative_to(SERVICES))
        for file in SERVICES.glob("*/**/*.py")
        if "ops" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow")
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "datetime"
    }
    assert readers == {"common/clock.py"}


def test_most_files_fit_on_a_few_screens() -> None:
    long = {
        str(file.relative_to(ROOT)): count
        for folder in ("services", "tests")
        for file in (ROOT / folder).rglob("*.py")
        if (count := len(file.read_text().splitlines())) > LINES_MAX
    }
    assert len(long) <= LONGER_MAX, long
    assert all(count <= LINES_EVER for count in long.values()), long


@pytest.mark.parametrize("service", SPINE)
def test_the_flow_is_told_by_the_same_file_names_in_each_service(service: str) -> None:
    assert [name for name in SPINE[service] if not (SERVICES / service / name).is_file()] == []


def test_nothing_is_left_to_do() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
    found = [
        f"{file.relative_to(ROOT)}: {word}"
        for folder in ("services", "tests", "proto/tallybook", "deploy", "docs")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".proto", ".md", ".yaml")
        for word in words
        if word in file.read_text()
    ]
    assert found == []


def test_tests_wait_for_conditions_and_never_sleep() -> None:
    sleepers = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep"
    }
    assert sleepers == set()
