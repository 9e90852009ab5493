"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 120


def _console(stream_is_terminal: bool, *, stderr: bool) -> Console:
    from rich.console import Console

    # A pipe has no width of its own, and the usual fallback of 80 columns cuts names off.
    width = None if stream_is_terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False)


def results() -> Console:
    """For what was asked for."""
    return _console(sys.stdout.isatty(), stderr=False)


def messages() -> Console:
    """For progress, notices and warnings."""
    return _console(sys.stderr.isatty(), stderr=True)
