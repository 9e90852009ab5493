"""One evaluation by several processes, on one machine or many, that share nothing but the folder of records.

Rank ``r`` of ``w`` scores every ``w``-th unit of the samples, a unit being a batch, or a sequence that is fitted as a
whole. It appends to a file of its own, ``parts/<r>-of-<w>.jsonl`` in the run's folder; when it is done its lines go
into ``samples.jsonl``, and whoever completes that writes the summary. The lines of a process that died are taken up by
the next call, of any number of processes, which scores what is missing. Which process scored a sample changes no bit of
its line but the clock, because batches are cut from the whole list.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dabench.errors import RecordError, UsageError
from dabench.records import (
    LOCK,
    RUN,
    SAMPLES,
    SUMMARY,
    Json,
    RunFolder,
    read_json,
    read_lines,
    write_error,
    write_json,
    write_lines,
)
from dabench.run import Run
from dabench.types import DepthModel, PairModel

if TYPE_CHECKING:
    from dabench.passes import Pass

PARTS, MERGE, HELD = "parts", ".merge", ".lock"
WAIT_SECONDS, GRACE_SECONDS = 0.2, 60.0


@dataclass(frozen=True)
class Shard:
    """Which share of the samples a process scores.

    Attributes:
        rank: from 0.
        world: number of shares.
        call: what the ranks that torchrun started side by side have in common; empty for other processes.
        local_rank: of those on this machine, which one; it chooses the GPU.
    """

    rank: int
    world: int
    call: str = ""
    local_rank: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise UsageError(f"--shard {self.rank}/{self.world}: the rank must be from 0 to {self.world - 1}")

    @property
    def name(self) -> str:
        return f"{self.rank}-of-{self.world}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``RANK/WORLD``, the rank from 0. Raises UsageError."""
        rank, slash, world = text.partition("/")
        if not (slash and rank.strip().isdecimal() and world.strip().isdecimal()):
            raise UsageError(
                f"--shard {text} is not of the form RANK/NUMBER, such as 0/8", hint="the rank counts from 0"
            )
        return cls(int(rank), int(world))

    @classmethod
    def of_torchrun(cls, environ: Mapping[str, str] = os.environ) -> Shard | None:
        """What torchrun says in the environment, or None where it did not start this process or started one only."""
        if "TORCHELASTIC_RUN_ID" not in environ:
            return None
        world = int(environ.get("WORLD_SIZE", "1"))
        if world < 2:
            return None
        started = "-".join(environ.get(name, "") for name in ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"))
        call = hashlib.sha256(started.encode()).hexdigest()[:12]
        return cls(int(environ["RANK"]), world, call, int(environ.get("LOCAL_RANK", "0")))

    def check(self, model: DepthModel | PairModel, out: str | Path | None, *, fresh: bool) -> None:
        """Refuse what several processes cannot do together. Raises UsageError."""
        if out is None:
            raise UsageError("processes that share a run meet in the folder of its records, and none was given")
        if fresh:
            raise UsageError(
                "one process of several cannot discard the records of all",
                hint=f"remove {Path(out) / model.info.name} before they start, or choose another --out DIR",
            )
        if isinstance(model, PairModel):
            raise UsageError(
                f"model '{model.info.name}' is asked over a network and waits for answers",
                hint="score it in one process; its own options say how many questions are under way at once",
            )

    def share(self, work: Pass) -> frozenset[str]:
        """The samples of a pass that this rank scores."""
        sequences = {i: job.dataset.sequence(i) for job in work.jobs if job.fits_sequences for i in job.ids}
        numbers: dict[object, int] = {}
        mine = set()
        for place, sample_id in enumerate(work.ids):
            unit = sequences.get(sample_id, f"\0{sample_id}") if sequences else place // work.batch_size
            if numbers.setdefault(unit, len(numbers)) % self.world == self.rank:
                mine.add(sample_id)
        return frozenset(mine)


class ShardFolder(RunFolder):
    """A run's folder, as one of several processes writes it.

    Args:
        path: ``OUT/<model>/<protocol>@<version>``.
        shard: the share of this process.
        share: its samples.
    """

    def __init__(self, path: Path, shard: Shard, share: Container[str]) -> None:
        super().__init__(path)
        self._shard, self._share = shard, share
        self._lines = path / PARTS / f"{shard.name}.jsonl"

    @contextmanager
    def writing(self) -> Iterator[ShardFolder]:
        """Hold the part's lock, and share the run's lock with other parts.

        Raises:
            RecordError: a process that scores all of the run, or one with this share, is writing.
        """
        with ExitStack() as stack:
            shared = stack.enter_context(_opened(self.path / LOCK))
            if not _locked(shared, alone=False):
                raise RecordError(
                    f"{self.path} is being written by a process that scores all of it",
                    hint="wait for it, or choose another --out DIR",
                )
            own = stack.enter_context(_opened(self.path / PARTS / f"{self._shard.name}{HELD}"))
            if not _locked(own):
                raise RecordError(
                    f"another process scores share {self._shard.name} of {self.path}",
                    hint="give every process a rank of its own: --shard RANK/NUMBER",
                )
            try:
                yield self
                self.flush()
            finally:
                self._close()

    def begin(self, manifest: Json, *, fresh: bool) -> dict[str, Json]:
        """Start or continue the share. See :meth:`RunFolder.begin`; ``fresh`` is not for one part of a run."""
        assert not fresh
        with _merging(self.path):
            if not (self.path / RUN).is_file():
                for name in (SAMPLES, SUMMARY):
                    (self.path / name).unlink(missing_ok=True)
                write_json(self.path / RUN, manifest)
            else:
                self._continue(manifest)
            absorb(self.path, own=self._lines)
            finished = read_lines(self.path / SAMPLES)
            again = {i for i, line in finished.items() if i in self._share and line["status"] == "failed"}
            self._forget(again)
        self._open()
        return {i: line for i, line in finished.items() if i in self._share and i not in again}

    def drop(self, stale: Container[str]) -> None:
        with _merging(self.path):
            self._forget(stale)

    def _forget(self, stale: Container[str]) -> None:
        lines = read_lines(self.path / SAMPLES)
        write_lines(self.path / SAMPLES, {i: line for i, line in lines.items() if i not in stale})

    def merge(self, ids: Sequence[str]) -> list[Json] | None:
        """Add this part's lines to ``samples.jsonl``.

        Args:
            ids: all samples of the run.

        Returns:
            Their lines when all are there, None while other parts are missing.
        """
        self.flush()
        with _merging(self.path):
            absorb(self.path, own=self._lines)
            lines = read_lines(self.path / SAMPLES)
            if any(i not in lines for i in ids):
                return None
            return [lines[i] for i in ids]

    def write_summary(self, summary: Json) -> None:
        write_json(self.path / SUMMARY, summary)


def absorb(folder: Path, *, own: Path | None = None) -> None:
    """Put the lines of parts that no other living process writes into ``samples.jsonl``.

    The caller holds the run's lock alone, or the lock of merging. A line of a part is newer than what is there, unless
    it failed where that did not.

    Args:
        own: the part that the caller itself writes, and holds the lock of.
    """
    found: dict[str, Json] = {}
    done: list[Path] = []
    for part in sorted((folder / PARTS).glob("*.jsonl")):
        with _opened(part.with_suffix(HELD)) as lock:
            if part != own and not _locked(lock):
                continue
            for sample_id, line in read_lines(part).items():
                if line["status"] != "failed" or sample_id not in found:
                    found[sample_id] = line
        done.append(part)
    if found:
        merged = read_lines(folder / SAMPLES)
        for sample_id, line in found.items():
            if line["status"] != "failed" or merged.get(sample_id, line)["status"] == "failed":
                merged[sample_id] = line
        write_lines(folder / SAMPLES, merged)
    for part in done:
        part.unlink(missing_ok=True)


@contextmanager
def _merging(folder: Path) -> Iterator[None]:
    """One process at a time changes what the parts share."""
    with _opened(folder / PARTS / MERGE) as lock:
        _locked(lock, wait=True)
        yield


def _opened(path: Path) -> Any:
    """A lock file, made where it is missing. Nobody removes one while a part may be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a")
    except OSError as error:
        raise write_error(path, error) from error


def _locked(stream: Any, *, alone: bool = True, wait: bool = False) -> bool:
    """Take a lock until the stream is closed; False when another process has it.

    Raises:
        UsageError: there are no locks here.
    """
    try:
        import fcntl

        fcntl.flock(stream, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except (ModuleNotFoundError, OSError) as error:
        raise UsageError(
            f"{stream.name} cannot be locked ({error}), and several processes need locks to write one run",
            hint="choose an --out DIR on another file system, or score in one process",
        ) from error
    return True


@contextmanager
def present(out: Path, shard: Shard) -> Iterator[None]:
    """Let other ranks of the same call see that this one lives."""
    path = _presence(out, shard, shard.rank)
    with _opened(path) as lock:
        _locked(lock, wait=True)
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()


def wait_for_others(out: Path, shard: Shard, done: Callable[[], bool]) -> None:
    """Return when all is done, or when no other rank of this call lives and none has come for a minute."""
    others = [_presence(out, shard, rank) for rank in range(shard.world) if rank != shard.rank]
    patience = time.monotonic() + GRACE_SECONDS
    while not done():
        if any(_lives(path) for path in others):
            patience = time.monotonic() + GRACE_SECONDS
        elif time.monotonic() > patience:
            return
        time.sleep(WAIT_SECONDS)


def _lives(path: Path) -> bool:
    try:
        with path.open("r") as lock:
            return not _locked(lock)
    except FileNotFoundError:
        return False


def tidy(folder: Path) -> None:
    """Remove what only a run in parts needs, unless a part is still written."""
    with suppress(RecordError), RunFolder(folder).writing():
        shutil.rmtree(folder / PARTS, ignore_errors=True)


def count_complete(out: Path, names: Sequence[tuple[str, str]]) -> int:
    """How many of the runs named by model and protocol id are complete."""
    return sum(RunFolder(out / model / protocol).is_complete() for model, protocol in names)


def completed(out: Path, names: Sequence[tuple[str, str]]) -> list[Run]:
    """Of the runs named by model and protocol id, those that are complete, as they lie in ``out``."""
    runs = []
    for model, protocol in names:
        folder = RunFolder(out / model / protocol)
        if folder.is_complete():
            tidy(folder.path)
            runs.append(Run(read_json(folder.path / SUMMARY), list(folder.read_samples().values()), folder.path))
    return runs


def _presence(out: Path, shard: Shard, rank: int) -> Path:
    return out / f".{PARTS}" / f"{shard.call}-{rank}-of-{shard.world}{HELD}"
