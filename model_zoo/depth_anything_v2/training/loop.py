"""One training run, from a recipe to exported weights.

    OUT/recipe.toml            the recipe, every setting written out, and its hash in each checkpoint
    OUT/log.jsonl              one record every run.log_every steps; events.jsonl: what was out of the ordinary
    OUT/checkpoints/step_*/    where the same call goes on
    OUT/model.safetensors      official names; OUT/predictions.jpg: images beside predictions

Step t trains on positions [t B, (t + 1) B) of one global sequence, and everything random is drawn from the seed and the
position or the step, so the step number is the whole state of the data, at any number of processes.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from dabench.errors import CheckpointError, DabenchError, UsageError

from .alarms import Alarms, finite
from .checkpoints import Checkpoints
from .concatenated import ConcatenatedDataset, Part
from .distributed import World, open_world, spread, whole
from .export import close, export, first_images, gather_network, picture
from .feed import Batch, Feed, feed_settings
from .gradients import Gradients, StepLoss
from .interrupt import stopped_by_signals
from .network import TrainedNetwork, compile_network
from .objectives import LossSettings, Objective
from .optim import Average, make_optimisers, set_rates, states_by_name
from .recipe import Recipe, SetChoice
from .run_folder import prepare_folder, refuse_other_recipe
from .scaling import LossScale
from .starting import frozen_encoder, start_network
from .validation import evaluate
from .view import View

SHOWN_IMAGES, CALIBRATION_IMAGES = 6, 96

MOST_THREADS = 8
"""Replicas on a CPU, each with gradients of its own; more cores are shared out among them."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `finished` is False when it was asked to stop; the same call then goes on from `checkpoint`.

    `export` and `preview` are written by a finished run only. `scores` are the last validation's, by name.
    """

    finished: bool
    step: int
    out: Path
    checkpoint: Path | None
    export: Path | None = None
    preview: Path | None = None
    scores: dict[str, float] = dataclasses.field(default_factory=dict)


def train(
    recipe: Recipe,
    data_root: Path,
    out: Path,
    *,
    resume: bool = True,
    device: str = "auto",
    fresh: bool = False,
) -> RunResult:
    """Train as `recipe` says on the sets below `data_root`, into the folder `out`; under torchrun, with all processes.

    Goes on from the newest checkpoint in `out`; `fresh` removes what is there first, and without `resume` it is an
    error that something is there. SIGTERM or SIGINT end the run after the step in progress, with a checkpoint.

    Raises:
        UsageError: the recipe differs from the checkpoint's in a setting that shapes the result.
        DatasetError: a set is absent, or too many of its images are unusable.
        CheckpointError: start weights or a checkpoint cannot be read, or a checkpoint cannot be written.
        TrainingStoppedError: the network collapsed or diverged, or too many steps were not finite.
    """
    with open_world(device) as world:
        prepare_folder(recipe, out, world, resume=resume, fresh=fresh)
        data = open_sets(recipe.data.sets, data_root)
        held_out = open_sets(recipe.data.validation, data_root) if recipe.data.validation else None
        return Trainer(recipe, data, held_out, data_root, out, world).run()


def open_sets(choices: Sequence[SetChoice], data_root: Path) -> ConcatenatedDataset:
    """The sets of a recipe as one."""
    from .datasets import open_dataset

    return ConcatenatedDataset(
        [Part(open_dataset(c.dataset, data_root / c.root, **c.options), c.repeat) for c in choices]
    )


class Trainer:
    """The state of a run: network, optimisers, average, alarms and step. `run` trains until the end or a signal."""

    def __init__(
        self,
        recipe: Recipe,
        data: ConcatenatedDataset,
        held_out: ConcatenatedDataset | None,
        data_root: Path,
        out: Path,
        world: World,
    ) -> None:
        self.recipe, self.data, self.held_out, self.out, self.world = recipe, data, held_out, out, world
        run, optim = recipe.run, recipe.optim
        pieces = world.size * run.accumulate * (recipe.data.cutmix_group if recipe.data.cutmix else 1)
        if recipe.data.batch % pieces:
            raise UsageError(
                f"data.batch {recipe.data.batch} does not divide into {world.size} processes x {run.accumulate} pieces"
                + (f" x CutMix groups of {recipe.data.cutmix_group}" if recipe.data.cutmix else ""),
                hint=f"use a multiple of {pieces}, or another number of processes",
            )
        if world.device.type == "cpu" and run.precision == "fp16":
            raise UsageError("run.precision fp16 is for GPUs", hint="--set run.precision=fp32 (or bf16)")
        self.network = start_network(recipe, data_root).to(world.device)
        encoder = self.network.pretrained
        encoder.set_grad_checkpointing(run.activation_checkpointing)
        if run.compile:
            compile_network(self.network)
        aligned = recipe.loss.feature_weight > 0
        self.frozen = frozen_encoder(recipe, data_root).to(world.device) if aligned else None
        wrapped = TrainedNetwork(self.network, run.precision, features=aligned)
        self.model = spread(wrapped, world, run.shard, list(encoder.blocks), bf16=run.precision == "bf16")
        self.threads = self._threads()
        objective = Objective(
            LossSettings(**dataclasses.asdict(recipe.loss)), max_depth=recipe.model.max_depth, seed=recipe.data.seed
        )
        self.gradients = Gradients(
            self.model, objective, world, frozen=self.frozen, precision=run.precision, threads=self.threads
        )
        self.optimisers = make_optimisers(self.network, optim, muon_parts=self.threads)
        self.average = Average(self.network, optim.ema) if optim.ema is not None else None
        self.alarms = Alarms(run)
        self.scale = LossScale.for_precision(run.precision)
        self.checkpoints = Checkpoints(out / "checkpoints", world, run.keep)
        self.step, self.seconds = 0, 0.0
        self.scores: dict[str, float] = {}
        self._stopping = threading.Event()
        self._saved: Path | None = None

    def _threads(self) -> int:
        """Replicas in threads beat operators that each split themselves over a few cores by a factor."""
        if self.world.device.type != "cpu" or self.world.size > 1:
            return 1
        if self.recipe.model.drop_path or self.recipe.run.compile:
            return 1  # the generator that drop path draws from is shared by threads, in no fixed order
        images = self.recipe.data.batch // self.recipe.run.accumulate
        return max(1, min(torch.get_num_threads(), images, MOST_THREADS))

    def run(self) -> RunResult:
        """Train to the last step, or until asked to stop; save, and at the end export."""
        found = self.checkpoints.latest()
        if found is not None:
            self.restore(found)
        with (
            View(self.out, self.world, self.recipe.name, self.step, self.recipe.run.steps) as view,
            stopped_by_signals(self._stopping),
        ):
            if found is not None:
                view.note(f"going on from step {self.step} ({found})")
            finished = self._steps(view)
            if self._saved is None or self._saved.name != f"step_{self.step:08d}":
                self.save()
            if not finished:
                view.note(f"stopped at step {self.step}; the same command goes on from {self._saved}")
                return RunResult(False, self.step, self.out, self._saved, scores=self.scores)
            exported, preview = self._finish()
            self.gradients.close()
            return RunResult(True, self.step, self.out, self._saved, exported, preview, self.scores)

    def _steps(self, view: View) -> bool:
        run = self.recipe.run
        if self.step >= run.steps:
            return True
        with self._feed() as feed:
            mark = _Mark(self.step, feed.waited_seconds)
            while self.step < run.steps:
                if self.recipe.model.drop_path:
                    torch.manual_seed((self.recipe.data.seed * 1_000_003 + self.step) * 4099 + self.world.rank)
                pieces = [next(feed) for _ in range(run.accumulate)]
                for bad in feed.events():
                    view.event({"event": "bad_sample", "step": self.step, **bad._asdict()})
                loss, norm, rate = self.train_step(pieces, view)
                view.advance(self.step)
                due = self.step % run.log_every == 0 or self.step == run.steps
                record: dict[str, Any] = {}
                if due:
                    record = self._record(loss, norm, rate, mark, feed)
                    mark = _Mark(self.step, feed.waited_seconds)
                    self.seconds += record["interval_seconds"]
                if run.validate_every and (self.step % run.validate_every == 0 or self.step == run.steps):
                    scores = self.validate()
                    record = {"step": self.step, **record, **scores} if scores else record
                if record:
                    view.record(record)
                if loss.stop:
                    return False
                if self.step % run.checkpoint_every == 0 and self.step < run.steps:
                    self.save()
        return True

    def _feed(self) -> Feed:
        """Pieces of batches from the current step on.

        A piece is a batch of its own, so that accumulated pieces hold the same images at any number of processes.
        """
        data, run = self.recipe.data, self.recipe.run
        resident = all(getattr(part.dataset, "resident", False) for part in self.data.parts)
        return Feed(
            self.data,
            feed_settings(self.recipe),
            batch=data.batch // run.accumulate,
            rank=self.world.rank,
            world=self.world.size,
            start_step=self.step * run.accumulate,
            stop_step=run.steps * run.accumulate,
            workers=data.workers,
            kind="threads" if resident else "processes",
            device=self.world.device,
        )

    def train_step(self, pieces: Sequence[Batch], view: View) -> tuple[StepLoss, float, float]:
        """One optimiser step on the global batch; (numbers, gradient norm before clipping, decoder's learning rate).

        A step whose loss or gradient is not finite is left out by all processes together, and counted.
        """
        run = self.recipe.run
        rate = set_rates(self.optimisers, self.step, run.steps, self.recipe.optim)
        progress = self.step / run.steps
        loss = self.gradients.compute(pieces, progress, scale=self.scale.value, stop=self._stopping.is_set())
        norm = self._clip()
        self.step += 1
        if finite(loss.parts["total"], norm):
            self.gradients.each(lambda optimiser: optimiser.step(), self.optimisers)
            self.scale.succeeded(run.precision)
            if self.average is not None:
                self.average.update(self.network, self.step)
            events = self.alarms.update(
                self.step,
                loss.parts["total"],
                ssi=loss.parts.get("data"),
                spread=loss.spread,
                zeros=loss.zeros,
                magnitude=loss.magnitude,
            )
        elif finite(loss.parts["total"]) and self.scale.overflowed():
            events = [{"event": "loss_scale_halved", "step": self.step, "scale": self.scale.value}]
        else:
            what = "gradient" if finite(loss.parts["total"]) else "loss"
            images = [name for piece in pieces for name in piece.ids]
            events = [{**self.alarms.skip(self.step, what), "images": images}]
        for event in events:
            if self.world.first or event["event"] == "skipped_step":
                view.event(event)
        return loss, norm, rate

    def _clip(self) -> float:
        """Norm of the whole gradient, undoing the loss scale; clips it in place."""
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.scale.value != 1.0:
            torch._foreach_mul_(gradients, 1 / self.scale.value)
        norm = whole(torch.nn.utils.get_total_norm(gradients))
        if self.recipe.optim.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.optim.clip, norm)
        return float(norm)

    def _record(self, loss: StepLoss, norm: float, rate: float, mark: _Mark, feed: Feed) -> dict[str, Any]:
        elapsed = time.perf_counter() - mark.time
        images = (self.step - mark.step) * self.recipe.data.batch
        record = {
            "step": self.step,
            "loss": loss.parts["total"],
            **{f"loss/{name}": value for name, value in loss.parts.items() if name != "total"},
            "learning_rate": rate,
            "gradient_norm": norm,
            "spread": loss.spread,
            "zero_share": loss.zeros,
            "magnitude": loss.magnitude,
            "images_per_second": images / elapsed,
            "wait_share": min((feed.waited_seconds - mark.waited) / elapsed, 1.0),
            "interval_seconds": elapsed,
            "seconds": self.seconds + elapsed,
            "skipped": self.alarms.skipped,
            "bad_images": feed.bad,
        }
        if self.world.device.type == "cuda":
            record["memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        return record

    def validate(self) -> dict[str, float]:
        """Scores on the held-out sets, of the averaged weights where there are some, as `validation/<name>`."""
        if self.held_out is None:
            return {}
        count = min(len(self.held_out), self.recipe.run.validate_images)
        eager: Any = torch.compiler.set_stance("force_eager") if self.recipe.run.compile else nullcontext()
        with self._averaged(), eager:
            scores = evaluate(
                self.model,
                self.held_out.read,
                count,
                min(self.recipe.data.size),
                self.world,
                max_depth=self.recipe.model.max_depth,
                threads=self.threads,
            )
        self.scores = scores
        return {f"validation/{name}": value for name, value in scores.items()}

    def _averaged(self) -> Any:
        return nullcontext() if self.average is None else self.average.swapped_into(self.network)

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds, the tensors themselves."""
        found = {f"model.{name}": value.detach() for name, value in self.network.named_parameters()}
        found |= {f"optimiser.{k}": v for k, v in states_by_name(self.network, self.optimisers).items()}
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in self.average.values.items()}
        return found

    def save(self) -> Path:
        """Write a checkpoint. Raises CheckpointError when the disk does not take it."""
        facts = {
            "step": self.step,
            "seconds": self.seconds,
            "sha256": self.recipe.sha256,
            "recipe": msgspec.to_builtins(self.recipe),
            "alarms": self.alarms.state(),
            "loss_scale": [self.scale.value, self.scale.good],
            "scores": self.scores,
            "processes": self.world.size,
            "torch": torch.__version__,
        }
        self._saved = self.checkpoints.save(self.step, self.tensors(), facts)
        return self._saved

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises UsageError when the recipe has changed in what shapes the result."""
        facts = self.checkpoints.facts(path)
        refuse_other_recipe(path, facts, self.recipe)
        self.checkpoints.load(path, self.tensors())
        self.step, self.seconds = facts["step"], facts["seconds"]
        self.alarms.restore(facts["alarms"])
        self.scale = LossScale(*facts["loss_scale"])
        self.scores = facts["scores"]
        self._saved = path

    def _finish(self) -> tuple[Path, Path | None]:
        """Export and picture by the first process; the others help to gather the weights."""
        with self._averaged():
            network = gather_network(self.network, keep=self.world.first)
        path, preview = self.out / "model.safetensors", self.out / "predictions.jpg"
        problem: DabenchError | None = None
        if network is not None:
            side, seed = min(self.recipe.data.size), self.recipe.data.seed
            network.to(self.world.device)
            try:
                close(network, first_images(self.data, seed, CALIBRATION_IMAGES), side, self.threads)
                export(network, path, {"name": self.recipe.name, "training": self._summary()})
                picture(network, first_images(self.held_out or self.data, seed, SHOWN_IMAGES), side, preview)
            except DabenchError as error:
                problem = error
        if self.world.any(problem is not None):
            raise problem or CheckpointError(f"{path} could not be written by the first process")
        return path, preview

    def _summary(self) -> str:
        facts = {
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.sha256,
            "steps": self.step,
            "samples": self.step * self.recipe.data.batch,
            "scores": self.scores,
        }
        return json.dumps(facts)


class _Mark:
    """When a log interval began."""

    def __init__(self, step: int, waited: float) -> None:
        self.step, self.waited, self.time = step, waited, time.perf_counter()
