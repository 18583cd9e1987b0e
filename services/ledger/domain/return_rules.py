"""What a program says of returns and refunds: the section `ledger.returns` of its document."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.program_section import Section

REINSTATE_DAYS_MAX = 3_660


@dataclass(slots=True, frozen=True)
class ReturnRules:
    """The defaults are those of a document without the section."""

    reinstate_days: int | None = None
    """A lot that expired before its points were given back lives on for so many days; None: they are forfeited."""
    forgives_shortfall: bool = False
    """What no lot can pay of a claw-back: True: the member keeps it; False: the member owes it."""
    parks_unknown: bool = False
    """A return before its purchase waits for it; False: it is refused."""
    records_without_purchase: bool = False
    """A return that names no purchase is recorded and takes nothing back; False: it is refused."""


def read_returns(section: Section) -> ReturnRules:
    """The rules in a document. Raises ProgramError that names the field."""
    section.only("expired_lots", "shortfall", "unknown_purchase", "without_purchase")
    told = section.values.get("expired_lots")
    lots = Section(told if isinstance(told, dict) else {}, section.at("expired_lots"))
    lots.only("reinstate_days")
    days = None
    if isinstance(told, dict):
        days = lots.whole("reinstate_days", 1, REINSTATE_DAYS_MAX)
    else:
        section.choice("expired_lots", ("forfeit",), "forfeit")
    return ReturnRules(
        reinstate_days=days,
        forgives_shortfall=section.choice("shortfall", ("debt", "forgive"), "debt") == "forgive",
        parks_unknown=section.choice("unknown_purchase", ("refuse", "park"), "refuse") == "park",
        records_without_purchase=section.choice("without_purchase", ("refuse", "record"), "refuse")
        == "record",
    )
