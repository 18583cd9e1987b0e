"""What the ledger is told by its environment, beside what every service is told."""

from __future__ import annotations

from pydantic import Field

from services.common.settings import Settings


class LedgerSettings(Settings):
    """Settings of the ledger."""

    consumers: int = Field(default=2, ge=1, le=64)
    """So many processes take from Kafka; each needs a core to be worth it."""
