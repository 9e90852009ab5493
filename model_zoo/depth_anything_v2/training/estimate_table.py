"""The dry run's page: what a recipe needs, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .estimate import Estimate, Memory, SetCount
from .recipe import Recipe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STATE_STYLES: Mapping[str, str] = {"missing": "red", "incomplete": "yellow", "found": "green", "to be made": "cyan"}
ORIGINS: Mapping[str, str] = {
    "found": "on disk",
    "stated": "as the source states",
    "expected": "expected; not all are on disk",
}
MEMORY_PARTS: Mapping[str, str] = {
    "weights": "weights",
    "gradients": "gradients",
    "optimiser": "optimiser",
    "average": "averaged weights",
    "frozen_encoder": "frozen encoder",
    "half_copies": "16-bit copies",
    "activations": "activations",
}


def show_estimate(console: Console, recipe: Recipe, found: Estimate, data_root: Path) -> None:
    """Print the sets, the numbers, and the settings that no source states."""
    console.print(f"[bold]{recipe.name}[/]: {recipe.title}")
    for line in recipe.source:
        console.print(f"  from {line}", markup=False)
    for line in recipe.differences:
        console.print(f"  differs: {line}", markup=False)
    console.print(sets_table(found, data_root))
    console.print(numbers_table(recipe, found, data_root))
    if recipe.undisclosed:
        console.print(undisclosed_table(recipe))
    if found.missing:
        console.print(f"{len(found.missing)} of {len(found.sets)} sets are missing below {data_root}", markup=False)
        for count in found.missing:
            if count.choice.where:
                console.print(f"  {count.choice.root}: {count.choice.where}", markup=False, soft_wrap=True)
        console.print("how they are to lie there: docs/training.md, 'Data'", markup=False)


def sets_table(found: Estimate, data_root: Path) -> Table:
    """A row a set: images on disk and expected, and where to get it or what is wrong."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table("set", "on disk", "expected", "times", "", "", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns[1:4]:
        column.justify = "right"
    for count in found.sets:
        table.add_row(
            escape(f"{count.choice.dataset} ({count.choice.root})"),
            "-" if count.found is None else f"{count.found:,}",
            "-" if count.expected is None else f"{count.expected:,}",
            f"{count.choice.repeat:g}",
            f"[{STATE_STYLES[count.state]}]{count.state}[/]",
            escape(_remark(count, data_root)),
        )
    return table


def _remark(count: SetCount, data_root: Path) -> str:
    generate = count.choice.generate
    if count.state == "to be made" and generate is not None:
        return f"by {generate.by}, {generate.scenes:,} scenes, seed {generate.seed}"
    return count.problem if (data_root / count.choice.root).exists() else ""


def numbers_table(recipe: Recipe, found: Estimate, data_root: Path) -> Table:
    """Steps, passes, arithmetic, memory and storage."""
    from rich import box
    from rich.table import Table

    table = Table("", "", show_header=False, box=box.SIMPLE, pad_edge=False)
    table.columns[0].no_wrap = True
    rows, columns = recipe.data.size
    listed = sum(count.images for count in found.sets)
    table.add_row("network", f"{recipe.model.size}, {found.parameters:,} parameters, from {recipe.model.start}")
    if recipe.model.weights is not None:
        table.add_row("start weights", start_weights(recipe.model.weights, data_root))
    table.add_row("images", f"{found.images:,} ({ORIGINS[found.images_from]})")
    table.add_row("steps", f"{found.steps:,} of {found.batch} images, {rows}x{columns} pixels")
    table.add_row("samples", f"{found.samples:,}")
    if found.passes is not None:
        also = f" ({found.samples / listed:.2f} over the {listed:,} of the sets)" if listed != found.images else ""
        table.add_row("passes", f"{found.passes:.2f}, {found.steps_per_pass:,.1f} steps each{also}")
    table.add_row("forward pass", f"{found.forward_flops / 1e9:,.1f} GFLOP an image")
    table.add_row("training", f"{found.training_flops / 1e9:,.1f} GFLOP an image, {_flops(found.total_flops)} in all")
    if found.seconds is not None:
        hours = found.seconds / 3600
        also = f", {hours * found.processes:,.1f} device hours" if found.processes > 1 else ""
        table.add_row("time (estimate)", f"{hours:,.2f} hours on {found.processes} process(es){also}")
    table.add_row("memory (estimate)", memory_line(found.memory, found.processes, found.batch))
    if found.label_bytes is not None:
        table.add_row("labels (estimate)", f"{_bytes(found.label_bytes)} before compression, 16 bits a pixel")
    table.add_row("recipe", f"sha256 {recipe.sha256[:16]}")
    return table


def start_weights(weights: str, data_root: Path) -> str:
    """Where a recipe's start weights are: a file, a catalogued model, or nowhere."""
    from dabench.registry import models

    for path in (data_root / weights, Path(weights)):
        if path.is_file():
            return str(path)
    if weights in models().names():
        return f"{weights}, from the catalogue"
    return f"{data_root / weights}: missing"


def memory_line(memory: Memory, processes: int, batch: int) -> str:
    """Total and parts, one line."""
    parts = [
        f"{title} {_bytes(getattr(memory, name))}" for name, title in MEMORY_PARTS.items() if getattr(memory, name)
    ]
    each = f"batch {batch}" if processes == 1 else f"batch {batch} over {processes} processes"
    return f"{_bytes(memory.total)} a process, {each}: {', '.join(parts)}"


def undisclosed_table(recipe: Recipe) -> Table:
    """Setting, value, reason."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table("not published", "ours", "why", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for path, reason in recipe.undisclosed.items():
        table.add_row(path, escape(_shown(recipe, path)), escape(reason))
    return table


def _shown(recipe: Recipe, path: str) -> str:
    value: Any = recipe
    for part in path.split("."):
        value = getattr(value, part)
    if path == "data.sets":
        return ", ".join(dict.fromkeys(choice.dataset for choice in value))
    if isinstance(value, tuple):
        return ", ".join(f"{item:g}" for item in value)
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _flops(value: float) -> str:
    for unit, name in ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP")):
        if value >= unit:
            return f"{value / unit:,.2f} {name}"
    return f"{value / 1e9:,.2f} GFLOP"


def _bytes(value: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value / 1e3:.3g} kB"
