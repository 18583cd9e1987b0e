"""`tally`, the one command line. Each command lives in a module of its own, which registers it here."""

from __future__ import annotations

import sys

import asyncpg
import typer
from aiokafka.errors import KafkaError

from services.common.topics import TopicsRefused
from services.ops import demo, import_, install_command, keys, liability, program_command, status, up
from services.ops.api import ApiError, UnreachableError
from services.ops.audit import as_of_command, explain_command
from services.ops.audit.reading import QuestionRefused
from services.ops.book_options import BookUnreadable
from services.ops.correcting.command import CorrectionRefused
from services.ops.export import command as export
from services.ops.export.manifest import BadExport, NotEmpty
from services.ops.importing.errors import AccountError, DataMissingError, UnknownSourceError
from services.ops.install import InstallRefused
from services.ops.key_store import BadToken, UnknownScope
from services.ops.level import NotLevelError
from services.ops.local.process import ServerFailed
from services.ops.local.state import NoStack
from services.ops.redecide import command as redecide
from services.ops.replay import command as replay
from services.ops.replay.checkpoint import CheckpointRefused
from services.ops.replay.sources import StreamIncomplete
from services.ops.scenario import command as scenario
from services.ops.screen import err
from services.ops.seal import command as seal
from services.ops.trying.run import TryRefused
from services.ops.verify import command as verify
from services.ops.verify.broker import BrokerUnreadable
from services.ops.verify.state import StateUnusable
from services.ops.yaml_document import DocumentError

# What a command may fail with in the ordinary course of things: the message is for the user, a traceback is not.
EXPECTED = (
    NoStack,
    ServerFailed,
    InstallRefused,
    UnknownScope,
    BadToken,
    ApiError,
    UnreachableError,
    NotLevelError,
    DocumentError,
    UnknownSourceError,
    DataMissingError,
    AccountError,
    demo.NothingToShowError,
    BrokerUnreadable,
    StateUnusable,
    BookUnreadable,
    BadExport,
    NotEmpty,
    CheckpointRefused,
    StreamIncomplete,
    *seal.EXPECTED,
    QuestionRefused,
    TryRefused,
    TopicsRefused,
    CorrectionRefused,
    KafkaError,
    # A server that is not there, or does not let us in: these say where and why.
    ConnectionError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


def create_cli() -> typer.Typer:
    """The command line with every command registered."""
    app = typer.Typer(
        name="tally",
        help="Tallybook: an event-sourced loyalty ledger.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in (
        up,
        status,
        keys,
        install_command,
        import_,
        scenario,
        program_command,
        demo,
        verify,
        seal,
        replay,
        liability,
        export,
        redecide,
        as_of_command,
        explain_command,
    ):
        module.register(app)
    return app


def main() -> None:
    """Entry point of the script `tally`. Exit status 1 for an expected failure, 2 for wrong usage."""
    try:
        create_cli()()
    except EXPECTED as failure:
        err().print(f"tally: {failure}", markup=False, style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
