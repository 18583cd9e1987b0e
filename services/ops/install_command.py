"""`tally install`: databases, roles, schemas, topics and the key between services, on servers that are already there.

For many machines (deploy/compose.yaml, deploy/k8s): run once before the services, and again at each new version. It
changes nothing that is as it should be. On one machine `tally up` does the same.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.topics import create_topics
from services.ops.install import (
    SERVICES,
    InstallRefused,
    ServiceDatabase,
    create_database,
    database_name,
    migrate,
)
from services.ops.key_store import adopt_key
from services.ops.screen import err


class InstallSettings(BaseSettings):
    """What `tally install` is told by its environment (prefix `TALLY_`, but for the two servers)."""

    model_config = SettingsConfigDict(env_prefix="TALLY_", extra="ignore")

    server_url: SecretStr = Field(validation_alias="DATABASE_URL")
    """postgresql:// URL of a role that may create databases and roles."""
    bootstrap: str = Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    database_prefix: str = "tallybook"
    topic_prefix: str = ""
    chains: int = Field(default=16, ge=1, le=1024)
    topic_replication: int = Field(default=1, ge=1, le=9)
    ledger_password: SecretStr
    tiering_password: SecretStr
    rewards_password: SecretStr
    ledger_key: SecretStr
    """tb_<id>_<secret>: the key by which rewards calls the ledger."""

    def database(self, service: str) -> ServiceDatabase:
        """A service's database on the server."""
        password: SecretStr = getattr(self, f"{service}_password")
        name = database_name(self.database_prefix, service)
        return ServiceDatabase(service, name, password.get_secret_value(), self.server_url.get_secret_value())


def register(app: typer.Typer) -> None:
    """Add the command `install`."""
    app.command("install")(install)


def install(
    only: Annotated[str, typer.Option(help="databases or topics; both if not given")] = "",
) -> None:
    """Prepare PostgreSQL and Kafka servers of your own for the three services.

    Reads DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, TALLY_LEDGER_PASSWORD, TALLY_TIERING_PASSWORD,
    TALLY_REWARDS_PASSWORD, TALLY_LEDGER_KEY, and if set TALLY_CHAINS, TALLY_TOPIC_PREFIX, TALLY_TOPIC_REPLICATION,
    TALLY_DATABASE_PREFIX.
    """
    if only not in ("", "databases", "topics"):
        raise typer.BadParameter("databases or topics", param_hint="--only")
    settings = _settings()
    if only != "topics":
        for service in SERVICES:
            database = settings.database(service)
            made = asyncio.run(create_database(database, adopt=True))
            migrate(database)
            err().print(f"database {database.name}: {'made' if made else 'was there'}, schema up to date")
        key = settings.ledger_key.get_secret_value()
        asyncio.run(
            adopt_key(
                settings.database("ledger").owner_url,
                key,
                name="rewards to ledger",
                scopes=["checkout", "rewards"],
            )
        )
    if only != "databases":
        asyncio.run(
            create_topics(
                settings.bootstrap, settings.topic_prefix, settings.chains, settings.topic_replication
            )
        )
        err().print(f"topics: up to date, {settings.chains} partitions each")


def _settings() -> InstallSettings:
    """Raises InstallRefused, with the variables that are wrong or missing."""
    try:
        return InstallSettings()
    except ValidationError as error:
        wrong = [f"{_variable(str(each['loc'][0]))}: {each['msg']}" for each in error.errors()]
        raise InstallRefused(f"the environment does not say enough: {'; '.join(wrong)}") from error


def _variable(field: str) -> str:
    return field if field.isupper() else f"TALLY_{field.upper()}"
