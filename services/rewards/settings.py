"""What the rewards service is told by its environment, beside what every service is told."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.common.settings import Settings
from services.rewards.ledger_client import ANSWER_SECONDS
from services.rewards.store import LEASE_SECONDS


class RewardsSettings(Settings):
    """Settings of the rewards service."""

    ledger_url: str = Field(pattern=r"^https?://[^\s]+$")
    """Where the ledger's HTTP API answers."""
    ledger_key: SecretStr = Field(min_length=1)
    """An API key of the ledger with the scopes checkout and rewards."""
    ledger_answer_seconds: float = Field(default=ANSWER_SECONDS, ge=0.1, le=600)
    """How long an answer of the ledger is waited for."""
    lease_seconds: float = Field(default=LEASE_SECONDS, ge=0.1, le=600)
    """A step that waited for this long without an answer of the ledger is driven on by the recovery loop."""
