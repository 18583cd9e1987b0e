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
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PROCESSES_MAX = 8
ROWS_A_PROCESS = 20_000
"""With less to do, a process takes longer to start than it saves."""

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def default_processes(rows: int) -> int:
    """As many as there are processors, within reason, and no more than so many journal rows are worth."""
    return max(1, min(len(os.sched_getaffinity(0)), PROCESSES_MAX, rows // ROWS_A_PROCESS))


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


def progress_bar(console: Console) -> Progress:
    """A bar that counts journal rows."""
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
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
