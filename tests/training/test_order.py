"""The global sequence: every pass visits everything once, in an order of its own, the same for everybody."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dabench.errors import UsageError
from model_zoo.depth_anything_v2.training import order as order_module
from model_zoo.depth_anything_v2.training.order import FeistelPermutation, Order, Place


def indices(order: Order, start: int, count: int) -> list[int]:
    return [order.at(position).index for position in range(start, start + count)]


@settings(deadline=None)
@given(length=st.integers(1, 300), seed=st.integers(0, 2**32), number=st.integers(0, 5))
def test_a_pass_visits_every_index_once(length: int, seed: int, number: int) -> None:
    order = Order(length, seed)
    places = [order.at(number * length + offset) for offset in range(length)]
    assert {place.pass_number for place in places} == {number}
    assert sorted(place.index for place in places) == list(range(length))


@settings(deadline=None)
@given(
    blocks=st.lists(st.integers(0, 20), min_size=1, max_size=30).filter(any),
    window=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_pass_over_shards_visits_every_index_once_from_few_shards_at_a_time(
    blocks: list[int], window: int, seed: int
) -> None:
    length = sum(blocks)
    order = Order(length, seed, blocks, window)
    shard_of = np.repeat(np.arange(len(blocks)), blocks)
    for number in range(2):
        found = indices(order, number * length, length)
        assert sorted(found) == list(range(length))
        shards = shard_of[found]
        first = {s: int(np.flatnonzero(shards == s)[0]) for s in set(shards.tolist())}
        last = {s: int(np.flatnonzero(shards == s)[-1]) for s in set(shards.tolist())}
        for offset in range(length):
            assert sum(first[s] <= offset <= last[s] for s in first) <= window


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 5000), seed=st.integers(0, 2**32))
def test_the_permutation_without_memory_is_a_bijection(length: int, seed: int) -> None:
    permutation = FeistelPermutation(length, np.random.default_rng(seed))
    assert sorted(permutation[offset] for offset in range(length)) == list(range(length))


def test_the_permutation_without_memory_looks_random() -> None:
    """Neighbours land independently: no correlation, as many fixed points and successions as chance gives."""
    length = 20_000
    permutation = FeistelPermutation(length, np.random.default_rng(3))
    values = np.array([permutation[offset] for offset in range(length)])
    assert abs(np.corrcoef(values, np.arange(length))[0, 1]) < 0.03
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.03
    assert (values == np.arange(length)).sum() <= 8
    assert (np.diff(values) == 1).sum() <= 8
    # each tenth of the pass draws evenly from each tenth of the data: chi-square with 81 degrees of freedom
    table = np.histogram2d(np.arange(length), values, bins=10)[0]
    expected = length / 100
    assert ((table - expected) ** 2 / expected).sum() < 140


def test_a_long_pass_needs_no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    length = 62_300_000
    order = Order(length, 1)
    found = indices(order, length - 200, 400)
    assert all(0 <= index < length for index in found) and len(set(found)) == 400
    assert sum(len(pickle.dumps(value)) for value in order._recent.values()) < 10_000
    monkeypatch.setattr(order_module, "MATERIALISED", 10)
    assert sorted(indices(Order(999, 4), 0, 999)) == list(range(999))


def test_passes_and_seeds_differ() -> None:
    length = 50
    orders = [indices(Order(length, seed), number * length, length) for seed in (0, 1) for number in range(3)]
    assert len({tuple(found) for found in orders}) == 6
    blocks = [10] * 5
    orders = [indices(Order(length, seed, blocks, 2), n * length, length) for seed in (0, 1) for n in range(3)]
    assert len({tuple(found) for found in orders}) == 6


@pytest.mark.parametrize("blocks", [None, [30, 1, 0, 40, 29]])
def test_any_position_can_be_asked_for_at_any_time(blocks: list[int] | None) -> None:
    straight = Order(100, 9, blocks, 2)
    places = [straight.at(position) for position in range(350)]
    asked = Order(100, 9, blocks, 2)
    for position in np.random.default_rng(0).permutation(350):
        assert asked.at(int(position)) == places[position]
    assert pickle.loads(pickle.dumps(asked)).at(217) == places[217]


def test_shards_are_mixed_inside_a_window() -> None:
    shards = np.array(indices(Order(1000, 0, [100] * 10, 5), 0, 1000)) // 100
    assert len(set(shards[:500].tolist())) == 5 and len(set(shards[500:].tolist())) == 5
    assert len(set(shards[:40].tolist())) == 5


def test_a_substitute_comes_from_further_on_in_the_same_pass() -> None:
    order = Order(7, 0)
    assert order.substitute(8, 0) == order.at(8)
    assert order.substitute(8, 2) == order.at(10)
    assert order.substitute(13, 1) == order.at(7) == Place(1, order.at(7).index)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "no training images"),
        ((5, -1), "must not be negative"),
        ((5, 0, [2, 2]), "the shards hold 4 images, the data 5"),
        ((5, 0, [6, -1]), "shards hold 5 images"),
        ((5, 0, [5], 0), "at least one shard"),
    ],
)
def test_arguments_that_make_no_order(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Order(*arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="start at 0"):
        Order(5, 0).at(-1)
