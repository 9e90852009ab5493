"""``dabench eval``: score models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.cli.options import Checkpoint, Compile, Device, InputSize, Precision
from dabench.errors import DabenchError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from dabench.protocols import Protocol
    from dabench.run import Run
    from dabench.types import DepthModel

DEFAULT_MODELS = ("depth-anything-v2-tiny", "location-prior", "constant")
DEFAULT_PROTOCOLS = ("mini-pairs", "mini-depth")
PREDICTIONS = "predictions"
DEFAULT_OUT = Path("runs")
EXIT_INTERRUPTED = 130


def eval_command(
    model: Annotated[
        list[str] | None,
        typer.Option("-m", "--model", help="Model name; repeat for several (see `dabench ls models`)."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("-d", "--dataset", help="Dataset, scored under its default protocol; repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("-p", "--protocol", help="Protocol name or name@version; may hold *; repeatable."),
    ] = None,
    checkpoint: Checkpoint = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Score saved maps DIR/<sample id>.npy|.png|.pfm|.exr instead of running a model."),
    ] = None,
    output_kind: Annotated[
        str | None, typer.Option(help="What saved maps mean: disparity, depth or metric.", metavar="KIND")
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(envvar="DABENCH_DATA", help="Folder with one folder a dataset (the set itself, for pairs)."),
    ] = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    input_size: InputSize = None,
    compile: Compile = "auto",
    batch_size: Annotated[int, typer.Option(help="Images given to the model at once.")] = 1,
    workers: Annotated[int, typer.Option(help="Threads that read images ahead.")] = 2,
    subset: Annotated[
        Path | None, typer.Option(help="File with sample ids, one a line; only those are read and scored.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Score the first N samples.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = DEFAULT_OUT,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard earlier records instead of continuing them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON.")] = False,
) -> None:
    """Score models; without arguments, the bundled model and baselines on the bundled benchmark."""
    from dabench.cli.console import messages, results
    from dabench.cli.table import failures, results_table
    from dabench.types import Output

    recipes = choose_protocols(dataset or [], protocol or [])
    names = list(dict.fromkeys(model or ([] if predictions else DEFAULT_MODELS)))
    if subset is not None and limit is not None:
        raise UsageError("--subset and --limit both choose samples", hint="pass one of them")
    if checkpoint is not None and (len(names) != 1 or not model):
        raise UsageError("--checkpoint belongs to one model", hint="name it: -m MODEL --checkpoint FILE")
    if predictions is not None:
        if output_kind not in list(Output):
            raise UsageError(
                "--predictions needs --output-kind"
                + (f", one of {', '.join(Output)}; not '{output_kind}'" if output_kind else ""),
                hint="disparity: larger is nearer; depth: larger is farther; metric: metres",
            )
        if len(names) > 1 or checkpoint is not None:
            raise UsageError("--predictions takes the place of a model", hint="-m may name it, once, for the records")
    elif output_kind is not None:
        raise UsageError("--output-kind says what saved maps mean", hint="pass it together with --predictions DIR")
    ids = read_subset(subset)
    check_models(names if predictions is None else [])
    check_datasets(recipes, data_root, ids)

    options: dict[str, Any] = {
        "checkpoint": checkpoint,
        "device": device,
        "precision": precision,
        "input_size": input_size,
        "compile": compile,
    }
    stderr = messages()
    runs: list[Run] = []
    problems: list[DabenchError] = []
    common: dict[str, Any] = {
        "data_root": data_root,
        "out": out,
        "fresh": fresh,
        "subset": ids,
        "limit": limit,
        "batch_size": batch_size,
        "workers": workers,
    }

    def report(name: str, error: DabenchError) -> None:
        problems.append(error)
        told = str(error) if str(error).startswith(name) else f"{name}: {error}"
        stderr.print(f"error: {told}", markup=False, soft_wrap=True)

    try:
        for name in names or [PREDICTIONS]:
            try:
                if predictions is not None:
                    loaded = load_predictions(predictions, str(output_kind), name)
                else:
                    loaded = load(name, options)
            except DabenchError as error:
                report(name, error)
                continue
            settings = {"device": str(getattr(loaded, "device", "cpu")), "precision": precision}
            try:
                for recipe in recipes:
                    try:
                        runs.append(_run(loaded, recipe, settings=settings, **common))
                    except DabenchError as error:
                        report(f"{name} on {recipe.id}", error)
            finally:
                loaded.close()
    except KeyboardInterrupt:
        stderr.print("interrupted; what was finished is kept, the same command continues from there", markup=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps([run.summary for run in runs], indent=2, ensure_ascii=False))
    elif runs:
        results().print(results_table(runs))
    for text in failures(runs):
        stderr.print(text, markup=False, soft_wrap=True)
    if runs:
        stderr.print(f"records: {out}", markup=False)
    if problems:
        raise typer.Exit(1 if runs else problems[0].exit_code)
    raise typer.Exit(0 if all(run.ok for run in runs) else 1)


def choose_protocols(dataset_names: Sequence[str], protocol_names: Sequence[str]) -> list[Protocol]:
    """Protocols named, plus the defaults of datasets that none of them covers.

    Raises:
        UnknownNameError: a protocol or dataset nobody has, with the nearest names.
        UsageError: a dataset without a default protocol, or a pattern that matches nothing.
    """
    from dabench import datasets, protocols

    if not dataset_names and not protocol_names:
        protocol_names = DEFAULT_PROTOCOLS
    chosen: dict[str, Protocol] = {}
    for name in protocol_names:
        if "*" in name:
            found = [
                p for i, p in protocols.all_protocols().items() if fnmatchcase(p.name, name) or fnmatchcase(i, name)
            ]
            if not found:
                raise UsageError(f"no protocol matches '{name}'", hint="`dabench ls protocols` lists them")
        else:
            found = [protocols.get(name)]
        chosen |= {p.id: p for p in found}
    covered = {p.dataset.name for p in chosen.values()}
    for name in dataset_names:
        datasets.registry().get(name)
        if name in covered:
            continue
        defaults = protocols.defaults_of(name)
        if not defaults:
            raise UsageError(f"dataset '{name}' has no default protocol", hint="name one with -p")
        chosen |= {p.id: p for p in defaults}
    return list(chosen.values())


def check_models(names: Sequence[str]) -> None:
    """Refuse unknown names before anything is loaded or scored."""
    from dabench.registry import broken_providers, models

    for name in names:
        if name not in models():
            broken = "; ".join(f"{provider}: {reason}" for provider, reason in broken_providers().items())
            hint = f"these model providers failed to load: {broken}" if broken else None
            raise UnknownNameError("model", name, models(), hint=hint)


def check_datasets(recipes: Sequence[Protocol], data_root: Path | None, ids: list[str] | None) -> None:
    """Open every dataset once, so that a missing one is told before a model is downloaded."""
    from dabench.datasets import open_dataset

    for name, task in dict.fromkeys((r.dataset.name, r.task) for r in recipes):
        open_dataset(name, data_root, task=task, only=None if ids is None else frozenset(ids))


def read_subset(path: Path | None) -> list[str] | None:
    """Sample ids of a file, one a line.

    Raises:
        UsageError: unreadable or empty.
    """
    if path is None:
        return None
    try:
        ids = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--subset {path} cannot be read: {error}") from error
    if not ids:
        raise UsageError(f"--subset {path} names no sample")
    return ids


def load(name: str, options: dict[str, Any]) -> DepthModel:
    from dabench.cli.console import messages
    from dabench.registry import load_model

    with messages().status(f"loading {name}"):
        model: DepthModel = load_model(name, **options)
    return model


def load_predictions(folder: Path, output_kind: str, name: str) -> DepthModel:
    from dabench.registry import import_attribute

    saved: DepthModel = import_attribute("model_zoo.predictions:SavedPredictions")(folder, output_kind, name=name)
    return saved


def _run(model: DepthModel, recipe: Protocol, **options: Any) -> Run:
    from dabench.cli.console import messages
    from dabench.cli.progress import RunProgress
    from dabench.evaluate import evaluate

    with RunProgress(messages(), f"{model.info.name}  {recipe.id}", recipe.primary_metric) as bar:
        return evaluate(model, recipe, progress=bar.update, **options)
