"""The one global sequence of training images: position -> (pass, index), the same for every world size.

Step t of a run with global batch B uses positions [t B, (t + 1) B), so the step number alone says where to go on after
an interruption. A pass visits every index once, in an order of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dabench.errors import UsageError

MATERIALISED = 1 << 20
"""Longest permutation kept as an array (4 MB). Beyond it, a keyed bijection answers each lookup on its own."""

_STREAM = 0  # first number after the seed; the feed's augmentation streams are 1 and up
_SHARDS, _WITHIN = 0, 1
_KEPT = 8
_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Place:
    """Where a position of the sequence points: index into the data, and the pass that it belongs to."""

    pass_number: int
    index: int


class FeistelPermutation:
    """A pseudo-random bijection on 0..length-1 that needs no memory.

    A balanced Feistel network on the next power of four, walked until it lands inside (Black and Rogaway, "Ciphers with
    Arbitrary Finite Domains", CT-RSA 2002): fewer than four evaluations on average.
    """

    ROUNDS = 6

    def __init__(self, length: int, rng: np.random.Generator) -> None:
        self.length = length
        self.half = max(1, ((length - 1).bit_length() + 1) // 2)
        self.keys = [int(key) for key in rng.integers(0, 1 << 63, self.ROUNDS, dtype=np.uint64)]

    def __getitem__(self, offset: int) -> int:
        half, mask = self.half, (1 << self.half) - 1
        value = int(offset)
        while True:
            left, right = value >> half, value & mask
            for key in self.keys:
                mixed = (right + key) * 0x9E3779B97F4A7C15 & _MASK64
                mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _MASK64
                left, right = right, left ^ (mixed >> 32 & mask)
            value = left << half | right
            if value < self.length:
                return value


class Order:
    """A seeded permutation of 0..length-1 for every pass.

    Args:
        length: images in a pass.
        seed: non-negative; another seed is another sequence.
        blocks: sizes of consecutive shards, which must add up to `length`. With them the order is shard-local: shards
            in a random order, `window` of them shuffled together, so that only `window` shards are open at a time.
            Without, every image can follow every other.
        window: shards shuffled together.

    Memory is a few megabytes at any length: a permutation of up to MATERIALISED indices is an array, one without blocks
    beyond that is a `FeistelPermutation`. Picklable; safe to use from several threads.
    """

    def __init__(self, length: int, seed: int, blocks: Sequence[int] | None = None, window: int = 16) -> None:
        if length < 1:
            raise UsageError("there are no training images to put in order")
        if seed < 0:
            raise UsageError(f"the seed of the order must not be negative, got {seed}")
        if window < 1:
            raise UsageError(f"at least one shard must be shuffled at a time, got window {window}")
        self.length, self.seed, self.window = length, seed, window
        self.blocks = None if blocks is None else np.asarray(blocks, np.int64)
        if self.blocks is not None:
            if (self.blocks < 0).any() or int(self.blocks.sum()) != length:
                raise UsageError(f"the shards hold {int(self.blocks.sum())} images, the data {length}")
            self.starts = np.cumsum(self.blocks) - self.blocks
        self._recent: dict[tuple[int, ...], Any] = {}

    def at(self, position: int) -> Place:
        """What the sequence has at `position` (0, 1, 2, ... without end)."""
        if position < 0:
            raise UsageError(f"positions start at 0, got {position}")
        pass_number, offset = divmod(int(position), self.length)
        return Place(pass_number, self._lookup(pass_number, offset))

    def substitute(self, position: int, attempt: int) -> Place:
        """What to use at `position` when its own image, and `attempt - 1` substitutes before, cannot be used.

        It is what comes `attempt` places later in the same pass, which goes round at its end.
        """
        pass_number, offset = divmod(int(position), self.length)
        return Place(pass_number, self._lookup(pass_number, (offset + attempt) % self.length))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recent": {}}

    def _rng(self, pass_number: int, kind: int, group: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAM, pass_number, kind, group])

    def _lookup(self, pass_number: int, offset: int) -> int:
        if self.blocks is None:
            return int(self._recall((pass_number,), lambda: self._permutation(pass_number))[offset])
        ends, shards = self._recall((pass_number, _SHARDS), lambda: self._windows(pass_number))
        group = int(np.searchsorted(ends, offset, side="right"))
        indices = self._recall(
            (pass_number, _WITHIN, group), lambda: self._within(pass_number, group, shards[group :: len(ends)])
        )
        return int(indices[offset - (int(ends[group - 1]) if group else 0)])

    def _permutation(self, pass_number: int) -> FeistelPermutation | npt.NDArray[np.int32]:
        rng = self._rng(pass_number, _SHARDS)
        if self.length > MATERIALISED:
            return FeistelPermutation(self.length, rng)
        return rng.permutation(np.arange(self.length, dtype=np.int32))

    def _windows(self, pass_number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(where each window ends in the pass, shards in random order); window g has every G-th shard from g on."""
        assert self.blocks is not None
        shards = self._rng(pass_number, _SHARDS).permutation(np.flatnonzero(self.blocks))
        count = -(-len(shards) // self.window)
        sizes = [int(self.blocks[shards[group::count]].sum()) for group in range(count)]
        return np.cumsum(sizes), shards

    def _within(self, pass_number: int, group: int, shards: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        assert self.blocks is not None
        pieces = [np.arange(self.starts[shard], self.starts[shard] + self.blocks[shard]) for shard in shards]
        return self._rng(pass_number, _WITHIN, group).permutation(np.concatenate(pieces))

    def _recall(self, key: tuple[int, ...], build: Callable[[], Any]) -> Any:
        recent = self._recent  # replaced, never changed, so threads need no lock
        if key in recent:
            return recent[key]
        value = build()
        self._recent = dict([*list(recent.items())[1 - _KEPT :], (key, value)])
        return value
