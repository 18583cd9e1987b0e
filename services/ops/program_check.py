"""A program document checked before anybody runs it, by the services that will read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from services.common.program_document import canonical, version_of
from services.ledger.domain import program as ledger
from services.ops.yaml_document import Document, DocumentError, Place
from services.rewards.domain import program as rewards
from services.tiering.domain import program as tiering

PARTS = re.compile(r"[^.\[\]]+|\[\d+\]")
READERS: tuple[Callable[[Any, str], object], ...] = (
    ledger.parse_program,
    tiering.parse_rules,
    rewards.parse_program,
)
"""Each reads its own section and what is common to all."""


def version_in(document: Document) -> str:
    """The name that the ledger will give this document."""
    return version_of(canonical(document.data))


def check(document: Document) -> list[DocumentError]:
    """What each service has against the document, at most one error a service; none twice."""
    found = {str(error): error for error in _errors(document)}
    return list(found.values())


def _errors(document: Document) -> Iterator[DocumentError]:
    version = version_in(document)
    for reader in READERS:
        try:
            reader(document.data, version)
        except (ledger.ProgramError, tiering.ProgramError, rewards.ProgramError) as error:
            yield document.error(place_of(error.field), error.detail)


def place_of(field: str) -> Place:
    """The place that a service names: `rewards.catalogue[0].points`, lists counted from 0."""
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in PARTS.findall(field))
