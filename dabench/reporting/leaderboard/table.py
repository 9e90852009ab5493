"""What a leaderboard is made of: tables of rows, measured and published, with the rank that the numbers support."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SHARES = ("accuracy", "whdr", "accuracy_weighted")
"""Metrics from 0 to 1 that the field prints in percent."""
HIGHER = ("accuracy", "delta1", "delta2", "delta3", "boundary_", "score_pct", "miou_pct", "fps_")
COARSE = ("latency", "fps", "gflops", "score_pct", "miou_pct")
"""Metrics of which one decimal is enough."""
TITLES = {
    "accuracy": "accuracy %", "accuracy_weighted": "accuracy on the candidates %",
    "whdr": "WHDR %", "abs_rel": "AbsRel", "sq_rel": "SqRel", "rmse": "RMSE",
    "rmse_log": "RMSE log", "log10": "log10", "silog": "SILog", "delta1": "δ1", "delta2": "δ2", "delta3": "δ3",
    "irmse": "iRMSE", "mae": "MAE", "bad_pixel": "bad pixels", "boundary_f1_depth_pro": "boundary F1",
    "boundary_recall": "boundary recall", "score_pct": "score %", "miou_pct": "mIoU %", "gflops": "GFLOPs",
    "fps_rtx3090": "images/s (RTX 3090)", "latency_ms": "ms",
}  # fmt: skip
SCENES = {
    "indoor": "indoor", "outdoor": "outdoor", "non_real": "non-real", "transparent_reflective": "transparent",
    "adverse_style": "adverse", "aerial": "aerial", "underwater": "underwater", "object": "object",
}  # fmt: skip
"""The scene types of DA-2K in the order of Depth Anything V2, Table 14."""
KINDS = ("measured", "published", "reproduced")


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of the metric is the better one."""
    return metric.startswith(HIGHER)


def metric_title(metric: str) -> str:
    """A metric as the field writes it."""
    if metric.startswith("latency_ms_"):
        return f"ms ({metric.removeprefix('latency_ms_')})"
    return TITLES.get(metric, metric)


@dataclass(frozen=True, order=True)
class Column:
    """One number of each row.

    Attributes:
        dataset: as tables call it; ``""`` where the number belongs to none.
        metric: name of the metric.
        scene: part of the dataset, or ``""`` for all of it.
        shown: whether tables on a page show it; CSV and JSON hold every column.
    """

    dataset: str
    metric: str
    scene: str = ""
    shown: bool = field(default=True, compare=False)

    @property
    def title(self) -> str:
        return SCENES.get(self.scene, self.scene) if self.scene else metric_title(self.metric)

    @property
    def key(self) -> str:
        """The column's name in CSV and JSON."""
        return "/".join(part for part in (self.dataset, self.scene, self.metric) if part)


@dataclass(frozen=True)
class Cell:
    """A value and, where it was measured here, its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        model: the name that stands in the table.
        model_id: its name in the catalogue, or ``""``.
        kind: ``measured`` here, ``published`` by authors, or ``reproduced`` by a third party.
        cells: value of each column that is known.
        parameters: in millions.
        licence: of the weights, where known.
        seconds: median time of a prediction as measured.
        device: where that time was measured.
        source: table of a paper, or folder of the records.
        note: what to know.
        unranked: why the row has no rank, or ``""``.
        rank: lowest and highest rank that the numbers leave possible.
    """

    model: str
    kind: str
    cells: Mapping[Column, Cell]
    model_id: str = ""
    parameters: float | None = None
    licence: str | None = None
    seconds: float | None = None
    device: str = ""
    source: str = ""
    note: str = ""
    unranked: str = ""
    rank: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """Rows that were measured under one recipe.

    Attributes:
        key: identifier, unique in a board.
        title: what it is, in a few words.
        about: one or two sentences.
        protocols: our protocol of each dataset, where the recipe is one of ours.
        columns: in order.
        rows: measured ones first, each kind from best to worst, unranked ones last.
    """

    key: str
    title: str
    about: str
    protocols: Mapping[str, str]
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def shown(self) -> list[Column]:
        return [column for column in self.columns if column.shown]

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(column.dataset for column in self.columns))

    def primary(self, dataset: str) -> Column:
        """The column that ranks a dataset's numbers: the first that is of all of it."""
        columns = [column for column in self.columns if column.dataset == dataset]
        return next((column for column in columns if not column.scene), columns[0])

    def best(self, column: Column) -> tuple[str | None, str | None]:
        """The best and the second-best number of a column as printed, among rows that may be ranked."""
        counted = [row for row in self.rows if column in row.cells and not excluded(row)]
        known = {shown_cell(row, column): row.cells[column].value for row in counted}
        if len(known) < 2:
            return None, None
        first, second, *_ = sorted(known, key=lambda text: known[text], reverse=higher_is_better(column.metric))
        return first, second


def excluded(row: Row) -> bool:
    """Whether a row's numbers may not win: a part of the data, or not all of it covered."""
    return bool(row.unranked) and row.kind == "measured" and row.unranked != NOT_EVERYWHERE


NOT_EVERYWHERE = "not on every dataset of the table"


def shown(metric: str, value: float) -> str:
    """A value as the field prints it: shares in percent and speeds with one decimal, errors and ratios with three."""
    scaled, decimals = (100 * value, 1) if metric in SHARES else (value, 3)
    if metric.startswith(COARSE):
        decimals = 1
    return f"{scaled:.{decimals}f}"


def shown_published(metric: str, value: float) -> str:
    """A published value with all the digits that its source prints, but at least those of :func:`shown`."""
    usual = shown(metric, value)
    exact = f"{round(100 * value if metric in SHARES else value, 6):.6f}".rstrip("0")
    return exact if len(exact) > len(usual) else usual


def shown_cell(row: Row, column: Column) -> str:
    """The value of a cell as text, without its interval; empty where it is not known."""
    cell = row.cells.get(column)
    if cell is None:
        return ""
    return (shown if row.kind == "measured" else shown_published)(column.metric, cell.value)


def shown_interval(row: Row, column: Column) -> str:
    """``low-high`` of a cell's 95 % interval; empty without one."""
    cell = row.cells.get(column)
    if cell is None or cell.low is None or cell.high is None:
        return ""
    return f"{shown(column.metric, cell.low)}–{shown(column.metric, cell.high)}"


def shown_rank(row: Row) -> str:
    """``1``, ``1–3`` where the numbers do not decide, ``-`` for a row without a rank."""
    if row.rank is None:
        return "-"
    low, high = (f"{rank:.1f}".removesuffix(".0") for rank in row.rank)
    return low if low == high else f"{low}–{high}"


def mark(row: Row, column: Column, best: tuple[str | None, str | None]) -> str:
    """``best``, ``second`` or ``""`` for a cell, given what :meth:`Table.best` says of its column."""
    if column not in row.cells or excluded(row):
        return ""
    text = shown_cell(row, column)
    return "best" if text == best[0] else "second" if text == best[1] else ""


def ordered_columns(columns: Iterable[Column], datasets: Sequence[str], metrics: Sequence[str]) -> list[Column]:
    """Columns by dataset, then scenes in the order of the field, then the whole set's metrics."""
    scenes, places = list(SCENES), {name: i for i, name in enumerate(metrics)}
    order = {name: i for i, name in enumerate(datasets)}
    return sorted(
        set(columns),
        key=lambda c: (
            order.get(c.dataset, len(order)), c.dataset, bool(c.scene),
            scenes.index(c.scene) if c.scene in scenes else len(scenes), c.scene,
            places.get(c.metric, len(places)), c.metric,
        ),
    )  # fmt: skip
