"""Train the bundled `depth-anything-v2-tiny` from random weights on rendered scenes, on a CPU.

    python -m model_zoo.depth_anything_v2.training.tiny --data RENDERED --out RUN --minutes 60

RUN receives `checkpoint.pt` (everything needed to go on), `training_log.jsonl` and `model.safetensors`. The same call
goes on after a kill. The data folder may still be growing; the budget may be changed when going on.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..checkpoint import save_state
from ..config import CONFIGS
from ..model import DepthAnythingV2
from .augment import Augmentation, Batch, make_batch
from .initialise import initialise
from .losses import CollapseDetector
from .monitor import evaluate
from .muon import Muon
from .output import close_output, open_output
from .parallel import LossWeights, Workers
from .rendered import RenderedPool

log = logging.getLogger("tiny")

MODEL_NAME = "depth-anything-v2-tiny"
MUON_RATE = 1.0
"""Learning rate of the hidden matrices, relative to the rest."""

CALIBRATION_IMAGES = 96

NAN_LIMIT = 50
"""Steps of a run that may be skipped for a non-finite loss or gradient before it gives up."""


@dataclass(frozen=True)
class Settings:
    """Everything that shapes the result besides the data and the budget."""

    seed: int = 0
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.03
    """Share of the budget."""
    gradient_weight: tuple[float, float] = (0.25, 1.0)
    """Weight of L_gm at the start and, linearly, at the end of the budget: layout first, then edges."""
    ranking_weight: float = 0.5
    """Weight of the ranking loss, whose pairs cannot be won by the height in the image."""
    anchor_until: float = 0.5
    """Share of the budget over which the loss goes from `anchored_loss` to the invariant one."""
    clip: float = 1.0
    ema: float = 0.995
    sizes: tuple[tuple[float, int, int], ...] = ((0.3, 84, 112), (0.85, 112, 154), (1.0, 168, 224))
    """(until this share of the budget, rows, columns): coarse first, several times cheaper a sample."""
    optimiser: str = "muon"
    workers: int = 2
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes of training time over all sessions."""

    steps: int | None = None
    minutes: float | None = None

    def progress(self, step: int, elapsed: float) -> float:
        """Share of the budget used, 0 to 1, after `step` steps and `elapsed` seconds."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None
        return min(1.0, elapsed / (60 * self.minutes))


def rate(progress: float, settings: Settings) -> float:
    """Learning rate at `progress`: linear up over `warmup`, linear down to zero at 1."""
    if progress < settings.warmup:
        return settings.learning_rate * max(progress, 1e-3) / settings.warmup
    return settings.learning_rate * (1 - progress) / (1 - settings.warmup)


def gradient_weight_at(progress: float, settings: Settings) -> float:
    """Weight of the gradient term at `progress`."""
    start, end = settings.gradient_weight
    return start + (end - start) * progress


def anchor_at(progress: float, settings: Settings) -> float:
    """Share of the anchored loss at `progress`."""
    return max(0.0, 1 - progress / settings.anchor_until)


def size_at(progress: float, settings: Settings) -> tuple[int, int]:
    """Input size (rows, columns) at `progress`."""
    for until, rows, columns in settings.sizes:
        if progress < until:
            return rows, columns
    return settings.sizes[-1][1:]


def make_optimisers(model: DepthAnythingV2, settings: Settings) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices and AdamW for the rest, or AdamW for all."""
    qkv: list[nn.Parameter] = []
    hidden: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_hidden = ".blocks." in name or "resConfUnit" in name or "_rn." in name
        if parameter.ndim < 2 or name.endswith(("pos_embed", "cls_token")):
            plain.append(parameter)
        elif not is_hidden or settings.optimiser == "adamw":
            decayed.append(parameter)
        else:
            (qkv if ".qkv." in name else hidden).append(parameter)
    adamw = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
    )
    if settings.optimiser == "adamw":
        return [adamw]
    halves: list[list[dict[str, object]]] = [
        [{"params": qkv[i::2], "split": 3}, {"params": hidden[i::2]}] for i in range(2)
    ]  # one a thread
    return [*(Muon(half, lr=settings.learning_rate, weight_decay=settings.weight_decay) for half in halves), adamw]


class Trainer:
    """One training run in one folder. `run` returns when the budget is used or `stop` was called."""

    def __init__(
        self, data: tuple[Path, ...], out: Path, settings: Settings, budget: Budget, repeats: tuple[int, ...] = ()
    ) -> None:
        self.out, self.settings, self.budget = out, settings, budget
        self.pool = RenderedPool(data, repeats)
        self.model = DepthAnythingV2(CONFIGS["tiny"])
        initialise(self.model, settings.seed)
        open_output(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimisers = make_optimisers(self.model, settings)
        self.workers = Workers(self.model, settings.workers)
        self.detector = CollapseDetector()
        self.step = self.skipped = self.samples_seen = 0
        self.elapsed = 0.0
        self._stopping = threading.Event()
        out.mkdir(parents=True, exist_ok=True)
        if (out / "checkpoint.pt").exists():
            self._load()

    @property
    def progress(self) -> float:
        """Share of the budget used."""
        return self.budget.progress(self.step, self.elapsed)

    def stop(self) -> None:
        """Ask `run` to save and return after the step in progress."""
        self._stopping.set()

    def run(self, checkpoint_every: float = 120.0, log_every: int = 10, rescan_every: float = 60.0) -> None:
        """Train until the budget is used. Times in seconds; the log line of a validation carries its scores."""
        self.pool.scan()
        if len(self.pool.train) < self.settings.batch_size:
            raise SystemExit(f"{len(self.pool.train)} training images in {self.pool.roots}: too few to start")
        sizes = len(self.pool.train), len(self.pool.validation)
        log.info("%d training and %d validation images; step %d", *sizes, self.step)
        batches = self._prefetch(rescan_every)
        last_save = time.monotonic()
        while self.progress < 1.0 and not self._stopping.is_set():
            began = time.monotonic()
            record = self._train_step(next(batches))
            self.elapsed += time.monotonic() - began
            if self.step % log_every == 0:
                self._write(record)
            if time.monotonic() - last_save > checkpoint_every:
                began = time.monotonic()
                self._write(record | self.validate())
                self.elapsed += time.monotonic() - began
                self.save()
                last_save = time.monotonic()
        if self.progress >= 1.0:
            self._write({"step": self.step, "progress": 1.0} | self.validate())
        self.save()
        self.export(self.out / "model.safetensors")

    def _prefetch(self, rescan_every: float) -> Iterator[Batch]:
        """Batches made in a thread (OpenCV and NumPy release the lock); batch n depends on the seed, n and the pool."""
        ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=2)

        def produce() -> None:
            step, scanned = self.step, time.monotonic()
            try:
                while not self._stopping.is_set():
                    if time.monotonic() - scanned > rescan_every:
                        self.pool.scan()
                        scanned = time.monotonic()
                    rng = np.random.default_rng([self.settings.seed, step])
                    size = size_at(self.budget.progress(step, self.elapsed), self.settings)
                    samples = self.pool.draw(rng, self.settings.batch_size)
                    ready.put(make_batch(samples, rng, size, self.settings.augmentation))
                    step += 1
            except BaseException as error:
                ready.put(error)

        threading.Thread(target=produce, daemon=True).start()
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item

    def _train_step(self, batch: Batch) -> dict[str, Any]:
        learning_rate = rate(self.progress, self.settings)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * (MUON_RATE if isinstance(optimiser, Muon) else 1.0)
        weights = LossWeights(
            gradient=gradient_weight_at(self.progress, self.settings),
            ranking=self.settings.ranking_weight,
            anchor=anchor_at(self.progress, self.settings),
        )
        loss, prediction = self.workers.gradients(batch, weights)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip))
        spread, zeros = self.detector.measure(prediction)
        if math.isfinite(norm) and math.isfinite(loss.total):
            self.workers.each(lambda optimiser: optimiser.step(), self.optimisers)
            self._update_average()
            self.detector.update(loss.data, spread, zeros)
        else:
            self.skipped += 1
            if self.skipped >= NAN_LIMIT:
                raise RuntimeError(f"{self.skipped} steps had a non-finite loss or gradient; the checkpoint is whole")
        self.step += 1
        self.samples_seen += len(batch.images)
        return {
            "step": self.step,
            "progress": round(self.progress, 5),
            "seconds": round(self.elapsed, 1),
            "samples": self.samples_seen,
            "pool": len(self.pool.train),
            "size": list(batch.target.shape[1:]),
            "learning_rate": learning_rate,
            "loss": loss.total,
            "loss_ssi": loss.data,
            "loss_gradient": loss.gradient,
            "loss_ranking": loss.ranking,
            "gradient_norm": norm,
            "spread": spread,
            "zero_fraction": zeros,
            "skipped": self.skipped,
        }

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def validate(self) -> dict[str, Any]:
        """Scores of the averaged weights on held-out scenes, at the final input size."""
        scores = evaluate(self.average, list(self.pool.validation), self.settings.sizes[-1][1:])
        return {f"validation/{name}": value for name, value in scores.items()} | {"time": datetime.now().isoformat()}

    def _write(self, record: dict[str, Any]) -> None:
        with (self.out / "training_log.jsonl").open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        log.info(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in record.items()))

    def save(self) -> None:
        """Write `checkpoint.pt` whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "detector": asdict(self.detector),
            "counters": [self.step, self.skipped, self.samples_seen, self.elapsed],
            "settings": json.dumps(asdict(self.settings), sort_keys=True),
        }
        partial = self.out / "checkpoint.partial"
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self.out / "checkpoint.pt")

    def _load(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        if state["settings"] != json.dumps(asdict(self.settings), sort_keys=True):
            log.warning("settings differ from the checkpoint's; going on with the new ones")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.detector = CollapseDetector(**state["detector"])
        self.step, self.skipped, self.samples_seen, self.elapsed = state["counters"]
        log_file = self.out / "training_log.jsonl"
        lines = log_file.read_text().splitlines() if log_file.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= self.step]
        log_file.write_text("".join(line + "\n" for line in kept))

    def export(self, path: Path) -> None:
        """The averaged weights in half precision under the official names, with how they were made as metadata."""
        training = {"steps": self.step, "samples": self.samples_seen, "images": len(self.pool.train)}
        metadata = {
            "name": MODEL_NAME,
            "licence": "Apache-2.0",
            "training": json.dumps(training),
            "settings": json.dumps(asdict(self.settings)),
        }
        calibration = (self.pool.validation + self.pool.train)[:CALIBRATION_IMAGES]
        network = close_output(self.average, calibration, self.settings.sizes[-1][1:])
        save_state(network, path, dtype=torch.float16, metadata=metadata)


def minutes_until(clock: str, elapsed: float) -> float:
    """Budget in minutes for a run that has used `elapsed` seconds and is to end at the next local time HH:MM."""
    now = datetime.now()
    hour, minute = map(int, clock.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return (elapsed + (end - now).total_seconds()) / 60


def main(arguments: list[str] | None = None) -> None:
    """Command line: train, or go on, until the budget is used; `--export FILE` writes the current weights and ends."""
    parser = argparse.ArgumentParser(prog="python -m model_zoo.depth_anything_v2.training.tiny", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True, help="rendered set; may be repeated")
    parser.add_argument("--repeat", type=int, action="append", help="how often the images of each --data count; 1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an existing run goes on")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--until", metavar="HH:MM", help="end at this local time instead")
    parser.add_argument("--batch-size", type=int, default=Settings.batch_size)
    parser.add_argument("--learning-rate", type=float, default=Settings.learning_rate)
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default=Settings.optimiser)
    parser.add_argument("--workers", type=int, default=Settings.workers, help="threads, each with its part of a batch")
    shares = [share for share, *_ in Settings.sizes[:-1]]
    parser.add_argument("--sizes-until", type=float, nargs=2, default=shares, metavar="SHARE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the run's current weights and end")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    untils = [*options.sizes_until, 1.0]
    settings = replace(
        Settings(),
        seed=options.seed,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        optimiser=options.optimiser,
        workers=options.workers,
        sizes=tuple((until, *size[1:]) for until, size in zip(untils, Settings.sizes, strict=True)),
    )
    budget = Budget(options.steps, options.minutes)
    trainer = Trainer(tuple(options.data), options.out, settings, budget, tuple(options.repeat or ()))
    if options.export:
        trainer.export(options.export)
        return
    if options.until:
        trainer.budget = Budget(minutes=minutes_until(options.until, trainer.elapsed))
    elif options.steps is None and options.minutes is None:
        parser.error("give one of --steps, --minutes and --until")
    signal.signal(signal.SIGTERM, lambda *_: trainer.stop())
    trainer.run()


if __name__ == "__main__":
    main()
