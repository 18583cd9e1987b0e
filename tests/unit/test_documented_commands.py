"""Every `tally` line in the documents is one that the command line takes: the command exists, and so do its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from services.ops.cli import create_cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?tally (.*)")
END = re.compile(r"\s(?:[|;&>]|2>).*")
"""Where the shell takes over."""


def commands_in(text: str) -> list[str]:
    """What follows `tally` in the lines of code blocks that begin with it, be it after settings or a prompt.

    A line that ends with a backslash goes on in the next one.
    """
    lines = (line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines())
    return [found[1] for line in lines if (found := LINE.match(line))]


def parse(command: str) -> None:
    """Parse a command and run nothing. Raises TyperException as the command line itself would."""
    found = typer.main.get_command(create_cli())
    told = shlex.split(END.sub("", command), comments=True)
    while isinstance(found, TyperGroup):
        name, *told = told or [""]
        if name not in found.commands:
            raise typer.BadParameter(f"there is no command {name!r}")
        found = found.commands[name]
    # What it is told is taken apart and converted, as before a run; a required argument must be there.
    found.make_context("tally", told)


DOCUMENTED = [
    pytest.param(command, id=f"{document.relative_to(ROOT)}: {command[:40]}")
    for document in DOCUMENTS
    for command in commands_in(document.read_text())
]


@pytest.mark.parametrize("command", DOCUMENTED)
def test_a_documented_command_is_one_that_there_is(command: str) -> None:
    parse(command)


def test_the_documents_have_commands() -> None:
    assert len(DOCUMENTED) > 20


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("rebuild ledger", "there is no command"),
        ("replay ledger --turn", "No such option"),
        ("replay book", "is not one of"),
        ("explain ann bob", "unexpected extra argument"),
        ("as-of ann", "Missing parameter: time"),
        ("keys burn", "there is no command"),
    ],
)
def test_a_command_that_there_is_not_is_told_apart(command: str, words: str) -> None:
    with pytest.raises(typer.TyperException, match=words):
        parse(command)


def test_commands_are_found_behind_prompts_and_settings_and_cut_where_the_shell_goes_on() -> None:
    block = "$ tally up\nA=b tally verify \\\n  --json\nsee tally status\n.venv/bin/tally down | cat\n"
    text = f"tally keys\n```\n{block}```\ntally env\n"
    assert commands_in(text) == ["up", "verify    --json", "down | cat"]
    assert END.sub("", "verify --json 2>&1 | head") == "verify --json"
