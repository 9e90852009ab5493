"""TorchScript files, run by PyTorch. They hold code in TorchScript's own language, which cannot reach the system."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dabench.errors import ModelError, UsageError

from .facts import KEY
from .ports import Array, Port

REQUIRES, EXTRA = ("torch",), None


class TorchScriptNetwork:
    """A loaded ``torch.jit`` file. See :class:`~.ports.Network`."""

    def __init__(self, path: Path, device: str = "auto") -> None:
        import torch

        self.device = _device(device)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._module: Any = torch.jit.load(str(path), map_location=self.device).eval()
        except Exception as error:  # the loader raises RuntimeError for anything
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"{path} cannot be loaded as TorchScript: {reason}") from error
        self.runtime = f"torch {torch.__version__.partition('+')[0]}"
        needed = [a for a in self._module.forward.schema.arguments[1:] if not a.has_default_value()]
        if len(needed) != 1:
            listed = ", ".join(argument.name for argument in needed) or "none"
            raise ModelError(f"{path} takes {len(needed)} inputs, not one image: {listed}")
        tensors = [*self._module.parameters(), *self._module.buffers()]
        self.parameters: int | None = sum(p.numel() for p in self._module.parameters()) or None
        half = bool(tensors) and all(t.dtype == torch.float16 for t in tensors if t.is_floating_point())
        self.input = Port(needed[0].name, None, "float16" if half else None)

    def run(self, array: Array) -> Mapping[str, Array]:
        import torch

        with torch.inference_mode():
            found = self._module(torch.from_numpy(array).to(self.device))
        return {name: np.asarray(_array(value)) for name, value in _named(found).items()}

    def close(self) -> None:
        self._module = None


def check(path: Path) -> None:
    """Say what a file is that is no TorchScript.

    Raises:
        ModelError: a checkpoint, a truncated file, or something else.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] == b"\x80\x02" or (start[:2] == b"PK" and _is_checkpoint(path)):
        raise ModelError(
            f"{path} holds weights alone, without the network that they belong to",
            hint=f"name the model: -m MODEL --checkpoint {path}; or save the network with torch.jit.save",
        )
    if start[:2] != b"PK":
        raise ModelError(f"{path} is not a TorchScript file")
    if not any(name.split("/")[1:2] == ["code"] for name in _members(path)):
        raise ModelError(f"{path} is not a TorchScript file: it holds no code", hint="save it with torch.jit.save")


def metadata_text(path: Path) -> str | None:
    """The text that `dabench export` wrote, if it did."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.split("/")[1:] == ["extra", KEY]:
                return archive.read(name).decode("utf-8", "replace")
    return None


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        raise ModelError(f"{path} is cut short or damaged: its archive has no end", hint="get it again") from None


def _is_checkpoint(path: Path) -> bool:
    parts = [name.split("/") for name in _members(path)]
    return any(part[1:] == ["data.pkl"] for part in parts) and not any(part[1:2] == ["code"] for part in parts)


def _device(device: str) -> Any:
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{device}' is unknown or not available here", hint="choose auto or cpu") from error


def _named(found: Any) -> dict[str, Any]:
    if isinstance(found, Mapping):
        return {str(key): value for key, value in found.items()}
    if isinstance(found, list | tuple):
        return {str(number): value for number, value in enumerate(found)}
    return {"0": found}


def _array(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return value.float().numpy() if value.is_floating_point() else value.numpy()
    return np.zeros(0)  # no tensor, hence no map
