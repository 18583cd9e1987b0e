"""`tally export` and `tally restore`: the book to Parquet, and back into an empty installation."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from rich.table import Table

from services.common.clock import utc_now
from services.common.errors import InvariantBroken
from services.ops.book_options import BookUnreadable, place_of
from services.ops.chain_pool import progress_bar
from services.ops.export import manifest as m
from services.ops.export import streams
from services.ops.install import SERVICES
from services.ops.replay.run import Replayed, replay
from services.ops.screen import err, out

DATABASE_FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def register(app: typer.Typer) -> None:
    """Add the commands `export` and `restore`."""
    app.command("export")(export_command)
    app.command("restore")(restore_command)


def export_command(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    service: Annotated[str, typer.Option(help="Which services, with commas.")] = ",".join(SERVICES),
    personal_data: Annotated[
        bool,
        typer.Option("--personal-data", help="With what opens members' profiles; see docs/export.md first."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Write the databases as they are at one moment to Parquet, with a manifest of digests.

    The services may go on working. Nothing is an export until manifest.json is there, which comes last.
    """
    # Parquet takes a while to load, and no other command wants it.
    from services.ops.export.write import export

    services = _services(service)
    place = place_of(database_url, database_prefix, "", "")
    try:
        with progress_bar(err()) as progress:
            task = progress.add_task("exporting", total=None)
            made, digest = export(
                place.urls, services, folder, utc_now(), personal_data=personal_data, processes=processes,
                on_rows=lambda done, total: progress.update(task, completed=done, total=total),
            )  # fmt: skip
    except DATABASE_FAULTS as fault:
        raise BookUnreadable(f"{folder} is no export: {fault}") from fault
    if as_json:
        out().print_json(
            json.dumps({"folder": str(folder), "manifest_sha256": digest, "services": _sums(made)})
        )
        return
    _show(made)
    out().print(f"{folder / m.FILE}: SHA-256 {digest}", markup=False, soft_wrap=True)
    out().print(
        "Keep that number somewhere else: `tally restore --manifest-sha256` then knows the export again."
    )


def restore_command(
    folder: Annotated[Path, typer.Argument(help="What `tally export` has written.")],
    manifest_sha256: Annotated[str, typer.Option(help="What `tally export` printed of the manifest.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    processes: Annotated[
        int, typer.Option(help="Processes at once for the proof; 0: what is worth it.", min=0)
    ] = 0,
    delete_streams: Annotated[
        bool,
        typer.Option(
            "--delete-streams", help="Delete ledger.v1, tiers.v1 and rewards.v1 of the book before."
        ),
    ] = False,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka.")] = "",
    topic_prefix: Annotated[str, typer.Option(help="What the topics' names begin with.")] = "",
) -> None:
    """Fill the databases that `tally install` made, before any service has started, from an export.

    Files and manifest are checked before anything is written; digests and hash chains before it is committed; then
    all projections are rebuilt from the journals beside the restored ones and compared.

    Where Kafka is told, with a stack made by `tally up` always, it refuses to begin while the streams of another book
    stand in the topics: --delete-streams deletes them at the end, and what makes topics makes them anew.
    """
    from services.ops.export.restore import check, restore

    place = place_of(database_url, database_prefix, bootstrap, topic_prefix)
    kafka = bootstrap if database_url else place.bootstrap
    if delete_streams and not kafka:
        raise typer.BadParameter("say by --bootstrap where they are", param_hint="--delete-streams")
    if kafka and not delete_streams:
        _streams_must_be_empty(kafka, place.topic_prefix)
    manifest = m.read(folder, manifest_sha256)
    check(manifest)
    parts = [part for _, part in m.parts_of(manifest)]
    with err().status("checking the files"):
        m.check_files(folder, parts)
    try:
        with progress_bar(err()) as progress:
            task = progress.add_task("restoring", total=sum(part.rows for part in parts))
            restore(place.urls, folder, manifest, lambda rows: progress.advance(task, rows))
        with err().status("rebuilding the projections from the journals"):
            replayed = [replay(service, place.urls, processes) for service in SERVICES]
    except DATABASE_FAULTS as fault:
        raise BookUnreadable(f"the databases can't be used: {fault}") from fault
    except InvariantBroken as broken:
        raise BookUnreadable(
            f"the journals were restored and can't be replayed: {broken}; see `tally verify`"
        ) from broken
    if delete_streams:
        asyncio.run(streams.delete_streams(kafka, place.topic_prefix))
        err().print("streams deleted: `tally up` or `tally install --only topics` makes them anew")
    if as_json:
        same = {each.service: each.same for each in replayed}
        out().print_json(json.dumps({"services": _sums(manifest), "rebuilt_the_same": same}))
    else:
        _show(manifest)
        out().print("digests: those of the manifest; hash chains: unbroken", style="green")
        for each in replayed:
            _show_replayed(each)
    if not all(each.same for each in replayed):
        raise typer.Exit(1)


def _streams_must_be_empty(bootstrap: str, topic_prefix: str) -> None:
    of_another = asyncio.run(streams.streams_with_rows(bootstrap, topic_prefix))
    if of_another:
        raise m.NotEmpty(
            f"{', '.join(of_another)}: rows of another book stand there. Begin again with --delete-streams to delete "
            "them when the book is restored (docs/runbook.md, night 4), or name topics of its own by --topic-prefix"
        )


def _services(told: str) -> list[str]:
    names = [name.strip() for name in told.split(",")]
    unknown = [name for name in names if name not in SERVICES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(SERVICES)}", param_hint="--service")
    return sorted(set(names), key=SERVICES.index)


def _sums(manifest: m.Manifest) -> dict[str, dict[str, int]]:
    """Rows by service and table."""
    sums: dict[str, dict[str, int]] = {service: {} for service in manifest.services}
    for service, part in m.parts_of(manifest):
        sums[service][part.table] = sums[service].get(part.table, 0) + part.rows
    return sums


def _show(manifest: m.Manifest) -> None:
    table = Table("service", "rows", "of them journal", "tables", "MB", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for service, sums in _sums(manifest).items():
        size = sum(part.bytes for part in manifest.services[service].parts)
        rows = sum(sums.values())
        table.add_row(
            service, f"{rows:,}", f"{sums['journal']:,}", f"{len(sums)}", f"{-(-size // 100_000) / 10:,}"
        )
    out().print(table)


def _show_replayed(result: Replayed) -> None:
    wrong = [part for part in result.compared if not part.same]
    words = "the same" if result.same else "NOT the same"
    out().print(
        f"{result.service}: projections rebuilt from the journals are {words}",
        style="green" if result.same else "red",
    )
    for part in wrong:
        out().print(f"{part.table} chain {part.chain}: {part.difference}", style="red", markup=False)
