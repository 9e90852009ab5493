"""A worker process and the conversation with it: start, ask, and end it with all that it started.

Threads, not `select`, watch the pipes, so that this works on every system: one reads frames, one keeps the last lines
of standard error, and one writes, because a worker that stops reading must not block the caller for ever. Whoever asks
waits on a queue with a deadline and looks at the process in between: a grandchild that still holds the pipe open must
not hide that the worker is dead.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from dabench.errors import ModelError

from .worker import PROTOCOL, FrameError, read_frame, write_frame

KEPT_LINES = 30
LOOK_EVERY = 0.2
LAST_WORDS = 1.0
"""Seconds that the pipes of a dead worker are still read."""

_OTHERS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
"""Variables that would bring this environment's packages into the other one."""

Listener = Callable[[str], None]


class WorkerDied(Exception):
    """The worker is gone, silent too long, or speaks something else; the message says which, with its last lines."""


class WorkerProcess:
    """One running worker.

    Args:
        name: of the model, for errors.
        command: what to start.
        env: variables to set for it besides this process's own; those that would mix the environments are left out.
        start_timeout: seconds until its first frame has to come.
        listener: told each line of its standard error while it is set.

    Raises:
        ModelError: it cannot be started, or another version of the protocol greets.
        WorkerDied: it ended, or wrote something else, before it greeted.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        start_timeout: float = 120.0,
        listener: Listener | None = None,
    ) -> None:
        self.name = name
        self.listener = listener
        self._lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._frames: queue.Queue[tuple[dict[str, Any], bytearray] | Exception | None] = queue.Queue()
        self._outbox: queue.Queue[tuple[dict[str, Any], Any] | None] = queue.Queue()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment_of(env or {}),
                **_own_group(),
            )
        except OSError as error:
            raise ModelError(f"model '{name}': {command[0]} cannot be started: {error.strerror}") from error
        self._finalizer = weakref.finalize(self, _end, self._process, self._outbox)
        for target, arguments in (
            (_read_frames, (self._process.stdout, self._frames)),
            (_read_lines, (self._process.stderr, self._lines, weakref.ref(self))),
            (_write_frames, (self._process.stdin, self._outbox)),
        ):
            threading.Thread(target=target, args=arguments, name=f"{name}: {target.__name__}", daemon=True).start()
        try:
            self.greeting, _ = self._receive(start_timeout)
        except BaseException:
            self.kill()
            raise
        if self.greeting["type"] != "hello" or self.greeting.get("protocol") != PROTOCOL:
            self.kill()
            raise ModelError(
                f"model '{name}': its worker speaks version {self.greeting.get('protocol')} of the protocol, "
                f"this dabench version {PROTOCOL}",
                hint="use the worker.py of this dabench, or adapt the script to docs/environments.md",
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, header: dict[str, Any], payload: Any = b"", *, timeout: float) -> tuple[dict[str, Any], bytearray]:
        """Send one frame and wait for the answer.

        After any failure, and after Ctrl-C, the worker is ended: an answer that came later would be taken for the
        answer to the next question.

        Raises:
            WorkerDied: no answer within ``timeout`` seconds, the process ended, or it wrote something else.
        """
        try:
            self._outbox.put((header, payload))
            answer = self._receive(timeout)
            if answer[0].get("id") != header.get("id"):
                raise self._died(f"answered question {answer[0].get('id')!r} instead of {header.get('id')!r}")
            return answer
        except BaseException:
            self.kill()
            raise

    def close(self, timeout: float = 5.0) -> None:
        """Ask it to end, and end it and its children after ``timeout`` seconds at the latest."""
        if self.alive():
            self._outbox.put(({"type": "close"}, b""))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End it and its children now, and collect it."""
        self._finalizer()

    def _receive(self, timeout: float) -> tuple[dict[str, Any], bytearray]:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                found = self._frames.get(timeout=max(0.0, min(LOOK_EVERY, left)))
            except queue.Empty:
                if not self.alive():
                    found = self._last_frame()
                elif left <= 0:
                    raise self._died(f"gave no answer within {timeout:g} s") from None
                else:
                    continue
            if found is None:
                raise self._died(self._obituary())
            if isinstance(found, Exception):
                raise self._died(f"wrote something else than frames to standard output: {found}")
            return found

    def _died(self, what: str) -> WorkerDied:
        time.sleep(0.05)  # the thread of standard error may be a line behind
        lines = "\n".join(f"    {line}" for line in list(self._lines))
        said = f"; its last lines:\n{lines}" if lines else "; it wrote nothing to standard error"
        return WorkerDied(what + said)

    def _last_frame(self) -> tuple[dict[str, Any], bytearray] | Exception | None:
        """What a dead worker had still sent."""
        try:
            return self._frames.get(timeout=LAST_WORDS)
        except queue.Empty:
            return None

    def _obituary(self) -> str:
        try:
            code = self._process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            return "closed its output"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def environment_of(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment variables without those that name its packages, and with ``extra``."""
    kept = {key: value for key, value in os.environ.items() if key not in _OTHERS}
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", **extra}


def _own_group() -> dict[str, Any]:
    """Keyword arguments for a process that can be ended with its children, and that a Ctrl-C does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _end(process: subprocess.Popen[bytes], outbox: queue.Queue[Any]) -> None:
    """End a process and all of its group, and wait for it: nothing is left behind, no zombie either."""
    outbox.put(None)
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _read_frames(stream: IO[bytes], frames: queue.Queue[Any]) -> None:
    with stream:
        while True:
            try:
                frame = read_frame(stream)  # type: ignore[arg-type]
            except (FrameError, OSError, ValueError) as error:
                frames.put(error)
                return
            frames.put(frame)
            if frame is None:
                return


def _read_lines(stream: IO[bytes], lines: collections.deque[str], owner: weakref.ref[WorkerProcess]) -> None:
    import io

    with io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline=None) as text:
        for line in text:
            lines.append(line.rstrip("\n")[:500])
            process = owner()
            if process is not None and process.listener is not None:
                process.listener(lines[-1])
            del process


def _write_frames(stream: IO[bytes], outbox: queue.Queue[Any]) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        while (frame := outbox.get()) is not None:
            write_frame(stream, *frame)  # type: ignore[arg-type]
