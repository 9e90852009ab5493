"""Two real processes do what one does: DDP, FSDP2, resuming at another number, and stopping together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dabench.errors import UsageError
from model_zoo.depth_anything_v2.training.distributed import World, choose_device, open_world, spread, whole

WORKER = Path(__file__).parent / "loop_worker.py"
FLAT = [0, 3, 4]
"""Images that do not count; with the recipe's seed some steps have one, always on one side."""


def launch(out: Path, processes: int, **spec: Any) -> dict[str, Any]:
    """Run the worker and return what its first process wrote."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "spec.json").write_text(json.dumps({"out": str(out), "flat": FLAT, **spec}))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), str(WORKER), str(out / "spec.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stderr[-4000:]
    return result(out, 0)


def result(out: Path, rank: int) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(out / f"result_{rank}.pt", weights_only=True)
    return content


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def assert_same_weights(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected["weights"].items():
        scale = float(value.abs().max())
        torch.testing.assert_close(found["weights"][name], value, rtol=1e-5, atol=1e-5 * scale, msg=name)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Three steps of one process with batch 4, with a checkpoint after each."""
    out = tmp_path_factory.mktemp("one")
    return out, launch(out, 1, float64=True, set={"run__checkpoint_every": 1, "optim__ema": 0.9})


@pytest.mark.slow
def test_two_processes_with_batch_two_are_one_with_batch_four(one: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, expected = one
    found = launch(tmp_path, 2, float64=True, set={"optim__ema": 0.9})
    assert found["unused"] == [] and expected["unused"] == []  # DDP ran with its default settings
    assert_same_weights(found, expected)
    assert_same_weights(result(tmp_path, 1), found)
    for a, b in zip(log(out), log(tmp_path), strict=True):
        for key in ("loss", "loss/data", "loss/gradient", "gradient_norm", "spread", "magnitude", "zero_share"):
            assert a[key] == pytest.approx(b[key], rel=1e-6), key


@pytest.mark.slow
def test_sharded_processes_go_on_from_one_process_to_the_same_end(
    one: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, expected = one
    first = tmp_path / "checkpoints" / "step_00000001"
    shutil.copytree(out / "checkpoints" / "step_00000001", first)
    found = launch(tmp_path, 2, float64=True, set={"optim__ema": 0.9, "run__shard": "fsdp2"})
    assert found["step"] == 3 and [record["step"] for record in log(tmp_path)] == [2, 3]
    assert_same_weights(found, expected)
    assert log(tmp_path)[-1]["gradient_norm"] == pytest.approx(log(out)[-1]["gradient_norm"], rel=1e-6)
    exported = [(folder / "model.safetensors").stat().st_size for folder in (out, tmp_path)]
    assert exported[0] == pytest.approx(exported[1], abs=200)  # whole again, and by official names (metadata differ)


@pytest.mark.slow
def test_a_bad_number_or_a_signal_in_one_process_concerns_all(tmp_path: Path) -> None:
    disturb = {"rank": 1, "nan_at": 1, "signal_at": 2}
    found = launch(
        tmp_path, 2, disturb=disturb, set={"run__steps": 50, "run__shard": "fsdp2", "run__precision": "bf16"}
    )
    other = result(tmp_path, 1)
    for process in (found, other):
        assert (process["step"], process["skipped"], process["finished"]) == (3, 1, False)
    for name, value in found["weights"].items():
        assert torch.equal(other["weights"][name], value) and torch.isfinite(value).all()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000003"]
    events = [json.loads(line) for line in (tmp_path / "events_0001.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["skipped_step"] and len(events[0]["images"]) == 2


@pytest.mark.slow
def test_accumulated_pieces_hold_the_same_images_at_any_number_of_processes(tmp_path: Path) -> None:
    """Pieces of two images, one of which may not count: each piece's mean must be over both processes."""
    settings = {"run__accumulate": 2, "run__steps": 2}
    expected = launch(tmp_path / "one", 1, float64=True, set=settings)
    found = launch(tmp_path / "two", 2, float64=True, set=settings)
    assert_same_weights(found, expected)


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with open_world("cpu") as world:
        assert not torch.distributed.is_initialized()
        assert world == World() and world.first
        value = torch.tensor([1.0, 2.0])
        total = world.all_reduce(value)
        assert torch.equal(total, value) and total is not value
        assert world.gather("x") == ["x"] and world.any(True) and not world.any(False)
        world.barrier()
        network = torch.nn.Linear(1, 1)
        assert spread(network, world, "fsdp2", [], bf16=False) is network
        assert whole(value) is value


def test_an_incomplete_environment_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="torchrun"), open_world("cpu"):
        pass
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match="WORLD_SIZE is 'two'"), open_world("cpu"):
        pass


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", 3).type == "cpu"
    with pytest.raises(UsageError, match="no GPU"):
        choose_device("cuda", 0)
    with pytest.raises(UsageError, match="unknown device"):
        choose_device("gpu?", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    assert choose_device("cuda:0", 1) == torch.device("cuda", 0)
    with pytest.raises(UsageError, match="no GPU of its own"):
        choose_device("cuda", 2)
