"""Published numbers that a recipe should explain: of one dataset, under one label."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dabench.errors import UsageError
from dabench.scoring.metrics import DENSE_METRICS


@dataclass(frozen=True)
class Target:
    """A published number.

    Attributes:
        half_unit: half of the last digit that its table prints.
        source: where it is from.
    """

    model: str
    metric: str
    value: float
    half_unit: float
    source: str


Row = dict[str, str]


def load_targets(path: Path | None, dataset: str, models: Sequence[str], label: str | None = None) -> list[Target]:
    """The numbers of a file, or of the tables in the wheel.

    Args:
        path: CSV with ``model`` (or ``model_id``), ``metric``, ``value`` and, where it mixes them, ``dataset`` and
            ``protocol_label``; None for the tables in the wheel.
        dataset: rows of other datasets are left out.
        models: rows of other models are left out; each of these must have one.
        label: protocol label, where there are several.

    Raises:
        UsageError: a malformed file, a model without numbers, two values for one number, or numbers of unlike labels.
    """
    origin = str(path) if path is not None else "the published tables"
    rows = [
        row
        for row in (_read(path) if path is not None else _built_in())
        if row.get("dataset", dataset).lower() == dataset
        and not row.get("group")
        and row["model"] in models
        and row["metric"] in DENSE_METRICS
        and (label is None or row.get("protocol_label", label) == label)
    ]
    labels = sorted({row.get("protocol_label", "") for row in rows})
    if len(labels) > 1:
        counted = ", ".join(
            f"{name or 'none'} ({sum(r.get('protocol_label', '') == name for r in rows)})" for name in labels
        )
        raise UsageError(
            f"{origin} hold numbers of these models under {len(labels)} protocol labels: {counted}",
            hint="numbers of unlike recipes cannot be explained by one: pass --label",
        )
    missing = [model for model in models if not any(row["model"] == model for row in rows)]
    if missing:
        raise UsageError(
            f"{origin} hold no number of {', '.join(missing)} on {dataset}" + (f" under '{label}'" if label else ""),
            hint="pass --published CSV with columns model,metric,value",
        )
    targets: dict[tuple[str, str], Target] = {}
    for row in rows:
        places = max(_places(r["value"]) for r in rows if r["metric"] == row["metric"])
        source = row.get("source") or origin
        target = Target(row["model"], row["metric"], _positive(row), 0.5 * 10.0**-places, source)
        known = targets.setdefault((target.model, target.metric), target)
        if known.value != target.value:
            raise UsageError(
                f"{origin} hold two values for {target.metric} of {target.model}: {known.value} ({known.source}) and "
                f"{target.value} ({target.source})"
            )
    return list(targets.values())


def _places(value: str) -> int:
    """Decimal places that a number is printed with."""
    return len(value.partition(".")[2].partition("e")[0])


def _read(path: Path) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return _rows(text, str(path))


def _built_in() -> Iterable[Row]:
    """Published rows in the wheel; independent reruns are no evidence of what a paper did."""
    folder = resources.files("dabench.reporting") / "published"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".csv"):
            yield from (r for r in _rows(file.read_text(encoding="utf-8"), file.name) if r.get("kind") == "published")


def _rows(text: str, origin: str) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text))
    absent = {"model", "metric", "value"} - set(reader.fieldnames or ())
    if absent:
        raise UsageError(f"{origin} lacks the column {sorted(absent)[0]}", hint="columns: model,metric,value")
    rows = []
    for number, raw in enumerate(reader, start=2):
        row = {key: (value or "").strip() for key, value in raw.items() if key is not None}
        rows.append({**row, "model": row.get("model_id") or row["model"], "origin": f"{origin} line {number}"})
    return rows


def _positive(row: Row) -> float:
    try:
        value = float(row["value"])
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise UsageError(f"{row['origin']}: value '{row['value']}' is not a positive number")
    return value
