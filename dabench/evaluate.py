"""The run: dataset x model x protocol -> records."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from dabench import datasets, protocols
from dabench.datasets.base import Dataset
from dabench.errors import DatasetError, ProtocolError, UnknownNameError, UsageError
from dabench.inference import CallableModel, score_samples
from dabench.protocols import Protocol
from dabench.records import SCHEMA, Json, RunFolder, environment, provenance, to_json
from dabench.run import Metric, Progress, Run, Tally
from dabench.summary import summarise
from dabench.types import DepthModel, Image, ModelInfo, Output

__all__ = ["CallableModel", "Metric", "Progress", "Run", "evaluate"]


def evaluate(
    model: DepthModel | Callable[[Image], Any],
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
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Score one model under one protocol.

    Args:
        model: a model, or any callable together with ``output``.
        protocol: a protocol, its name (newest version), its ``name@version``, or a dataset with one default protocol.
        output: what a callable's values mean: ``disparity``, ``depth`` or ``metric``.
        name: the callable's name in the records. A callable is known by this name only: after changing what it
            computes, give it another name or pass ``fresh``, or its earlier samples are kept.
        data_root: folder that holds one folder a dataset (the set itself, for ``pairs``).
        out: folder for the records; None keeps them in memory.
        fresh: discard an earlier run in ``out`` instead of continuing it.
        subset: sample ids to score; only those need be on disk, and the summary is marked partial.
        limit: score the first ``limit`` samples; marked partial.
        batch_size: images given to the model at once. Batches are cut from the list of samples, so a resumed run
            predicts in the same batches.
        workers: threads that read images ahead.
        settings: further settings to record (device, precision).
        progress: called after every sample.

    Returns:
        The run. Failed samples are in it; they raise nothing.

    Raises:
        UsageError, DatasetError, ProtocolError, RecordError: nothing was scored.
    """
    recipe = protocol if isinstance(protocol, Protocol) else _protocol_named(protocol)
    scored = _as_model(model, output, name)
    for option, value in (("batch_size", batch_size), ("workers", workers), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"{option} must be at least 1, got {value}")
    if recipe.alignment is not None and recipe.alignment.method(scored.info.output) == "refuse":
        raise UsageError(f"{recipe.id} does not score {scored.info.output} output", hint=f"dabench show {recipe.id}")
    dataset = _open(recipe, data_root, subset)
    ids = dataset.ids[:limit] if limit is not None else dataset.ids
    partial = len(ids) < dataset.total_samples
    selection = {"partial": partial, "samples": len(ids)}
    about_model = _describe_model(scored.info)
    about_dataset = {"name": dataset.info.name, "split": recipe.dataset.split, "fingerprint": dataset.fingerprint}
    identity = {
        "dabench": provenance()["dabench"],
        "protocol": {"id": recipe.id, "sha256": recipe.sha256},
        "model": about_model,
        "dataset": about_dataset,
        "settings": {**(settings or {}), "batch_size": batch_size},
    }
    if batch_size > 1:
        # The members of a batch can change the last bits of a prediction, so another selection is another run.
        identity["selection"] = selection
    manifest = {
        "schema": SCHEMA,
        **provenance(),
        "identity": identity,
        "protocol": {"id": recipe.id, "sha256": recipe.sha256, "text": recipe.text},
        "model": about_model,
        "dataset": {
            **about_dataset,
            "expected": recipe.dataset.expected,
            "expected_of": recipe.dataset.expected_of,
            "samples": dataset.total_samples,
            "licence": dataset.info.licence,
        },
        "selection": selection,
        "settings": {**(settings or {}), "batch_size": batch_size, "workers": workers},
        "environment": environment(),
    }
    folder = RunFolder(Path(out) / scored.info.name / recipe.id) if out is not None else None
    with folder.writing() if folder is not None else nullcontext():
        finished = folder.begin(to_json(manifest), fresh=fresh) if folder is not None else {}
        if folder is not None and any(i not in finished for i in ids):
            folder.discard_summary()
        tally = Tally(recipe, len(ids))
        for sample_id in ids:
            if sample_id in finished:
                tally.add(finished[sample_id])
        if progress is not None:
            progress(tally.state())
        for line in score_samples(recipe, scored, dataset, ids, finished, batch_size, workers):
            stored = folder.append(line) if folder is not None else to_json(line)
            finished[stored["id"]] = stored
            tally.add(stored)
            if progress is not None:
                progress(tally.state(stored))
        lines = [finished[i] for i in ids]
        summary = to_json(
            summarise(recipe, lines, model=about_model, dataset={**about_dataset, **selection}, partial=partial)
        )
        if folder is not None:
            folder.write_summary(summary)
    return Run(summary, lines, folder.path if folder is not None else None)


def _protocol_named(name: str) -> Protocol:
    try:
        return protocols.get(name)
    except UnknownNameError:
        defaults = protocols.defaults_of(name)
        if len(defaults) != 1:
            raise
        return defaults[0]


def _as_model(model: DepthModel | Callable[[Image], Any], output: Output | str | None, name: str | None) -> DepthModel:
    if isinstance(model, DepthModel):
        return _with_folder_name(model)
    if not callable(model):
        raise UsageError(f"a model is a DepthModel or a callable, not {type(model).__name__}")
    if output is None:
        raise UsageError("say what the callable's values mean: output='disparity', 'depth' or 'metric'")
    return _with_folder_name(CallableModel(model, output, name))


def _with_folder_name(model: DepthModel) -> DepthModel:
    name = model.info.name
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise UsageError(f"model name '{name}' cannot be the name of a folder of records")
    return model


def _open(recipe: Protocol, data_root: str | Path | None, subset: Sequence[str] | None) -> Dataset:
    only = None if subset is None else frozenset(subset)
    if only is not None and not only:
        raise UsageError("the subset names no sample")
    info = datasets.registry().get(recipe.dataset.name).info
    field = recipe.valid.field if recipe.valid is not None else None
    for kind, chosen, known in (("splits", recipe.dataset.split, info.splits), ("fields", field, info.fields)):
        if chosen is not None and chosen not in known:
            raise ProtocolError(f"{recipe.id}: dataset '{info.name}' has the {kind} {known}, not '{chosen}'")
    root = Path(data_root) if data_root is not None else None
    dataset = datasets.open_dataset(
        recipe.dataset.name, root, task=recipe.task, only=only, split=recipe.dataset.split, field=field
    )
    expected = recipe.dataset.expected
    found = dataset.total_targets if recipe.dataset.expected_of == "pairs" else dataset.total_samples
    if expected is not None and found != expected:
        raise DatasetError(
            f"dataset '{dataset.info.name}' at {dataset.root} has {found} {recipe.dataset.expected_of}; "
            f"{recipe.id} is defined on {expected}",
            hint=f"{dataset.info.how_to_get}; to score a part on purpose, name it with --subset FILE",
        )
    return dataset


def _describe_model(info: ModelInfo) -> Json:
    described: Json = to_json(
        {
            "name": info.name,
            "output": str(info.output),
            "weights_sha256": info.weights_sha256,
            "parameters": info.parameters,
            "licence": info.licence,
            "source": info.source,
            "settings": dict(info.settings),
            "notes": list(info.notes),
        }
    )
    return described


class _CallableModule(ModuleType):
    """Importing the module hides the function of its name in the package, so the module is called alike."""

    def __call__(self, *args: Any, **options: Any) -> Run:
        return evaluate(*args, **options)


sys.modules[__name__].__class__ = _CallableModule
