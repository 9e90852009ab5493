"""DA-2K's ``annotations.json``, read and written (DepthAnything/Depth-Anything-V2, ``DA-2K.md``).

An object: path of an image -> list of ``{"point1": [row, col], "point2": [row, col], "closer_point": "point1"}``. The
point that is closer comes first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from dabench.datasets.sidecar import FORMAT, META

from .reading import Found, ImportedPair, inside_path, read_json, whole_point
from .released import Point, ReleasedPair

KNOWN = ("point1", "point2", "closer_point")
Entries = dict[str, list[dict[str, Any]]]


def read(path: Path) -> Found:
    """Pairs of an ``annotations.json``. Unknown keys are kept in ``more``; a ``meta.json`` of ours beside it tells the
    digests and sizes of the images.

    Args:
        path: the file, or the folder that holds it.
    """
    path = path / "annotations.json" if path.is_dir() else path
    content = read_json(path)
    found = Found()
    if not isinstance(content, dict):
        found.faults.append(f"holds a {type(content).__name__}, not an object of images")
        return found
    images = _described(path.parent / META)
    for key, entries in content.items():
        if reason := inside_path(key):
            found.faults.append(f"'{key}' {reason}")
        elif not isinstance(entries, list) or not entries:
            found.faults.append(f"'{key}' must hold a list of pairs")
        else:
            for number, entry in enumerate(entries):
                found.add(_pair(key, number, entry, images.get(key, {})))
    return found


def _pair(key: str, number: int, entry: Any, image: Mapping[str, Any]) -> ImportedPair | str:
    place = f"'{key}' pair {number}"
    if not isinstance(entry, dict):
        return f"{place}: is not an object"
    one, two = whole_point(entry.get("point1")), whole_point(entry.get("point2"))
    for name, point in (("point1", one), ("point2", two)):
        if point is None:
            return f"{place}: {name} must be [row, col] in whole pixels, got {entry.get(name)!r}"
    assert one is not None and two is not None
    closer = entry.get("closer_point")
    if closer not in ("point1", "point2"):
        return f"{place}: closer_point must be 'point1' or 'point2', got {closer!r}"
    more: dict[str, Any] = {"da2k": {"key": key, "number": number}}
    if extra := {name: value for name, value in entry.items() if name not in KNOWN}:
        more["da2k"]["extra"] = extra
    size = (image["height"], image["width"]) if {"height", "width"} <= set(image) else None
    label = "a" if closer == "point1" else "b"
    folders = PurePosixPath(key).parts[:-1]
    scene = folders[1] if len(folders) > 1 and folders[0] == "images" else ""
    return ImportedPair(
        place, key, one, two, label, size=size, sha256=str(image.get("sha256", "")),
        scene=str(image.get("scene", scene)), more=more,
    )  # fmt: skip


def _described(path: Path) -> dict[str, Any]:
    """What a sidecar of a release says of its images; nothing for another program's ``meta.json``."""
    if not path.is_file():
        return {}
    content = read_json(path)
    ours = isinstance(content, dict) and content.get("format") == FORMAT
    images = content.get("images") if ours else None
    return images if isinstance(images, dict) else {}


def entries_of(pairs: Iterable[ReleasedPair]) -> Entries:
    """The content of ``annotations.json``, in the order of the pairs."""
    entries: Entries = {}
    for pair in pairs:
        one, two = pair.points_closer_first()
        entries.setdefault(pair.key, []).append(_entry(one, two))
    return entries


def restored(pairs: Sequence[ImportedPair]) -> Entries:
    """What :func:`read` read, as it was: keys, order, which point is called closer, and unknown keys."""
    entries: Entries = {}
    for pair in pairs:
        stated: Mapping[str, Any] = pair.more.get("da2k", {})
        entry = _entry(pair.a, pair.b, "point1" if pair.label == "a" else "point2")
        entries.setdefault(stated.get("key", pair.image), []).append({**entry, **stated.get("extra", {})})
    return entries


def _entry(one: Point, two: Point, closer: str = "point1") -> dict[str, Any]:
    return {"point1": list(one), "point2": list(two), "closer_point": closer}


def encoded(entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """The bytes of ``annotations.json``: UTF-8, indented by two, points on one line, one line feed at the end."""
    blocks = []
    for key, listed in entries.items():
        lines = ",\n".join(f"    {json.dumps(entry, ensure_ascii=False, allow_nan=False)}" for entry in listed)
        blocks.append(f"  {json.dumps(key, ensure_ascii=False)}: [\n{lines}\n  ]")
    return ("{\n" + ",\n".join(blocks) + "\n}\n").encode()
