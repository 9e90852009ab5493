"""A run goes on exactly after any interruption, refuses garbage, and leaves weights that load everywhere."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from dabench.errors import CheckpointError, UsageError
from model_zoo.depth_anything_v2.checkpoint import build, load_state
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.training import loop
from model_zoo.depth_anything_v2.training.alarms import TrainingStoppedError
from model_zoo.depth_anything_v2.training.distributed import World
from model_zoo.depth_anything_v2.training.feed import Batch
from model_zoo.depth_anything_v2.training.gradients import Gradients, select
from model_zoo.depth_anything_v2.training.network import TrainedNetwork
from model_zoo.depth_anything_v2.training.run_folder import prepare_folder
from model_zoo.depth_anything_v2.training.view import View


def _load(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


worker = _load("loop_worker")


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., loop.Trainer]:
    """(folder name, data={...}, **settings) -> a trainer of the test recipe in that folder."""

    def make(name: str = "run", data: dict[str, Any] | None = None, **settings: Any) -> loop.Trainer:
        made: loop.Trainer = worker.trainer_of(
            worker.recipe_of(tmp_path / "recipes", **settings), tmp_path / name, **(data or {})
        )
        made.out.mkdir(exist_ok=True)
        return made

    return make


def first_batch(trainer: loop.Trainer) -> Batch:
    step, trainer.step = trainer.step, 0
    with trainer._feed() as feed:
        trainer.step = step
        return next(feed)


def view_of(trainer: loop.Trainer) -> View:
    return View(trainer.out, trainer.world, "test", 0, trainer.recipe.run.steps)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def before_step(trainer: loop.Trainer, step: int, action: Callable[[], object]) -> None:
    """Have `action` done just before step `step` (from 0)."""
    original = trainer.train_step

    def train_step(pieces: Any, view: View) -> Any:
        if trainer.step == step:
            action()
        return original(pieces, view)

    trainer.train_step = train_step  # type: ignore[method-assign]


def all_tensors(trainer: loop.Trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.tensors().items()}


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_an_interrupted_run_ends_bit_for_bit_like_one_that_was_not(
    trainer: Callable[..., loop.Trainer], optimiser: str
) -> None:
    settings = {"optim__optimiser": optimiser, "optim__ema": 0.9, "run__steps": 5, "data__jitter": 0.8,
                "data__cutmix": 0.5, "model__drop_path": 0.2, "run__accumulate": 2}  # fmt: skip
    whole = trainer("whole", **settings)
    assert whole.run().finished
    cut = trainer("cut", **settings)
    before_step(cut, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    handler = signal.getsignal(signal.SIGTERM)
    stopped = cut.run()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (stopped.finished, stopped.step, stopped.export) == (False, 3, None)
    assert stopped.checkpoint is not None and stopped.checkpoint.name == "step_00000003"
    with (cut.out / "log.jsonl").open("a") as stream:
        stream.write('{"step": 4, "loss": 1}\n{"step": 5, "lo')  # logged after the checkpoint, then killed
    resumed = trainer("cut", **settings)
    assert resumed.run().finished
    expected, found = all_tensors(whole), all_tensors(resumed)
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert resumed.alarms.state() == whole.alarms.state()
    assert [record["step"] for record in lines(cut.out / "log.jsonl")] == [1, 2, 3, 4, 5]
    for a, b in zip(lines(cut.out / "log.jsonl"), lines(whole.out / "log.jsonl"), strict=True):
        assert a["loss"] == b["loss"] and a["gradient_norm"] == b["gradient_norm"]


@pytest.mark.slow
def test_learns_and_exports_weights_that_load_and_predict_the_same(trainer: Callable[..., loop.Trainer]) -> None:
    settings = {"run__steps": 30, "optim__warmup": 0.1, "run__log_every": 10, "run__validate_every": 15,
                "model__table_size": "none", "optim__ema": 0.8,
                "run__checkpoint_every": 10, "run__keep": 2}  # fmt: skip
    run = trainer("run", **settings)
    before = run.validate()
    result = run.run()
    records = lines(run.out / "log.jsonl")
    assert [record["step"] for record in records] == [10, 15, 20, 30]
    assert records[-1]["loss"] < 0.7 * records[0]["loss"]
    assert result.scores["loss"] < 0.7 * before["validation/loss"] and result.scores["pairs"] > 0.65
    assert records[-1]["validation/loss"] == result.scores["loss"]
    assert all(0 <= record["wait_share"] <= 1 for record in records if "wait_share" in record)
    assert sorted(path.name for path in (run.out / "checkpoints").iterdir()) == ["step_00000020", "step_00000030"]
    assert result.export is not None and result.preview is not None
    state = load_state(result.export)
    assert (state.encoder, state.kind, state.format) == ("tiny", "relative", "official")
    assert json.loads(state.metadata["training"])["recipe_sha256"] == run.recipe.sha256
    model = build(state, CONFIGS["tiny"])
    images = first_batch(run).images
    assert run.average is not None
    with run.average.swapped_into(run.network), torch.no_grad():
        run.network.eval()
        torch.testing.assert_close(model(images), run.network(images), rtol=1e-5, atol=1e-6)
    shown = cv2.imread(str(result.preview))
    assert shown is not None and shown.shape[0] > 400 and shown.std() > 10
    again = trainer("run", **settings).run()  # nothing is left to do, and that is no error
    assert again.finished and again.step == 30


@pytest.mark.slow
def test_an_opened_output_is_closed_on_export_with_its_order(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer("run", model__open_output=True, model__table_size="none", run__steps=2)
    with torch.no_grad():
        run.network.get_parameter("depth_head.scratch.output_conv2.2.bias").fill_(-3.0)
    result = run.run()
    assert result.export is not None
    model = build(load_state(result.export), CONFIGS["tiny"])
    images = first_batch(run).images
    run.network.eval()
    with torch.no_grad():
        opened, closed = run.network(images), model(images)
    assert opened.max() < 0 < closed.min()
    assert np.corrcoef(opened.flatten(), closed.flatten())[0, 1] > 0.999


@pytest.mark.slow
def test_metric_training_keeps_metres(trainer: Callable[..., loop.Trainer]) -> None:
    settings = {"stage": "metric", "loss__kind": "metric", "model__max_depth": 20.0, "model__table_size": "none",
                "optim__schedule": "poly", "run__validate_every": 2}  # fmt: skip
    run = trainer("run", **settings)
    result = run.run()
    assert set(result.scores) == {"absrel", "d1"} and result.export is not None
    assert all(value.grad is not None for value in run.network.parameters())
    state = load_state(result.export)
    assert (state.kind, state.max_depth) == ("metric", 20.0)
    images = first_batch(run).images
    run.network.eval()
    with torch.no_grad():
        torch.testing.assert_close(build(state, CONFIGS["tiny"].metric(20.0))(images), run.network(images))


def test_every_parameter_gets_a_gradient(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer()
    run.train_step([first_batch(run)], view_of(run))
    assert [name for name, value in run.network.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_gradient_of_one(
    trainer: Callable[..., loop.Trainer], monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(loop, "start_network", worker.in_float64(loop.start_network))
    run = trainer("run", {"flat": [0, 1, 3]}, data__batch=6, data__cutmix=1.0, loss__ranking_weight=0.5)
    batch = first_batch(run)
    one = Gradients(run.model, run.gradients.objective, World())
    several = Gradients(run.model, run.gradients.objective, World(), threads=threads)
    found = []
    for gradients in (one, several):
        loss = gradients.compute([batch], 0.5)
        found.append((loss, {n: v.grad.clone() for n, v in run.network.named_parameters() if v.grad is not None}))
    several.close()
    assert found[0][0].parts == pytest.approx(found[1][0].parts)
    assert found[0][0].spread == pytest.approx(found[1][0].spread)
    assert found[0][1].keys() == found[1][1].keys() == dict(run.network.named_parameters()).keys()
    for name, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], value, rtol=1e-5, atol=1e-6 * float(value.abs().max()) + 1e-12)


def test_an_error_in_one_thread_ends_all(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer()
    several = Gradients(run.model, run.gradients.objective, World(), threads=2)
    batch = first_batch(run)
    broken = replace(batch, target=batch.target[:2])  # nothing is left of it for the second thread
    with pytest.raises((RuntimeError, ValueError, IndexError)) as caught:
        several.compute([broken], 0.0)
    assert "Broken" not in type(caught.value).__name__
    several.close()


def test_pieces_are_averaged(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer()
    batch = first_batch(run)
    pieces = [select(batch, slice(0, 2)), select(batch, slice(2, 4))]
    gradients = Gradients(run.model, run.gradients.objective, World())

    def of(parts: list[Batch], scale: float = 1.0) -> tuple[float, torch.Tensor]:
        loss = gradients.compute(parts, 0.0, scale=scale)
        weight = run.network.depth_head.scratch.output_conv1.weight
        assert weight.grad is not None
        return loss.parts["total"], weight.grad.clone()

    (a, ga), (b, gb), (both, g) = of(pieces[:1]), of(pieces[1:]), of(pieces, 8.0)
    assert both == pytest.approx((a + b) / 2)
    torch.testing.assert_close(g, 4.0 * (ga + gb))


def test_recomputing_activations_changes_nothing(trainer: Callable[..., loop.Trainer]) -> None:
    found = []
    for recompute in (False, True):
        run = trainer(run__activation_checkpointing=recompute)
        assert run.network.pretrained.grad_checkpointing is recompute
        run.gradients.compute([first_batch(run)], 0.0)
        found.append([value.grad for value in run.network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))  # type: ignore[arg-type]


def test_half_precision_is_close_and_its_output_fine_grained(trainer: Callable[..., loop.Trainer]) -> None:
    full, half = trainer(), trainer(run__precision="bf16")
    images = first_batch(full).images
    with torch.no_grad():
        a, b = full.model(images)[0], half.model(images)[0]
    assert b.dtype == torch.float32 and half.network.depth_head.scratch.output_conv2[2].weight.dtype == torch.float32
    assert float((a - b).abs().max()) < 0.05 * float(a.max() - a.min()) + 0.02
    assert not torch.equal(b, b.bfloat16().float())  # the last convolution did not round
    features = TrainedNetwork(half.network, "bf16", features=True)(images)[1]
    assert features is not None and features.shape == (4, 6, 192)


def test_steps_that_are_not_finite_are_skipped_counted_and_limited(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer(run__nan_limit=1, optim__ema=0.9)
    batch, view = first_batch(run), view_of(run)
    run.train_step([batch], view)
    before = all_tensors(run)
    poisoned = replace(batch, images=batch.images * torch.tensor([1, torch.nan, 1, 1]).view(4, 1, 1, 1))
    loss, _, _ = run.train_step([poisoned], view)
    assert loss.parts["nonfinite"] == 1 and run.alarms.skipped == 1 and run.step == 2
    assert all(torch.equal(value, before[name]) for name, value in run.tensors().items())
    events = lines(run.out / "events.jsonl")
    assert events[0]["event"] == "skipped_step" and events[0]["images"] == list(batch.ids)
    run.train_step([batch], view)
    assert not torch.equal(run.network.get_parameter("pretrained.cls_token"), before["model.pretrained.cls_token"])
    with pytest.raises(TrainingStoppedError, match="2 steps had a loss"):
        run.train_step([poisoned], view)


def test_a_collapsed_network_stops_the_run(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer(run__alarm_grace=0, run__alarm_patience=2, run__steps=50, optim__decoder_rate=0.0)
    with torch.no_grad():
        run.network.get_parameter("depth_head.scratch.output_conv2.2.weight").zero_()
    with pytest.raises(TrainingStoppedError, match=r"step 2: .*constant"):
        run.run()


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(
    trainer: Callable[..., loop.Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"run__checkpoint_every": 1}
    run = trainer("run", **settings)
    sync = os.fsync

    def fill() -> None:
        def full(_: int) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "fsync", full)

    before_step(run, 1, fill)
    with pytest.raises(CheckpointError, match="step_00000002 could not be written: No space left"):
        run.run()
    assert [path.name for path in (run.out / "checkpoints").iterdir()] == ["step_00000001"]
    monkeypatch.setattr(os, "fsync", sync)
    assert trainer("run", **settings).run().finished


def test_unreadable_images_are_replaced_and_logged(trainer: Callable[..., loop.Trainer]) -> None:
    run = trainer("run", {"broken": [2, 5]}, run__steps=4, data__max_bad_share=0.5)
    assert run.run().finished
    bad = [event for event in lines(run.out / "events.jsonl") if event["event"] == "bad_sample"]
    assert {event["id"] for event in bad} <= {"memory/0002", "memory/0005"} and bad
    assert lines(run.out / "log.jsonl")[-1]["bad_images"] == len(bad)


def test_a_changed_recipe_is_refused_unless_it_changes_nothing_that_counts(
    trainer: Callable[..., loop.Trainer],
) -> None:
    first = trainer(run__steps=4)
    first.save()
    allowed = trainer(run__steps=4, run__log_every=2, run__keep=7, data__workers=3)
    allowed.restore(first.save())
    other = trainer(run__steps=5, optim__decoder_rate=2e-3)
    with pytest.raises(UsageError, match=r"optim\.decoder_rate, run\.steps"):
        other.restore(first.save())
    with pytest.raises(UsageError, match="differs"):
        prepare_folder(other.recipe, other.out, World(), resume=True, fresh=False)
    with pytest.raises(UsageError, match="has checkpoints"):
        prepare_folder(first.recipe, first.out, World(), resume=False, fresh=False)
    (first.out / "log.jsonl").write_text('{"step": 1}\n')
    prepare_folder(other.recipe, other.out, World(), resume=True, fresh=True)
    assert other.checkpoints.latest() is None and not (other.out / "log.jsonl").exists()
    assert (other.out / "recipe.toml").read_text() == other.recipe.text()


def test_settings_that_do_not_go_together_are_refused(trainer: Callable[..., loop.Trainer], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GPU"):
        trainer(run__precision="fp16")
    recipe = worker.recipe_of(tmp_path / "recipes")
    with pytest.raises(UsageError, match="multiple of 3"):
        worker.trainer_of(recipe, tmp_path, World(rank=0, size=3))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        prepare_folder(recipe, tmp_path / "file" / "run", World(), resume=True, fresh=False)


class Board:
    """Stands in for TensorBoard's writer."""

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.purge_step, self.closed = folder, purge_step, False
        self.scalars: list[tuple[str, float, int]] = []
        boards.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.closed = True


boards: list[Board] = []


def test_numbers_go_to_the_board_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Board  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    boards.clear()
    with View(tmp_path, World(), "test", 7, 10) as view:
        view.record({"step": 8, "loss": 0.5, "loss/data": float("nan")})
    (board,) = boards
    assert (board.folder, board.purge_step, board.closed) == (str(tmp_path / "tensorboard"), 7, True)
    assert board.scalars == [("loss", 0.5, 8)]
    assert lines(tmp_path / "log.jsonl") == [{"step": 8, "loss": 0.5, "loss/data": None}]  # NaN is no JSON


def test_without_a_board_there_is_a_note_and_plain_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level("INFO", logger="training"), View(tmp_path, World(), "test", 0, 10) as view:
        view.record({"step": 1, "loss": 0.5})
        view.event({"event": "output_drift", "now": 30.0})
    assert any("pip install tensorboard" in message for message in caplog.messages)
    assert "step 1/10 loss 0.5" in caplog.messages and "event=output_drift now=30" in caplog.messages


def test_a_terminal_gets_a_live_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    shown = io.StringIO()
    view = View(tmp_path, World(), "my run", 0, 10)
    view.console = Console(file=shown, force_terminal=True, width=120)
    with view:
        view.record({"step": 4, "loss": 0.25, "images_per_second": 33.0})
        view.advance(4)
        view.event({"event": "bad_sample", "id": "set/[red]7"})
    text = shown.getvalue()
    assert "my run" in text and "4/10" in text and "loss 0.25" in text and "images_per_second 33" in text
    assert "set/[red]7" in text  # names are not markup


def test_other_processes_are_silent_but_for_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with View(tmp_path, World(rank=3, size=4), "test", 0, 10) as view:
        view.record({"step": 1, "loss": 0.5})
        view.event({"event": "bad_sample", "id": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["events_0003.jsonl"]
