"""Several training sets as one, each image as likely as every other (plain concatenation, as in Depth Anything V2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dabench.errors import DatasetError, UsageError

from .order import Place
from .sample import LabelledSample, TrainingDataset

PLAIN_BLOCK = 1024
"""Neighbours that stay together when a set without shards is mixed with sets that have them."""

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Part:
    """A set and how many times a pass sees it; 0.5 is every other image, and the next pass has other ones."""

    dataset: TrainingDataset
    repeat: float = 1.0

    @property
    def count(self) -> int:
        """Images that this part adds to a pass."""
        return round(self.repeat * len(self.dataset))


class ConcatenatedDataset:
    """Indices 0..len-1 over all parts, in the given order. Picklable.

    A set whose attribute `block_sizes` gives the sizes of its shards keeps them together (see `blocks`).
    """

    def __init__(self, parts: Sequence[Part | TrainingDataset]) -> None:
        self.parts = tuple(part if isinstance(part, Part) else Part(part) for part in parts)
        if not self.parts:
            raise UsageError("no training set was given", hint="name at least one under data.sets")
        for part in self.parts:
            if not part.repeat > 0 or not math.isfinite(part.repeat):
                raise UsageError(f"{part.dataset.name}: repeat must be a positive number, got {part.repeat}")
            if part.count == 0:
                raise DatasetError(
                    f"{part.dataset.name} has {len(part.dataset)} images, which at repeat {part.repeat:g} leaves none",
                    hint="check its root and its split, or raise repeat",
                )
        self.ends = np.cumsum([part.count for part in self.parts])
        names = [part.dataset.name for part in self.parts]
        self.labels = tuple(n if names.count(n) == 1 else f"{n}.{i}" for i, n in enumerate(names, start=1))

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def metric(self) -> bool:
        """Whether the depth of every part is in metres."""
        return all(part.dataset.metric for part in self.parts)

    @property
    def name(self) -> str:
        return "+".join(part.dataset.name for part in self.parts)

    def locate(self, place: Place) -> tuple[TrainingDataset, int]:
        """The set and the index in it that `place` means."""
        number, index = self._locate(place)
        return self.parts[number].dataset, index

    def _locate(self, place: Place) -> tuple[int, int]:
        """Number of the part, and the index in its set.

        Whole repeats are copies. What is left takes evenly spaced images, and another phase in every pass.
        """
        number = int(np.searchsorted(self.ends, place.index, side="right"))
        part = self.parts[number]
        length = len(part.dataset)
        copy, inner = divmod(place.index - (int(self.ends[number - 1]) if number else 0), length)
        left_over = part.count - copy * length
        if left_over < length:
            phase = place.pass_number * _GOLDEN % 1.0
            inner = min(int((inner + phase) * (length / left_over)), length - 1)
        return number, inner

    def read(self, place: Place) -> LabelledSample:
        """The image at `place`; raises what its set raises."""
        dataset, index = self.locate(place)
        return dataset[index]

    def id_of(self, place: Place) -> str:
        """`set/id`, unique over all parts; sets of one kind are numbered, `set.2/id`."""
        number, index = self._locate(place)
        return f"{self.labels[number]}/{self.parts[number].dataset.id_of(index)}"

    @property
    def blocks(self) -> tuple[int, ...] | None:
        """Sizes of consecutive shards for `Order`; None where no set has shards."""
        if all(getattr(part.dataset, "block_sizes", None) is None for part in self.parts):
            return None
        sizes: list[int] = []
        for part in self.parts:
            length = len(part.dataset)
            own = getattr(part.dataset, "block_sizes", None)
            if own is None:
                own = [min(PLAIN_BLOCK, length - start) for start in range(0, length, PLAIN_BLOCK)]
            if sum(own) != length:
                raise DatasetError(f"{part.dataset.name}: its shards hold {sum(own)} images, the set {length}")
            copies, left_over = divmod(part.count, length)
            sizes += list(own) * copies
            if left_over:
                # the phase moves a boundary by at most one image, which costs locality next to nothing
                edges = np.ceil(np.cumsum([0, *own]) * (left_over / length)).astype(np.int64).clip(0, left_over)
                sizes += np.diff(edges).tolist()
        return tuple(int(size) for size in sizes)
