"""What the ledger is told by its environment, beside what every service is told."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.common.settings import Settings


class LedgerSettings(Settings):
    """Settings of the ledger."""

    profile_key: SecretStr | None = Field(default=None, min_length=32)
    """Secret under which the keys of members' profiles are encrypted; `identifier_key` when it is not set."""
    consumers: int = Field(default=2, ge=1, le=64)
    """So many processes take from Kafka; each needs a core to be worth it."""
