"""``dabench search``: which recipe explains published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.cli.options import Checkpoint, Compile, Device, InputSize, Precision
from dabench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dabench.recipe_grid import Grid
    from dabench.search_ranking import Ranked
    from dabench.search_targets import Target

DEFAULT_OUT = Path("runs")
EXIT_INTERRUPTED = 130


def search_command(
    dataset: Annotated[str, typer.Option("-d", "--dataset", help="Dataset that the numbers are on.")],
    model: Annotated[
        list[str] | None, typer.Option("-m", "--model", help="Model with published numbers; repeat for several.")
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(help="Saved maps of a model, NAME=DIR, instead of running it; repeatable.", metavar="NAME=DIR"),
    ] = None,
    output_kind: Annotated[
        str | None, typer.Option(help="What saved maps mean: disparity, depth or metric.", metavar="KIND")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="CSV with model,metric,value; by default the published tables in the wheel.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Protocol label of the published numbers, where there are several.")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(help="TOML with the axes to search; by default a grid that suits the dataset.")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(envvar="DABENCH_DATA", help="Folder with one folder a dataset.")
    ] = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    input_size: InputSize = None,
    compile: Compile = "auto",
    workers: Annotated[int, typer.Option(help="Threads that read ahead, and threads that score.")] = 2,
    subset: Annotated[
        Path | None, typer.Option(help="File with sample ids, one a line; only those are read and scored.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Score the first N samples of each split.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for scores and kept predictions.")] = DEFAULT_OUT,
    keep_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="Keep every map in OUT/<model>/predictions, to be scored again.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard the scores of an earlier, identical search.")] = False,
    top: Annotated[int, typer.Option(help="Recipes to show.")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking as JSON.")] = False,
) -> None:
    """Rank recipes (space, fit, floor, range, crop, ground truth, split) by how well they explain published numbers."""
    from dabench.cli.choice import check_gives_maps, check_models, find_model, load_predictions, read_subset, request_of
    from dabench.cli.console import messages, results
    from dabench.cli.progress import SearchBars
    from dabench.recipe_grid import built_in, read_grid
    from dabench.search import SEARCHES, reachable, score_grid
    from dabench.search_ranking import rank, write_ranking
    from dabench.search_targets import load_targets

    saved = _saved_folders(predictions or [], output_kind)
    names = list(dict.fromkeys([*(model or []), *saved]))
    if not names:
        raise UsageError("name the models whose numbers are to be explained", hint="-m MODEL or --predictions NAME=DIR")
    if checkpoint is not None and (len(names) != 1 or not model):
        raise UsageError("--checkpoint belongs to one model", hint="name it: -m MODEL --checkpoint FILE")
    if subset is not None and limit is not None:
        raise UsageError("--subset and --limit both choose samples", hint="pass one of them")
    check_models([name for name in names if name not in saved])
    check_gives_maps([name for name in names if name not in saved])
    targets = load_targets(published, dataset, names, label)
    metrics = tuple(dict.fromkeys(t.metric for t in targets))
    recipes = read_grid(grid, metrics) if grid is not None else built_in(dataset, metrics)
    if recipes.dataset != dataset:
        raise UsageError(f"grid {grid} is of dataset '{recipes.dataset}', not of '{dataset}'")
    options: dict[str, Any] = {
        "checkpoint": checkpoint,
        "device": device,
        "precision": precision,
        "input_size": input_size,
        "compile": compile,
    }
    ids = read_subset(subset)
    stderr = messages()
    if grid is None:
        recipes, absent = reachable(recipes, data_root, ids)
        for which, reason in absent.items():
            stderr.print(f"left out: {which}: {reason}", markup=False, soft_wrap=True)
    scores = {}
    try:
        for name in names:
            if name in saved:
                loaded = load_predictions(saved[name], str(output_kind), name)
            else:
                loaded = find_model(name, options, out, fresh=False)
            try:
                with SearchBars(stderr) as bars:
                    scores[name] = score_grid(
                        loaded,
                        recipes,
                        data_root=data_root,
                        out=out,
                        fresh=fresh,
                        subset=ids,
                        limit=limit,
                        workers=workers,
                        settings={"device": str(getattr(loaded, "device", "cpu")), "precision": precision},
                        keep_predictions=keep_predictions and name not in saved,
                        request=request_of(options),
                        progress=bars.update,
                    )
            finally:
                loaded.close()
    except KeyboardInterrupt:
        stderr.print("interrupted; what was finished is kept, the same command continues from there", markup=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    ranking = rank(recipes, scores, targets)
    folder = out / SEARCHES / dataset / recipes.sha256[:12]
    content, sheet = write_ranking(folder, recipes, ranking, targets)
    if as_json:
        typer.echo(content.read_text(encoding="utf-8"), nl=False)
    else:
        for table in tables(recipes, ranking, targets, top):
            results().print(table)
    for name, found in scores.items():
        if found.failed:
            sample_id, reason = next(iter(found.failed.items()))
            told = f"{name}: {len(found.failed)} of {len(found.ids)} samples could not be scored: {sample_id}: {reason}"
            stderr.print(told, markup=False, soft_wrap=True)
    partial = subset is not None or limit is not None
    tied = sum(r.tied for r in ranking)
    stderr.print(
        f"{tied} of {len(ranking)} recipes explain the numbers as well as the best, as far as these images can tell"
        + ("; only a part of the images was scored" if partial else ""),
        markup=False,
        soft_wrap=True,
    )
    stderr.print(f"ranking: {content}, {sheet}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if any(found.failed for found in scores.values()) else 0)


def _saved_folders(predictions: Sequence[str], output_kind: str | None) -> dict[str, Path]:
    from dabench.types import MAP_OUTPUTS

    if bool(predictions) != (output_kind is not None) or (output_kind is not None and output_kind not in MAP_OUTPUTS):
        raise UsageError(
            "--predictions and --output-kind go together" + (f"; not '{output_kind}'" if output_kind else ""),
            hint="disparity: larger is nearer; depth: larger is farther; metric: metres",
        )
    folders = {}
    for entry in predictions:
        name, _, folder = entry.partition("=")
        if not name or not folder:
            raise UsageError(f"--predictions '{entry}' is not NAME=DIR", hint="NAME as in the published numbers")
        folders[name] = Path(folder)
    return folders


def tables(grid: Grid, ranking: Sequence[Ranked], targets: Sequence[Target], top: int) -> list[Table]:
    """The nearest recipes, what each axis is worth, and the best recipe's numbers beside the published ones."""
    from rich import box
    from rich.table import Table

    from dabench.search_ranking import profile

    axes = [axis for axis, choices in grid.axes.items() if len(choices) > 1]
    nearest = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"{len(ranking)} recipes, nearest first")
    for column in ("", "distance", *axes):
        nearest.add_column(column, justify="right" if column == "distance" else "left", overflow="fold")
    for place, found in enumerate(ranking[:top], start=1):
        chosen = [" or ".join(grid.recipes[found.number].choices[axis]) for axis in axes]
        nearest.add_row(f"{place}{' =' if found.tied and len(ranking) > 1 else ''}", f"{found.distance:.4f}", *chosen)
    nearest.caption = "= as good as the best, as far as these images can tell"

    worth = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="nearest distance with each choice")
    for column in ("axis", "choice", "distance"):
        worth.add_column(column, justify="right" if column == "distance" else "left")
    for axis, choices in profile(grid, ranking).items():
        if axis in axes:
            for number, (choice, (distance, tied)) in enumerate(choices.items()):
                worth.add_row("" if number else axis, choice, f"{distance:.4f}{' =' if tied else '  '}")
            worth.add_section()

    best = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="published, and ours under the nearest recipe")
    for column in ("model", "metric", "published", "ours"):
        best.add_column(column, justify="left" if column in ("model", "metric") else "right")
    for target in targets:
        ours = ranking[0].ours[target.model, target.metric]
        best.add_row(target.model, target.metric, f"{target.value:g}", f"{ours:.4f}")
    return [nearest, worth, best]
