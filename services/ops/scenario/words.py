"""What all words of a scenario share."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _moment(value: Any) -> datetime | date:
    """A day (its first moment where the program is) or a time with a zone."""
    if isinstance(value, datetime | date):
        return value
    text = str(value).strip()
    try:
        if len(text) == len("2026-01-05"):
            return date.fromisoformat(text)
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2026-01-05 or 2026-01-05T10:00:00-05:00") from None
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: write {text}Z or {text}-05:00")
    return time


Moment = Annotated[datetime | date, BeforeValidator(_moment)]


class Words(BaseModel):
    """Only the words that are known, so that a typing error is not read as nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, populate_by_name=True)
