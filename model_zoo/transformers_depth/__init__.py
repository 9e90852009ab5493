"""Depth models of the transformers library: MiDaS / DPT, ZoeDepth, Depth Pro, GLPN, and others of the same interface.

A catalogue row names the class (``architecture``) and what the model's original code does to an image; a new model of
the library takes one row. The network is transformers' own. So are the image processor and the post-processing, set by
the row to the original code's input rule where the files on the hub depart from it:

========== ========================================================== ===============================================
family     original input rule                                        what transformers does otherwise
========== ========================================================== ===============================================
MiDaS      ``midas/model_loader.py``: aspect ratio kept, the axis     antialiased bicubic on uint8, clamped, where
           that changes least brought to the size, both rounded to    OpenCV's cubic works on floats; the networks of
           32; Swin squares the image; cubic; mean and std 0.5;       v3.0 (DPT large, hybrid) take square images only
           result enlarged bicubically
ZoeDepth   ``depth_model.py``: reflect padding, the same rule for     nothing that changes more than rounding
           384x512 (KITTI alone 384x768), bilinear with aligned
           corners; image and mirror image averaged; bicubic
Depth Pro  ``depth_pro.py``: normalised, then bilinear to 1536x1536;  nothing
           canonical inverse depth times width over the focal length
           that the network's field of view gives, bilinear, inverted
GLPN       ``code/dataset``, ``test.py``: [0, 1] without              sides rounded down to 32, as the network needs
           normalisation, 480x640 or 352x1216                         (the original meets no other sizes); the hub's
                                                                      KITTI file says 10 m, the original 80 m
========== ========================================================== ===============================================

Sources: isl-org/MiDaS @ 4545977, isl-org/ZoeDepth @ d87f17b, apple/ml-depth-pro @ 9efe5c1, vinvino02/GLPDepth.

Images that no processor can take (a side shorter than ``least_side``, or so long that the short side would round to
nothing) are first stretched along the short side. Metric maps are floored at 1 mm, as the original evaluations do,
since bicubic enlargement may overshoot below zero. Images are predicted one by one, in float32 unless told otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dabench.errors import UsageError
from dabench.types import ModelEntry, ModelInfo
from model_zoo.depth_anything_v2.predictor import resolve_device, resolve_precision
from model_zoo.hub import Notify
from model_zoo.snapshot import resolve_files, weight_notes

from .files import find_class, load_network, load_processor
from .predictor import Rule, TransformersDepth

RULES = {
    "ZoeDepthForDepthEstimation": Rule(least_side=5, flip=True, padded=True),  # reflection needs a side above its pad
    "DepthProForDepthEstimation": Rule(needs="use_fov_model"),
    "GLPNForDepthEstimation": Rule(least_side=32),
}
"""Classes whose interface differs; any other class of the library follows the default rule."""


def load(
    entry: ModelEntry,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    notify: Notify | None = None,
) -> TransformersDepth:
    """Build the model of a catalogue row.

    The row's options: ``architecture``, the class; ``processor``, settings of the image processor that stand for those
    of the files; ``config``, the same for config.json; ``multiple``, given where the input size may be chosen, of which
    it has to be a multiple.

    Raises:
        UsageError: an option that this machine or this model cannot meet; found before anything is downloaded.
        CheckpointError: the files are incomplete, damaged or of another model.
        DownloadError: the files are not on this machine and cannot be fetched.
    """
    where = resolve_device(device)
    number = resolve_precision(precision, where)
    settings = _processor_settings(entry, input_size)
    if compile == "on":
        raise UsageError(f"model '{entry.name}' cannot be compiled", hint="leave --compile out")
    architecture = find_class(entry)
    folder = resolve_files(entry, checkpoint, notify=notify)
    rule = RULES.get(entry.options["architecture"], Rule())
    network, unexpected = load_network(entry, architecture, folder, rule)
    processor = load_processor(folder.path, settings)
    official = checkpoint is None or folder.sha256 == entry.sha256
    notes = weight_notes(entry, folder, official=official)
    if unexpected:
        notes += (f"{len(unexpected)} tensors of the file are not of the network: {', '.join(unexpected[:3])}",)
    info = ModelInfo(
        name=entry.name,
        output=entry.output,
        weights_sha256=folder.sha256,
        parameters=entry.parameters,
        licence=entry.licence if official else None,
        source=folder.source,
        settings=_described(entry, rule, processor, precision),
        notes=notes,
    )
    return TransformersDepth(network.to(where), processor, rule, info, where, number)


def _processor_settings(entry: ModelEntry, input_size: int | None) -> dict[str, Any]:
    settings = dict(entry.options.get("processor", {}))
    if input_size is None:
        return settings
    multiple = entry.options.get("multiple")
    if not multiple:
        raise UsageError(f"model '{entry.name}' has a fixed input size", hint="leave --input-size out")
    if input_size < multiple or input_size % multiple:
        raise UsageError(f"input size {input_size} is no multiple of {multiple}", hint=f"for example {12 * multiple}")
    return settings | {"size": {"height": input_size, "width": input_size}}


def _described(entry: ModelEntry, rule: Rule, processor: Any, precision: str) -> dict[str, Any]:
    """Everything that changes the numbers."""
    import transformers

    size = getattr(processor, "size", None)
    return {
        "architecture": entry.options["architecture"],
        "transformers": transformers.__version__,
        "processor": type(processor).__name__,
        "input_size": [size["height"], size["width"]] if size and size.get("height") else None,
        "keep_aspect_ratio": bool(getattr(processor, "keep_aspect_ratio", False)),
        "multiple": getattr(processor, "ensure_multiple_of", None) or getattr(processor, "size_divisor", None),
        "flip_averaging": rule.flip,
        "precision": precision,
        **entry.options.get("config", {}),
    }
