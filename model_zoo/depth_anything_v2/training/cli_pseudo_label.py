"""``dabench pseudo-label``: a teacher's labels for folders or tar shards of images, by any number of workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabench.errors import DabenchError, UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from .pseudo_label.worker import LabelReport, Progress
    from .shards import ImageShard

SAMPLED_SHARDS = 16
"""Tar shards whose headers a dry run reads to estimate the number of images."""


def pseudo_label(
    out: Annotated[Path, typer.Option(help="Folder of the labels, shared by all workers.", show_default=False)],
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of images or of tar shards, or a tar shard; may be repeated.", show_default=False),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGES...]", help="Further ones.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="The teacher, a relative Depth Anything V2.", show_default=False)
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weight file to use instead of the catalogued one, or without --model.")
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Images in a virtual shard of a folder.")] = 1000,
    batch_size: Annotated[int, typer.Option(min=1, help="Images computed at once on an accelerator.")] = 16,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    input_size: Annotated[
        int | None, typer.Option(help="Short side of network input and label in pixels; the model's own by default.")
    ] = None,
    flip_average: Annotated[
        bool, typer.Option("--flip-average", help="Average with the map of the mirrored image.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that decode and encode.")] = None,
    lease: Annotated[float, typer.Option(min=1, help="Seconds of silence after which a shard is taken over.")] = 120,
    max_failed: Annotated[float, typer.Option(min=0, max=1, help="Share of bad images that flags a shard.")] = 0.01,
    limit_shards: Annotated[int | None, typer.Option(min=1, help="Shards that this worker does at most.")] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Stay until every shard is done, taking over those of dead workers; as under torchrun."
        ),
    ] = (False),
    previews: Annotated[bool, typer.Option("--previews", help="Write a picture of 16 labels of each shard.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Show which shards are done, claimed, left and failed, and stop.")
    ] = (False),
) -> None:
    """Label images by a teacher network: 16-bit disparity in tar shards.

    Start as many of these as there are devices, on any number of machines, with the same options: under torchrun, as a
    Slurm array, or by hand. Each shard is done once; a killed worker loses the shard it was at. Run the same command
    again to continue.
    """
    from .shards import find_shards

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    paths = [*(images or []), *(more or [])]
    if not paths and not status:
        raise UsageError("no images are given", hint="--images DIR, or --images SHARD.tar [SHARD.tar...]")
    if model is None and checkpoint is None and not status:
        raise UsageError(
            "no teacher is given",
            hint="--model depth-anything-v2-large, or another relative one; or --checkpoint FILE of your own",
        )
    cache = out / ".index" if out.is_dir() or not (dry_run or status) else None
    shards = find_shards(paths, shard_size=shard_size, cache=cache)
    if status:
        raise typer.Exit(_show_status(out, shards, lease))
    if dry_run:
        _show_plan(out, shards, model, checkpoint, input_size)
        return

    from .pseudo_label.teacher import load_teacher
    from .pseudo_label.worker import LabelOptions, label_shards

    stderr = _console(stderr=True)
    with stderr.status(f"loading {model or checkpoint}"):
        teacher = load_teacher(
            model,
            checkpoint=checkpoint,
            input_size=input_size,
            device=_own_device(device),
            precision=precision,
            flip_average=flip_average,
        )
    options = LabelOptions(
        batch_size=batch_size,
        lease=lease,
        max_failed_share=max_failed,
        previews=previews,
        limit=limit_shards,
        wait=wait or "TORCHELASTIC_RUN_ID" in os.environ,  # torchrun ends all workers when one ends with code 1
        **({} if workers is None else {"threads": workers}),
    )
    with _stop_on_signals() as stop, _bar(stderr, len(shards)) as progress:
        report = label_shards(shards, out, teacher, options, stop=stop, progress=progress)
    _show_report(report, len(shards), out)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _own_device(device: str) -> str:
    """Under torchrun each process of a machine takes its own GPU."""
    rank = os.environ.get("LOCAL_RANK", "")
    if device != "auto" or not rank.isdecimal():
        return device
    import torch

    return f"cuda:{int(rank) % torch.cuda.device_count()}" if torch.cuda.is_available() else device


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """SIGTERM and Ctrl-C end the work between two batches, and the shard at hand is given back at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Progress]:
    """Shards done by this worker, and images within the one at hand."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("labelling", total=None)

        def show(shard: str, done: int, images: int) -> None:
            bar.update(task, description=f"{shard} (one of {total})", completed=done, total=images)

        yield show


def _show_report(report: LabelReport, total: int, out: Path) -> None:
    table = _table("labels", out)
    table.add_row("shards done now", f"{len(report.committed)} of {total}")
    table.add_row("done before", str(report.before))
    table.add_row("held by other workers", str(report.held))
    if report.lost:
        table.add_row("lost to other workers", ", ".join(report.lost))
    table.add_row("images labelled", f"{report.images} ({report.images / max(report.seconds, 1e-9):.1f} a second)")
    table.add_row("images without a label", str(report.failed_images))
    healths = [summary.health for summary in report.committed]
    if report.images:
        zeros = sum(health.zero_share * health.images for health in healths) / report.images
        table.add_row("exact zeros (sky)", f"{zeros:.1%} of pixels")
        table.add_row("constant maps", str(sum(health.constant for health in healths)))
        table.add_row("maps with NaN or infinity", str(sum(health.not_finite for health in healths)))
    _console(stderr=False).print(table)
    stderr = _console(stderr=True)
    for summary in report.committed:
        if summary.flagged:
            stderr.print(f"flagged: {summary.shard}: {len(summary.failed)} of {summary.images} images have no label")
        for image in summary.failed[:3]:
            stderr.print(f"failed: {image.key}: {image.reason}", markup=False)
    for shard, reason in report.broken.items():
        stderr.print(f"failed: shard {shard}: {reason}", markup=False)
    if report.stopped:
        stderr.print("stopped; the shard at hand was given back")


def _show_status(out: Path, shards: Sequence[ImageShard], lease: float) -> int:
    """Print the state of the folder. Exit code 1 if a shard failed or is flagged."""
    from .pseudo_label.store import LabelStore

    store = LabelStore(out, lease)
    store.manifest()
    state = store.status()
    table = _table("shards", out)
    table.add_row("done", str(len(state.done)))
    table.add_row("flagged", ", ".join(state.flagged) or "0")
    table.add_row("claimed", ", ".join(state.claimed) or "0")
    if shards:
        left = {shard.name for shard in shards} - {*state.done, *state.claimed, *state.failed}
        table.add_row("left", str(len(left)))
    table.add_row("failed", ", ".join(state.failed) or "0")
    _console(stderr=False).print(table)
    for shard in state.failed:
        reason = (out / "failed" / f"{shard}.txt").read_text(encoding="utf-8").strip()
        _console(stderr=True).print(f"failed: shard {shard}: {reason}", markup=False)
    return int(bool(state.failed or state.flagged))


def _show_plan(
    out: Path, shards: Sequence[ImageShard], model: str | None, checkpoint: Path | None, input_size: int | None
) -> None:
    from .pseudo_label.plan import label_bytes, planned_teacher
    from .pseudo_label.store import LabelStore

    teacher = planned_teacher(model, checkpoint, input_size)
    sample = shards if len(shards) <= SAMPLED_SHARDS else shards[:SAMPLED_SHARDS]
    counted = 0
    for shard in sample:
        try:
            counted += len(shard.keys)
        except DabenchError as error:
            _console(stderr=True).print(f"failed: shard {shard.name}: {error}", markup=False)
    about = "" if len(sample) == len(shards) else "about "
    count = counted * len(shards) // max(1, len(sample))
    store = LabelStore(out)
    table = _table("plan", out)
    table.add_row("teacher", f"{teacher.name}, weights {teacher.weights[:12]}, short side {teacher.side} px")
    table.add_row("shards", f"{len(shards)}, of which {sum(store.done(shard.name) for shard in shards)} are done")
    table.add_row("images", f"{about}{count}")
    table.add_row(
        "labels", f"at most {label_bytes(count, teacher.side) / 1e9:.3g} GB (16 bits a pixel, before compression)"
    )
    _console(stderr=False).print(table)


def _table(title: str, out: Path) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title, str(out), box=box.SIMPLE)
    table.columns[0].no_wrap = True
    return table


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return Console(stderr=stderr, width=width, highlight=False)
