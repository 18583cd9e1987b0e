"""Where the command line prints: one console for what was asked for, one for everything else."""

from __future__ import annotations

import sys
from functools import cache

from rich.console import Console


@cache
def out() -> Console:
    """Standard output: the answer."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


@cache
def err() -> Console:
    """Standard error: progress and complaints."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
