"""How the questions of auditors reach the databases: read only, as of one moment, whether the services run or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, TypeVar

import asyncpg
import typer
from google.protobuf.message import DecodeError
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.db import Reader
from services.common.errors import InvariantBroken, Refusal
from services.common.told_time import Time
from services.ops.book_options import BookUnreadable, Place
from services.ops.screen import err

Answer = TypeVar("Answer")
TIME: TypeAdapter[datetime] = TypeAdapter(Time)
PROGRAMS = text("SELECT DISTINCT program FROM programs ORDER BY program")
PATIENT = text("SET LOCAL statement_timeout = 0")
"""Whoever is at the command line may stop it; no service's answer waits for this."""
CHAINS = text("SELECT chains FROM installation")

ProgramOption = Annotated[str, typer.Option("--program", help="The program; needed where there are several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
UrlOption = Annotated[str, typer.Option("--database-url", help="The owner's URL of the databases' server.")]
PrefixOption = Annotated[str, typer.Option("--database-prefix", help="What the databases' names begin with.")]


class QuestionRefused(RuntimeError):
    """What was asked can't be answered; the message says why and what to ask instead."""


def time_of(words: str) -> datetime:
    """An instant as it is written on the command line. Raises QuestionRefused."""
    try:
        return TIME.validate_python(words)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise QuestionRefused(
            f"TIME {words!r}: {why}; write it like 2026-01-05T10:00:00Z or 2026-01-05T10:00:00-05:00"
        ) from error


def answered(question: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of a question to the databases.

    Raises:
        QuestionRefused: there is no such thing, or the question is none.
        BookUnreadable: a database can't be read.
    """

    async def ask() -> Answer:
        return await question()

    try:
        with err().status("reading the book"):
            return asyncio.run(ask())
    except Refusal as refusal:
        raise QuestionRefused(refusal.detail) from refusal
    except (InvariantBroken, DecodeError) as broken:
        raise BookUnreadable(f"a row of the journal can't be read: {broken}; see `tally verify`") from broken
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as fault:
        cause = fault.orig if isinstance(fault, DBAPIError) else fault
        raise BookUnreadable(f"the databases can't be read: {cause}") from fault
    except SQLAlchemyError as fault:
        raise BookUnreadable(f"the databases can't be read: {fault}") from fault


@asynccontextmanager
async def moment(place: Place, service: str) -> AsyncIterator[AsyncConnection]:
    """A connection to a service's database whose reads all see one moment."""
    reader = Reader.connect(place.urls[service])
    try:
        async with reader.snapshot() as connection:
            await connection.execute(PATIENT)
            yield connection
    finally:
        await reader.close()


async def program_named(connection: AsyncConnection, asked: str) -> str:
    """The program asked for, or the only one that there is. Raises QuestionRefused."""
    known: list[str] = list((await connection.execute(PROGRAMS)).scalars())
    if asked in known:
        return asked
    names = ", ".join(known) or "none"
    if asked:
        raise QuestionRefused(f"the ledger has no program {asked!r}; it has: {names}")
    if len(known) != 1:
        raise QuestionRefused(f"say --program: the ledger has {names}")
    return known[0]


async def chains_of(connection: AsyncConnection) -> int:
    """The number of chains of the installation."""
    return int((await connection.execute(CHAINS)).scalar_one())
