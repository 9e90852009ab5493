"""Checkpoints are whole or not there; damage and full disks are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dabench.errors import CheckpointError
from model_zoo.depth_anything_v2.training.checkpoints import Checkpoints
from model_zoo.depth_anything_v2.training.distributed import World


def tensors(value: float, size: int = 1000) -> dict[str, Tensor]:
    return {"model.a": torch.full((size,), value), "model.b": torch.full((2, 3), -value), "step": torch.tensor(value)}


@pytest.fixture
def store(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", World(), keep=2)


def names(store: Checkpoints) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_what_is_saved_comes_back_and_old_ones_go(store: Checkpoints) -> None:
    assert store.latest() is None
    for step in (5, 10, 15):
        store.save(step, tensors(step), {"step": step, "note": "x"})
    assert names(store) == ["step_00000010", "step_00000015"]
    latest = store.latest()
    assert latest is not None and latest.name == "step_00000015"
    assert store.facts(latest) == {"step": 15, "note": "x"}
    into = tensors(0.0)
    held = into["model.a"]
    store.load(latest, into)
    assert torch.equal(held, torch.full((1000,), 15.0))  # in place
    assert torch.equal(into["model.b"], torch.full((2, 3), -15.0)) and into["step"] == 15


def test_a_step_written_again_replaces_itself(store: Checkpoints) -> None:
    store.save(5, tensors(1.0), {"step": 5})
    store.save(5, tensors(2.0), {"step": 5})
    into = tensors(0.0)
    store.load(store.folder / "step_00000005", into)
    assert into["step"] == 2


def test_half_written_ones_are_never_picked(store: Checkpoints) -> None:
    store.save(5, tensors(5.0), {"step": 5})
    half = store.folder / ".step_00000009.partial"
    half.mkdir()
    (half / "state.json").write_text('{"step": 9}')
    (store.folder / "step_00000011").mkdir()  # a renamed folder always has state.json; this one somebody made
    latest = store.latest()
    assert latest is not None and latest.name == "step_00000005"
    store.save(6, tensors(6.0), {"step": 6})
    assert not half.exists()  # and leftovers do not pile up


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", ["write", "rename", "fsync"])
def test_killed_anywhere_while_saving_leaves_the_old_one(
    store: Checkpoints, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    store.save(5, tensors(5.0), {"step": 5})

    def die(*_: object, **__: object) -> None:
        raise Killed

    def die_at_the_end(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":  # torch renames files of its own
            raise Killed
        return rename(path, target)

    rename = Path.rename
    with monkeypatch.context() as patched:
        if at == "write":
            patched.setattr("torch.distributed.checkpoint.save", die)
        elif at == "rename":
            patched.setattr(Path, "rename", die_at_the_end)
        else:
            patched.setattr("model_zoo.depth_anything_v2.training.checkpoints._sync", die)
        with pytest.raises(Killed):
            store.save(6, tensors(6.0), {"step": 6})
    latest = store.latest()
    assert latest is not None and latest.name == "step_00000005"
    into = tensors(0.0)
    store.load(latest, into)
    assert into["step"] == 5


def test_a_full_disk_leaves_the_old_one_and_says_what_to_do(
    store: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(5, tensors(5.0), {"step": 5})

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError) as caught:
            store.save(6, tensors(6.0), {"step": 6})
    text = str(caught.value)
    assert "step_00000006" in text and "No space left on device" in text
    assert "run.keep" in text and "step_00000005 is whole" in text
    assert names(store) == ["step_00000005"]
    store.save(6, tensors(6.0), {"step": 6})  # with room again
    assert names(store) == ["step_00000005", "step_00000006"]


FILE_LIMIT = """
import resource, signal, sys
from pathlib import Path
import torch
from dabench.errors import CheckpointError
from model_zoo.depth_anything_v2.training.checkpoints import Checkpoints
from model_zoo.depth_anything_v2.training.distributed import World
store = Checkpoints(Path(sys.argv[1]), World(), 2)
store.save(1, {"a": torch.ones(10)}, {"step": 1})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    store.save(2, {"a": torch.ones(1_000_000)}, {"step": 2})
except CheckpointError as error:
    print(error)
    print([path.name for path in store.complete()], [path.name for path in store.folder.iterdir()])
"""


@pytest.mark.slow
def test_a_write_that_the_system_refuses_is_reported(tmp_path: Path) -> None:
    """The real thing: the kernel stops the file at 100 kB, in the middle of the tensors."""
    done = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "step_00000002 could not be written" in done.stdout and "File too large" in done.stdout
    assert "['step_00000001'] ['step_00000001']" in done.stdout


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="no earlier checkpoint"):
        Checkpoints(tmp_path / "file", World(), 1).save(1, tensors(1.0), {"step": 1})


def damage_tensors(path: Path) -> None:
    file = next(path.glob("*.distcp"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage_index(path: Path) -> None:
    (path / ".metadata").write_bytes(b"nothing")


def remove_tensors(path: Path) -> None:
    next(path.glob("*.distcp")).unlink()


@pytest.mark.parametrize("damage", [damage_tensors, damage_index, remove_tensors])
def test_damage_is_named_with_the_way_out(store: Checkpoints, damage: Any) -> None:
    path = store.save(5, tensors(5.0, 100_000), {"step": 5})
    damage(path)
    with pytest.raises(CheckpointError, match="step_00000005 is damaged") as caught:
        store.load(path, tensors(0.0, 100_000))
    assert "remove this folder" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": "five"}'])
def test_damaged_facts_are_named(store: Checkpoints, text: str) -> None:
    path = store.save(5, tensors(5.0), {"step": 5})
    (path / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match="step_00000005 is damaged"):
        store.facts(path)


@pytest.mark.parametrize(
    ("other", "message"),
    [({"model.a": torch.zeros(7)}, r"model\.a has shape \[1000\], not \[7\]"), ({"c": torch.zeros(1)}, "c is missing")],
)
def test_another_networks_checkpoint_is_refused(store: Checkpoints, other: dict[str, Tensor], message: str) -> None:
    path = store.save(5, tensors(5.0), {"step": 5})
    with pytest.raises(CheckpointError, match=message):
        store.load(path, {**tensors(0.0), **other})
