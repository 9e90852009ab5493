"""The networks of a diffusers folder, loaded strictly: what is missing, damaged or of another model is one error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dabench.errors import CheckpointError

INDEX = "model_index.json"
SCHEDULER = "scheduler/scheduler_config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass
class Components:
    """What the computation needs, on its device.

    Attributes:
        unet: `UNet2DConditionModel`.
        vae: `AutoencoderKL`.
        text: [1, tokens, width] embedding of the empty prompt. The text encoder itself is not kept: a depth model is
            never prompted with anything else.
        scheduler: what `scheduler/scheduler_config.json` says; empty where the row names no such file.
        index: what `model_index.json` says; empty where the row names no such file.
    """

    unet: Any
    vae: Any
    text: Tensor
    scheduler: Mapping[str, Any]
    index: Mapping[str, Any]

    @property
    def parameters(self) -> int:
        """Parameters that compute a map: of U-Net and VAE."""
        return sum(p.numel() for network in (self.unet, self.vae) for p in network.parameters())


def read_components(folder: Path, names: tuple[str, ...], device: torch.device, dtype: torch.dtype) -> Components:
    """Load the parts from ``folder``, of which ``names`` are the files that the catalogue row lists.

    Raises:
        CheckpointError: a part is unreadable, incomplete, or not of the class that it has to be.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    with _quiet():
        unet = _network(UNet2DConditionModel, folder, "unet", dtype)
        vae = _network(AutoencoderKL, folder, "vae", dtype)
        text = _empty_prompt(folder)
    width = unet.config.cross_attention_dim
    if text.shape[-1] != width:
        raise CheckpointError(f"{folder}: text_encoder gives {text.shape[-1]} numbers a token, unet takes {width}")
    return Components(
        unet=unet.to(device).requires_grad_(False),
        vae=vae.to(device).requires_grad_(False),
        text=text.to(device, dtype),
        scheduler=_json(folder / SCHEDULER) if SCHEDULER in names else {},
        index=_json(folder / INDEX) if INDEX in names else {},
    )


def _network(kind: Any, folder: Path, name: str, dtype: torch.dtype) -> Any:
    """One network of diffusers. Its loader fills what a file lacks with random numbers and only warns: not here."""
    config = folder / name / "config.json"
    found = _json(config).get("_class_name")
    if found != kind.__name__:
        raise CheckpointError(f"{config} describes a {found or 'network of no class'}, not a {kind.__name__}")
    with _explained(folder / name, kind.__name__):
        network, report = kind.from_pretrained(
            str(folder),
            subfolder=name,
            torch_dtype=dtype,
            use_safetensors=(folder / name / WEIGHTS).is_file(),
            local_files_only=True,
            low_cpu_mem_usage=False,
            output_loading_info=True,
        )
    _complete(folder / name, kind.__name__, missing=report["missing_keys"], unknown=report["unexpected_keys"])
    return network.eval()


@torch.inference_mode()
def _empty_prompt(folder: Path) -> Tensor:
    """Embedding of the empty prompt: start and end of text, not padded, as all these models were trained."""
    from transformers import CLIPTextModel, CLIPTokenizer

    loaded: Any
    with _explained(folder / "text_encoder", "CLIPTextModel"):
        loaded = CLIPTextModel.from_pretrained(
            str(folder), subfolder="text_encoder", local_files_only=True, output_loading_info=True
        )
    encoder, report = loaded
    _complete(folder / "text_encoder", "CLIPTextModel", missing=report["missing_keys"], unknown=())
    with _explained(folder / "tokenizer", "CLIPTokenizer"):
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), subfolder="tokenizer", local_files_only=True)
        tokens = tokenizer("", padding="do_not_pad", return_tensors="pt").input_ids
        embedding: Tensor = encoder.eval().float()(tokens)[0]
    return embedding.clone()


def _complete(path: Path, kind: str, *, missing: Any, unknown: Any) -> None:
    for keys, verb in ((missing, "lacks"), (unknown, "has unknown")):
        if keys:
            first = ", ".join(sorted(map(str, keys))[:3])
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise CheckpointError(
                f"{path}: the weights do not fit the {kind} of its config.json: the file {verb} {first}{more}"
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return content


@contextlib.contextmanager
def _explained(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever the loaders raise into one error that names the folder."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # the loaders' failures have no common type
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise CheckpointError(f"{path} cannot be loaded as a {kind} ({type(error).__name__}: {reason})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the loaders' progress bars and reports away; what matters of them becomes an error here."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    bars = transformers_logging.is_progress_bar_enabled()
    for library in libraries:
        library.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
