"""``dabench data``: fetch a dataset, and check one that is on disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabench.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from dabench.datasets.inventory import Part

app = typer.Typer(help="Fetch and check datasets.", no_args_is_help=True)

Root = Annotated[
    Path | None,
    typer.Option(
        "--data-root", envvar="DABENCH_DATA", help="Folder with one folder a dataset (the set itself, for pairs)."
    ),
]


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="Dataset to download.")],
    data_root: Root = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Fetch only what this split needs; may be given several times.")
    ] = None,
) -> None:
    """Download a dataset (resumes, verifies, unpacks safely), or say how to get one that cannot be downloaded."""
    from dabench.cli.console import messages, results
    from dabench.cli.transfer import TransferProgress
    from dabench.datasets import registry
    from dabench.datasets.fetch import fetch_dataset

    info = registry().get(name).info
    if info.bundled:
        results().print(f"{name} is bundled with dabench; there is nothing to fetch", markup=False)
        return
    if data_root is None:
        raise UsageError("say where to put it", hint="pass --data-root DIR or set DABENCH_DATA")
    stderr = messages()
    with TransferProgress(stderr) as bar:
        fetch_dataset(
            name,
            data_root,
            splits=split or (),
            notify=lambda text: stderr.print(text, markup=False, soft_wrap=True),
            progress=bar.update,
        )
    chosen: list[str | None] = [*split] if split else [None]
    for one in chosen:
        check(name, data_root, split=one, decode=False)


@app.command("check")
def check_command(
    name: Annotated[str, typer.Argument(help="Dataset to check.")],
    data_root: Root = None,
    split: Annotated[str | None, typer.Option(help="Check this split only.")] = None,
    field: Annotated[str | None, typer.Option(help="Check this kind of ground truth only.")] = None,
    decode: Annotated[
        bool, typer.Option(help="Decode every image and ground truth, which finds truncated files.")
    ] = True,
    missing: Annotated[Path | None, typer.Option(help="Write the paths of all missing files here, one a line.")] = None,
) -> None:
    """Verify layout, counts and files of every split and field; say what is missing and where to get it."""
    check(name, data_root, split=split, field=field, decode=decode, missing=missing)


def check(
    name: str,
    data_root: Path | None,
    *,
    split: str | None = None,
    field: str | None = None,
    decode: bool,
    missing: Path | None = None,
) -> None:
    """Show the inventory of a dataset.

    Raises:
        DatasetError: lists what is wrong.
    """
    from rich.progress import track

    from dabench.cli.console import messages, results
    from dabench.datasets import registry
    from dabench.datasets.inventory import faults, inventory

    console, stderr = results(), messages()
    parts = []
    wrong = []
    for part in inventory(
        name,
        data_root,
        split=split,
        field=field,
        decode=decode,
        track=lambda ids, what: track(
            ids, description=what, console=stderr, transient=True, disable=not stderr.is_terminal
        ),
    ):
        parts.append(part)
        lines, disagreeing = _describe(name, part)
        wrong += disagreeing
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)
    if missing is not None:
        paths = dict.fromkeys(path for part in parts for path in part.missing)
        missing.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        console.print(f"  wrote {len(paths)} paths to {missing}", markup=False, soft_wrap=True)
    wrong = faults(parts) + wrong
    info = registry().get(name).info
    if len(wrong) == 1:
        raise DatasetError(wrong[0], hint=None if info.how_to_get in wrong[0] else info.how_to_get)
    if wrong:
        more = f"\n    ... and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        listed = "".join(f"\n    - {w}" for w in wrong[:20]) + more
        raise DatasetError(f"dataset '{name}' has {len(wrong)} faults:{listed}", hint=info.how_to_get)
    lacking = sum(part.state in ("absent", "incomplete") for part in parts)
    if lacking:
        console.print(f"  what is there {'decodes' if decode else 'is complete'}; to add the rest:", markup=False)
        console.print(f"  {info.how_to_get}", markup=False, soft_wrap=True)
    else:
        console.print("  everything is there" + (" and decodes" if decode else ""), markup=False)


def _describe(name: str, part: Part) -> tuple[list[str], list[str]]:
    """The lines on one part, and which protocols it contradicts."""
    from dabench import protocols
    from dabench.datasets import registry

    info = registry().get(name).info
    words = [part.task] if len(info.tasks) > 1 or len(info.splits) == 1 else []
    words += [part.split] if len(info.splits) > 1 else []
    words += [part.field] if part.task == "depth" and len(info.fields) > 1 else []
    title = f"{name} ({', '.join(words)})"
    dataset = part.dataset
    if dataset is None:
        state = {"absent": "not on disk", "incomplete": "INCOMPLETE", "undefined": "no such combination"}[part.state]
        return [f"{title}: {state}: {part.reason.splitlines()[0].rstrip(':')}"], []
    pairs = part.task == "pairs"
    counted = f", {dataset.total_targets} pairs" if pairs else ""
    where = f" at {dataset.root}" if dataset.root is not None else ""
    lines = [f"{title}: {dataset.total_samples} images{counted}{where}"]
    groups = Counter(dataset.group(i) for i in dataset.ids)
    targets = Counter({g: sum(dataset.targets(i) for i in dataset.ids if dataset.group(i) == g) for g in groups})
    for group, count in sorted(groups.items()):
        if group:
            lines.append(f"  {group:<24}{count} images" + (f", {targets[group]} pairs" if pairs else ""))
    contradicted = []
    for protocol in protocols.all_protocols().values():
        spec, field = protocol.dataset, protocol.valid.field if protocol.valid is not None else part.field
        if (spec.name, protocol.task, spec.split, field) != (name, part.task, part.split, part.field):
            continue
        if spec.expected is not None:
            found = dataset.total_targets if spec.expected_of == "pairs" else dataset.total_samples
            verdict = "as expected" if found == spec.expected else f"EXPECTED {spec.expected}"
            lines.append(f"  {protocol.id}: {found} {spec.expected_of}, {verdict}")
            if found != spec.expected:
                contradicted.append(f"{protocol.id} is defined on {spec.expected} {spec.expected_of}, found {found}")
    lines.append(f"  labels SHA-256 {dataset.fingerprint}")
    return lines, contradicted
