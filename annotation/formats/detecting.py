"""Which format a file of pairs is in, and the reader for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dabench.errors import UsageError

from . import coco, da2k, diw, label_studio, tables
from .reading import Found, read_bytes, read_json

FORMATS = ("da2k", "table", "label-studio", "coco", "diw")


def detect_format(path: Path) -> str:
    """The format of a file, by its ending and its content. Raises UsageError when it is none of ``FORMATS``."""
    if path.is_dir():
        return "da2k"
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return "table"
    if suffix == ".csv":
        return "table" if b"pa_row" in read_bytes(path).split(b"\n", 1)[0] else "diw"
    if suffix == ".json":
        content = read_json(path)
        if isinstance(content, list):
            return "label-studio"
        return "coco" if isinstance(content, dict) and isinstance(content.get("annotations"), list) else "da2k"
    raise UsageError(
        f"{path}: the format cannot be told from the ending '{suffix}'", hint=f"pass --format {' | '.join(FORMATS)}"
    )


def read_pairs(path: Path, form: str, base: int = diw.COORDINATE_BASE) -> Found:
    """The pairs of a file in a format of ``FORMATS``. ``base``: what the coordinates of DIW's CSV count from."""
    if form == "diw":
        return diw.read(path, base)
    readers: Mapping[str, Callable[[Path], Found]] = {
        "da2k": da2k.read, "table": tables.read, "label-studio": label_studio.read, "coco": coco.read,
    }  # fmt: skip
    if form not in readers:
        raise UsageError(f"there is no format '{form}'", hint=f"formats: {', '.join(FORMATS)}")
    return readers[form](path)
