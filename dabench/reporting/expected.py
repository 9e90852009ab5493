"""Numbers from the literature and from independent reruns, with their sources: the tables in ``published/*.csv``.

A row says which recipe it was measured under twice: ``protocol_label`` names the recipe of the source, ``protocol`` our
own protocol where that recipe is one of ours. Rows of different labels must not stand in one ranking; rows that a paper
copied from another recipe carry a label of their own and no protocol.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from dabench.errors import DabenchError

# Score metrics are those of protocols. A speed, a size or another task's score is kept with its unit in the name.
SCORES = {
    "abs_rel": (0.0, 10.0),
    "sq_rel": (0.0, 100.0),
    "rmse": (0.0, 100.0),
    "rmse_log": (0.0, 10.0),
    "log10": (0.0, 10.0),
    "silog": (0.0, 100.0),
    "delta1": (0.0, 1.0),
    "delta2": (0.0, 1.0),
    "delta3": (0.0, 1.0),
    "accuracy": (0.0, 1.0),
    "whdr": (0.0, 1.0),
    "bad_pixel": (0.0, 100.0),
    "boundary_f1_depth_pro": (0.0, 1.0),
    "boundary_recall": (0.0, 1.0),
}
OTHERS = {
    "score_pct": (0.0, 100.0),
    "miou_pct": (0.0, 100.0),
    "fps_rtx3090": (0.0, 1e4),
    "gflops": (0.0, 1e6),
    "latency_ms": (0.0, 1e6),
    "latency_ms_vga": (0.0, 1e6),
    "latency_ms_hd": (0.0, 1e6),
    "latency_ms_4k": (0.0, 1e6),
    "latency_ms_a100": (0.0, 1e6),
    "latency_ms_v100": (0.0, 1e6),
    "latency_ms_rtx4090_tensorrt": (0.0, 1e6),
}
RANGES = {**SCORES, **OTHERS}


class PublishedNumber(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number of one table.

    Attributes:
        model, variant: as the source calls it.
        model_id: name in the style of the model catalogue, or ``""`` where the row is no single known model.
        parameters_millions: as published or measured; None where unknown.
        dataset: as the source calls it; ``""`` for speed.
        group: scene type, for rows of one part of a dataset.
        protocol_label: the source's recipe.
        protocol: our protocol for that recipe, ``name@version``, or ``""``.
        metric: a metric of protocols, in their unit (ratios, not percent), or one of ``OTHERS``.
        kind: ``published`` by authors, or ``reproduced`` by a third party.
        source: paper and table, or repository and file.
        note: what to know.
    """

    model: Annotated[str, Meta(min_length=1)]
    variant: str = ""
    model_id: Annotated[str, Meta(pattern=r"^([a-z0-9]+([-.][a-z0-9.]+)*)?$")] = ""
    parameters_millions: Annotated[float, Meta(gt=0)] | None = None
    dataset: str = ""
    group: str = ""
    protocol_label: Annotated[str, Meta(pattern=r"^[a-z0-9_]+$")]
    protocol: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9.-]*@[1-9][0-9]*)?$")] = ""
    metric: str
    value: float
    kind: Literal["published", "reproduced"]
    source: Annotated[str, Meta(min_length=4)]
    note: str = ""


COLUMNS = PublishedNumber.__struct_fields__


def read(path: Path) -> list[PublishedNumber]:
    """Read and validate one table.

    Raises:
        DabenchError: names the file, the line and the field.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise DabenchError(
                f"{path.name}: the columns are {table.fieldnames}", hint=f"expected {', '.join(COLUMNS)}"
            )
        return [_number(row, f"{path.name}, line {table.line_num}") for row in table]


def _number(row: dict[str, str], where: str) -> PublishedNumber:
    filled = {key: value for key, value in row.items() if value not in ("", None)}
    try:
        number = msgspec.convert(filled, PublishedNumber, strict=False)
    except msgspec.ValidationError as error:
        raise DabenchError(f"{where}: {error}") from error
    if number.metric not in RANGES:
        raise DabenchError(f"{where}: unknown metric '{number.metric}'", hint=f"known: {', '.join(RANGES)}")
    low, high = RANGES[number.metric]
    if not (math.isfinite(number.value) and low <= number.value <= high):
        raise DabenchError(
            f"{where}: {number.metric} = {number.value} is outside {low:g} .. {high:g}",
            hint="ratios, not percent",
        )
    return number


@cache
def published() -> tuple[PublishedNumber, ...]:
    """Every number in the wheel, file by file in alphabetic order."""
    with resources.as_file(resources.files("dabench.reporting") / "published") as folder:
        return tuple(number for path in sorted(folder.glob("*.csv")) for number in read(path))


def numbers(protocol: str | None = None, model: str | None = None, metric: str | None = None) -> list[PublishedNumber]:
    """The numbers of a protocol (``name@version``), of a model of the catalogue, of a metric, or all of these.

    Numbers of one group of a dataset are left out: they are not numbers of the protocol.
    """
    return [
        number
        for number in published()
        if not number.group
        and protocol in (None, number.protocol)
        and model in (None, number.model_id)
        and metric in (None, number.metric)
    ]
