"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from annotation.errors import StudyFullError
from dabench.errors import UsageError

MARK = ".partial-"
"""Part of the name of a folder that is being written, before the process; one that a kill left may be deleted."""


@contextlib.contextmanager
def whole_folder(target: Path, *, replace: bool = False) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder to write into, and a function that puts it in place.

    The folder lies beside ``target``, on the same file system. Calling the function forces every file to the disk and
    renames the folder to ``target``; leaving the block calls it, unless it was called before. After an error nothing
    is left, not even a folder that was put in place.

    Args:
        target: must not exist, or be an empty folder.
        replace: a folder that is there makes way instead.

    Raises:
        UsageError: ``target`` exists and holds something.
        StudyFullError: the disk is full or not writable.
    """
    if target.exists() and not replace and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{target} exists already", hint="name another folder, or remove it")
    placed = False
    with _translated(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{target.name}{MARK}*"):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = target.parent / f".{target.name}{MARK}{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir()

    def place() -> None:
        nonlocal placed
        if placed:
            return
        with _translated(target):
            for path in sorted(folder.rglob("*"), reverse=True):
                _sync(path)
            _sync(folder)
            if target.exists():
                shutil.rmtree(target)
            folder.rename(target)
            placed = True
            _sync(target.parent)

    try:
        with _translated(target):
            yield folder, place
        place()
    except BaseException:
        shutil.rmtree(target if placed else folder, ignore_errors=True)
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write one file atomically: beside it, forced to the disk, then renamed.

    Raises:
        StudyFullError: the disk is full or not writable.
    """
    with _translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}{MARK}{secrets.token_hex(4)}")
        try:
            with partial.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether the process that was writing a folder is gone."""
    owner = folder.name.rpartition(MARK)[2].partition("-")[0]
    if os.name == "nt" or not owner.isdigit():  # on Windows a signal 0 is not a question
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudyFullError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="nothing was left half done; make room or fix the permissions and run the same command again",
        ) from error
