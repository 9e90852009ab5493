"""Weight files of Depth Anything: official `.pth`, safetensors, and Hugging Face `-hf`, all read as official names.

What the bytes do not say (V1 and V2, relative and metric have the same tensors) is taken from the file's metadata, a
`config.json` next to it, or its official name; where none of these speaks, the state carries a note instead of a guess.
"""

from __future__ import annotations

import json
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dabench.errors import CheckpointError
from model_zoo.catalog import entries

from .config import CONFIGS, VERSION_1, DepthAnythingV2Config
from .huggingface import is_huggingface, to_official
from .model import DepthAnythingV2

Tensors = dict[str, Tensor]

UNUSED = re.compile(r"pretrained\.mask_token|depth_head\.scratch\.refinenet4\.resConfUnit1\..*")
"""Tensors of official files that no forward pass reads."""

# Wrappers that training scripts put around a state dict
_WRAPPERS = ("model", "state_dict", "model_state_dict")


@dataclass(frozen=True)
class OfficialState:
    """A weight file under official names, with what could be learnt about it.

    `format` is "official" or "huggingface"; `encoder` a key of CONFIGS; `kind` "relative", "metric" or None when
    nothing says; `max_depth` in metres when known; `taps` the zero-based tapped blocks when a config states them;
    `notes` what a reader of the results should know.
    """

    path: Path
    tensors: Tensors
    format: str
    encoder: str
    kind: str | None = None
    max_depth: float | None = None
    taps: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def load_state(path: str | Path, *, sha256: str | None = None, version: int = 2) -> OfficialState:
    """Read any supported weight file. Nothing in it is executed (`weights_only=True` always).

    With the file's `sha256`, an official file is recognised under whatever name it lies here.

    Raises CheckpointError, naming the file and the way out, when it is absent, damaged, or not Depth Anything of this
    `version`, as far as that can be told.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    if is_huggingface(tensors):
        tensors, layout = to_official(tensors), "huggingface"
    else:
        layout = "official"
    encoder = _encoder_of(tensors, path)
    facts = _facts_beside(path) | _facts_in_name(path) | _facts_in_metadata(metadata) | _facts_of_known_file(sha256)
    _refuse_other_version(facts, CONFIGS[encoder] if version == 2 else VERSION_1[f"{encoder}-v1"], path)
    notes = []
    if not facts.keys() & {"version", "taps"}:
        notes.append(
            f"{path.name} does not say whether it is version 1 or 2 of Depth Anything; it was taken for {version}"
        )
    if "kind" not in facts:
        notes.append(f"{path.name} does not say whether it is relative or metric; the model's name was trusted")
    return OfficialState(
        path=path,
        tensors=tensors,
        format=layout,
        encoder=encoder,
        kind=facts.get("kind"),
        max_depth=facts.get("max_depth"),
        taps=facts.get("taps"),
        notes=tuple(notes),
        metadata=metadata,
    )


def build(state: OfficialState, config: DepthAnythingV2Config) -> DepthAnythingV2:
    """The network of `config` with the weights of `state`, in float32.

    Raises CheckpointError for another encoder size, another kind of head, or tensors missing, unexpected, misshapen or
    not finite.
    """
    name = _name_of(config)
    if state.encoder != name:
        raise CheckpointError(
            f"{state.path} holds the {state.encoder} encoder, but the model is {name}",
            hint=f"choose the {state.encoder} model for this file, or a file of the {name} model",
        )
    kind = "relative" if config.max_depth is None else "metric"
    if state.kind is not None and state.kind != kind:
        raise CheckpointError(
            f"{state.path} holds {state.kind} weights, but the model is {kind}",
            hint="relative and metric files have the same tensors, but the wrong one gives nonsense; "
            f"choose a {state.kind} model for this file",
        )
    if state.max_depth is not None and config.max_depth is not None and state.max_depth != config.max_depth:
        raise CheckpointError(
            f"{state.path} was trained for depths up to {state.max_depth:g} m, the model is for {config.max_depth:g} m",
            hint="indoor models go up to 20 m, outdoor models to 80 m",
        )
    with torch.device("meta"):
        network = DepthAnythingV2(config)
    expected = network.state_dict()
    tensors = {key: value for key, value in state.tensors.items() if not UNUSED.fullmatch(key)}
    _compare(expected, tensors, state.path)
    network.load_state_dict({key: value.to(torch.float32) for key, value in tensors.items()}, assign=True)
    for key, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{state.path}: {key} holds NaN or infinity", hint="the file is damaged")
    return network.eval().requires_grad_(False)


def save_state(
    network: DepthAnythingV2,
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    complete: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write the weights as safetensors under official names, with metadata that says what they are.

    `complete` adds the never-used tensors as zeros, so that the official code loads the file strictly.
    """
    config = network.config
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in network.state_dict().items()}
    if complete:
        width = config.features
        for conv in ("conv1", "conv2"):
            prefix = f"depth_head.scratch.refinenet4.resConfUnit1.{conv}"
            tensors[f"{prefix}.weight"] = torch.zeros(width, width, 3, 3, dtype=dtype)
            tensors[f"{prefix}.bias"] = torch.zeros(width, dtype=dtype)
        tensors["pretrained.mask_token"] = torch.zeros(1, config.embed_dim, dtype=dtype)
    facts = {
        "format": "depth-anything-v2",
        "version": str(config.version),
        "encoder": _name_of(config),
        "kind": "relative" if config.max_depth is None else "metric",
    }
    if config.max_depth is not None:
        facts["max_depth"] = repr(config.max_depth)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={**(metadata or {}), **facts})
    return partial.replace(path)


def _name_of(config: DepthAnythingV2Config) -> str:
    return next((name for name, known in CONFIGS.items() if known.encoder == config.encoder), config.encoder)


def read_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Tensors and string metadata of a file whose format is told from its first bytes, not from its name."""
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".pth", ".pt", ".bin", ".safetensors"))
        found = f"it holds {', '.join(inside)}" if inside else "it holds no weight file"
        raise CheckpointError(f"{path} is a folder, not a weight file", hint=f"give the file itself; {found}")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} does not exist", hint="check the path, or leave the checkpoint out to use the catalogued weights"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    if not start:
        raise CheckpointError(f"{path} is empty", hint="fetch the file again")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights", hint="run `git lfs pull`")
    if start.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is a web page, not a weight file", hint="download the file itself, not its page")
    if start[8:9] == b"{":
        return _read_safetensors(path)
    return _read_pickle(path), {}


def _read_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or incomplete: {error}", hint="fetch the file again") from error


def _read_pickle(path: Path) -> Tensors:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise CheckpointError(
                f"{path} holds Python objects beside tensors; loading them would run code from the file",
                hint="save it as a plain state dict, or as safetensors, where you trust it",
            ) from error
        raise CheckpointError(f"{path} is damaged or not a weight file", hint="fetch the file again") from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a weight file", hint="fetch the file again") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds {type(content).__name__}, not named tensors", hint="give a state dict")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) != len(content):
        other = next(str(key) for key, value in content.items() if not isinstance(value, Tensor))
        raise CheckpointError(f"{path}: '{other}' is not a tensor", hint="give a plain state dict")
    return tensors


def _encoder_of(tensors: Tensors, path: Path) -> str:
    """Key of CONFIGS, by the shapes of the encoder."""
    if "patch_embed.proj.weight" in tensors or not any(key.startswith("depth_head.") for key in tensors):
        if any(key.endswith("patch_embed.proj.weight") for key in tensors):
            raise CheckpointError(
                f"{path} holds an encoder without a depth head", hint="give the full Depth Anything V2 weights"
            )
        raise CheckpointError(
            f"{path} is not a Depth Anything V2 checkpoint (its first tensor is '{min(tensors, default='none')}')",
            hint="give an official .pth, a safetensors file under official names, or a Hugging Face -hf file",
        )
    try:
        dim = tensors["pretrained.patch_embed.proj.weight"].shape[0]
        side = math.isqrt(tensors["pretrained.pos_embed"].shape[1] - 1)
    except (KeyError, IndexError):
        raise CheckpointError(
            f"{path} has no complete DINOv2 encoder under 'pretrained.'", hint="the file is incomplete; fetch it again"
        ) from None
    depth = 1 + max(
        (int(m[1]) for m in (re.match(r"pretrained\.blocks\.(\d+)\.", key) for key in tensors) if m), default=-1
    )
    for name, config in CONFIGS.items():
        if (config.embed_dim, config.depth, config.table_size) == (dim, depth, side):
            return name
    raise CheckpointError(
        f"{path} holds an unknown encoder: width {dim}, {depth} blocks, a positional table of {side}x{side}",
        hint="known encoders: " + ", ".join(f"{n} ({c.embed_dim}, {c.depth} blocks)" for n, c in CONFIGS.items()),
    )


def _facts_of_known_file(sha256: str | None) -> dict[str, Any]:
    """What the catalogue says of a file with this checksum."""
    known = next((entry for entry in entries() if sha256 and entry.sha256 == sha256), None)
    if known is None or "config" not in known.options:
        return {}
    version, max_depth = 1 if known.options["config"] in VERSION_1 else 2, known.options.get("max_depth")
    if max_depth is None:
        return {"version": version, "kind": "relative"}
    return {"version": version, "kind": "metric", "max_depth": float(max_depth)}


def _facts_in_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What our own safetensors files say of themselves."""
    if metadata.get("format") != "depth-anything-v2":
        return {}
    facts: dict[str, Any] = {"version": int(metadata.get("version", 2)), "kind": metadata.get("kind")}
    if "max_depth" in metadata:
        facts["max_depth"] = float(metadata["max_depth"])
    return facts


def _facts_in_name(path: Path) -> dict[str, Any]:
    """What an official file name says: V1 `depth_anything_vits14.pth`, V2 `depth_anything_v2_[metric_*_]vits.pth`."""
    name = path.name.lower()
    if re.match(r"depth_anything_vit[sblg]14", name):
        return {"version": 1, "kind": "relative"}
    found = re.match(r"depth_anything_v2_(?:metric_(hypersim|vkitti)_)?vit[sblg]\b", name)
    if not found:
        return {}
    if found[1] is None:
        return {"version": 2, "kind": "relative"}
    return {"version": 2, "kind": "metric", "max_depth": {"hypersim": 20.0, "vkitti": 80.0}[found[1]]}


def _facts_beside(path: Path) -> dict[str, Any]:
    """What a Hugging Face `config.json` in the same folder says."""
    try:
        content = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("model_type") != "depth_anything":
        return {}
    facts: dict[str, Any] = {"kind": content.get("depth_estimation_type") or "relative"}
    if facts["kind"] == "metric" and content.get("max_depth"):
        facts["max_depth"] = float(content["max_depth"])
    indices = (content.get("backbone_config") or {}).get("out_indices")
    if indices:
        facts["taps"] = tuple(int(index) - 1 for index in indices)
    return facts


def _refuse_other_version(facts: Mapping[str, Any], config: DepthAnythingV2Config, path: Path) -> None:
    if facts.get("version", config.version) != config.version or facts.get("taps", config.taps) != config.taps:
        other = 3 - config.version
        raise CheckpointError(
            f"{path} holds weights of Depth Anything V{other}, which reads other blocks of the encoder",
            hint=f"give a Depth Anything V{config.version} file; V{other} weights load into V{config.version} without "
            "complaint but give wrong depth",
        )


def _compare(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    problems = [f"missing {key}" for key in expected if key not in given]
    problems += [f"unexpected {key}" for key in given if key not in expected]
    problems += [
        f"{key} has shape {list(given[key].shape)}, not {list(value.shape)}"
        for key, value in expected.items()
        if key in given and given[key].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(
            f"{path} does not fit the model: {'; '.join(problems[:3])}{more}",
            hint="the file is incomplete, or belongs to another model",
        )
