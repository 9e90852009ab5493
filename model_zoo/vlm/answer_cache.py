"""Every answer that was paid for, one JSON line each, found again by the key of its question."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dabench.errors import DabenchError

Json = dict[str, Any]
FILE = "answers.jsonl"


class AnswerCache:
    """Answers of one endpoint, appended to a file as they come. Safe to use from several threads.

    Args:
        source: the endpoint; answers of another one in the same file are left alone.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._found: dict[str, Json] = {}
        self._path: Path | None = None

    def open(self, folder: Path, *, fresh: bool) -> None:
        """Keep answers in ``folder/answers.jsonl`` from now on, and read those that it holds.

        Args:
            fresh: put an earlier file aside, as ``answers.1.jsonl``, instead of reading it.
        """
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if fresh and path.is_file():
                number = 1
                while (aside := folder / f"answers.{number}.jsonl").exists():
                    number += 1
                path.replace(aside)
            raw = path.read_bytes() if path.is_file() else b""
            if raw and not raw.endswith(b"\n"):  # torn by a kill: what follows must start a line of its own
                with path.open("ab") as stream:
                    stream.write(b"\n")
        except OSError as error:
            raise _unwritable(path, error) from error
        with self._lock:
            for entry in _entries(raw):
                if entry.get("source") == self._source:
                    self._found[entry["key"]] = entry
            self._path = path

    def get(self, key: str) -> Json | None:
        """The entry of a question, or None."""
        return self._found.get(key)

    def entries(self) -> list[Json]:
        """All entries of this endpoint."""
        return list(self._found.values())

    def add(self, key: str, entry: Json) -> Json:
        """Keep an answer; returns the entry as it is kept."""
        kept = {"key": key, "source": self._source, **entry}
        data = (json.dumps(kept, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
        with self._lock:
            self._found[key] = kept
            if self._path is not None:
                try:
                    with self._path.open("ab") as stream:
                        stream.write(data)
                        stream.flush()
                        os.fsync(stream.fileno())
                except OSError as error:
                    raise _unwritable(self._path, error) from error
        return kept


def _entries(raw: bytes) -> Iterator[Json]:
    for line in raw.split(b"\n"):
        try:
            entry = json.loads(line)
            if isinstance(entry["key"], str) and isinstance(entry["response"], dict):
                yield entry
        except (ValueError, KeyError, TypeError):  # a torn line: that question is asked again
            continue


def _unwritable(path: Path, error: OSError) -> DabenchError:
    return DabenchError(
        f"cannot keep answers in {path}: {error.strerror or error}",
        hint="what was answered before is kept; make room or fix the permissions and run the same command again",
    )
