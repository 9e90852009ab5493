"""``dabench bench``: how fast models are."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabench.cli.options import Checkpoint, Device, InputSize, Settings, read_settings
from dabench.errors import DabenchError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from dabench.records import Json

DEFAULT_OUT = Path("runs")
SIZE = (480, 640)


def bench_command(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Models.", show_default=False)],
    size: Annotated[
        list[str] | None, typer.Option(help="Height x width of the pictures; repeatable.", metavar="480x640")
    ] = None,
    batch_size: Annotated[list[int] | None, typer.Option(help="Pictures a call; repeatable. 1 by default.")] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32, bf16 or fp16; repeatable. fp32 by default.")
    ] = None,
    compile: Annotated[list[str] | None, typer.Option(help="off or on; repeatable. off by default.")] = None,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of the CPU; PyTorch's own choice by default.")] = None,
    seconds: Annotated[float, typer.Option(help="How long each way of calling is timed, after its warm-up.")] = 5.0,
    output_kind: Annotated[
        str | None, typer.Option(help="What the network in a file gives: disparity, depth or metric.", metavar="KIND")
    ] = None,
    checkpoint: Checkpoint = None,
    input_size: InputSize = None,
    option: Settings = None,
    out: Annotated[Path, typer.Option(help="Folder of the records, to which the cards are added.")] = DEFAULT_OUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
) -> None:
    """Measure latency, throughput and memory: from a picture in memory to its map in memory."""
    from dabench.bench import card_of, measure, write_card
    from dabench.cli.choice import check_gives_maps, check_models, load
    from dabench.cli.console import messages, results
    from dabench.registry import is_network_file

    sizes = [_size(text) for text in size or []] or [SIZE]
    files = [name for name in models if is_network_file(name)]
    if (checkpoint is not None or option) and len(models) != 1:
        raise UsageError("--checkpoint and --option belong to one model", hint="name it alone")
    if output_kind is not None and not files:
        raise UsageError("--output-kind says what the network in a file gives", hint="pass it together with a FILE")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be at least 1, got {threads}")
    check_models(models, output_kind)
    check_gives_maps(models)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    stderr = messages()
    cards: list[Json] = []
    problems: list[DabenchError] = []
    ways = product(dict.fromkeys(models), dict.fromkeys(precision or ["fp32"]), dict.fromkeys(compile or ["off"]))
    for name, number, how in ways:
        options: dict[str, Any] = {
            "checkpoint": checkpoint, "device": device, "precision": number, "input_size": input_size,
            "compile": how, "settings": read_settings(option), "output": output_kind if name in files else None,
        }  # fmt: skip
        try:
            model = load(name, options)
            try:
                timings = []
                for (height, width), pictures in product(sizes, dict.fromkeys(batch_size or [1])):
                    with stderr.status(f"timing {name}, {number}, {height}x{width}, batch {pictures}"):
                        timings.append(measure(model, height=height, width=width, batch_size=pictures, seconds=seconds))
                settings = {"device": str(getattr(model, "device", "cpu")), "precision": number, "compile": how}
                cards.append(card_of(model, timings, settings))
            finally:
                model.close()
            stderr.print(f"card: {write_card(out, cards[-1])}", markup=False)
        except DabenchError as error:
            problems.append(error)
            stderr.print(f"error: {name}, {number}: {error}", markup=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(cards, indent=2, ensure_ascii=False))
    elif cards:
        results().print(_table(cards))
    if problems:
        raise typer.Exit(1 if cards else problems[0].exit_code)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise UsageError(f"--size {text} is not of the form HEIGHTxWIDTH, such as 480x640")
    return int(height), int(width)


def _table(cards: list[Json]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for title in ("batch", "ms a call", "p10 - p90", "images/s", "peak MiB", "first call"):
        table.add_column(title, justify="right", no_wrap=True)
    for card in cards:
        about = card["environment"]
        device = card["settings"]["device"]
        where = about["cuda_device"] if device.startswith("cuda") else f"{device}, {about.get('torch_threads')} threads"
        compiled = ", compiled" if card["settings"]["compile"] == "on" else ""
        table.add_row(f"[bold]{card['model']['name']}[/]")
        table.add_row(f"  {where}, {card['settings']['precision']}{compiled}")
        for timing in card["timings"]:
            low, middle, high = (1e3 * timing[f"{name}_seconds"] for name in ("p10", "median", "p90"))
            table.add_row(
                f"    {timing['height']}x{timing['width']}",
                str(timing["batch_size"]),
                _three(middle),
                f"{_three(low)} - {_three(high)}",
                _three(timing["images_per_second"]),
                "-" if timing["peak_mib"] is None else f"{timing['peak_mib']:.0f}",
                f"{timing['first_seconds']:.2g} s",
            )
        table.add_section()
    return table


def _three(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
