"""Weights of several files by name: all in one folder, at one commit, each moved and checked by :mod:`model_zoo.hub`.

Loaders of transformers and diffusers read a folder (``config.json``, ``model.safetensors``, ...). It is the snapshot
folder of the ordinary hub cache, so that files already there are reused and other programs find what was fetched here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dabench.errors import CheckpointError
from dabench.types import ModelEntry

from .hub import Notify, WeightFile, download_weights, file_sha256


@dataclass(frozen=True)
class WeightFolder:
    """The files of one model on this machine, whose content is known.

    Attributes:
        path: the folder they lie in, laid out as the source is.
        sha256: of ``entry.file``; one hash over names and contents of all files where the row names no such file.
        source: where they came from, for the record: ``repository@commit``, or the path given by the caller.
        revision: commit of the hub repository, the same for every file; None for files given by the caller.
        pinned: whether the catalogue itself vouches for ``entry.file``.
        files: where each file of the row lies, by its name in the source.
    """

    path: Path
    sha256: str
    source: str
    revision: str | None = None
    pinned: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)


def resolve_files(
    entry: ModelEntry,
    checkpoint: Path | None = None,
    *,
    notify: Notify | None = None,
    cache_dir: Path | None = None,
) -> WeightFolder:
    """All files of a catalogue row: from ``checkpoint`` if given, else from the cache or the hub.

    The file of the network's weights comes first, so that whatever is wrong with the source or the disk shows before
    anything else is moved; the rest is then taken at its commit, wherever the branch has gone since.

    Args:
        entry: a row with a ``source``, and with ``file``, ``files`` or both.
        checkpoint: a folder of the source's layout, or, for a row of one file, that file.
        notify: told about downloads and licences; standard error if None.
        cache_dir: the hub cache; the ordinary one if None.

    Raises:
        CheckpointError: ``checkpoint`` does not hold what the row names.
        DownloadError: a file is neither cached nor obtainable, or its content is not the expected one.
    """
    names = _names(entry)
    if checkpoint is not None:
        return _given(entry, names, Path(checkpoint))
    if not entry.source or not names:
        raise CheckpointError(f"model '{entry.name}' has no weight files in its catalogue row", hint="--checkpoint DIR")
    found = {}
    commit, pinned = entry.revision, False
    for name in names:
        row = replace(entry, file=name, sha256=entry.sha256 if name == entry.file else None, revision=commit)
        found[name] = download_weights(row, cache_dir=cache_dir, notify=notify)
        commit = found[name].revision
        pinned = pinned or found[name].pinned
    first = names[0]
    return WeightFolder(
        path=found[first].path.parents[first.count("/")],
        sha256=_fingerprint(entry, {name: file.sha256 for name, file in found.items()}),
        source=f"{entry.source}@{commit}",
        revision=commit,
        pinned=pinned,
        files={name: file.path for name, file in found.items()},
    )


def _names(entry: ModelEntry) -> tuple[str, ...]:
    """Every file of the row once, that of the weights first."""
    return tuple(dict.fromkeys((entry.file, *entry.files) if entry.file else entry.files))


def _given(entry: ModelEntry, names: tuple[str, ...], path: Path) -> WeightFolder:
    layout = f"give a folder that holds {', '.join(names)}"
    if not path.exists():
        raise CheckpointError(f"checkpoint {path} does not exist", hint=layout)
    if path.is_dir():
        folder, files = path, {name: path / name for name in names}
    elif len(names) == 1:
        folder, files = path.parent, {names[0]: path}
    else:
        raise CheckpointError(f"checkpoint {path} is one file; model '{entry.name}' has {len(names)}", hint=layout)
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing:
        raise CheckpointError(f"checkpoint {path} has no {', no '.join(missing)}", hint=layout)
    try:
        sha256 = _fingerprint(entry, {n: file_sha256(f) for n, f in files.items() if n == entry.file or not entry.file})
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    return WeightFolder(path=folder, sha256=sha256, source=str(path), files=files)


def _fingerprint(entry: ModelEntry, sha256: Mapping[str, str]) -> str:
    if entry.file:
        return sha256[entry.file]
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sha256.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def weight_notes(entry: ModelEntry, weights: WeightFile | WeightFolder, *, official: bool) -> tuple[str, ...]:
    """What a reader of a record needs to know about the weights.

    ``official`` tells the catalogued weights, wherever they came from, from others given in their place.
    """
    if not official:
        return (f"weights given as a file ({weights.path.name}), not the catalogued ones of {entry.name}",)
    notes = []
    if entry.non_commercial:
        notes.append(f"the weights are licensed {entry.licence}: non-commercial use only")
    if not entry.sha256 and entry.status != "bundled":
        notes.append("no checksum of the weights is catalogued; their content was trusted on first use")
    return tuple(notes)
