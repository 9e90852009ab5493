"""File names of an export: safe on every system, the same every time, and never split at a dot."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from dabench.errors import UsageError

SHORT = 16
"""Hexadecimal digits of an image's SHA-256 in its file name."""
LONGEST = 48
RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
)
UNSORTED = "unsorted"


def safe_scene(scene: str) -> str:
    """A scene as the name of a folder: ``a-z 0-9 _``, at most 48 characters, no name that Windows keeps for itself.

    Accents are dropped; a name that has no Latin letter or digit becomes ``scene_`` and a hash.
    """
    plain = unicodedata.normalize("NFKD", scene).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST].strip("_")
    if not name:
        text = unicodedata.normalize("NFC", scene).strip()
        return f"scene_{hashlib.sha256(text.encode()).hexdigest()[:8]}" if text else UNSORTED
    return f"{name}_" if name in RESERVED else name


def scene_folders(scenes: Iterable[str]) -> dict[str, str]:
    """Scene -> folder; two scenes whose safe names are the same get numbers."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for scene in sorted(set(scenes)):
        name = safe_scene(scene)
        number = 1
        while (wanted := name if number == 1 else f"{name}_{number}") in taken:
            number += 1
        taken.add(wanted)
        folders[scene] = wanted
    return folders


def image_keys(images: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """SHA-256 of each image -> its path in a release, ``images/<scene>/<first 16 digits>.<jpg|png>``."""
    listed = list(images)
    folders = scene_folders(image["scene"] for image in listed)
    short = [image["sha256"][:SHORT] for image in listed]
    keys = {}
    for image, name in zip(listed, short, strict=True):
        stem = name if short.count(name) == 1 else image["sha256"]
        keys[image["sha256"]] = f"images/{folders[image['scene']]}/{stem}{PurePosixPath(image['file']).suffix}"
    return keys


def checked_release_name(name: str) -> str:
    """The name of a release. Raises UsageError unless it can be a folder's name everywhere."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9]|[A-Za-z0-9]", name):
        raise UsageError(
            f"'{name}' cannot name a release: letters, digits, dots, dashes and underscores, at most 64",
            hint="for instance: v1.0",
        )
    if name.split(".")[0].lower() in RESERVED:
        raise UsageError(f"'{name}' cannot name a release: Windows keeps it for a device")
    return name
