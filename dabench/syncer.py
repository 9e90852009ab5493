"""Forcing a growing file to the disk without waiting for it."""

from __future__ import annotations

import os
import threading


class Syncer:
    """Forces what was written to a file to the disk, in a thread and at most every ``PAUSE`` seconds.

    Args:
        descriptor: of the open file.
    """

    PAUSE = 0.25

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._wanted = self._done = 0
        self._stopped = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def request(self) -> None:
        """Force what is written now soon. Raises OSError where an earlier attempt failed."""
        with self._changed:
            if self._error is not None:
                raise self._error
            self._wanted += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopped and self._error is None:
            with self._changed:
                self._changed.wait(self.PAUSE)
            self._sync()

    def _sync(self) -> None:
        wanted = self._wanted
        if wanted == self._done or self._error is not None:
            return
        try:
            os.fsync(self._descriptor)
            self._done = wanted
        except OSError as error:
            self._error = error

    def finish(self) -> None:
        """Return when everything requested is on the disk."""
        self.stop()
        self._sync()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stopped = False
