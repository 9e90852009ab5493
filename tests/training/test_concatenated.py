"""Several sets as one: every image counts as often as its set's repeat says, and shards stay together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench.errors import DatasetError, UsageError
from model_zoo.depth_anything_v2.training.concatenated import PLAIN_BLOCK, ConcatenatedDataset, Part
from model_zoo.depth_anything_v2.training.order import Order, Place
from model_zoo.depth_anything_v2.training.sample import LabelledSample, TrainingDataset


class Named(TrainingDataset):
    """Ids only."""

    def __init__(self, name: str, length: int, blocks: list[int] | None = None, metric: bool = True) -> None:
        self.name, self.length, self.metric = name, length, metric
        if blocks is not None:
            self.block_sizes = blocks

    def __len__(self) -> int:
        return self.length

    def id_of(self, index: int) -> str:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return f"{index}"

    def __getitem__(self, index: int) -> LabelledSample:
        empty = np.zeros((1, 1), bool)
        return LabelledSample(
            f"{index}", np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32), empty, empty, True
        )


def counts(data: ConcatenatedDataset, number: int) -> Counter[str]:
    return Counter(data.id_of(Place(number, index)) for index in range(len(data)))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0])), min_size=1, max_size=4
    )
)
def test_every_image_counts_as_often_as_its_sets_repeat(choices: list[tuple[int, float]]) -> None:
    parts = [Part(Named(f"s{n}", max(length, 4)), repeat) for n, (length, repeat) in enumerate(choices)]
    data = ConcatenatedDataset(parts)
    for number in (0, 1, 7):
        seen = counts(data, number)
        for part in parts:
            own = [seen[f"{part.dataset.name}/{index}"] for index in range(len(part.dataset))]
            assert sum(own) == part.count == round(part.repeat * len(part.dataset))
            assert set(own) <= {int(part.repeat), int(np.ceil(part.repeat))}


def test_half_a_set_is_another_half_in_another_pass() -> None:
    data = ConcatenatedDataset([Part(Named("a", 100), 0.5)])
    passes = [set(counts(data, number)) for number in range(12)]
    assert all(len(seen) == 50 for seen in passes) and passes[0] != passes[1]
    assert len(set.union(*passes)) == 100


def test_shards_stay_together_and_plain_sets_come_in_blocks() -> None:
    data = ConcatenatedDataset(
        [Part(Named("a", 2 * PLAIN_BLOCK + 5)), Part(Named("b", 30, [10, 15, 5]), 2.4), Part(Named("c", 7), 1)]
    )
    blocks = data.blocks
    assert blocks is not None and sum(blocks) == len(data)
    assert blocks == (PLAIN_BLOCK, PLAIN_BLOCK, 5, 10, 15, 5, 10, 15, 5, 4, 6, 2, 7)
    assert Order(len(data), 0, blocks).at(len(data) - 1).pass_number == 0
    assert ConcatenatedDataset([Named("a", 5), Named("c", 7)]).blocks is None


def test_ids_carry_the_sets_name_and_read_reads_it() -> None:
    data = ConcatenatedDataset([Named("a", 2), Named("b", 3, metric=False)])
    assert [data.id_of(Place(0, index)) for index in range(5)] == ["a/0", "a/1", "b/0", "b/1", "b/2"]
    twice = ConcatenatedDataset([Named("a", 1), Named("b", 1), Named("a", 1)])
    assert [twice.id_of(Place(0, index)) for index in range(3)] == ["a.1/0", "b/0", "a.3/0"]
    assert data.read(Place(3, 4)).id == "2"
    assert (data.name, data.metric, ConcatenatedDataset([Named("a", 2)]).metric) == ("a+b", False, True)


def test_sets_that_make_no_pass() -> None:
    with pytest.raises(UsageError, match="no training set"):
        ConcatenatedDataset([])
    with pytest.raises(DatasetError, match="a has 0 images"):
        ConcatenatedDataset([Named("a", 0)])
    with pytest.raises(DatasetError, match=r"a has 3 images, which at repeat 0\.1 leaves none"):
        ConcatenatedDataset([Part(Named("a", 3), 0.1)])
    for repeat in (0, -1, float("nan")):
        with pytest.raises(UsageError, match="repeat must be a positive number"):
            ConcatenatedDataset([Part(Named("a", 3), repeat)])
    with pytest.raises(DatasetError, match="its shards hold 4 images, the set 3"):
        _ = ConcatenatedDataset([Named("a", 3, [4])]).blocks
