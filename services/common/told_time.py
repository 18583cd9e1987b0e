"""A time as HTTP is told it: RFC 3339 with a zone, and UTC from there on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from services.common.codec import YEARS

_NUMBER = re.compile(r"\s*[+-]?[0-9.]+\s*")


def _told_as_text(time: object) -> object:
    # Pydantic reads numbers, also in text, as seconds or milliseconds since 1970, by their size.
    if not isinstance(time, str) or _NUMBER.fullmatch(time):
        raise ValueError("a time is text with a zone, such as 2026-01-05T10:00:00Z")
    return time


def _in_utc(time: datetime) -> datetime:
    if time.year not in YEARS:
        raise ValueError(f"the year must be from {YEARS[0]} to {YEARS[-1]}")
    return time.astimezone(UTC)


Time = Annotated[AwareDatetime, BeforeValidator(_told_as_text), AfterValidator(_in_utc)]
"""RFC 3339 with a zone; UTC from here on."""
