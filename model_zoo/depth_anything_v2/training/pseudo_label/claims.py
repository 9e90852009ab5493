"""Which worker does which shard: claim files in a folder that all workers share. No locks, no messages.

The holder of a shard is the claim file `<shard>.<generation>.claim` of the highest generation. Creating a file
exclusively is atomic, so one worker only becomes generation 0, and one only follows a dead holder as generation n + 1;
nobody deletes the claim of another before it has its own. Holders touch their file; one that was not touched for
the lease, or whose process on this machine has ended, is dead. Ages are differences of times that the file system
gives, so that the clocks of machines need not agree.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType

import msgspec

LEASE = 120.0
"""Seconds after which a holder that gave no sign of life has lost its shard."""

_NAME = re.compile(r"(.+)\.(\d+)\.claim")


class Owner(msgspec.Struct, frozen=True):
    """Who holds a claim: machine (with its boot and process namespace), process, its start time, and a random token."""

    machine: str
    pid: int
    started: str
    token: str


def this_process() -> Owner:
    """An owner of this process with a new token."""
    return Owner(_machine(), os.getpid(), _start_time(os.getpid()), secrets.token_hex(8))


def _machine() -> str:
    boot, namespace = "", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{platform.node()} {boot} {namespace}".strip()


def _start_time(pid: int) -> str:
    """Tells a process from a later one of the same number; "" where the system does not say."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state == "Z" else rest[18]


def _ended(owner: Owner) -> bool:
    """Whether a process of this machine is gone."""
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return owner.started != "" and _start_time(owner.pid) != owner.started


class Claims:
    """The claims of one folder, as one process sees them.

    Args:
        folder: the shared folder; made if absent.
        lease: seconds, the same for all workers.
    """

    def __init__(self, folder: Path, lease: float = LEASE) -> None:
        self.folder, self.lease = folder, lease
        self.machine = _machine()

    def take(self, shard: str) -> Claim | None:
        """Claim a shard, or None while a living worker has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before = self._generations(shard)
        if before and self.is_live(before[-1][1]):
            return None
        generation = before[-1][0] + 1 if before else 0
        claim = Claim(self, shard, generation, this_process())
        try:
            descriptor = os.open(claim.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return None
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(msgspec.json.encode(claim.owner))
        except BaseException:
            claim.path.unlink(missing_ok=True)
            raise
        # Between listing and creating, others may have released, claimed anew or woken up: then both step back.
        others = [(number, path) for number, path in self._generations(shard) if path != claim.path]
        if any(number > generation or self.is_live(path) for number, path in others):
            claim.release()
            return None
        for _, path in others:
            path.unlink(missing_ok=True)
        return claim

    def live(self) -> dict[str, Owner | None]:
        """Shards that living workers hold, and who (None while the file is being written)."""
        found: dict[str, Owner | None] = {}
        for path in sorted(self.folder.glob("*.claim")):
            match = _NAME.fullmatch(path.name)
            if match and self.is_live(path):
                found[match[1]] = read_owner(path)
        return found

    def is_live(self, path: Path) -> bool:
        """Whether the holder of a claim file lives, as far as can be seen from here."""
        owner = read_owner(path)
        if owner is not None and owner.machine == self.machine and _ended(owner):
            return False
        try:
            return self._now() - path.stat().st_mtime <= self.lease
        except FileNotFoundError:
            return False

    def _now(self) -> float:
        """The time by the clock of the file system."""
        clock = self.folder / ".clock"
        try:
            clock.touch()
            return clock.stat().st_mtime
        except FileNotFoundError:
            raise
        except OSError:  # a folder that may only be looked at
            return time.time()

    def _generations(self, shard: str) -> list[tuple[int, Path]]:
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                match = _NAME.fullmatch(entry.name)
                if match and match[1] == shard:
                    found.append((int(match[2]), Path(entry.path)))
        return sorted(found)


class Claim:
    """A claim of this process. As a context manager it gives signs of life, and is released at the end."""

    def __init__(self, claims: Claims, shard: str, generation: int, owner: Owner) -> None:
        self.shard, self.generation, self.owner = shard, generation, owner
        self.path = claims.folder / f"{shard}.{generation}.claim"
        self._claims = claims
        self._end, self._lost = threading.Event(), threading.Event()
        self._heart: threading.Thread | None = None

    def held(self) -> bool:
        """Whether the shard is still ours. Once lost it stays so."""
        if self._lost.is_set():
            return False
        owner = read_owner(self.path)
        others = self._claims._generations(self.shard)
        if owner is None or owner.token != self.owner.token or not others or others[-1][0] > self.generation:
            self._lost.set()
        return not self._lost.is_set()

    @property
    def lost(self) -> bool:
        """As the last sign of life saw it; costs nothing."""
        return self._lost.is_set()

    def release(self) -> None:
        """Give the shard back; the claim of another is never touched."""
        owner = read_owner(self.path)
        if owner is not None and owner.token == self.owner.token:
            self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._end.wait(self._claims.lease / 6):
            try:
                if not self.held():
                    return
                os.utime(self.path)
            except FileNotFoundError:
                self._lost.set()
                return
            except OSError:
                continue  # the file system is away for a moment; the lease decides

    def __enter__(self) -> Claim:
        self._heart = threading.Thread(target=self._beat, name=f"claim {self.shard}", daemon=True)
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._heart is not None:
            self._heart.join()
        self.release()


def read_owner(path: Path) -> Owner | None:
    """The owner in a claim file; None if the file is gone or not yet written."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Owner)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
