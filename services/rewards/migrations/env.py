"""Alembic's entry: migrates the rewards database."""

from __future__ import annotations

from services.common.migration_env import run_migrations
from services.rewards.tables import metadata

run_migrations(metadata)
