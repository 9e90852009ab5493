"""``dabench doctor``: is this installation in order, and what does it run on."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from dabench.errors import DabenchError

PACKAGES = (
    "torch", "torchvision", "timm", "numpy", "opencv-python", "pillow", "scipy", "safetensors", "huggingface-hub",
    "matplotlib", "pandas", "segment-anything",
)  # fmt: skip
SAME_MODULE = {"opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")}
EXTRAS = {
    "annotate": ("fastapi", "pyarrow", "uvicorn"),
    "zoo": ("diffusers", "transformers"),
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "vlm": ("httpx",),
    "render": ("mitsuba",),
    "eth3d": ("py7zr",),
    "train": ("tensorboard",),
}
"""What ``pip install 'dabench[EXTRA]'`` brings."""


def doctor_command(
    data_root: Annotated[
        Path | None, typer.Option(envvar="DABENCH_DATA", help="Folder with one folder a dataset.")
    ] = None,
) -> None:
    """Check the installation: packages, devices, bundled files, datasets. Opens no connection."""
    from dabench.cli.console import results
    from dabench.records import environment, provenance

    console = results()
    good = True

    def line(ok: bool | None, title: str, text: str) -> None:
        nonlocal good
        mark = {True: "[green]ok[/]  ", False: "[red]BAD[/] ", None: "[dim]--[/]  "}[ok]
        good = good and ok is not False
        console.print(mark, end="")
        console.print(f"{title:<18}{text}", markup=False, soft_wrap=True)

    about, where = provenance(), environment()
    line(True, "dabench", about["dabench"] + (f" at {about['commit'][:12]}" if about["commit"] else ""))
    line(True, "python", f"{where['python']} on {where['platform']}, {where['cpus']} CPUs")
    for name in PACKAGES:
        found = _installed(name, *SAME_MODULE.get(name, ()))
        line(found is not None, name, found or "missing; reinstall dabench with pip")
    for extra, names in EXTRAS.items():
        line(*_extra(extra, names))
    for ok, title, text in (*_devices(), *_bundled(), *_models(), *_datasets(data_root)):
        line(ok, title, text)
    raise typer.Exit(0 if good else 1)


def _installed(*names: str) -> str | None:
    """Version of the first of these distributions that is installed."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _extra(extra: str, names: tuple[str, ...]) -> tuple[bool | None, str, str]:
    """An extra counts as installed when all its packages are."""
    found = {name: _installed(name) for name in names}
    told = ", ".join(f"{name} {at}" for name, at in found.items() if at)
    missing = ", ".join(name for name, at in found.items() if not at)
    if not missing:
        return True, f"extra {extra}", told
    have = f" ({told} is there)" if told else ""
    return None, f"extra {extra}", f"without {missing}{have}; pip install 'dabench[{extra}]' brings it"


def _devices() -> list[tuple[bool | None, str, str]]:
    try:
        import torch
    except Exception as error:  # a broken native library raises many kinds
        return [(False, "torch import", f"{type(error).__name__}: {error}")]
    found: list[tuple[bool | None, str, str]] = [(True, "threads", f"{torch.get_num_threads()} for torch on the CPU")]
    if torch.cuda.is_available():
        found += [(True, f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    else:
        found.append((None, "cuda", "no CUDA device; everything runs on the CPU"))
    if torch.backends.mps.is_available():
        found.append((True, "mps", "available"))
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    found.append((True if compiler else None, "C++ compiler", compiler or "none; only `--compile on` needs one"))
    return found


def _bundled() -> list[tuple[bool | None, str, str]]:
    from dabench.datasets import open_dataset

    try:
        mini = open_dataset("mini")
        return [(True, "dataset mini", f"{mini.total_samples} images, {mini.total_targets} pairs")]
    except DabenchError as error:
        return [(False, "dataset mini", error.message)]


def _models() -> list[tuple[bool | None, str, str]]:
    from dabench.registry import broken_providers, load_model, models

    found: list[tuple[bool | None, str, str]] = []
    for name in models():
        if models().get(name).status == "bundled":
            try:
                load_model(
                    name, checkpoint=None, device="cpu", precision="fp32", input_size=None, compile="off"
                ).close()
                found.append((True, "bundled model", name))
            except Exception as error:
                found.append((False, "bundled model", f"{name}: {error}"))
    found += [(False, "model provider", f"{name}: {reason}") for name, reason in broken_providers().items()]
    cache = os.environ.get("HF_HOME") or "the default cache of huggingface_hub"
    offline = " (offline: HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") else ""
    found.append((True, "weights", f"downloaded to {cache}{offline}"))
    return found


def _datasets(data_root: Path | None) -> list[tuple[bool | None, str, str]]:
    from dabench.datasets import registry

    if data_root is None:
        return [(None, "data root", "none; set DABENCH_DATA to a folder with one folder a dataset")]
    found: list[tuple[bool | None, str, str]] = [
        (
            data_root.is_dir() or False,
            "data root",
            str(data_root) if data_root.is_dir() else f"{data_root} is not a folder",
        )
    ]
    for name in registry():
        info = registry().get(name).info
        if not info.bundled and not info.root_is_set:
            there = (data_root / name).is_dir()
            text = f"present; `dabench data check {name}` verifies it" if there else info.how_to_get
            found.append((True if there else None, f"dataset {name}", text))
    return found
