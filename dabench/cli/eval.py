"""``dabench eval``: score models."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.cli.choice import (
    asking_settings,
    check_datasets,
    check_models,
    choose_protocols,
    read_subset,
)
from dabench.cli.options import Checkpoint, Compile, Device, InputSize, Precision, Settings, read_settings
from dabench.cli.scoring import Session, Wanted, interruptible
from dabench.errors import UsageError

if TYPE_CHECKING:
    from dabench.shards import Shard

DEFAULT_MODELS = ("depth-anything-v2-tiny", "location-prior", "constant")
PREDICTIONS = "predictions"
DEFAULT_OUT = Path("runs")


def eval_command(
    model: Annotated[
        list[str] | None,
        typer.Option("-m", "--model", help="Model name (see `dabench ls models`) or network file; repeatable."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("-d", "--dataset", help="Dataset, scored under its default protocol; repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("-p", "--protocol", help="Protocol name, name@version or pattern ('kitti-*'); repeatable."),
    ] = None,
    checkpoint: Checkpoint = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Score saved maps DIR/<sample id>.npy|.png|.pfm|.exr instead of running a model."),
    ] = None,
    output_kind: Annotated[
        str | None,
        typer.Option(help="What saved maps or a file's network give: disparity, depth or metric.", metavar="KIND"),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(envvar="DABENCH_DATA", help="Folder with one folder a dataset (the set itself, for pairs)."),
    ] = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    input_size: InputSize = None,
    compile: Compile = "auto",
    option: Settings = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Address of an OpenAI-compatible interface, up to /v1, for a model that is asked there."),
    ] = None,
    answers: Annotated[
        list[Path] | None, typer.Option(help="Answers of a batch, for a model that is asked; repeatable.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images given to the model at once.")] = 1,
    workers: Annotated[int, typer.Option(help="Threads that read ahead, and threads that score.")] = 2,
    subset: Annotated[
        Path | None, typer.Option(help="File with sample ids, one a line; only those are read and scored.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Score the first N samples.")] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Score one share of the samples, as one of several processes.", metavar="RANK/NUMBER"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the records.")] = DEFAULT_OUT,
    keep_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="Keep every map in OUT/<model>/predictions, to be scored again.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Discard earlier records instead of continuing them, and predict what was kept."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON.")] = False,
) -> None:
    """Score models; without arguments, the bundled model and baselines on the bundled benchmark."""
    from dabench.cli.console import messages, results
    from dabench.cli.table import failures, results_table
    from dabench.registry import is_network_file
    from dabench.shards import Shard, completed, count_complete, present, wait_for_others
    from dabench.types import MAP_OUTPUTS

    part = Shard.parse(shard) if shard is not None else Shard.of_torchrun()
    recipes, named = choose_protocols(dataset or [], protocol or [])
    names = list(dict.fromkeys(model or ([] if predictions else DEFAULT_MODELS)))
    if subset is not None and limit is not None:
        raise UsageError("--subset and --limit both choose samples", hint="pass one of them")
    if checkpoint is not None and (len(names) != 1 or not model):
        raise UsageError("--checkpoint belongs to one model", hint="name it: -m MODEL --checkpoint FILE")
    if predictions is not None:
        if output_kind not in MAP_OUTPUTS:
            raise UsageError(
                "--predictions needs --output-kind"
                + (f", one of {', '.join(MAP_OUTPUTS)}; not '{output_kind}'" if output_kind else ""),
                hint="disparity: larger is nearer; depth: larger is farther; metric: metres",
            )
        if len(names) > 1 or checkpoint is not None:
            raise UsageError("--predictions takes the place of a model", hint="-m may name it, once, for the records")
        if keep_predictions:
            raise UsageError("the maps of --predictions are kept already", hint="leave --keep-predictions out")
    elif output_kind is not None and not any(is_network_file(name) for name in names):
        raise UsageError(
            "--output-kind says what saved maps or the network in a file give",
            hint="pass it together with --predictions DIR or -m FILE",
        )
    if option and (len(names) != 1 or not model):
        raise UsageError("--option belongs to one model", hint="name it: -m MODEL --option NAME=VALUE")
    ids = read_subset(subset)
    check_models(names if predictions is None else [], output_kind)
    asked = asking_settings(names if model else [], read_settings(option), endpoint, answers)
    stderr = messages()
    session = Session(
        out,
        part,
        {
            "data_root": data_root,
            "fresh": fresh,
            "subset": ids,
            "limit": limit,
            "batch_size": batch_size,
            "workers": workers,
            "keep_predictions": keep_predictions,
        },
    )
    recipes = check_datasets(recipes, named, data_root, ids, session.report)
    options: dict[str, Any] = {
        "checkpoint": checkpoint,
        "device": device if part is None else _device_of(part, device),
        "precision": precision,
        "input_size": input_size,
        "compile": compile,
        "settings": asked,
    }
    launched = part if part is not None and part.call else None
    with ExitStack() as stack:
        if launched is not None:
            stack.enter_context(present(out, launched))
        stack.enter_context(interruptible())
        for name in names or [PREDICTIONS]:
            kind = output_kind if predictions is not None or is_network_file(name) else None
            session.score(Wanted(name, {**options, "output": kind}, predictions), recipes, named)
        if launched is not None:
            if launched.rank:  # the first rank shows what came out
                raise typer.Exit(session.problems[0].exit_code if session.problems and not session.begun else 0)
            expected = len(session.begun) - len(session.problems)
            wait_for_others(out, launched, lambda: count_complete(out, session.begun) >= expected)
            session.runs = completed(out, session.begun)
    runs, problems = session.runs, session.problems
    missing = len(session.begun) - len(runs) - len(problems)
    if part is not None and missing > 0:
        stderr.print(
            f"this share is scored; {missing} of {len(session.begun)} runs wait for other shares", markup=False
        )
        if launched is not None:
            stderr.print("some processes ended early; the same command scores what is missing", markup=False)
    if as_json and (runs or part is None):
        typer.echo(json.dumps([run.summary for run in runs], indent=2, ensure_ascii=False))
    elif runs:
        results().print(results_table(runs))
    for text in failures(runs):
        stderr.print(text, markup=False, soft_wrap=True)
    if runs:
        stderr.print(f"records: {out}", markup=False)
    if problems:
        raise typer.Exit(1 if runs else problems[0].exit_code)
    raise typer.Exit(0 if all(run.ok for run in runs) and not (launched is not None and missing > 0) else 1)


def _device_of(part: Shard, device: str) -> str:
    """One GPU for each process of a machine, where no other is asked for."""
    if device not in ("auto", "cuda"):
        return device
    import torch

    if not torch.cuda.is_available():
        return device
    return f"cuda:{part.local_rank % torch.cuda.device_count()}"
