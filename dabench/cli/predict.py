"""``dabench predict``: depth maps of pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from dabench.cli.options import Checkpoint, Compile, Device, InputSize, Precision, Settings, read_settings
from dabench.errors import DabenchError, UsageError

DEFAULT_OUT = Path("predictions")


def predict_command(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.", show_default=False)],
    model: Annotated[str, typer.Option("-m", "--model", help="Model name or network file.")] = "depth-anything-v2-tiny",
    out: Annotated[Path, typer.Option(help="Folder for the maps.")] = DEFAULT_OUT,
    output_kind: Annotated[
        str | None, typer.Option(help="What the network in a file gives: disparity, depth or metric.", metavar="KIND")
    ] = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    input_size: InputSize = None,
    compile: Compile = "auto",
    option: Settings = None,
) -> None:
    """Predict depth maps: NAME.npy (values), NAME_16bit.png and NAME_color.png for each picture."""
    from rich.progress import track

    from dabench.cli.choice import check_gives_maps, check_models, load
    from dabench.cli.console import messages, results
    from dabench.datasets.formats import read_image
    from dabench.depth_files import write_prediction
    from dabench.registry import is_network_file
    from dabench.types import checked_prediction

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    if output_kind is not None and not is_network_file(model):
        raise UsageError("--output-kind says what the network in a file gives", hint="pass it together with -m FILE")
    check_models([model], output_kind)
    check_gives_maps([model])
    options = {
        "checkpoint": checkpoint,
        "device": device,
        "precision": precision,
        "input_size": input_size,
        "compile": compile,
        "settings": read_settings(option),
        "output": output_kind,
    }
    loaded = load(model, options)
    stems = _stems(images)
    stderr, failed = messages(), 0
    try:
        for path in track(
            images,
            description=f"predicting with {model}",
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        ):
            try:
                image = read_image(path)
                prediction = checked_prediction(loaded.predict(image), image, model)
                written = write_prediction(prediction, out, stems[path])
            except (DabenchError, RuntimeError, OSError) as error:
                failed += 1
                stderr.print(
                    f"failed: {path}: {error}" if str(path) not in str(error) else f"failed: {error}", markup=False
                )
                continue
            results().print(f"{path} -> {written[0].parent / stems[path]}{{.npy,_16bit.png,_color.png}}", markup=False)
    finally:
        loaded.close()
    if failed:
        stderr.print(f"{failed} of {len(images)} pictures failed", markup=False)
        raise typer.Exit(1)


def _stems(images: list[Path]) -> dict[Path, str]:
    """File names without folders, made distinct where two pictures share one."""
    counts = Counter(path.stem for path in dict.fromkeys(images))
    stems = {p: p.stem if counts[p.stem] == 1 else f"{p.parent.name}_{p.name.replace('.', '_')}" for p in images}
    repeated = [stem for stem, count in Counter(stems.values()).items() if count > 1]
    if repeated:
        raise UsageError(f"several pictures would be written as '{repeated[0]}'", hint="predict them in separate calls")
    return stems
