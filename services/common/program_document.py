"""The program document on the wire: decimals as text, one canonical form, named by its content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

VERSION_DIGITS = 16


def load_json(text: bytes | str) -> dict[str, Any]:
    """The document in JSON, decimals as text. Raises ValueError."""
    try:
        document = json.loads(text, parse_float=str, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError(  # noqa: TRY004
            "a program document is a JSON object with the keys program, ledger, tiering, rewards"
        )
    return document


def _refuse_constant(name: str) -> None:
    # Python's JSON takes NaN and Infinity; JSON has no such numbers, and no other reader would take them.
    raise ValueError(f"{name} is no number of JSON")


def canonical(document: dict[str, Any]) -> bytes:
    """The document's one form: JSON with sorted keys, no white space, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def version_of(canonical_document: bytes) -> str:
    """The name of a version: the first 16 hex digits of the document's SHA-256."""
    return hashlib.sha256(canonical_document).hexdigest()[:VERSION_DIGITS]
