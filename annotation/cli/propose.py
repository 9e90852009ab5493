"""``dabench annotate propose``: images in, pairs to label out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

    from annotation.proposals import ProposalReport


def propose(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="Folder of images (scene = first subfolder), or a .csv or .jsonl list with the column file.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="STUDY", help="Folder of the study; made when absent.", show_default=False)
    ],
    seed: Annotated[int, typer.Option(help="Of everything that is random.")] = 0,
    project: Annotated[str, typer.Option(help="Project of the study; made when absent.")] = "pairs",
    sam: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="Key points from Segment Anything: a .pth of SAM ViT-B, -L or -H, or a folder with a SAM or SAM 2 of "
            "transformers. Without it: from regions of similar colour.",
        ),
    ] = None,
    points_per_side: Annotated[int, typer.Option(help="Side of the grid of prompts for Segment Anything.")] = 16,
    experts: Annotated[
        list[str] | None,
        typer.Option(
            "--experts",
            metavar="NAME",
            help="Model that votes: MODEL, MODEL@INPUT_SIZE, FILE:KIND (network file) or NAME=FOLDER:KIND (saved "
            "maps); repeatable, or with commas; none: nobody votes. Default: the bundled network at three input sizes.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(help="Pairs in all; without it as many as --pairs-per-image gives.")
    ] = None,
    pairs_per_image: Annotated[int, typer.Option(help="Most pairs of one image.")] = 2,
    scene: Annotated[
        list[str] | None, typer.Option("--scene", metavar="NAME=N", help="Pairs of one scene; repeatable.")
    ] = None,
    control_share: Annotated[float, typer.Option(help="Share of pairs on which all experts agree.")] = 0.2,
    uniform: Annotated[bool, typer.Option("--uniform", help="Draw without looking at the votes.")] = False,
    option: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="NAME=VALUE", help="Any other setting of the proposal; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Propose pairs of points for people to label.

    Takes the images into the study as upright copies, finds key points, lets expert depth models vote, and draws pairs
    so that the probability of each is known. Run again, it goes on where it was stopped and adds only new images.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from annotation.proposals import propose as run
    from annotation.proposals.options import read_settings
    from dabench.cli.console import messages

    named: dict[str, object] = {
        "pairs": pairs, "pairs_per_image": pairs_per_image, "control_share": control_share, "uniform": uniform,
    }  # fmt: skip
    settings = read_settings(named, scene or [], option or [])
    chosen = None if experts is None else [name.strip() for text in experts for name in text.split(",") if name.strip()]
    stderr = messages()
    generator = None
    if sam is not None:
        from annotation.keypoints import open_generator
        from annotation.keypoints.mask_points import GridSettings

        network_device = "cpu" if device == "auto" and not _cuda() else "cuda" if device == "auto" else device
        generator = open_generator(sam, GridSettings(points_per_side=points_per_side), device=network_device)
    else:
        stderr.print(
            "No --sam checkpoint: key points are the middles of regions of similar colour, and say so in the data."
        )
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
        TimeRemainingColumn(compact=True), console=stderr, transient=True, disable=not stderr.is_terminal,
    )  # fmt: skip
    with bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done)

        report = run(
            images, out, settings=settings, seed=seed, project=project, generator=generator,
            experts=[] if chosen == ["none"] else chosen, device=device, progress=progress,
        )  # fmt: skip
    _show(report, out)
    if report.failed:
        for name, reason in report.failed:
            stderr.print(f"failed: {reason if name in reason else f'{name}: {reason}'}", markup=False)
        stderr.print(
            f"{len(report.failed)} of {report.listed} images failed; the others are in the study", markup=False
        )
        raise typer.Exit(1)


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _show(report: ProposalReport, out: Path) -> None:
    from dabench.cli.console import messages, results

    console = results()
    before = f", {report.proposed_before} of them proposed before" if report.proposed_before else ""
    console.print(f"images: {report.listed} listed, {report.added} new, {report.known} known{before}", markup=False)
    if report.stages:
        sources = ", ".join(f"{source} ({count} images)" for source, count in sorted(report.sources.items()))
        console.print(f"key points: {sources}    experts: {', '.join(report.experts) or 'none'}", markup=False)
        console.print(_stages(report))
        console.print(_scenes(report))
        for prior in report.priors:
            if prior.share is not None:
                console.print(
                    f"most experts call the {_words(prior.cue)} point closer in {prior.share:.0%} of {prior.pairs} "
                    f"drawn pairs and in {prior.candidates:.0%} of the candidates",
                    markup=False,
                )
    console.print(f"{report.pairs} new pairs; project '{report.project}' has {report.total}", markup=False)
    for note in report.notes:
        messages().print(f"note: {note}", markup=False)
    if report.total:
        console.print(f"next: dabench annotate serve {out}", markup=False, soft_wrap=True)


def _words(cue: str) -> str:
    return {"lower": "lower", "centre": "more central", "left": "left"}[cue]


def _stages(report: ProposalReport) -> Table:
    from rich.table import Table

    from annotation.proposals.filters import STAGES

    table = Table("left after", box=None, pad_edge=False)
    for heading in ("points", "pairs"):
        table.add_column(heading, justify="right")
    for name, left in report.stages.items():
        table.add_row(STAGES[name], f"{left.points:,}", f"{left.pairs:,}")
    return table


def _scenes(report: ProposalReport) -> Table:
    from rich.table import Table

    from annotation.proposals.report import by_scene

    scenes = by_scene(report.strata)
    routes = list(dict.fromkeys(stratum.route for stratum in report.strata))
    table = Table("scene", box=None, pad_edge=False)
    for heading in ("candidates", *routes):
        table.add_column(heading, justify="right")
    for scene, row in sorted(scenes.items()):
        table.add_row(scene or "(no scene)", f"{row['candidates']:,}", *(str(row.get(route, 0)) for route in routes))
    return table
