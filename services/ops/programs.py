"""Program documents: found by name or path, read with exact decimals, handed to the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.ops.api import Api, ApiError
from services.ops.yaml_document import Document, load

PROGRAMS_FOLDER = Path(__file__).parents[2] / "deploy" / "programs"


def find_program(name: str, beside: Path | None = None) -> Path:
    """The file of a program: a path (from the folder `beside` when relative), or a name in deploy/programs.

    The file need not exist: `load` says what is wrong with it.
    """
    if name.endswith((".yaml", ".yml")):
        return (beside or Path()) / name
    return PROGRAMS_FOLDER / f"{name}.yaml"


def load_program(path: Path) -> Document:
    """A program document; decimals are text, so that they stay exact on their way to the ledger.

    Raises:
        DocumentError: it can't be read, or does not say which program it is.
    """
    document = load(path)
    if not isinstance(document.data, dict) or not isinstance(document.data.get("program"), str):
        raise document.error(("program",), "a program document names its program")
    return document


async def activate(api: Api, document: dict[str, Any]) -> str:
    """Make the ledger run this document from now on; the same document again changes nothing.

    Returns the version.

    Raises:
        ApiError: the ledger refuses the document; the detail names the field.
    """
    answer = await api.put("ledger", f"/v1/programs/{document['program']}", document)
    return str(answer["version"])


async def in_force(api: Api, program: str) -> dict[str, Any]:
    """The `version` of a program that the ledger decides by and its `document`; empty when it knows none."""
    try:
        found: dict[str, Any] = await api.get("ledger", f"/v1/programs/{program}")
    except ApiError as error:
        if error.code != "unknown_program":
            raise
        return {}
    return found


async def activate_missing(api: Api, program: str) -> bool:
    """Activate deploy/programs/<program>.yaml unless the ledger already runs some version of the program.

    Returns True when it was activated now.

    Raises:
        DocumentError: the ledger does not know the program and there is no such file.
    """
    if await in_force(api, program):
        return False
    await activate(api, load_program(find_program(program)).data)
    return True
