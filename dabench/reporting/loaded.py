"""Runs as they lie on disk, for everything that reads results: comparisons, leaderboards and reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dabench import protocols
from dabench.errors import RecordError
from dabench.protocols import Protocol
from dabench.records import RUN, SUMMARY, Json, RunFolder, find_runs, read_json
from dabench.run import Run


@dataclass(frozen=True, eq=False)
class Record:
    """One run.

    Attributes:
        path: its folder, ``OUT/<model>/<protocol>@<version>``.
        info: the content of ``run.json``.
        summary: the content of ``summary.json``; empty while the run is unfinished.
    """

    path: Path
    info: Json = field(repr=False)
    summary: Json = field(repr=False)

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.info["model"]["name"])

    @property
    def protocol_id(self) -> str:
        """``name@version``."""
        return str(self.info["protocol"]["id"])

    @property
    def protocol_sha256(self) -> str:
        """Hash of the protocol's text."""
        return str(self.info["protocol"]["sha256"])

    @property
    def title(self) -> str:
        """Model and protocol, for messages."""
        return f"{self.model} under {self.protocol_id}"

    @cached_property
    def protocol(self) -> Protocol:
        """The recipe as it was when the run was made, read from the record.

        Raises:
            RecordError: the stored text is not the one that was hashed.
        """
        found = protocols.parse(self.info["protocol"]["text"], f"{self.path / RUN}: protocol")
        if found.sha256 != self.protocol_sha256:
            raise RecordError(
                f"{self.path / RUN}: the text of {self.protocol_id} has the SHA-256 {found.sha256}, and the record "
                f"says {self.protocol_sha256}",
                hint="the file was edited; score the run again with --fresh",
            )
        return found

    @property
    def complete(self) -> bool:
        """Whether the summary exists and its counts add up."""
        return bool(self.summary) and RunFolder(self.path).is_complete()

    @property
    def partial(self) -> bool:
        """Whether only a part of the split was chosen. Such a run is never ranked."""
        chosen = self.summary or self.info.get("selection") or {}
        return bool(chosen.get("partial", False))

    @property
    def ok(self) -> bool:
        """Complete, with every sample scored and every valid pixel or pair covered."""
        return self.complete and Run(self.summary, ()).ok

    def samples(self) -> list[Json]:
        """The lines of ``samples.jsonl``, sorted by id.

        Samples finish in no fixed order; sorted, what is drawn from them by chance is a function of their content. A
        run that was narrowed after it was scored keeps the lines of the wider selection.

        Raises:
            RecordError: a line is damaged.
        """
        return [line for _, line in sorted(RunFolder(self.path).read_samples().items())]


def load_record(path: Path) -> Record:
    """The run of a folder: a run's own, or one that holds exactly one (such as ``OUT/<model>``).

    Raises:
        RecordError: there is no run, there are several, or its files are unreadable.
    """
    if (path / RUN).is_file():
        return _read(path)
    if not path.is_dir():
        raise RecordError(f"{path} is not a folder", hint="name a run's folder: OUT/<model>/<protocol>@<version>")
    found = find_runs([path])
    if not found:
        raise RecordError(
            f"{path} holds no run: there is no {RUN} below it",
            hint="name a run's folder, OUT/<model>/<protocol>@<version>, as `dabench eval --out OUT` writes it",
        )
    if len(found) > 1:
        listed = "".join(f"\n    {run}" for run in found)
        raise RecordError(f"{path} holds {len(found)} runs; name one of them:{listed}")
    return _read(found[0])


def find_records(folders: Sequence[Path] | Iterable[Path]) -> list[Record]:
    """All runs in and below the folders, finished or not, sorted by path.

    Raises:
        RecordError: a folder is absent, or a run's files are unreadable.
    """
    given = list(folders)
    for folder in given:
        if not folder.is_dir():
            raise RecordError(f"{folder} is not a folder", hint="name folders that `dabench eval --out` has written")
    return [_read(path) for path in find_runs(given)]


def _read(path: Path) -> Record:
    info = read_json(path / RUN)
    try:
        info["model"]["name"], info["protocol"]["id"], info["protocol"]["sha256"], info["protocol"]["text"]
    except (KeyError, TypeError) as error:
        raise RecordError(f"{path / RUN} does not say which model and protocol it is of: {error}") from error
    summary = read_json(path / SUMMARY) if (path / SUMMARY).is_file() else {}
    return Record(path, info, summary)
