"""Drawing pairs so that the probability of each one is known exactly.

Of one scene, the images are rows and the strata (route, gap, side) are columns of a table. Each cell gets an expected
number of pairs, so that the columns reach what is wanted of them and no row exceeds the limit of an image. The table is
rounded at random to whole numbers, each entry, row and column up or down to a neighbour of its expectation and every
entry right on average: unbiased controlled rounding (Cox, JASA 82, 1987), done by the dependent rounding of Gandhi,
Khuller, Parthasarathy and Srinivasan (JACM 53, 2006, section 2). Inside a cell pairs are drawn in proportion to a
weight by systematic sampling in random order. So a pair with the share p of its cell has the probability
``expected * p``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNIT = 1 << 40
"""Expected numbers are whole multiples of 1 / UNIT, so that rounding is exact arithmetic."""
ROUNDS = 400
FLOOR = 0.1
"""Part of the pairs that is spread like a uniform draw."""


@dataclass(frozen=True)
class Drawn:
    """One drawn pair: number of its image and of the candidate in it, and the probability it was drawn with."""

    image: int
    candidate: int
    probability: float


def generator_for(*words: object) -> np.random.Generator:
    """A random generator that depends on the words only."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def draw(
    strata: Sequence[NDArray[np.int64]],
    weights: Sequence[NDArray[np.float64]],
    wanted: Sequence[float],
    groups: Sequence[int],
    per_image: int,
    generator: np.random.Generator,
) -> tuple[list[Drawn], NDArray[np.float64]]:
    """Draw pairs from the candidates of one scene.

    Args:
        strata: for each image, the column of each of its candidates; -1: none, it cannot be drawn.
        weights: for each image, the positive weight of each candidate within its cell.
        wanted: number of pairs of each column. What one cannot give is asked of the others.
        groups: of each column, the number of its route; a route as a whole gets a whole number of pairs.
        per_image: most pairs of one image.
        generator: the only source of chance.

    Returns:
        The drawn pairs by image and candidate, and the expected number of each column.
    """
    columns = len(wanted)
    sizes = np.zeros((len(strata), columns), np.int64)
    for row, numbers in enumerate(strata):
        sizes[row] = np.bincount(numbers[numbers >= 0], minlength=columns)
    expected = expected_counts(sizes, np.asarray(wanted, float), per_image)
    counts = round_table(expected, groups, generator)
    drawn = []
    for row, column in zip(*np.nonzero(expected), strict=True):
        members = np.flatnonzero(strata[row] == column)
        most = -(-int(expected[row, column]) // UNIT)
        shares = cell_shares(weights[row][members], most)
        order = np.argsort(generator.random(len(members)), kind="stable")
        chosen = systematic(shares[order] * int(counts[row, column]), float(generator.random()))
        mean = int(expected[row, column]) / UNIT
        drawn += [Drawn(int(row), int(members[k]), min(1.0, mean * float(shares[k]))) for k in order[chosen]]
    drawn.sort(key=lambda pair: (pair.image, pair.candidate))
    return drawn, expected.sum(axis=0) / UNIT


def expected_counts(sizes: NDArray[np.int64], wanted: NDArray[np.float64], per_image: int) -> NDArray[np.int64]:
    """Expected number of pairs of each cell, int64 [images, columns], in units of 1 / UNIT.

    A tenth is spread as a uniform draw would spread it, so that no cell falls below a tenth of a uniform draw, which
    would give its pairs huge weights. For the rest every image with candidates of a column starts with the same
    expectation; columns are then scaled to what is wanted and rows to the limit, in turns. What a column cannot give is
    asked of the others. No cell exceeds its candidates, and no row ``per_image``.

    Args:
        sizes: number of candidates of each cell.
        wanted: of each column, not necessarily whole; a column with 0 is never drawn from.
        per_image: most pairs of one image.
    """
    sizes = np.where(wanted > 0, sizes, 0)
    held = sizes.sum(axis=1)
    room = np.minimum(held, per_image).astype(float)
    total = min(float(wanted.sum()), float(room.sum()))
    if total <= 0:
        return np.zeros(sizes.shape, np.int64)
    floor = FLOOR * total / room.sum() * (room / np.maximum(held, 1))[:, None] * sizes
    cells, rows = sizes - floor, room - floor.sum(axis=1)
    rest = np.clip(wanted - floor.sum(axis=0), 0, cells.sum(axis=0))
    total -= float(floor.sum())
    target = rest * min(1.0, total / max(float(rest.sum()), 1e-300))
    table = (sizes > 0).astype(float)
    for _ in range(8):
        table = _fitted(table, cells, target, rows)
        reached = table.sum(axis=0)
        missing = total - float(reached.sum())
        spare = np.minimum(cells.sum(axis=0) - target, np.maximum(rows - table.sum(axis=1), 0) @ (sizes > 0))
        spare = np.where(reached > target - 1e-3, np.maximum(spare, 0), 0)
        if missing < 1e-6 or spare.sum() < 1e-6:
            break
        target = np.where(reached > target - 1e-3, target, reached) + spare * min(1.0, missing / spare.sum())
    return _in_units(floor + _topped_up(table, cells, rows, total), sizes, per_image)


def _fitted(
    table: NDArray[np.float64], sizes: NDArray[np.float64], target: NDArray[np.float64], room: NDArray[np.float64]
) -> NDArray[np.float64]:
    for _ in range(ROUNDS):
        columns = table.sum(axis=0)
        factor = np.where(columns > 0, target / np.where(columns > 0, columns, 1.0), 0.0)
        table = np.minimum(table * factor, sizes)
        rows = table.sum(axis=1)
        table = table * np.minimum(1.0, room / np.where(rows > 0, rows, 1.0))[:, None]
        if np.abs(table.sum(axis=0) - target).max(initial=0.0) < 1e-10:
            break
    return table


def _topped_up(
    table: NDArray[np.float64], sizes: NDArray[np.float64], room: NDArray[np.float64], total: float
) -> NDArray[np.float64]:
    """Scaling in turns comes near the total; the rest goes where there is room, so that the total is met."""
    missing = total - float(table.sum())
    if missing < 0:
        return table * (total / float(table.sum()))
    slack = np.maximum(room - table.sum(axis=1), 0.0)
    if slack.sum() <= 0:
        return table
    free = np.maximum(sizes - table, 0.0)
    share = free / np.maximum(free.sum(axis=1, keepdims=True), 1e-300)
    grown: NDArray[np.float64] = table + (slack * min(1.0, missing / slack.sum()))[:, None] * share
    return grown


def _in_units(table: NDArray[np.float64], sizes: NDArray[np.int64], per_image: int) -> NDArray[np.int64]:
    units = np.minimum(np.floor(table * UNIT).astype(np.int64), sizes * UNIT)
    units = np.where((table > 0) & (units == 0), 1, units)
    over = np.maximum(units.sum(axis=1) - per_image * UNIT, 0)
    for row in np.flatnonzero(over):
        units[row, np.argmax(units[row])] -= over[row]
    return units


def round_table(
    expected: NDArray[np.int64], groups: Sequence[int], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Round a table at random: each entry, and the sum of each row, of each column and of each group of columns, to the
    whole number below or above, each with the right mean.

    Args:
        expected: int64 [rows, columns], in units of 1 / UNIT.
        groups: of each column, the number of its group.

    Returns:
        int64 [rows, columns], whole numbers.
    """
    real = len(expected)
    # One more row a group completes its columns to whole sums; as that row's own sum is kept, so is the group's.
    completing = -expected.sum(axis=0) % UNIT
    extra = [np.where(members, completing, 0) for members in _whole_groups(expected.sum(axis=0), np.asarray(groups))]
    expected = np.vstack([expected, *extra])
    counts = expected // UNIT
    rows: dict[int, dict[int, int]] = {}
    columns: dict[int, dict[int, None]] = {column: {} for column in range(expected.shape[1])}
    for row in np.argsort(generator.random(len(expected)), kind="stable"):
        parts = {c: int(part) for c in range(expected.shape[1]) if (part := expected[row, c] % UNIT)}
        if parts:
            rows[int(row)] = parts
            for column in parts:
                columns[column][int(row)] = None
    while rows:
        path = _walk(rows, columns, next(iter(rows)))
        values = [rows[row][column] for row, column in path]
        up = min(UNIT - value if k % 2 == 0 else value for k, value in enumerate(values))
        down = min(value if k % 2 == 0 else UNIT - value for k, value in enumerate(values))
        step = up if float(generator.random()) * (up + down) < down else -down
        for k, (row, column) in enumerate(path):
            value = rows[row][column] + (step if k % 2 == 0 else -step)
            rows[row][column] = value
            if value in (0, UNIT):
                counts[row, column] += value // UNIT
                del rows[row][column], columns[column][row]
                if not rows[row]:
                    del rows[row]
    return counts[:real]


def _whole_groups(sums: NDArray[np.int64], groups: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Columns of each group; groups without a whole sum become one, so that at least their total is kept."""
    dust = UNIT >> 20
    single, merged = [], np.zeros(len(groups), bool)
    for group in np.unique(groups):
        members = groups == group
        off = int(sums[members].sum()) % UNIT
        if dust < off < UNIT - dust:
            merged |= members
        else:
            single.append(members)
    return [*single, merged]


def _walk(rows: dict[int, dict[int, int]], columns: dict[int, dict[int, None]], start: int) -> list[tuple[int, int]]:
    """Cells of a cycle, or of a path that cannot be made longer, in the graph of rows, columns and unfinished cells."""
    path, closed = _walk_from(rows, columns, ("row", start))
    if closed:
        return path
    row, column = path[-1]
    ends_in_column = len(path) % 2 == 1
    path, _ = _walk_from(rows, columns, ("column", column) if ends_in_column else ("row", row))
    return path


def _walk_from(
    rows: dict[int, dict[int, int]], columns: dict[int, dict[int, None]], vertex: tuple[str, int]
) -> tuple[list[tuple[int, int]], bool]:
    path: list[tuple[int, int]] = []
    visited = {vertex: 0}
    came: int | None = None
    while True:
        side, number = vertex
        neighbours = rows[number] if side == "row" else columns[number]
        following = next((other for other in neighbours if other != came), None)
        if following is None:
            return path, False
        path.append((number, following) if side == "row" else (following, number))
        vertex, came = ("column" if side == "row" else "row", following), number
        if vertex in visited:
            return path[visited[vertex] :], True
        visited[vertex] = len(path)


def cell_shares(weights: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Share of each candidate of a cell, float64 [n], sum 1: in proportion to the weights, none above ``1 / most``, so
    that ``most`` of them can be drawn without taking one twice.
    """
    shares = np.zeros(len(weights))
    free = np.ones(len(weights), bool)
    while True:
        left = 1.0 - (~free).sum() / most
        shares[free] = left * weights[free] / weights[free].sum() if free.any() else 0.0
        over = free & (shares > (1 + 1e-12) / most)
        if not over.any():
            return np.minimum(shares, 1 / most)
        shares[over] = 1 / most
        free &= ~over


def systematic(measures: NDArray[np.float64], start: float) -> NDArray[np.int64]:
    """Systematic sampling: numbers of the units on which ``start``, ``start + 1``, ... fall when the measures are laid
    end to end. A unit is drawn with the probability of its measure, which is at most 1.

    Args:
        measures: float64 [n], from 0 to 1, with a whole sum.
        start: uniform in [0, 1).
    """
    ends = np.cumsum(measures)
    count = round(float(ends[-1])) if len(ends) else 0
    ends[-1:] = count  # not a little less, which would lose the last one
    found: NDArray[np.int64] = np.searchsorted(ends, start + np.arange(count), side="right")
    return found
