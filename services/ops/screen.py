"""Where the command line prints: one console for what was asked for, one for everything else."""

from __future__ import annotations

import sys
from functools import cache

from rich.console import Console

# A table that goes to a file or a pipe is not folded to the width of a terminal that is not there.
PIPE_WIDTH = 160


@cache
def out() -> Console:
    """Standard output: the answer."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


@cache
def err() -> Console:
    """Standard error: progress and complaints."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)
