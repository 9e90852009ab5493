"""Lists of the images of official splits, shipped with the package and pinned by checksum."""

from __future__ import annotations

import hashlib
from importlib import resources

from dabench.errors import DatasetError


def read_split(name: str, sha256: str, count: int) -> tuple[str, ...]:
    """The lines of ``splits/<name>.txt``, in the order of the file.

    Args:
        name: of the list, without the extension.
        sha256: of the file, in hexadecimal.
        count: number of lines it must hold.

    Raises:
        DatasetError: the installed file is not the one that the reader was written for.
    """
    content = (resources.files("dabench.datasets") / "splits" / f"{name}.txt").read_bytes()
    lines = tuple(content.decode("utf-8").splitlines())
    if hashlib.sha256(content).hexdigest() != sha256 or len(lines) != count or len(set(lines)) != count:
        raise DatasetError(
            f"split list {name}.txt of this installation was changed: it holds {len(lines)} lines, expected {count}",
            hint="install dabench again; a run on another list is not comparable with any other",
        )
    return lines
