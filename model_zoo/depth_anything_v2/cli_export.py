"""``dabench export``: a network of ours as a file that runs without this package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import UsageError


def export(
    model: Annotated[str, typer.Argument(help="A Depth Anything V1 or V2 (see `dabench ls models`).")],
    to: Annotated[str, typer.Option(help="onnx, openvino or torchscript.", show_default=False)],
    checkpoint: Annotated[Path | None, typer.Option(help="Weight file to use instead of the catalogued one.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Height and width of the input in pixels, multiples of 14.")
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="An input of any height and width, as without --size.")
    ] = False,
    opset: Annotated[int, typer.Option(help="Operator set of ONNX.")] = 17,
    out: Annotated[Path | None, typer.Option(help="File to write; MODEL and the format's ending by default.")] = None,
    precision: Annotated[str, typer.Option(help="fp32, or fp16 for half the size.")] = "fp32",
) -> None:
    """Export a network to ONNX, OpenVINO or TorchScript, verified against the original at several sizes.

    The file says what it is, so that `dabench eval -m FILE` needs no more options.
    """
    from dabench.registry import models

    from .export import export_model
    from .export.formats import FORMATS
    from .export.verify import TOLERANCES

    if dynamic and size is not None:
        raise UsageError("--size fixes the input and --dynamic does not", hint="pass one of them")
    entry = models().get(model)
    shape = _size(size)
    if out is None:
        name = f"{model}-{shape[0]}x{shape[1]}" if shape else model
        out = Path(name + ("-fp16" if precision == "fp16" else "") + FORMATS.get(to, ""))
    done = export_model(entry, to, out, checkpoint=checkpoint, size=shape, opset=opset, precision=precision)
    if entry.non_commercial:
        typer.echo(f"the weights of {model} are licensed {entry.licence}: NON-COMMERCIAL use only", err=True)
    sizes = ", ".join(f"{height}x{width}" for height, width in done.sizes)
    typer.echo(f"compared at {sizes}", err=True)
    typer.echo(
        f"{done.path}: largest difference {done.difference:.1e} of the range of a map, "
        f"allowed {TOLERANCES[done.facts.precision]:.0e}"
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if found is None:
        raise UsageError(f"--size {text} is not of the form HEIGHTxWIDTH", hint="for example --size 518x686")
    return int(found[1]), int(found[2])
