"""What a service is told by its environment (prefix `TALLY_`), read once in `main()`."""

from __future__ import annotations

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHAINS_MAX = 1024


class Settings(BaseSettings):
    """Settings that every service has. Unset required ones stop the start with the name of the variable."""

    model_config = SettingsConfigDict(env_prefix="TALLY_", extra="ignore")

    database_url: SecretStr
    """postgresql://user:password@host:port/database, of the service's own least-grants role."""
    kafka_bootstrap_servers: str = Field(
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "TALLY_KAFKA_BOOTSTRAP_SERVERS")
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    chains: int = Field(default=16, ge=1, le=CHAINS_MAX)
    """Chosen once for an installation; equals the partitions of every topic."""
    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,64}$")
    identifier_key: SecretStr = Field(min_length=32)
    """Hex secret under which card numbers, phones and e-mails are hashed before they are stored."""
    log_level: str = "INFO"
    batch_records: int = Field(default=500, ge=1, le=5000)
    """Most records of one partition in one transaction."""
    batches_in_flight: int = Field(default=5, ge=1, le=16)
    consume: bool = True
    """False: serve HTTP only (consumer, relay and ticker run in other processes)."""

    def topic(self, name: str) -> str:
        """The name of topic `name` on this installation's Kafka."""
        return self.topic_prefix + name
