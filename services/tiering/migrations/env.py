"""Alembic's entry for the tiering database."""

from __future__ import annotations

from services.common.migration_env import run_migrations
from services.tiering.tables import metadata

run_migrations(metadata)
