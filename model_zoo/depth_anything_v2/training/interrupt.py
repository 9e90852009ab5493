"""Ending a run because a scheduler (SIGTERM) or a person (Ctrl-C) asks for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    """Within, SIGTERM and SIGINT set `stopping`; a second one does what it did before. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in chosen}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: object) -> None:
        stopping.set()
        restore()

    for number in chosen:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
