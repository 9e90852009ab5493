"""The training run of the bundled model: learns, resumes exactly, refuses bad numbers, exports loadable weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_zoo.depth_anything_v2.checkpoint import build, load_state
from model_zoo.depth_anything_v2.config import CONFIGS
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training import tiny
from model_zoo.depth_anything_v2.training.augment import Augmentation, make_batch
from model_zoo.depth_anything_v2.training.initialise import initialise
from model_zoo.depth_anything_v2.training.losses import CollapseError, depth_loss, ranking_loss
from model_zoo.depth_anything_v2.training.monitor import evaluate, predict
from model_zoo.depth_anything_v2.training.output import close_output, open_output
from model_zoo.depth_anything_v2.training.parallel import LossWeights, Workers
from model_zoo.depth_anything_v2.training.rendered import RenderedPool
from model_zoo.depth_anything_v2.training.tiny import Budget, Settings, Trainer

SMALL = Settings(batch_size=4, sizes=((0.5, 28, 42), (1.0, 42, 56)))


@pytest.fixture
def data(write_rendered_set: Any, tmp_path: Path) -> Path:
    write_rendered_set(tmp_path / "data", list(range(60)))
    return tmp_path / "data"


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [value.detach().clone() for value in trainer.model.parameters()]


@pytest.mark.slow
def test_interrupted_run_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    whole = Trainer((data,), tmp_path / "whole", SMALL, Budget(steps=8))
    whole.run(log_every=1)
    cut = Trainer((data,), tmp_path / "cut", SMALL, Budget(steps=8))
    write = cut._write

    def stop_at_three(record: dict[str, Any]) -> None:
        write(record)
        if record["step"] == 3:
            cut.stop()

    cut._write = stop_at_three  # type: ignore[method-assign]
    cut.run(log_every=1)
    assert cut.step == 3
    (tmp_path / "cut" / "checkpoint.partial").write_bytes(b"half")  # a kill while saving
    with (tmp_path / "cut" / "training_log.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 5}) + "\n")  # logged after the last checkpoint
    resumed = Trainer((data,), tmp_path / "cut", SMALL, Budget(steps=8))
    assert resumed.step == 3 and resumed.elapsed > 0
    resumed.run(log_every=1)
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(whole.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(a, b)
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "training_log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and set(steps) == set(range(1, 9))


@pytest.mark.slow
def test_training_lowers_the_loss_and_exports_a_model_that_loads(data: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, augmentation=Augmentation(colour=0, style=0, erase=0, noise=0, shading=0))
    trainer = Trainer((data,), tmp_path / "run", settings, Budget(steps=40))
    trainer.pool.scan()
    before = evaluate(trainer.average, trainer.pool.validation, (42, 56))
    trainer.run(log_every=10)
    after = trainer.validate()
    assert after["validation/loss"] < 0.7 * before["loss"]
    path = tmp_path / "run" / "model.safetensors"
    state = load_state(path)
    assert (state.encoder, state.kind, state.format) == ("tiny", "relative", "official")
    assert state.metadata["name"] == tiny.MODEL_NAME
    assert {value.dtype for value in state.tensors.values()} == {torch.float16}
    assert path.stat().st_size < 12_000_000
    model = build(state, CONFIGS["tiny"])
    maps = predict(model, trainer.pool.validation, (42, 56))
    opened = predict(trainer.average.eval(), trainer.pool.validation, (42, 56))
    correlation = np.corrcoef(maps.flatten(), opened.flatten())[0, 1]
    assert (maps > 0).all() and correlation > 0.999


def test_closed_output_keeps_the_order_and_stays_positive(data: Path) -> None:
    pool = RenderedPool((data,))
    pool.scan()
    model = DepthAnythingV2(CONFIGS["tiny"])
    initialise(model, 0, output_bias=-5.0)
    open_output(model)
    model.eval()
    closed = close_output(model, pool.train[:8], (42, 56))
    a, b = predict(model, pool.train[:8], (42, 56)), predict(closed, pool.train[:8], (42, 56))
    assert a.max() < 0
    assert float(b.min()) == pytest.approx(0.5, abs=1e-3) and float(b.max()) == pytest.approx(1.5, abs=1e-3)
    slope = (b.max() - b.min()) / (a.max() - a.min())
    torch.testing.assert_close(b - b.min(), slope * (a - a.min()), atol=1e-3, rtol=0)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_gradient_does_not_depend_on_the_number_of_workers(data: Path, workers: int) -> None:
    pool = RenderedPool((data,))
    pool.scan()
    batch = make_batch(pool.train[:6], np.random.default_rng(0), (28, 42), Augmentation(geometry=0))
    model = DepthAnythingV2(CONFIGS["tiny"])
    initialise(model, 0)
    target, valid, near, far = map(torch.from_numpy, (batch.target, batch.valid, batch.near, batch.far))
    output = model(torch.from_numpy(batch.images))
    loss = depth_loss(output, target, valid, 2.0).total + 0.5 * ranking_loss(output, valid, near, far)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    found, prediction = Workers(model, workers).gradients(batch, LossWeights(gradient=2.0, ranking=0.5))
    assert found.total == pytest.approx(loss.item(), rel=1e-4)
    assert prediction.shape == (6, 28, 42)
    floor = 1e-5 * max(float(gradient.abs().max()) for gradient in expected)  # the last bias has none but rounding
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, atol=floor, rtol=1e-3)


def test_non_finite_steps_are_skipped_and_counted(data: Path, tmp_path: Path) -> None:
    trainer = Trainer((data,), tmp_path / "run", SMALL, Budget(steps=8))
    trainer.pool.scan()
    good = make_batch(trainer.pool.train[:4], np.random.default_rng(0), (28, 42), Augmentation())
    bad = replace(good, images=np.full_like(good.images, np.nan))
    before = weights(trainer)
    record = trainer._train_step(bad)
    assert record["skipped"] == 1
    assert all(torch.equal(a, b) for a, b in zip(before, weights(trainer), strict=True))
    trainer._train_step(good)
    assert not all(torch.equal(a, b) for a, b in zip(before, weights(trainer), strict=True))
    trainer.skipped = tiny.NAN_LIMIT - 1
    with pytest.raises(RuntimeError, match="non-finite"):
        trainer._train_step(bad)


def test_collapse_stops_the_run(data: Path, tmp_path: Path) -> None:
    trainer = Trainer((data,), tmp_path / "run", SMALL, Budget(steps=8))
    trainer.pool.scan()
    trainer.detector.grace, trainer.detector.patience = 0, 2
    with torch.no_grad():
        trainer.model.depth_head.scratch.output_conv2[2].weight.zero_()
    batch = make_batch(trainer.pool.train[:4], np.random.default_rng(0), (28, 42), Augmentation())
    for parameter in trainer.model.parameters():
        parameter.requires_grad_(True)
    for optimiser in trainer.optimisers:
        optimiser.step = lambda: None  # type: ignore[method-assign]
    trainer._train_step(batch)
    with pytest.raises(CollapseError, match="constant"):
        trainer._train_step(batch)


def test_schedule_warms_up_decays_to_zero_and_grows_the_input() -> None:
    settings = Settings()
    rates = [tiny.rate(p, settings) for p in np.linspace(0, 1, 201)]
    assert rates[-1] == 0 and max(rates) == pytest.approx(settings.learning_rate, rel=0.01)
    peak = int(np.argmax(rates))
    assert peak <= 8 and rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    areas = [np.prod(tiny.size_at(p, settings)) for p in (0.0, 0.5, 0.99, 1.0)]
    assert areas == sorted(areas) and tiny.size_at(1.0, settings) == (168, 224)
    assert tiny.gradient_weight_at(0, settings) == 0.25 and tiny.gradient_weight_at(1, settings) == 1.0


def test_anchor_fades_out() -> None:
    settings = Settings()
    assert tiny.anchor_at(0, settings) == 1 and tiny.anchor_at(settings.anchor_until, settings) == 0
    assert tiny.anchor_at(1, settings) == 0


def test_budgets_and_clock() -> None:
    assert Budget(steps=10).progress(5, 1e9) == 0.5
    assert Budget(minutes=2).progress(10**9, 60) == 0.5
    assert 1 < tiny.minutes_until("00:00", 60) <= 24 * 60 + 1


def test_too_little_data_and_missing_budget_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="too few"):
        tiny.main(["--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run"), "--steps", "1"])
    with pytest.raises(SystemExit):
        tiny.main(["--data", str(data), "--out", str(tmp_path / "run")])
