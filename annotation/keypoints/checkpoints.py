"""Weight files of Segment Anything: which ones are known, and how a file is checked before it is trusted."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dabench.errors import CheckpointError, ModelError, UnknownNameError
from model_zoo.hub import file_sha256


@dataclass(frozen=True)
class KnownCheckpoint:
    """A published file. ``size`` in bytes."""

    name: str
    file: str
    size: int
    sha256: str
    licence: str = "Apache-2.0"

    @property
    def url(self) -> str:
        return f"https://dl.fbaipublicfiles.com/segment_anything/{self.file}"


KNOWN = (
    KnownCheckpoint(
        "sam-vit-b",
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    KnownCheckpoint(
        "sam-vit-l",
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    KnownCheckpoint(
        "sam-vit-h",
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
)
"""Published by the authors of segment-anything; the end of a file's name is the start of its MD5."""

WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""Width of the image encoder -> name in ``segment_anything.sam_model_registry``."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Checkpoint:
    """A weight file whose content is known by its digest. ``name`` is that of the published file, else the file's."""

    path: Path
    name: str
    sha256: str
    known: KnownCheckpoint | None


def check_file(path: Path) -> Checkpoint:
    """Digest of a weight file, and the published file that it is.

    Raises:
        CheckpointError: it cannot be read, or it has the name of a published file but not its content.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is not a file" if path.exists() else "does not exist"
        names = ", ".join(known.name for known in KNOWN)
        raise CheckpointError(
            f"checkpoint {path} {kind}", hint=f"dabench annotate fetch-sam NAME downloads one; names: {names}"
        )
    try:
        size, sha256 = path.stat().st_size, file_sha256(path)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    known = next((one for one in KNOWN if one.sha256 == sha256), None)
    meant = next((one for one in KNOWN if one.file == path.name), None)
    if meant is not None and known is not meant:
        state = (
            f"is truncated: {size} of {meant.size} bytes"
            if size < meant.size
            else f"is not the published file of that name: its SHA-256 is {sha256}, not {meant.sha256}"
        )
        raise CheckpointError(
            f"checkpoint {path} {state}",
            hint=f"dabench annotate fetch-sam {meant.name}, or give weights of your own another name",
        )
    return Checkpoint(path, known.name if known else path.name, sha256, known)


def load_segment_anything(path: Path) -> tuple[Any, Checkpoint]:
    """The network of a checkpoint of ViT-B, -L or -H, in evaluation mode, and what is known about the file.

    Nothing in the file is executed: only tensors are read.

    Raises:
        CheckpointError: the file is no such checkpoint; the message says in what way.
        ModelError: the package is not installed.
    """
    checkpoint = check_file(path)
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise ModelError(
            "key points of Segment Anything need the package segment-anything",
            hint="pip install segment-anything torchvision; or use key points of regions, which need nothing",
        ) from error
    state = _tensors(checkpoint.path)
    first = state.get("image_encoder.patch_embed.proj.weight")
    kind = None if first is None else WIDTHS.get(len(first))
    if kind is None:
        raise CheckpointError(
            f"checkpoint {path} holds tensors, but not those of Segment Anything ViT-B, ViT-L or ViT-H",
            hint="SAM 2 and other networks have other files; for a network of transformers give its folder",
        )
    sam = sam_model_registry[kind]()
    try:
        sam.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"checkpoint {path} does not fit {kind} of segment-anything: {reason}") from error
    return sam.eval().requires_grad_(False), checkpoint


def _tensors(path: Path) -> dict[str, Any]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = "Unsupported" in str(error) or "GLOBAL" in str(error)
        what = "holds code or objects besides tensors, and is not read" if named else "is damaged or no weight file"
        raise CheckpointError(f"checkpoint {path} {what}", hint="a plain state dict is expected") from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {path} is truncated, damaged or no weight file") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"checkpoint {path} is no plain state dict", hint="a name -> tensor mapping is expected")
    return state


def fetch_checkpoint(
    name: str,
    folder: Path,
    *,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download a known checkpoint into ``folder``, going on from a partial file, and check it.

    Raises:
        UnknownNameError: no known checkpoint has this name.
        DownloadError: the transfer failed or brought other bytes.
    """
    from dabench.datasets.fetch import download

    known = next((one for one in KNOWN if one.name == name), None)
    if known is None:
        raise UnknownNameError("checkpoint", name, [one.name for one in KNOWN])
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / known.file
    return download(
        known.url, target, checksum=f"sha256:{known.sha256}", size=known.size, notify=notify, progress=progress
    )
