"""The run: dataset x model x protocols -> records."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from dabench import protocols as recipes
from dabench.answering import Asker
from dabench.errors import DabenchError, UnknownNameError, UsageError
from dabench.inference import CallableModel, Predicted, Predictor
from dabench.job import Job, Opened, open_for, refuse
from dabench.kept import FOLDER, PredictionStore, manifest_of
from dabench.lines import Lines, Scorer
from dabench.loading import Reader, SavedMaps
from dabench.passes import Pass, plan
from dabench.pipeline import pipeline
from dabench.protocols import Protocol
from dabench.run import Metric, PassProgress, Progress, Run
from dabench.shards import Shard, tidy
from dabench.types import DepthModel, Image, Output, PairModel

__all__ = ["CallableModel", "Metric", "PassProgress", "Progress", "Run", "evaluate", "evaluate_many"]

Named = TypeVar("Named", DepthModel, PairModel, DepthModel | PairModel)
Model = DepthModel | PairModel | Callable[[Image], Any]


def evaluate(
    model: Model,
    protocol: Protocol | str,
    *,
    output: Output | str | None = None,
    name: str | None = None,
    data_root: str | Path | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    subset: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 1,
    workers: int = 2,
    settings: Mapping[str, Any] | None = None,
    keep_predictions: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Score one model under one protocol.

    Args:
        model: a model, of maps or of pairs, or any callable together with ``output``.
        protocol: a protocol, its name (newest version), its ``name@version``, or a dataset with one default protocol.
        output: what a callable's values mean: ``disparity``, ``depth`` or ``metric``.
        name: the callable's name in the records. A callable is known by this name only: after changing what it
            computes, give it another name or pass ``fresh``, or its earlier samples are kept.
        data_root: folder that holds one folder a dataset (the set itself, for ``pairs``).
        out: folder for the records; None keeps them in memory.
        fresh: discard an earlier run in ``out`` instead of continuing it, and predict again what was kept.
        subset: sample ids to score; only those need be on disk, and the summary is marked partial.
        limit: score the first ``limit`` samples; marked partial.
        batch_size: images given to the model at once. Batches are cut from the list of samples, so a resumed run
            predicts in the same batches.
        workers: threads that read ahead, and threads that score.
        settings: further settings to record (device, precision).
        keep_predictions: store every prediction in ``out``, exactly, to be scored again without the model.
        progress: called after every sample.

    Returns:
        The run. Failed samples are in it; they raise nothing.

    Raises:
        UsageError, DatasetError, ProtocolError, RecordError: nothing was scored.
    """
    recipe = protocol if isinstance(protocol, Protocol) else protocol_named(protocol)

    def show(state: PassProgress) -> None:
        assert progress is not None
        progress(state.runs[recipe.id])

    [run] = evaluate_many(
        model,
        [recipe],
        output=output,
        name=name,
        data_root=data_root,
        out=out,
        fresh=fresh,
        subset=subset,
        limit=limit,
        batch_size=batch_size,
        workers=workers,
        settings=settings,
        keep_predictions=keep_predictions,
        progress=show if progress is not None else None,
    )
    return run


def evaluate_many(
    model: Model,
    protocols: Sequence[Protocol | str],
    *,
    output: Output | str | None = None,
    name: str | None = None,
    data_root: str | Path | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    subset: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 1,
    workers: int = 2,
    settings: Mapping[str, Any] | None = None,
    keep_predictions: bool = False,
    request: Mapping[str, Any] | None = None,
    shard: Shard | None = None,
    progress: Callable[[PassProgress], None] | None = None,
    on_error: Callable[[Protocol, DabenchError], None] | None = None,
) -> list[Run]:
    """Score one model under several protocols, predicting each image once for all that can share the prediction.

    Protocols share predictions where dataset and inference setting (KITTI's crop, flip) agree, whatever their splits
    and ground truth; with ``batch_size`` above 1 only where the lists of samples agree too. Each keeps its own records
    and resumes by itself.

    Args:
        model, output, name, data_root, out, fresh, subset, limit, batch_size, workers, settings, keep_predictions: as
            for :func:`evaluate`.
        protocols: protocols or their names.
        request: options that the model was chosen by; stored with kept predictions, so that a later call can tell
            without loading the model that it asks for the same.
        shard: score only this share of the samples; other processes, with the same ``out``, score the others.
        progress: called at the start of each pass over a dataset and after every line.
        on_error: told of a protocol that cannot be scored; the others are. None raises.

    Returns:
        The runs, in the order of the protocols, without those that ``on_error`` was told of and, with ``shard``, those
        that lack other shares.
    """
    scored = _as_model(model, output, name)
    for option, value in (("batch_size", batch_size), ("workers", workers), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"{option} must be at least 1, got {value}")
    if keep_predictions and out is None:
        raise UsageError("predictions are kept beside the records, and no folder was given for those", hint="pass out")
    if keep_predictions and isinstance(scored, PairModel):
        raise UsageError(f"model '{scored.info.name}' gives no map that could be kept")
    if shard is not None:
        shard.check(scored, out, fresh=fresh)
    folder = Path(out) if out is not None else None
    store = PredictionStore(folder / scored.info.name / FOLDER) if folder is not None else None
    chosen = [p if isinstance(p, Protocol) else protocol_named(p) for p in protocols]
    report = on_error or _raise
    opened: Opened = {}

    def prepare(recipe: Protocol) -> Job:
        refuse(recipe, scored.info)
        dataset = open_for(recipe, data_root, subset, opened)
        about: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "settings": settings or {}}
        return Job(recipe, scored.info, dataset, limit=limit, out=folder, **about)

    # Nothing is written before every protocol is known to fit the model and the data.
    jobs = _successes([(recipe, partial(prepare, recipe)) for recipe in dict.fromkeys(chosen)], report)
    if isinstance(scored, PairModel):
        store = None
        if folder is not None and jobs:
            scored.keep_in(folder / scored.info.name, fresh=fresh)
    elif isinstance(scored, SavedMaps):
        store = None
    elif store is not None and jobs:
        manifest = manifest_of(scored.info, settings or {}, request)
        if keep_predictions:
            store.begin(manifest, fresh=fresh)
        elif not fresh:
            store.check(manifest)
    runs: dict[str, Run] = {}
    together = scored.at_once if isinstance(scored, PairModel) else batch_size
    if shard is not None:
        for work in plan(jobs, together):
            share = shard.share(work)
            for job in work.jobs:
                job.take(shard, share)
    with ExitStack() as stack:
        jobs = _successes([(job.recipe, partial(job.begin, stack, fresh=fresh)) for job in jobs], report)
        for work in plan(jobs, together):
            _run_pass(work, scored, store, keep=keep_predictions, reuse=not fresh, workers=workers, progress=progress)
            runs |= {job.recipe.id: run for job in work.jobs if (run := job.finish()) is not None}
    for run in runs.values() if shard is not None else ():
        assert run.folder is not None
        tidy(run.folder)
    return [runs[recipe.id] for recipe in chosen if recipe.id in runs]


def _successes(
    attempts: Sequence[tuple[Protocol, Callable[[], Job]]], report: Callable[[Protocol, DabenchError], None]
) -> list[Job]:
    jobs = []
    for recipe, attempt in attempts:
        try:
            jobs.append(attempt())
        except DabenchError as error:
            report(recipe, error)
    return jobs


def _raise(_recipe: Protocol, error: DabenchError) -> None:
    raise error


def _run_pass(
    work: Pass,
    model: DepthModel | PairModel,
    store: PredictionStore | None,
    *,
    keep: bool,
    reuse: bool,
    workers: int,
    progress: Callable[[PassProgress], None] | None,
) -> None:
    """Predict what any job of the pass wants, and add the lines to each."""
    output = model.info.output
    shelf = store.shelf(work.jobs[0].dataset.info.name, work.shelf, output) if store is not None else None
    score = Scorer(work, output, shelf if keep else None)
    states = {job.recipe.id: job.tally.state() for job in work.jobs}
    total = len(frozenset[str]().union(*(job.share for job in work.jobs)))
    unfinished = Counter(i for job in work.jobs for i in job.ids if job.wants(i))
    kept = 0

    def show(latest: str = "") -> None:
        if progress is not None:
            progress(PassProgress(work.title, total - len(unfinished), total, kept, dict(states), latest))

    def scored(predicted: Predicted) -> tuple[Lines, bool]:
        return score(predicted), predicted.loaded.kept

    show()
    results = pipeline(
        work.batches(),
        Reader(work, model, shelf, reuse=reuse, keep=keep),
        Asker(work, model) if isinstance(model, PairModel) else Predictor(model, work.setting),
        scored,
        workers=workers,
        weigh=attrgetter("nbytes"),
    )
    for lines, from_store in results:
        kept += from_store
        for job, line in lines:
            stored = job.add(line)
            job.kept += from_store
            unfinished[stored["id"]] -= 1
            if not unfinished[stored["id"]]:
                del unfinished[stored["id"]]
            states[job.recipe.id] = job.tally.state(stored)
            show(job.recipe.id)


def protocol_named(name: str) -> Protocol:
    """A protocol by name, or the only default protocol of a dataset.

    Raises:
        UnknownNameError: neither; lists the nearest names.
    """
    try:
        return recipes.get(name)
    except UnknownNameError:
        defaults = recipes.defaults_of(name)
        if len(defaults) != 1:
            raise
        return defaults[0]


def _as_model(model: Model, output: Output | str | None, name: str | None) -> DepthModel | PairModel:
    if isinstance(model, DepthModel | PairModel):
        return _with_folder_name(model)
    if not callable(model):
        raise UsageError(f"a model is a DepthModel, a PairModel or a callable, not {type(model).__name__}")
    if output is None:
        raise UsageError("say what the callable's values mean: output='disparity', 'depth' or 'metric'")
    return _with_folder_name(CallableModel(model, output, name))


def _with_folder_name(model: Named) -> Named:
    name = model.info.name
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise UsageError(f"model name '{name}' cannot be the name of a folder of records")
    return model


class _CallableModule(ModuleType):
    """Importing the module hides the function of its name in the package, so the module is called alike."""

    def __call__(self, *args: Any, **options: Any) -> Run:
        return evaluate(*args, **options)


sys.modules[__name__].__class__ = _CallableModule
