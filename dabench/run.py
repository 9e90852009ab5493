"""What a run returns, and what it tells while it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dabench.protocols import Protocol
from dabench.records import Json


@dataclass(frozen=True)
class Metric:
    """A value with its 95 % interval; NaN where it cannot be said."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Run:
    """What :func:`evaluate` returns.

    Attributes:
        summary: the content of ``summary.json``.
        samples: the lines of ``samples.jsonl``, in dataset order.
        folder: where the records lie, or None when none were asked for.
        kept: how many samples this call scored from kept predictions, without the model.
    """

    summary: Json
    samples: Sequence[Json]
    folder: Path | None = None
    kept: int = 0

    @property
    def metrics(self) -> dict[str, Metric]:
        return {name: _metric(entry) for name, entry in self.summary["metrics"].items()}

    @property
    def groups(self) -> dict[str, dict[str, Metric]]:
        return {
            group: {name: _metric(entry) for name, entry in content["metrics"].items()}
            for group, content in self.summary["groups"].items()
        }

    @property
    def ok(self) -> bool:
        """Every sample scored and every valid pixel or pair covered."""
        return bool(self.summary["counts"]["failed"] == 0 and self.summary["coverage"] == 1.0)


def _metric(entry: Json) -> Metric:
    low, high = (float("nan") if v is None else v for v in entry["ci95"])
    return Metric(float("nan") if entry["value"] is None else entry["value"], (low, high))


@dataclass(frozen=True)
class Progress:
    """State of a run, given to the progress callback at its start and after every sample.

    Attributes:
        done, total: samples finished (earlier calls included) and selected.
        failed: of the finished ones, samples that failed.
        score: running value of the primary metric; NaN before the first sample. A mean over sequences runs as the mean
            over their images.
        line: the sample just finished; empty at the start.
        metric: name of the primary metric.
    """

    done: int
    total: int
    failed: int
    score: float
    line: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""


@dataclass(frozen=True)
class PassProgress:
    """State of one pass of a model over a dataset for several protocols.

    Attributes:
        title: dataset and, where it is not the plain one, inference setting.
        done, total: samples finished under all protocols, and selected by any.
        kept: of those of this call, samples whose kept prediction was used.
        runs: state of each protocol, by id.
        latest: id of the protocol whose line was just added; empty at the start.
    """

    title: str
    done: int
    total: int
    kept: int
    runs: Mapping[str, Progress]
    latest: str = ""


class Tally:
    """Running score of a run, at a constant cost a sample."""

    def __init__(self, protocol: Protocol, total: int) -> None:
        self._metric = protocol.primary_metric
        self._pairs = protocol.task == "pairs"
        self._weighted = protocol.aggregation.total == "valid-weighted-mean"
        self._total = total
        self._done = self._failed = 0
        self._top = self._bottom = 0.0

    def add(self, line: Mapping[str, Any]) -> None:
        self._done += 1
        self._failed += line["status"] == "failed"
        if self._pairs:
            self._top += line["n_valid"] - line["n_correct"] if self._metric == "whdr" else line["n_correct"]
            self._bottom += line["n_valid"]
        elif line[self._metric] is not None:
            weight = line["n_valid"] if self._weighted else 1
            self._top += weight * line[self._metric]
            self._bottom += weight

    def state(self, line: Mapping[str, Any] | None = None) -> Progress:
        score = self._top / self._bottom if self._bottom else float("nan")
        return Progress(self._done, self._total, self._failed, score, line or {}, self._metric)
