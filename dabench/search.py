"""Which recipe explains published numbers: score a grid of recipes on the predictions of several models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.datasets.base import Dataset
from dabench.errors import DatasetError
from dabench.inference import Predicted, Predictor
from dabench.job import Opened, open_for, refuse
from dabench.kept import FOLDER, PredictionStore, Shelf, manifest_of
from dabench.loading import Loaded, Reader, SavedMaps
from dabench.passes import Setting
from dabench.pipeline import pipeline
from dabench.recipe_grid import Grid, Recipe
from dabench.records import SCHEMA, Json, RunFolder, describe_model, environment, provenance, to_json
from dabench.scoring.dense import Prepared, Workers
from dabench.scoring.rule import DenseRule
from dabench.types import DepthModel, GroundTruth, Prediction

SEARCHES = "search"
LARGE = 4_000_000
"""Pixels above which what rules share is let go between groups of rules, so that memory stays bounded."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SearchProgress:
    """State of one pass of a search: model and dataset, samples done and in all."""

    title: str
    done: int
    total: int


class _Part:
    """The recipes of a grid that read one split and one field with one inference setting."""

    def __init__(self, dataset: Dataset, ids: Sequence[str], finished: Mapping[str, Json]) -> None:
        self.dataset, self.ids, self._finished = dataset, tuple(ids), finished
        self.rule = True  # dense depth, as far as reading goes
        self._selected = frozenset(ids)

    def selects(self, sample_id: str) -> bool:
        return sample_id in self._selected

    def wants(self, sample_id: str) -> bool:
        return sample_id in self._selected and sample_id not in self._finished


@dataclass(frozen=True, eq=False)
class _Work:
    """What :class:`Reader` needs of a pass."""

    setting: Setting
    jobs: tuple[_Part, ...]


class GridScores:
    """Scores of one model under every recipe of a grid, image by image.

    Attributes:
        ids: every sample of any split.
        values: ``[sample, recipe, metric]``, NaN where a recipe does not use the sample or the sample could not be
            scored.
        failed: samples that could not be scored, with the reason.
    """

    def __init__(self, ids: Sequence[str], recipes: int, metrics: int) -> None:
        self.ids = tuple(ids)
        self.values: Values = np.full((len(self.ids), recipes, metrics), np.nan)
        self.failed: dict[str, str] = {}


def score_grid(
    model: DepthModel,
    grid: Grid,
    *,
    data_root: str | Path | None,
    out: Path,
    fresh: bool = False,
    subset: Sequence[str] | None = None,
    limit: int | None = None,
    workers: int = 2,
    settings: Mapping[str, Any] | None = None,
    keep_predictions: bool = False,
    request: Mapping[str, Any] | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
) -> GridScores:
    """Score every recipe of a grid, reading and predicting each image once for each inference setting.

    Finished samples are in ``out/search/<dataset>/<grid>/<model>`` and are not scored again. Kept predictions of
    ``out`` are used.

    Args:
        model, data_root, out, fresh, subset, limit, workers, settings, keep_predictions, request: as for
            :func:`dabench.evaluate.evaluate_many`.
        grid: the recipes.
        progress: called at the start of each pass and after every sample.

    Raises:
        UsageError, DatasetError, ProtocolError, RecordError: nothing was scored.
    """
    for recipe in grid.recipes:
        refuse(recipe.protocol, model.info)
    store = None
    if not isinstance(model, SavedMaps):
        store = PredictionStore(out / model.info.name / FOLDER)
        manifest = manifest_of(model.info, settings or {}, request)
        if keep_predictions:
            store.begin(manifest, fresh=fresh)
        elif not fresh:
            store.check(manifest)
    opened: Opened = {}
    datasets: dict[tuple[str, str], Dataset] = {}
    for recipe in grid.recipes:
        key = (recipe.split, recipe.field)
        if key not in datasets:
            datasets[key] = open_for(recipe.protocol, data_root, subset, opened)
    ids = {key: dataset.ids[:limit] for key, dataset in datasets.items()}
    every = list(dict.fromkeys(i for chosen in ids.values() for i in chosen))
    metrics = grid.recipes[0].rule.metrics
    scores = GridScores(every, len(grid.recipes), len(metrics))
    place = {sample_id: row for row, sample_id in enumerate(every)}
    selected = {key: frozenset(chosen) for key, chosen in ids.items()}
    for setting in dict.fromkeys(recipe.setting for recipe in grid.recipes):
        numbers = [n for n, recipe in enumerate(grid.recipes) if recipe.setting == setting]
        keys = list(dict.fromkeys((grid.recipes[n].split, grid.recipes[n].field) for n in numbers))
        folder = RunFolder(out / SEARCHES / grid.dataset / grid.sha256[:12] / model.info.name / setting.name)
        identity = {
            "dabench": provenance()["dabench"],
            "grid": grid.sha256,
            "model": describe_model(model.info),
            "datasets": {f"{split} {field}": datasets[split, field].fingerprint for split, field in keys},
            "settings": dict(settings or {}),
        }
        about: Json = to_json({"schema": SCHEMA, **provenance(), "identity": identity, "environment": environment()})
        with ExitStack() as stack:
            stack.enter_context(folder.writing())
            finished = folder.begin(about, fresh=fresh)
            parts = tuple(_Part(datasets[key], ids[key], finished) for key in keys)
            work = _Work(setting, parts)
            wanted = [i for i in every if any(part.selects(i) for part in parts)]
            batches = [[i] for i in wanted if i not in finished]
            shelf = store.shelf(grid.dataset, setting.name, model.info.output) if store is not None else None
            scorer = _Scorer([grid.recipes[n] for n in numbers], parts, shelf if keep_predictions else None)
            shown = "" if setting == Setting() else f" ({setting.name})"
            title = f"{model.info.name}  {grid.dataset}{shown}, {len(numbers)} recipes"

            def show(done: int, title: str = title, total: int = len(wanted)) -> None:
                if progress is not None:
                    progress(SearchProgress(title, done, total))

            show(len(wanted) - len(batches))
            keep = keep_predictions and shelf is not None
            reader = Reader(work, model, shelf, reuse=not fresh, keep=keep)  # type: ignore[arg-type]
            lines = pipeline(
                batches, reader, Predictor(model, setting), scorer, workers=workers, weigh=attrgetter("nbytes")
            )
            for done, line in enumerate(lines, start=len(wanted) - len(batches) + 1):
                finished[line["id"]] = folder.append(line)
                show(done)
        for sample_id in wanted:
            line = finished[sample_id]
            if line["status"] == "failed":
                scores.failed[sample_id] = line["error"]
                continue
            found = np.array(line["values"], dtype=np.float64)  # null becomes NaN
            for number, rule in zip(numbers, scorer.rule_of, strict=True):
                if sample_id in selected[grid.recipes[number].split, grid.recipes[number].field]:
                    scores.values[place[sample_id], number] = found[rule]
    return scores


def reachable(grid: Grid, data_root: str | Path | None, subset: Sequence[str] | None) -> tuple[Grid, dict[str, str]]:
    """The recipes of a grid whose data is there.

    Returns:
        The grid without the others, and for each split and field that cannot be read the reason.

    Raises:
        DatasetError: none is.
    """
    errors: dict[tuple[str, str], DatasetError] = {}
    tried: set[tuple[str, str]] = set()
    for recipe in grid.recipes:
        key = (recipe.split, recipe.field)
        if key not in tried:
            tried.add(key)
            try:
                open_for(recipe.protocol, data_root, subset)
            except DatasetError as error:
                errors[key] = error
    if len(errors) == len(tried):
        raise next(iter(errors.values()))
    left = grid.only(r for r in grid.recipes if (r.split, r.field) not in errors)
    return left, {f"split {split}, {field}": str(error) for (split, field), error in errors.items()}


class _Scorer:
    """Scores one prediction under all rules, which are fewer than the recipes: splits share them.

    Attributes:
        rule_of: number of each recipe's rule.
    """

    def __init__(self, recipes: Sequence[Recipe], parts: Sequence[_Part], shelf: Shelf | None) -> None:
        self._parts, self._shelf = parts, shelf
        self._workers = Workers()
        rules = {(recipe.field, repr(recipe.rule)): recipe for recipe in recipes}
        number = {key: index for index, key in enumerate(rules)}
        self.rule_of = [number[recipe.field, repr(recipe.rule)] for recipe in recipes]
        self._rules = [(recipe.field, recipe.rule) for recipe in rules.values()]
        # Rules that select the same pixels share the most, and are scored one after the other.
        self._order = sorted(range(len(self._rules)), key=lambda n: (self._rules[n][0], _selection(self._rules[n][1])))

    def __call__(self, predicted: Predicted) -> Json:
        """One line: the metrics of every rule, or why there are none."""
        loaded, outcome = predicted.loaded, predicted.outcome
        if self._shelf is not None and predicted.fresh and isinstance(outcome, Prediction):
            self._shelf.write(predicted.sample_id, loaded.checksum, outcome, predicted.seconds)
        line: Json = {"id": predicted.sample_id}
        try:
            if isinstance(outcome, Exception):
                raise outcome
            assert isinstance(outcome, Prediction)
            fields = {part.dataset.field for part in self._parts if part.selects(predicted.sample_id)}
            return {**line, "status": "ok", "values": self._values(outcome, loaded, fields)}
        except Exception as error:  # one bad sample must not end the search
            return {**line, "status": "failed", "error": f"{type(error).__name__}: {error}"}

    def _values(self, prediction: Prediction, loaded: Loaded, fields: set[str]) -> list[list[float] | None]:
        values: list[list[float] | None] = [None] * len(self._rules)
        prepared: Prepared | None = None
        held: tuple[str, str] | None = None
        for number in self._order:
            field, rule = self._rules[number]
            if field not in fields:
                values[number] = [float("nan")] * len(rule.metrics)
                continue
            truth = loaded.truths[field]
            if not isinstance(truth, GroundTruth):
                raise truth
            key = (field, _selection(rule) if truth.depth.size > LARGE else "")
            if prepared is None or key != held:
                prepared = Prepared(prediction, truth.depth, truth.valid, loaded.window, self._workers)
                held = key
            score = prepared.score(rule)
            values[number] = [score.metrics[name] for name in rule.metrics]
        return values


def _selection(rule: DenseRule) -> str:
    """What decides which pixels a rule counts."""
    return repr(
        (rule.crop_frame, rule.crop_region, rule.clip_to, rule.valid_min, rule.valid_max, rule.min_inclusive,
         rule.max_inclusive, rule.quantile_share, rule.quantile_factor)
    )  # fmt: skip
