"""``dabench data``: fetch a dataset, and check one that is on disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import DatasetError, SampleError, UsageError

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
        fetch_dataset(name, data_root, notify=lambda text: stderr.print(text, markup=False), progress=bar.update)
    check(name, data_root, decode=False)


@app.command("check")
def check_command(
    name: Annotated[str, typer.Argument(help="Dataset to check.")],
    data_root: Root = None,
    decode: Annotated[bool, typer.Option(help="Decode every image, which finds truncated files.")] = True,
) -> None:
    """Verify layout, counts and files of a dataset; say what is missing and where to get it."""
    check(name, data_root, decode=decode)


def check(name: str, data_root: Path | None, *, decode: bool) -> None:
    """Open a dataset under every task it has, count, and optionally decode all of it.

    Raises:
        DatasetError: lists what is wrong.
    """
    from rich.progress import track

    from dabench import protocols
    from dabench.cli.console import messages, results
    from dabench.datasets import open_dataset, registry

    console = results()
    for task in registry().get(name).info.tasks:
        dataset = open_dataset(name, data_root, task=task)
        bad: list[str] = []
        if decode:
            stderr = messages()
            for sample_id in track(
                dataset.ids,
                description=f"decoding {name}",
                console=stderr,
                transient=True,
                disable=not stderr.is_terminal,
            ):
                try:
                    dataset.load(sample_id)
                except SampleError as error:
                    bad.append(str(error))
        groups = Counter(dataset.group(i) for i in dataset.ids)
        pairs = Counter({g: sum(dataset.targets(i) for i in dataset.ids if dataset.group(i) == g) for g in groups})
        counted = f", {dataset.total_targets} pairs" if task == "pairs" else ""
        console.print(f"{name} ({task}): {dataset.total_samples} images{counted} at {dataset.root}", markup=False)
        for group, count in sorted(groups.items()):
            if group:
                of_pairs = f", {pairs[group]} pairs" if task == "pairs" else ""
                console.print(f"  {group:<24}{count} images{of_pairs}", markup=False)
        for protocol in protocols.all_protocols().values():
            wanted = protocol.dataset.expected
            if protocol.dataset.name == name and protocol.task == task and wanted is not None:
                found = dataset.total_targets if protocol.dataset.expected_of == "pairs" else dataset.total_samples
                verdict = "as expected" if found == wanted else f"EXPECTED {wanted}"
                console.print(f"  {protocol.id}: {found} {protocol.dataset.expected_of}, {verdict}", markup=False)
                if found != wanted:
                    bad.append(f"{protocol.id} is defined on {wanted} {protocol.dataset.expected_of}, found {found}")
        console.print(f"  labels SHA-256 {dataset.fingerprint}", markup=False)
        if bad:
            listed = "".join(f"\n    - {b}" for b in bad[:20]) + (
                f"\n    ... and {len(bad) - 20} more" if len(bad) > 20 else ""
            )
            raise DatasetError(f"dataset '{name}' has {len(bad)} damaged parts:{listed}", hint=dataset.info.how_to_get)
    console.print("  everything is there" + (" and decodes" if decode else ""), markup=False)
