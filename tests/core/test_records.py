"""Run folders: atomic files, torn lines, foreign runs, locks and full disks."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench import records
from dabench.errors import DabenchError, RecordError
from dabench.records import LOCK, RUN, SAMPLES, SUMMARY, RunFolder, differences, to_json, write_json

MANIFEST: dict[str, Any] = {"schema": 1, "identity": {"model": {"name": "m"}, "settings": {"batch_size": 1}}}
LINES: list[dict[str, Any]] = [{"id": f"images/é{i}", "status": "ok", "value": 0.1 * i} for i in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with five finished samples and a summary."""
    run = RunFolder(tmp_path / "model" / "pairs@1")
    with run.writing():
        assert run.begin(MANIFEST, fresh=False) == {}
        for line in LINES:
            run.append(line)
        run.write_summary({"schema": 1, "counts": {"expected": 5, "ok": 5, "empty": 0, "failed": 0}})
    return run


def resume(run: RunFolder, manifest: dict[str, Any] = MANIFEST, *, fresh: bool = False) -> dict[str, Any]:
    with run.writing():
        return run.begin(manifest, fresh=fresh)


def content(run: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


def test_what_is_written_is_read_back(folder: RunFolder) -> None:
    assert list(folder.read_samples().values()) == LINES
    assert set(content(folder)) == {RUN, SAMPLES, SUMMARY} and folder.is_complete()
    before = content(folder)
    assert list(resume(folder).values()) == LINES
    assert content(folder) == before


def test_every_sample_is_forced_to_disk(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after it was appended, without waiting for the next, and in any case before the summary."""
    forced: list[int] = []
    with folder.writing():
        folder.begin(MANIFEST, fresh=True)
        monkeypatch.setattr(records.os, "fsync", lambda descriptor: forced.append(os.fstat(descriptor).st_size))
        for line in LINES[:3]:
            folder.append(line)
        size = (folder.path / SAMPLES).stat().st_size
        deadline = time.monotonic() + 30
        while size not in forced and time.monotonic() < deadline:
            time.sleep(0.01)
        assert size in forced
        for line in LINES[3:]:
            folder.append(line)
        folder.write_summary({"schema": 1})
        assert (folder.path / SAMPLES).stat().st_size in forced
        folder.append(LINES[0])
    assert (folder.path / SAMPLES).stat().st_size in forced, "and when the folder is left"


def test_a_disk_that_refuses_to_hold_a_sample_ends_the_run(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def append_for_ever() -> None:
        with folder.writing():
            folder.begin(MANIFEST, fresh=True)
            monkeypatch.setattr(records.os, "fsync", broken)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                folder.append(LINES[0])
                time.sleep(0.01)

    with pytest.raises(DabenchError, match=r"cannot write .*samples"):
        append_for_ever()
    assert not (folder.path / LOCK).exists()


def test_json_has_no_nan_and_no_numpy(folder: RunFolder) -> None:
    line = {
        "id": "x",
        "status": "ok",
        "a": float("nan"),
        "b": [np.float32(0.5), -math.inf],
        "c": np.int64(3),
        "d": (1,),
    }
    with folder.writing():
        folder.begin(MANIFEST, fresh=True)
        stored = folder.append(line)
    assert stored == {"id": "x", "status": "ok", "a": None, "b": [0.5, None], "c": 3, "d": [1]}
    assert json.loads((folder.path / SAMPLES).read_text()) == stored
    assert to_json({1: np.bool_(True)}) == {"1": True}


@pytest.mark.parametrize("cut", [1, 2, 20, 45])
def test_a_torn_last_line_is_cut_off(folder: RunFolder, cut: int) -> None:
    path = folder.path / SAMPLES
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(resume(folder)) == [line["id"] for line in LINES[:4]]
    assert path.read_bytes().endswith(b"}\n") and len(path.read_bytes().splitlines()) == 4


def test_a_torn_only_line(folder: RunFolder) -> None:
    (folder.path / SAMPLES).write_bytes(b'{"id": "im')
    assert resume(folder) == {}


@pytest.mark.parametrize("damage", [b"{\n", b"null\n", b"[]\n", b'{"id": "x"}\n', b'{"status": "ok"}\n', b"\xff\xfe\n",
                                    b'{"id": "x", "status": "fine"}\n', b"\n"])  # fmt: skip
def test_a_damaged_line_in_the_middle_is_refused(folder: RunFolder, damage: bytes) -> None:
    path = folder.path / SAMPLES
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damage, *lines[3:]]))
    with pytest.raises(RecordError, match=r"samples\.jsonl line 3 is damaged") as caught:
        resume(folder)
    assert "--fresh" in str(caught.value) and path.read_bytes().count(b"\n") == 5, "nothing is thrown away"
    assert resume(folder, fresh=True) == {}


def test_failed_samples_are_tried_again(folder: RunFolder) -> None:
    with folder.writing():
        folder.begin(MANIFEST, fresh=True)
        for line, status in zip(LINES, ("ok", "failed", "empty", "failed", "ok"), strict=True):
            folder.append({**line, "status": status})
    assert [i[-1] for i in resume(folder)] == ["0", "2", "4"]
    assert [i[-1] for i in folder.read_samples()] == ["0", "2", "4"]


def test_another_run_is_never_mixed_in(folder: RunFolder) -> None:
    before = content(folder)
    other = {"schema": 1, "identity": {"model": {"name": "m", "weights": "ab"}, "settings": {"batch_size": 2}}}
    with pytest.raises(RecordError) as caught:
        resume(folder, other)
    told = str(caught.value)
    assert "model.weights: None there, 'ab' now" in told and "settings.batch_size: 1 there, 2 now" in told
    assert "--fresh" in told and "--out" in told and content(folder) == before
    assert resume(folder, other, fresh=True) == {}
    assert set(content(folder)) == {RUN, SAMPLES} and content(folder)[SAMPLES] == b""


def test_differences_are_dotted_paths() -> None:
    assert differences({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [1]}, "d": 0}) == [
        "a.b: 1 there, 2 now",
        "d: None there, 0 now",
    ]
    assert differences(MANIFEST, json.loads(json.dumps(MANIFEST))) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "unreadable"),
        ('{"schema": 1', "unreadable"),
        ("[1]", "not a dabench record"),
        ('{"model": 1}', "not a dabench record"),
        ('{"schema": "1"}', "not a dabench record"),
        ('{"schema": 2}', "has schema 2; this dabench reads up to 1"),
    ],
)
def test_a_record_that_cannot_be_read(folder: RunFolder, text: str, told: str) -> None:
    (folder.path / RUN).write_text(text)
    with pytest.raises(RecordError, match=told) as caught:
        resume(folder)
    assert RUN in str(caught.value)


def test_samples_without_a_run_file_are_not_trusted(folder: RunFolder) -> None:
    (folder.path / RUN).unlink()
    assert resume(folder) == {} and not (folder.path / SUMMARY).exists()


def test_asking_for_the_commit_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git may refresh its index when asked for the status, and a full disk would then leave the repository locked."""
    import subprocess

    run = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True)
    run(["git", "init", "-q"])
    (tmp_path / "a").write_text("a")
    run(["git", "add", "a"])
    run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "a"])
    os.utime(tmp_path / "a", (1, 1))  # the index is out of date
    before = (tmp_path / ".git" / "index").read_bytes()
    assert records._git(tmp_path, "status", "--porcelain") == ""
    assert (tmp_path / ".git" / "index").read_bytes() == before
    assert len(records._git(tmp_path, "rev-parse", "HEAD") or "") == 40
    run(["git", "status"])
    assert (tmp_path / ".git" / "index").read_bytes() != before, "as it otherwise does"


def test_completeness(folder: RunFolder) -> None:
    for name in (RUN, SAMPLES, SUMMARY):
        kept = (folder.path / name).read_bytes()
        (folder.path / name).unlink()
        assert not folder.is_complete()
        (folder.path / name).write_bytes(kept)
    assert folder.is_complete()
    folder.write_summary({"schema": 1, "counts": {"expected": 6, "ok": 5, "empty": 0, "failed": 0}})
    assert not folder.is_complete()


def test_writing_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"schema": 1, "a": 1})
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    write_json(path, {"schema": 1, "a": 1})
    assert path.stat().st_mtime_ns == stamp, "the same bytes are not written again"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(DabenchError, match=r"cannot write .*No space left") as caught:
        write_json(path, {"schema": 1, "a": 2})
    assert path.read_bytes() == before and caught.value.exit_code == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DabenchError, match="cannot write"), RunFolder(tmp_path / "file" / "run").writing():
        raise AssertionError("never entered")


def _hold(path: str, ready: Any) -> None:
    with RunFolder(Path(path)).writing():
        ready.set()
        time.sleep(60)


@pytest.fixture
def holder(folder: RunFolder) -> Iterator[Any]:
    """Another process that is writing the run."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(folder.path), ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join(30)


def test_a_run_that_is_being_written_is_left_alone(folder: RunFolder, holder: Any) -> None:
    before = content(folder)
    with pytest.raises(RecordError, match="being written by another"), folder.writing():
        raise AssertionError("never entered")
    assert content(folder) == before
    holder.kill()
    holder.join(30)
    assert len(resume(folder)) == 5, "a killed process leaves no lock behind"
    assert not (folder.path / LOCK).exists()


def test_two_writers_in_one_process(folder: RunFolder) -> None:
    with ExitStack() as stack:
        stack.enter_context(folder.writing())
        with pytest.raises(RecordError, match="being written"), RunFolder(folder.path).writing():
            raise AssertionError("never entered")


def test_a_lock_file_that_was_just_removed_locks_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the lock and taking it, its holder may finish and remove the file."""
    import fcntl

    take = fcntl.flock

    def late(lock: Any, operation: int) -> None:
        (folder.path / LOCK).unlink()
        take(lock, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(RecordError, match="being written"), folder.writing():
        raise AssertionError("never entered")
