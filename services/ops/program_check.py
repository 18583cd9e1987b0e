"""A program's document, looked at by every service that will read a part, before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from services.common.program_document import canonical, version_of
from services.common.program_section import ProgramError
from services.ledger.domain.program import Program
from services.ledger.domain.program import parse_program as parse_ledger
from services.ops import programs
from services.ops.yaml_document import Document, Place
from services.rewards.domain.program import parse_program as parse_rewards
from services.tiering.domain.program import Rules, parse_rules


def checked(name: str) -> Document:
    """The document, found good by every service.

    Raises:
        DocumentError: it can't be read, or a service would refuse it.
    """
    document = programs.load_program(programs.find_program(name))
    version = version_of(canonical(document.data))
    readers: list[Callable[[Any, str], Any]] = [parse_ledger, parse_rules, parse_rewards]
    try:
        ledger, tiering, _ = (read(document.data, version) for read in readers)
    except ProgramError as error:
        raise document.error(_place(error.field), error.detail) from error
    for place, detail in _across(ledger, tiering):
        raise document.error(place, detail)
    return document


def _across(ledger: Program, tiering: Rules | None) -> Iterator[tuple[Place, str]]:
    """What no service can see by itself: the ledger multiplies by tiers that tiering names."""
    names = [tier.name for tier in tiering.tiers] if tiering else []
    multipliers: Place = ("ledger", "earning", "tier_multipliers")
    for tier, rate in ledger.tier_rates.items():
        if tier not in names:
            yield (*multipliers, tier), f"no tier {tier!r} in tiering.tiers"
        elif tier == names[0] and rate.multiplier != 1:
            yield (*multipliers, tier), "the lowest tier earns at points_per_unit: put its rate there"
    for number, rule in enumerate(ledger.rulebook.rules):
        place: Place = ("ledger", "earning", "rules", number, "when", "tiers")
        for tier in sorted(rule.tiers):
            if tier not in names:
                yield place, f"no tier {tier!r} in tiering.tiers"
            elif tier == names[0]:
                yield place, f"{tier!r} is the lowest tier, which nobody is told of: name the tiers above it"


def _place(field: str) -> Place:
    """`rewards.catalogue[0].points` as a way into the document."""
    parts = re.findall(r"([^.\[\]]+)|\[(\d+)\]", field)
    return tuple(int(index) if index else key for key, index in parts)
