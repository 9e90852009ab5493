"""What of a dataset is on disk: every split and field, and what is missing from each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dabench.datasets import open_dataset, registry, resolve_root
from dabench.datasets.base import Dataset
from dabench.datasets.layouts import AbsentError, IncompleteError
from dabench.errors import DatasetError, SampleError, UnknownNameError, UsageError

Track = Callable[[Sequence[str], str], Iterable[str]]
"""Passes ids through and may show how far it is; the second argument says what is being done."""


@dataclass(frozen=True)
class Part:
    """One task, split and field of a dataset.

    Attributes:
        state: ``complete``; ``incomplete``: some samples are there; ``absent``: no sample is; ``undefined``: the
            dataset has no such combination.
        dataset: opened, where complete.
        reason: why it is not complete, as the reader says it, with the way out.
        missing: paths below the root of the files that are missing, as far as they are known.
        present: ids of the samples that are there.
        damaged: what cannot be decoded, one message a sample; empty where nothing was decoded.
    """

    task: str
    split: str
    field: str
    state: Literal["complete", "incomplete", "absent", "undefined"]
    dataset: Dataset | None = None
    reason: str = ""
    missing: tuple[str, ...] = ()
    present: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = ()


def inventory(
    name: str,
    data_root: Path | None,
    *,
    split: str | None = None,
    field: str | None = None,
    decode: bool = True,
    track: Track = lambda ids, what: ids,
) -> Iterator[Part]:
    """Open every part of a dataset in turn, and decode it. A sample that several splits share is decoded once a field.

    Args:
        name: of the dataset.
        data_root: as for `open_dataset`.
        split, field: look at this one only.
        decode: also read every image and its ground truth, which finds damaged files.
        track: to show progress.

    Raises:
        UnknownNameError: no such dataset, split or field.
        UsageError: there is no root.
        DatasetError: the root does not exist.
    """
    info = registry().get(name).info
    for kind, chosen, known in (("split", split, info.splits), ("field", field, info.fields)):
        if chosen is not None and chosen not in known:
            raise UnknownNameError(f"{kind} of dataset '{name}'", chosen, known, hint=f"known: {', '.join(known)}")
    root = resolve_root(name, data_root)
    if root is not None and not root.is_dir():
        open_dataset(name, data_root)  # says what is wrong with the root
    decoded: set[tuple[str, str, str]] = set()
    for task in info.tasks:
        for one_split in (split,) if split else info.splits:
            fields = ((field,) if field else info.fields) if task == "depth" else info.fields[:1]
            for one_field in fields:
                yield _look(name, data_root, task, one_split, one_field, decoded if decode else None, track)


def _look(
    name: str,
    data_root: Path | None,
    task: str,
    split: str,
    field: str,
    decoded: set[tuple[str, str, str]] | None,
    track: Track,
) -> Part:
    try:
        dataset = open_dataset(name, data_root, task=task, split=split, field=field)
    except AbsentError as error:
        return Part(task, split, field, "absent", reason=str(error), missing=error.missing)
    except IncompleteError as error:
        return Part(task, split, field, "incomplete", reason=str(error), missing=error.missing, present=error.present)
    except DatasetError as error:
        return Part(task, split, field, "incomplete", reason=str(error))
    except UsageError as error:
        return Part(task, split, field, "undefined", reason=error.message)
    damaged = []
    if decoded is not None:
        fresh = [i for i in dataset.ids if (task, field, i) not in decoded]
        for sample_id in track(fresh, f"decoding {name} {split}"):
            decoded.add((task, field, sample_id))
            try:
                dataset.load(sample_id)
            except SampleError as error:
                damaged.append(str(error))
    return Part(task, split, field, "complete", dataset, present=frozenset(dataset.ids), damaged=tuple(damaged))


def faults(parts: Sequence[Part]) -> list[str]:
    """What keeps a root from being in order, each with its reason.

    That is whatever is damaged, the default split where it is there in part, and any other split that is, unless all it
    has belongs to a split that is complete (KITTI's lists overlap). A part that is absent is no fault, unless nothing
    is complete.

    Args:
        parts: of one dataset, the default split first.
    """
    found = [message for part in parts for message in part.damaged]
    complete = [part for part in parts if part.state == "complete"]
    for part in parts:
        shared = any(
            part.present <= other.present and (part.task, part.field) == (other.task, other.field) for other in complete
        )
        default = part.split == parts[0].split
        if part.state == "incomplete" and (default or not part.present or not shared):
            found.append(part.reason)
    if not complete and not found:
        found = [next((part.reason for part in parts if part.state == "absent"), parts[0].reason)]
    return found
