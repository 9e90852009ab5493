"""One server a study, on a disk of its own machine.

SQLite's write-ahead log needs memory that all processes share, which network file systems do not give; SQLite's
manual ("Write-Ahead Logging", section 1) rules them out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from annotation.errors import StudyError, StudyFullError, StudyLockedError

LOCK = "serve.lock"
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ncpfs", "9p", "fuse.sshfs", "ceph"})
MOUNTS = Path("/proc/mounts")


@contextlib.contextmanager
def serving(study: Path) -> Iterator[None]:
    """Hold the study for one server while the block runs. The system lets go when the process ends, however it ends.

    Raises:
        StudyLockedError: another process serves it; its number is named.
        StudyError: the folder is absent or lies on a network file system.
        StudyFullError: the lock file cannot be written.
    """
    if not study.is_dir():
        raise StudyError(f"{study} does not exist", hint="make one with: dabench annotate propose IMAGES --out STUDY")
    refuse_network(study)
    try:
        handle = os.open(study / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StudyFullError(f"{study / LOCK} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            raise StudyLockedError(
                f"{study} is served already, by process {holder or 'unknown'}",
                hint="open its page, or stop it first: two servers on one study are not possible",
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """Type of the file system that holds ``path``: of the deepest mount above it; empty where there is no list."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    path, depth, found = path.resolve(), -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1]))
        if path.is_relative_to(point) and len(point.parts) >= depth:  # the later of two mounts on one point counts
            depth, found = len(point.parts), fields[2]
    return found


def refuse_network(path: Path, mounts: Path = MOUNTS) -> None:
    """Raise StudyError when ``path`` lies on a network file system."""
    kind = file_system(path, mounts)
    if kind in NETWORK:
        raise StudyError(
            f"{path} lies on a network file system ({kind}), where a database can lose answers",
            hint="keep the study on a disk of the machine that serves it; its backups may lie anywhere",
        )
