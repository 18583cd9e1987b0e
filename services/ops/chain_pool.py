"""Work that is done chain by chain, in a few processes at once, with a bar that shows how far it is.

Each process takes the next piece as soon as it has finished one. When the command is interrupted, or a piece fails,
the processes are stopped at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PROCESSES_MAX = 8
ROWS_A_PROCESS = 20_000
"""With less to do, a process takes longer to start than it saves."""


class Counted(Protocol):
    """What is done at once, and how many journal rows it is."""

    @property
    def rows(self) -> int: ...


Piece = TypeVar("Piece", bound=Counted)
Result = TypeVar("Result")


def default_processes(rows: int) -> int:
    """As many as there are processors, within reason, and no more than so many journal rows are worth."""
    return max(1, min(len(os.sched_getaffinity(0)), PROCESSES_MAX, rows // ROWS_A_PROCESS))


def gone_through(
    work: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    processes: int,
    on_rows: Callable[[int, int], None],
    before: int = 0,
) -> Iterator[tuple[Piece, Result]]:
    """`each` piece; with 0 `processes` the rows decide how many.

    `on_rows` hears how many rows are done, of how many; `before` are done already and belong to no piece.
    """
    done, total = before, before + sum(piece.rows for piece in pieces)
    on_rows(done, total)
    for piece, result in each(work, pieces, processes or default_processes(total)):
        yield piece, result
        done += piece.rows
        on_rows(done, total)


def each(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], processes: int
) -> Iterator[tuple[Piece, Result]]:
    """`work(piece)` for every piece, in the order in which they end. `work` is a module's own function.

    With one process the work is done here. Raises what `work` raises.
    """
    if processes <= 1 or len(pieces) <= 1:
        for piece in pieces:
            yield piece, work(piece)
        return
    pool = ProcessPoolExecutor(
        min(processes, len(pieces)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_become_worker,
    )
    try:
        waiting = {pool.submit(work, piece): piece for piece in pieces}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def progress_bar(console: Console, what: str = "rows") -> Progress:
    """A bar that counts journal rows, or `what`."""
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TimeElapsedColumn(),
        console=console,
    )


def _become_worker() -> None:
    """Ctrl-C goes to every process of the terminal; the one that the user started sees to the others while it lives."""
    # Here and not above: it brings the web server's modules, which only processes that stay need not mind.
    from services.common.service import calm_the_collector

    calm_the_collector()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
