"""The program document: read with exact decimals, written down canonically, named by its content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

VERSION_DIGITS = 16


class _ExactLoader(yaml.SafeLoader):
    """YAML whose decimals and dates stay text, so that 1.2 is twelve tenths and not the float next to it."""


_ExactLoader.yaml_implicit_resolvers = {
    first: [
        (tag, regexp)
        for tag, regexp in resolvers
        if tag not in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(path: Path) -> dict[str, Any]:
    """The document in a file. Raises yaml.YAMLError (with line and column) or ValueError."""
    document = yaml.load(path.read_text(), Loader=_ExactLoader)  # noqa: S506 (a SafeLoader)
    if not isinstance(document, dict):
        raise ValueError(  # noqa: TRY004 (the value in the file is wrong, not the caller's type)
            f"{path}: a program document is a mapping with the keys program, ledger, tiering, rewards"
        )
    return document


def load_json(text: bytes | str) -> dict[str, Any]:
    """The document in JSON, decimals as text. Raises ValueError."""
    document = json.loads(text, parse_float=str)
    if not isinstance(document, dict):
        raise ValueError(  # noqa: TRY004
            "a program document is a JSON object with the keys program, ledger, tiering, rewards"
        )
    return document


def canonical(document: dict[str, Any]) -> bytes:
    """The document's one form: JSON with sorted keys, no white space, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def version_of(canonical_document: bytes) -> str:
    """The name of a version: the first 16 hex digits of the document's SHA-256."""
    return hashlib.sha256(canonical_document).hexdigest()[:VERSION_DIGITS]
