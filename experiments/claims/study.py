"""Carries a study out: makes the sets, trains and labels in the order that things need each other, keeps results.

What is done is kept: a result on disk under the key of its recipe is not made again, and a training run that was cut
off goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from dabench.errors import CheckpointError, DabenchError
from model_zoo.depth_anything_v2.checkpoint import build, load_state
from model_zoo.depth_anything_v2.inference import InferenceNetwork
from model_zoo.depth_anything_v2.model import DepthAnythingV2
from model_zoo.depth_anything_v2.training.loop import train
from model_zoo.depth_anything_v2.training.pseudo_label.teacher import Teacher
from model_zoo.depth_anything_v2.training.pseudo_label.worker import LabelOptions, label_shards
from model_zoo.depth_anything_v2.training.recipe import Recipe
from model_zoo.depth_anything_v2.training.shards import find_shards
from model_zoo.depth_anything_v2.training.starting import config_of

from .arms import (
    BUNDLED,
    BUNDLED_COMMIT,
    TEACHER,
    Arm,
    Budget,
    is_start,
    labels_folder,
    needs_teacher,
    recipe_of,
    result_key,
    size_of,
    start_of,
    start_weights,
)
from .data import make_sets, read_truth
from .label_errors import erring
from .measure import measure

Say = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Folders of a study: `work` for what can be made again, `results` for what is kept, `page` for RESULTS.md."""

    work: Path
    results: Path
    page: Path

    @property
    def data(self) -> Path:
        """Sets and labels."""
        return self.work / "data"

    @property
    def figures(self) -> Path:
        """Plots and pictures of the page."""
        return self.page / "figures"

    def run(self, arm: str, seed: int) -> Path:
        """A training run's folder."""
        return self.work / "arms" / f"{arm}-{seed}"

    def result(self, arm: str, seed: int) -> Path:
        """A result file."""
        return self.results / f"{arm}-{seed}.json"


def read_result(places: Places, arm: Arm, seed: int, budget: Budget) -> dict[str, Any] | None:
    """The result of an arm, if it is there and up to date."""
    try:
        result: dict[str, Any] = json.loads(places.result(arm.name, seed).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return result if result.get("key") == result_key(arm, seed, budget) else None


def remaining(arms: Sequence[Arm], budget: Budget, places: Places) -> list[tuple[Arm, int]]:
    """Trainings to be done, in an order in which none waits for a later one; the seed of a teacher is its number.

    A teacher or a start counts as done when its weights are there too, which are not among what is kept.
    """

    def done(arm: Arm, seed: int) -> bool:
        if read_result(places, arm, seed, budget) is None:
            return False
        if is_start(arm):
            return (places.data / start_weights(recipe_of(arm, 0, budget).model.size, budget)).is_file()
        return arm != TEACHER or _trained(places, arm, seed, budget)

    todo = [(arm, seed) for arm in arms for seed in range(budget.seeds) if not done(arm, seed)]
    numbers = sorted({seed % budget.teachers for arm, seed in todo if needs_teacher(arm)})
    todo = [(TEACHER, number) for number in numbers if not done(TEACHER, number)] + todo
    sizes = sorted({size_of(arm, budget) for arm, _ in todo}, reverse=True)
    return [(start_of(size), 0) for size in sizes if not done(start_of(size), 0)] + todo


def estimate(arms: Sequence[Arm], budget: Budget, places: Places) -> float:
    """Seconds that a study still takes: from the results so far, else from what the budget says."""
    todo = remaining(arms, budget, places)
    starts = [start_of(size) for size in {"tiny", budget.teacher_size}]
    totals = []
    for role, group in enumerate((starts, [TEACHER], list(arms))):
        found = [read_result(places, arm, seed, budget) for arm in group for seed in range(budget.seeds)]
        seconds = [result["seconds"] for result in found if result is not None]
        each = statistics.median(seconds) if seconds else budget.seconds[role]
        totals.append(each * sum(arm in group for arm, _ in todo))
    first, teachers, students = totals
    return first + max((teachers + students) / budget.at_once, teachers / budget.teachers)  # all wait for a start


def run_study(arms: Sequence[Arm], budget: Budget, places: Places, say: Say) -> list[str]:
    """Make what is missing; the problems of trainings that failed, which do not stop the others."""
    todo = remaining(arms, budget, places)
    for folder in (places.data, places.results):
        folder.mkdir(parents=True, exist_ok=True)
    if any(recipe_of(arm, 0, budget).model.start == "file" for arm, _ in todo if is_start(arm)):
        _bring_bundled(places.data)
    os.environ.setdefault("OMP_NUM_THREADS", "1" if budget.device == "cpu" else "4")
    made = 0

    def progress(done: int, total: int) -> None:
        nonlocal made
        if done * 10 // total > made:
            made = done * 10 // total
            say(f"images {done}/{total}")

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(budget.at_once, mp_context=context, initializer=_start_worker) as pool:
        try:
            make_sets(budget.domains.all(), places.data, pool, progress)
            return _carry_out(_jobs(todo, budget, places), pool, say)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()  # a training ends after its step, with a checkpoint
            raise


@dataclass(frozen=True)
class _Job:
    name: str
    needs: tuple[str, ...]
    call: tuple[Any, ...]


def _jobs(todo: Sequence[tuple[Arm, int]], budget: Budget, places: Places) -> list[_Job]:
    jobs: dict[str, _Job] = {}
    for arm, seed in todo:
        name = f"{arm.name}-{seed}"
        needs = () if is_start(arm) else (f"{start_of(size_of(arm, budget)).name}-0",)
        if needs_teacher(arm):
            labels = labels_folder(seed, arm.errors, budget)
            teacher = f"{TEACHER.name}-{seed % budget.teachers}"
            jobs.setdefault(labels, _Job(labels, (teacher,), (label, seed, arm.errors, budget, places)))
            needs = (*needs, labels)
        jobs[name] = _Job(name, needs, (train_and_measure, arm, seed, budget, places))
    return [_Job(j.name, tuple(n for n in j.needs if n in jobs), j.call) for j in jobs.values()]


def _carry_out(jobs: Sequence[_Job], pool: Executor, say: Say) -> list[str]:
    """Start each job when what it needs is done, in the given order; what needs a failed one fails too."""
    waiting, running, done = list(jobs), dict[Future[str], str](), set[str]()
    problems: list[str] = []
    failed: set[str] = set()
    while waiting or running:
        for job in list(waiting):
            if failed & set(job.needs):
                waiting.remove(job)
                failed.add(job.name)
                problems.append(f"{job.name}: needs {', '.join(failed & set(job.needs))}")
            elif done >= set(job.needs):
                waiting.remove(job)
                running[pool.submit(*job.call)] = job.name
        finished, _ = wait(running, return_when=FIRST_COMPLETED) if running else (set(), set())
        for future in finished:
            name = running.pop(future)
            try:
                line = future.result()
            except DabenchError as error:
                failed.add(name)
                problems.append(f"{name}: {error}")
                say(f"{name} failed: {error}")
                continue
            done.add(name)
            say(f"{len(done)}/{len(jobs)} {name}: {line}")
    return problems


def _bring_bundled(data: Path) -> None:
    """Copy the bundled network to where recipes look for it, unless it is there.

    Raises CheckpointError if neither that file nor the package's is the network that the study goes on from.
    """
    from dabench.registry import models
    from model_zoo.hub import file_sha256, resolve_weights

    name, sha256 = BUNDLED
    target = data / f"bundled-{sha256[:8]}.safetensors"
    if target.is_file() and file_sha256(target) == sha256:
        return
    weights = resolve_weights(models().get(name))
    if weights.sha256 != sha256:
        raise CheckpointError(
            f"{weights.path} is not the network that this study goes on from: SHA-256 {weights.sha256[:12]}, "
            f"not {sha256[:12]}",
            hint=f"take it from an earlier commit: `git show {BUNDLED_COMMIT}:model_zoo/weights/{weights.path.name} > "
            f"{target}`; or set BUNDLED in arms.py and run the study anew",
        )
    shutil.copyfile(weights.path, target)


def _start_worker() -> None:
    if os.environ["OMP_NUM_THREADS"] == "1":
        torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _trained(places: Places, arm: Arm, seed: int, budget: Budget) -> bool:
    return _weights_of(places.run(arm.name, seed), recipe_of(arm, seed, budget)) is not None


def _weights_of(run: Path, recipe: Recipe) -> Path | None:
    """The exported weights of a finished run of this very recipe."""
    weights = run / "model.safetensors"
    same = (run / "recipe.toml").is_file() and (run / "recipe.toml").read_text() == recipe.text()
    return weights if same and weights.is_file() else None


def load_network(places: Places, arm: Arm, seed: int, budget: Budget) -> DepthAnythingV2 | None:
    """The trained network of an arm, on the CPU; None where it is not there."""
    recipe = recipe_of(arm, seed, budget)
    weights = _weights_of(places.run(arm.name, seed), recipe)
    return None if weights is None else build(load_state(weights), config_of(recipe.model)).eval()


def train_and_measure(arm: Arm, seed: int, budget: Budget, places: Places) -> str:
    """Train an arm, measure it on all test sets, write its result; one line about it.

    Raises:
        DabenchError: the training stopped, or a file cannot be read or written.
    """
    recipe, run = recipe_of(arm, seed, budget), places.run(arm.name, seed)
    if budget.device == "cpu":  # nothing else can run before there is a start
        torch.set_num_threads(budget.at_once if is_start(arm) else 1)
    if _weights_of(run, recipe) is None:
        other = (run / "recipe.toml").is_file() and (run / "recipe.toml").read_text() != recipe.text()
        (run / "model.safetensors").unlink(missing_ok=True)
        if not train(recipe, places.data, run, device=budget.device, fresh=other).finished:
            raise DabenchError(f"{run}: interrupted", hint="the same command goes on")
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
    if is_start(arm):
        published = places.data / start_weights(recipe.model.size, budget)
        shutil.copyfile(run / "model.safetensors", f"{published}.partial")
        Path(f"{published}.partial").replace(published)
    network = load_network(places, arm, seed, budget)
    assert network is not None
    device = torch.device(budget.device)
    network.to(device)
    started = time.perf_counter()
    scores = {
        name: measure(network, read_truth(places.data / spec.folder), device)
        for name, spec in budget.domains.tests.items()
    }
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    seconds = log[-1]["seconds"] + time.perf_counter() - started
    result = {
        "arm": arm.name,
        "seed": seed,
        "key": result_key(arm, seed, budget),
        "recipe_sha256": recipe.sha256,
        "steps": recipe.run.steps,
        "images": recipe.run.steps * recipe.data.batch,
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": round(seconds, 1),
        "loss": [round(record["loss"], 4) for record in log[:: max(1, len(log) // 10)]],
        "scores": scores,
    }
    path = places.result(arm.name, seed)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    partial.replace(path)
    means = {name: _mean(values) for name, values in scores["R"].items()}
    return f"{seconds:.0f} s, on R " + ", ".join(f"{name} {value:.3f}" for name, value in means.items())


def label(seed: int, errors: int, budget: Budget, places: Places) -> str:
    """Label R's pool by the teacher of student `seed`, with `errors` percent of the pixels made wrong; one line."""
    number = seed % budget.teachers
    network = load_network(places, TEACHER, number, budget)
    assert network is not None
    device = torch.device(budget.device)
    weights = _weights_of(places.run(TEACHER.name, number), recipe_of(TEACHER, number, budget))
    assert weights is not None
    digest = hashlib.sha256(weights.read_bytes() + str(errors).encode()).hexdigest()
    teacher = Teacher(
        erring(InferenceNetwork(network.to(device), device), errors / 100),
        name=f"teacher-{number} with errors at {errors} % of pixels",
        weights_sha256=digest,
        input_size=min(budget.size),
        device=device,
    )
    pool = places.data / budget.domains.r_pool.folder
    report = label_shards(
        find_shards([pool / "images"]), pool / labels_folder(seed, errors, budget), teacher, LabelOptions(threads=1)
    )
    if report.exit_code:
        raise DabenchError(f"labelling {pool} failed: {report.broken or 'too many images without a label'}")
    return f"{report.images} labels in {report.seconds:.0f} s"


def _mean(values: Sequence[int | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / max(len(known), 1) / 1e4
