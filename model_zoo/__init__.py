"""The models that dabench scores: Depth Anything V2 in full, baselines, and saved predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dabench.types import DepthModel

__all__ = ["load"]


def load(
    name: str,
    *,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    input_size: int | None = None,
    compile: str = "auto",
    settings: Mapping[str, Any] | None = None,
    output: str | None = None,
) -> DepthModel:
    """Build a model by its catalogue name, or the network in a file.

    Args:
        name: ``family-variant[-domain]``, as ``dabench ls models`` prints it; or the path of an ONNX, OpenVINO or
            TorchScript file.
        checkpoint: weight file to use instead of the catalogued one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        input_size: short side of the network input in pixels; the model's own default if None.
        compile: ``auto``, ``on`` or ``off``.
        settings: options of this model, as ``dabench show NAME`` lists them.
        output: what a file's values mean, where it does not say so: ``disparity``, ``depth`` or ``metric``.

    Raises:
        UsageError: a setting that the model does not have.
        UnknownNameError: no such model; the message lists the nearest names.
        ModelError: a network file that cannot be loaded or run.
        CheckpointError: the weight file is absent, damaged or of another model.
        DownloadError: the weights are not on this machine and cannot be fetched.
    """
    from dabench.registry import load_model

    model: DepthModel = load_model(
        name,
        checkpoint=Path(checkpoint) if checkpoint is not None else None,
        device=device,
        precision=precision,
        input_size=input_size,
        compile=compile,
        settings=settings,
        output=output,
    )
    return model
