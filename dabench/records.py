"""Run records: ``run.json`` before the first sample, ``samples.jsonl`` as samples finish, ``summary.json`` last.

A run folder survives a kill at any moment: files are replaced atomically, a torn last line is cut off, and a second
identical call continues where the first stopped. NaN is written as null.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dabench import __version__
from dabench.errors import DabenchError, RecordError
from dabench.syncer import Syncer
from dabench.types import ModelInfo, Output

SCHEMA = 1
RUN, SAMPLES, SUMMARY, LOCK = "run.json", "samples.jsonl", "summary.json", ".lock"
STATUSES = ("ok", "empty", "failed")
Json = dict[str, Any]


def to_json(value: Any) -> Any:
    """``value`` with NaN and infinities as None, NumPy scalars as Python ones and tuples as lists."""
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, content: Json) -> None:
    """Write a JSON file atomically. A file that already holds the same bytes is left alone."""
    data = (json.dumps(to_json(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> DabenchError:
    return DabenchError(
        f"cannot write {path}: {error.strerror or error}",
        hint="everything scored so far is kept; make room or fix the permissions and run the same command again",
    )


def read_json(path: Path) -> Json:
    """Read a record file.

    Raises:
        RecordError: unreadable, not an object, or written by a newer dabench.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{path} is unreadable: {error}",
            hint="pass --fresh to start this run again, or --out DIR for another place",
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise RecordError(f"{path} is not a dabench record: it has no schema number")
    if content["schema"] > SCHEMA:
        raise RecordError(
            f"{path} has schema {content['schema']}; this dabench reads up to {SCHEMA}", hint="upgrade dabench"
        )
    return content


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted paths at which two JSON values differ, with both values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in sorted(set(old) | set(new)):
            found += differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return found
    return [] if old == new else [f"{path}: {old!r} there, {new!r} now"]


def describe_model(info: ModelInfo) -> Json:
    """What a record says of a model."""
    described: Json = to_json(
        {
            "name": info.name,
            "output": str(info.output),
            "weights_sha256": info.weights_sha256,
            "parameters": info.parameters,
            "licence": info.licence,
            "source": info.source,
            "settings": dict(info.settings),
            "notes": list(info.notes),
        }
    )
    return described


def model_info(described: Json) -> ModelInfo:
    """The inverse of :func:`describe_model`."""
    return ModelInfo(**{**described, "output": Output(described["output"]), "notes": tuple(described["notes"])})


class RunFolder:
    """One run's folder, locked while it is written.

    Args:
        path: ``OUT/<model>/<protocol>@<version>``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = path / SAMPLES
        self._stream: Any = None
        self._syncer: Syncer | None = None

    @contextmanager
    def writing(self) -> Iterator[RunFolder]:
        """Create the folder and hold its lock.

        Raises:
            RecordError: another process is writing this run.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK).open("w")
        except OSError as error:
            raise write_error(self.path, error) from error
        with lock:
            take_lock(lock, self.path)
            try:
                yield self
                self.flush()
            finally:
                self._close()
                (self.path / LOCK).unlink(missing_ok=True)

    def begin(self, manifest: Json, *, fresh: bool) -> dict[str, Json]:
        """Start or continue a run.

        Args:
            manifest: content of ``run.json``; ``manifest["identity"]`` is what must agree for a run to be continued.
            fresh: discard what is there.

        Returns:
            Finished samples by id. Failed ones are dropped, so that they are tried again.

        Raises:
            RecordError: the folder holds a run with another identity.
        """
        from dabench.shards import PARTS, absorb

        run_file, samples_file = self.path / RUN, self.path / SAMPLES
        if not fresh:
            absorb(self.path)
        shutil.rmtree(self.path / PARTS, ignore_errors=True)  # no part is written while this process holds the lock
        if fresh:
            for name in (SUMMARY, SAMPLES, RUN):
                (self.path / name).unlink(missing_ok=True)
        if not run_file.is_file():
            samples_file.unlink(missing_ok=True)
            (self.path / SUMMARY).unlink(missing_ok=True)
            write_json(run_file, manifest)
            finished: dict[str, Json] = {}
        else:
            self._continue(manifest)
            finished = {i: line for i, line in self.read_samples().items() if line["status"] != "failed"}
            write_lines(self._lines, finished)
        self._open()
        return finished

    def _continue(self, manifest: Json) -> None:
        """Check that the run that is there is the one that is asked for."""
        stored = read_json(self.path / RUN)
        changed = differences(stored.get("identity"), to_json(manifest["identity"]))
        if changed:
            listed = "".join(f"\n    - {c}" for c in changed)
            raise RecordError(
                f"{self.path} holds a run of something else:{listed}",
                hint="pass --fresh to replace it, or --out DIR to keep both",
            )
        if stored.get("selection") != to_json(manifest.get("selection")):
            write_json(self.path / RUN, {**stored, "selection": manifest.get("selection")})

    def _open(self) -> None:
        path = self._lines
        try:
            # Unbuffered: what a full disk refused must not be tried again, and fail again, when the stream is closed.
            self._stream = path.open("ab", buffering=0)
        except OSError as error:
            raise write_error(path, error) from error
        self._syncer = Syncer(self._stream.fileno())

    def _close(self) -> None:
        if self._syncer is not None:
            self._syncer.stop()
            self._syncer = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def flush(self) -> None:
        """Wait until every sample is on the disk."""
        if self._syncer is not None:
            try:
                self._syncer.finish()
            except OSError as error:
                raise write_error(self._lines, error) from error

    def drop(self, stale: Container[str]) -> None:
        """Forget finished samples that belong together with one that is not."""
        self._close()
        write_lines(self._lines, {i: line for i, line in self.read_samples().items() if i not in stale})
        self._open()

    def append(self, line: Json) -> Json:
        """Append one sample. Returns the line as it will be read back.

        A killed process loses no line that was appended. The disk is made to hold it within a fraction of a second, in
        a thread, because with many protocols waiting for it would take longer than predicting.
        """
        data = _line(line)
        assert self._syncer is not None
        try:
            unwritten = data
            while unwritten:
                unwritten = unwritten[self._stream.write(unwritten) :]
            self._syncer.request()
        except OSError as error:
            raise write_error(self._lines, error) from error
        stored: Json = json.loads(data)
        return stored

    def read_samples(self) -> dict[str, Json]:
        """Finished samples by id, in the order they finished. A torn last line, left by a kill, is ignored.

        Raises:
            RecordError: a line before the last is damaged.
        """
        return read_lines(self._lines)

    def write_summary(self, summary: Json) -> None:
        self.flush()
        write_json(self.path / SUMMARY, summary)

    def discard_summary(self) -> None:
        """Remove the summary of an earlier selection before new samples are added."""
        (self.path / SUMMARY).unlink(missing_ok=True)

    def is_complete(self) -> bool:
        """Whether the three files exist and the counts add up."""
        if not all((self.path / name).is_file() for name in (RUN, SAMPLES, SUMMARY)):
            return False
        counts = read_json(self.path / SUMMARY)["counts"]
        return bool(counts["ok"] + counts["empty"] + counts["failed"] == counts["expected"])


def read_lines(path: Path) -> dict[str, Json]:
    """The samples of a file of lines by id; see :meth:`RunFolder.read_samples`."""
    if not path.is_file():
        return {}
    raw = path.read_bytes()
    lines = raw.split(b"\n")
    torn = lines.pop()  # empty when the file ends in a newline
    found: dict[str, Json] = {}
    for number, data in enumerate(lines, start=1):
        try:
            line = json.loads(data)
            if line["status"] not in STATUSES:
                raise ValueError(line["status"])
            found[line["id"]] = line
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and not torn:
                break
            raise RecordError(
                f"{path} line {number} is damaged", hint="pass --fresh to score this run again"
            ) from error
    return found


def write_lines(path: Path, lines: Mapping[str, Json]) -> None:
    """Replace a file of lines as a whole. One that already holds the same bytes is left alone."""
    data = b"".join(_line(line) for line in lines.values())
    try:
        if not path.is_file() or path.read_bytes() != data:
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_bytes(data)
            temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error


def _line(line: Json) -> bytes:
    return (json.dumps(to_json(line), ensure_ascii=False, allow_nan=False) + "\n").encode()


def take_lock(lock: Any, path: Path) -> None:
    """Hold an open lock file alone, until it is closed.

    Raises:
        RecordError: somebody else holds it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows has no flock; the atomic writes still hold
        return
    busy = RecordError(
        f"{path} is being written by another dabench process", hint="wait for it, or choose another --out DIR"
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder removes the file when it is done. Locking what it removed would keep nobody out.
        if not os.path.samestat(os.fstat(lock.fileno()), (path / LOCK).stat()):
            raise busy
    except (BlockingIOError, FileNotFoundError) as error:
        raise busy from error
    except OSError:  # a file system without locks; the atomic writes still hold
        return


def environment() -> Json:
    """What may change the last bits of a number: versions, threads, device names. Imports nothing heavy itself."""
    packages = {}
    for name in ("numpy", "torch", "timm", "opencv-python", "pillow", "scipy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    found: Json = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages,
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch_threads"] = torch.get_num_threads()
        found["cuda_device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return found


@cache
def provenance() -> Json:
    """dabench's version and, in a checkout, its git commit (with ``+changes`` when the tree is not clean)."""
    root = Path(__file__).resolve().parents[1]
    commit = None
    if (root / ".git").exists() and (root / "pyproject.toml").is_file():
        commit = _git(root, "rev-parse", "HEAD")
        if commit and _git(root, "status", "--porcelain", "--untracked-files=no"):
            commit += "+changes"
    return {"dabench": __version__, "commit": commit}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        # Without optional locks: a status that is killed half-way must not leave the repository locked.
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """All run folders below the given ones, sorted. A run's folder is named after its protocol, ``name@version``."""
    return sorted({path.parent for folder in folders for path in folder.rglob(RUN) if "@" in path.parent.name})
