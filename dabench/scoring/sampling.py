"""Which pixels a fit on a part of them uses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def grid_cells(size: int, cells: int = 64) -> tuple[npt.NDArray[np.intp], Array]:
    """For each pixel of an axis: the cell whose receptive field holds its centre, and its distance from the middle.

    A centre on the border of two cells belongs to the first (EasternJournalist/utils3d, masked_nearest_resize, which
    MoGe's evaluation uses).
    """
    width = size / cells
    centre = np.arange(size) + 0.5
    cell = np.clip(np.ceil(centre / width).astype(np.intp) - 1, 0, cells - 1)
    return cell, centre - (cell + 0.5) * width


def grid_samples(
    rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], height: int, width: int, cells: int = 64
) -> npt.NDArray[np.intp]:
    """Which pixels are nearest to the middle of their cell of a ``cells x cells`` grid; at most one a cell.

    Args:
        rows, columns: ``[N]`` positions of the pixels that may be chosen, in row-major order.
        height, width: size of the map.

    Returns:
        Indices into ``rows``, in the order of the cells.
    """
    cell_row, down = grid_cells(height, cells)
    cell_column, across = grid_cells(width, cells)
    cell = cell_row[rows] * cells + cell_column[columns]
    distance = down[rows] ** 2 + across[columns] ** 2
    nearest = np.full(cells * cells, np.inf)
    np.minimum.at(nearest, cell, distance)
    chosen = np.flatnonzero(distance == nearest[cell])
    _, first = np.unique(cell[chosen], return_index=True)
    return np.asarray(chosen[first])


def nearest_samples(height: int, width: int, longer_side: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns that nearest-neighbour downscaling to a longer side keeps (Marigold, src/util/alignment.py)."""
    shrink = longer_side / max(height, width)
    if shrink >= 1.0:
        return np.arange(height), np.arange(width)
    rows, columns = (
        np.minimum((np.arange(int(size * shrink)) / shrink).astype(np.intp), size - 1) for size in (height, width)
    )
    return rows, columns
