"""Brings a service's database to its newest schema (alembic), as the owner of the database."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config


def alembic_config(service: str, owner_url: str, app_role: str) -> Config:
    """Alembic's configuration for one service; `owner_url` is a postgresql:// URL with DDL rights."""
    config = Config()
    folder = Path(__file__).parent.parent / service / "migrations"
    config.set_main_option("script_location", str(folder))
    config.attributes["url"] = owner_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    config.attributes["app_role"] = app_role
    return config


def upgrade(service: str, owner_url: str, app_role: str) -> None:
    """Run every migration that the database has not had; `app_role` must exist and gets the service's grants."""
    command.upgrade(alembic_config(service, owner_url, app_role), "head")
