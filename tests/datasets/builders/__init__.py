"""Builders of tiny but complete sets in their official layouts, one module a layout; the contract test finds them.

To have a reader tested, write ``builders/<dataset>.py`` (dashes become underscores); a further layout of the same
dataset goes into a module of any name with ``NAME = "<dataset>"``. Nothing else is needed: every module is taken
through every task, split and field of its reader. A builder is written from the specification of the layout and never
calls the reader's own code. A module holds

``build(folder) -> Path``
    Writes the set below the empty ``folder`` and returns the data root to pass to ``open_dataset`` (for sets that are
    their own root, the set itself). It runs once a module, so it may write thousands of files, but they should be tiny:
    the counts that a reader asserts are kept, the pixels are not. `fill` writes one content to many names.

and, for dense ground truth,

``truth_file(root, sample_id, split, field) -> Path``
    The file that holds the ground truth of one sample. ``root`` is the dataset's own.

and may hold

``NAME``: the dataset, where the module's name does not say it.
``image_file(root, sample_id) -> Path``: the file of an image; by default the one ``<root>/<sample_id>.*``.
``ONE_FILE = True``: all images and depth maps are in one file; there is no ``truth_file`` and no ``image_file``.
``REFUSED = {(split, field): "words"}``: combinations without meaning; opening one is a UsageError with these words.
``ABSENT = {(split, field): "words"}``: combinations that this layout lacks; opening one is a DatasetError.
``SOLID = True``: the ground truth covers every pixel (by default some are covered and some are not); or the set of
    fields of which this holds.
``GROUPS``: the set of groups that the whole set has. ``IMAGES``: number of images of every split.
``SEQUENCES``: whether samples belong to sequences (False by default).
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt


def modules() -> dict[str, ModuleType]:
    """All builder modules by their own name."""
    return {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}


def dataset_of(module: ModuleType) -> str:
    """The dataset whose layout a module builds."""
    return str(getattr(module, "NAME", module.__name__.rpartition(".")[2].replace("_", "-")))


def encoded(values: npt.NDArray[np.generic], extension: str = ".png") -> bytes:
    """An image file as OpenCV writes it; colours in RGB order."""
    done, content = cv2.imencode(extension, values[..., ::-1] if values.ndim == 3 else values)
    assert done
    return bytes(content.tobytes())


def picture(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Noise ``uint8 [height, width, 3]``."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def fill(paths: Iterable[Path], contents: list[bytes]) -> None:
    """Write the contents to the paths in turn. A file may be a hard link: replace it, never write into it."""
    made: set[Path] = set()
    first: dict[int, Path] = {}
    for number, path in enumerate(paths):
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        which = number % len(contents)
        if which in first:
            os.link(first[which], path)
        else:
            path.write_bytes(contents[which])
            first[which] = path


def rewrite(path: Path, content: bytes | None) -> None:
    """Replace a file of a built set by other content, or remove it; never changes a hard-linked twin."""
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
