"""Which runs can be compared, and their samples side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dabench.errors import RecordError, UsageError
from dabench.protocols import Protocol
from dabench.records import Json
from dabench.reporting.loaded import Record

LISTED = 3


@dataclass(frozen=True)
class Matched:
    """Runs of one protocol on the same samples.

    Attributes:
        records: the runs.
        protocol: their protocol.
        lines: for each run its sample lines; the n-th is of the same sample in all.
        partial: whether these are not all samples of the split.
        reduced: whether samples were left out that only some runs have.
        notes: what a reader must know, in words.
    """

    records: Sequence[Record]
    protocol: Protocol
    lines: Sequence[Sequence[Json]]
    partial: bool
    reduced: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Aligned:
    """One metric of several runs, on what all of them have a value for.

    Attributes:
        values: ``[K, N]``, of run k for pair, image or sequence n; the metric is their weighted mean.
        weights: ``[N]``.
        clusters: ``[N]``, the image or sequence that each belongs to, which is drawn as a whole.
        missing: images left out because only some of the runs have a value.
    """

    values: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    clusters: npt.NDArray[np.intp]
    missing: int

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """``[K]``; NaN where there is nothing."""
        total = self.weights.sum()
        return (self.values * self.weights).sum(axis=1) / total if total else np.full(len(self.values), np.nan)


def match(records: Sequence[Record], *, common: bool = False) -> Matched:
    """Bring runs side by side, or say why they cannot be.

    Args:
        records: two or more runs.
        common: compare on the samples that all have, where they do not have the same.

    Raises:
        UsageError: fewer than two runs, or one twice.
        RecordError: unlike protocols, a run that is not complete, other labels, or other samples.
    """
    if len(records) < 2:
        raise UsageError("a comparison needs at least two runs", hint="dabench compare RUN_A RUN_B [RUN_C...]")
    if len({record.path.resolve() for record in records}) < len(records):
        raise UsageError("a run cannot be compared with itself", hint="name each run once")
    _check_protocols(records)
    for record in records:
        _check_complete(record)
    tables = [{line["id"]: line for line in record.samples()} for record in records]
    shared = sorted(set(tables[0]).intersection(*tables[1:]))
    reduced = any(len(table) != len(shared) for table in tables)
    if reduced or not shared:
        _check_shared(records, tables, len(shared), common)
    else:
        _check_fingerprints(records)
    lines = [[table[i] for i in shared] for table in tables]
    _check_targets(records, lines)
    partial = reduced or any(record.partial for record in records)
    return Matched(
        records, records[0].protocol, lines, partial, reduced, _notes(records, lines, partial=partial, reduced=reduced)
    )


def align(protocol: Protocol, metric: str, runs: Sequence[Sequence[Json]]) -> Aligned:
    """One metric's values, weights and clusters by the protocol's rule of aggregation (``docs/records.md``).

    Args:
        protocol: of all runs.
        metric: one of its metrics.
        runs: for each run its sample lines; the n-th is of the same sample in all.
    """
    if protocol.task == "pairs":
        return _pairs(metric, runs)
    having = [sum(line[metric] is not None for line in lines) for lines in zip(*runs, strict=True)]
    known = [n for n, count in enumerate(having) if count == len(runs)]
    values = np.array([[lines[n][metric] for n in known] for lines in runs], dtype=np.float64).reshape(len(runs), -1)
    missing = sum(0 < count < len(runs) for count in having)
    if protocol.aggregation.total == "mean-of-sequences":
        names = np.array([runs[0][n]["sequence"] for n in known])
        _, member_of = np.unique(names, return_inverse=True)
        sizes = np.bincount(member_of)
        means = np.array([np.bincount(member_of, row) / sizes for row in values]).reshape(len(runs), -1)
        return Aligned(means, np.ones(len(sizes)), np.arange(len(sizes)), missing)
    weights = np.ones(len(known))
    if protocol.aggregation.total == "valid-weighted-mean":
        weights = np.array([runs[0][n]["n_valid"] for n in known], dtype=np.float64)
    return Aligned(values, weights, np.arange(len(known)), missing)


def _pairs(metric: str, runs: Sequence[Sequence[Json]]) -> Aligned:
    counts = [len(line["correct"]) for line in runs[0]]
    correct = np.array([[c for line in lines for c in line["correct"]] for lines in runs], dtype=np.float64)
    values = 1.0 - correct if metric == "whdr" else correct
    return Aligned(values, np.ones(values.shape[1]), np.repeat(np.arange(len(counts)), counts), 0)


def _listed(records: Sequence[Record], says: Sequence[str]) -> str:
    return "".join(f"\n    {record.path}: {text}" for record, text in zip(records, says, strict=True))


def _check_protocols(records: Sequence[Record]) -> None:
    names = list(dict.fromkeys(record.protocol_id for record in records))
    if len(names) > 1:
        raise RecordError(
            "the runs are of different protocols, so that their numbers do not mean the same:"
            + _listed(records, [record.protocol_id for record in records]),
            hint=f"compare runs of one protocol; `dabench show --compare {names[0]} {names[1]}` says how they differ",
        )
    if len({record.protocol_sha256 for record in records}) > 1:
        raise RecordError(
            f"the runs call their protocols {names[0]}, and the texts are not the same:"
            + _listed(records, [f"SHA-256 {record.protocol_sha256}" for record in records]),
            hint="one of the files was changed; score both models again under the one that is meant",
        )


def _check_complete(record: Record) -> None:
    lines = len(record.samples())
    if not record.complete:
        chosen = record.info.get("selection", {}).get("samples", "?")
        raise RecordError(
            f"{record.path} is not complete: {lines} of {chosen} samples are scored",
            hint="the same `dabench eval` again finishes it",
        )
    expected = record.summary["counts"]["expected"]
    if lines < expected:
        raise RecordError(
            f"{record.path} is damaged: its summary counts {expected} samples, and samples.jsonl holds {lines}",
            hint="score the run again with --fresh",
        )


def _check_shared(records: Sequence[Record], tables: Sequence[dict[str, Json]], shared: int, common: bool) -> None:
    if shared and common:
        return
    says = []
    for record, table in zip(records, tables, strict=True):
        counted = record.summary["counts"]["expected"]
        says.append(f"{len(table)} samples" + (f", {counted} in its summary" if counted != len(table) else ""))
    raise RecordError(
        f"the runs are not of the same samples; they share {shared}:" + _listed(records, says),
        hint=f"--common compares them on the {shared} that they share, and says that the result is partial"
        if shared
        else "score the models on the same samples",
    )


def _check_fingerprints(records: Sequence[Record]) -> None:
    prints = [str(record.info.get("dataset", {}).get("fingerprint")) for record in records]
    if len(set(prints)) > 1:
        raise RecordError(
            "the runs are of data sets that are not the same (labels, ground truth or list of samples):"
            + _listed(records, [f"fingerprint {text}" for text in prints]),
            hint="score both models on the same files",
        )


def _check_targets(records: Sequence[Record], lines: Sequence[Sequence[Json]]) -> None:
    """Labels of the shared samples: as many valid pixels or pairs in every run that could read them."""
    for members in zip(*lines, strict=True):
        read = [(r, line["n_valid"]) for r, line in zip(records, members, strict=True) if line["n_valid"]]
        if len({count for _, count in read}) > 1:
            raise RecordError(
                f"sample '{members[0]['id']}' has not the same ground truth in all runs:"
                + _listed([r for r, _ in read], [f"{count} valid pixels or pairs" for _, count in read]),
                hint="score both models on the same files",
            )


def _notes(
    records: Sequence[Record], lines: Sequence[Sequence[Json]], *, partial: bool, reduced: bool
) -> tuple[str, ...]:
    notes = []
    if reduced:
        notes.append(f"on the {len(lines[0])} samples that all runs have; the values are not those of their summaries")
    elif partial:
        notes.append("on a part of the split that was chosen; not a number of the protocol")
    spans = records[0].protocol.alignment
    if reduced and spans is not None and spans.scope == "sequence":
        notes.append("one fit spans a sequence, so that a run on other samples has other fits")
    for record, members in zip(records, lines, strict=True):
        failed = [line["id"] for line in members if line["status"] == "failed"]
        if failed:
            some = ", ".join(failed[:LISTED]) + (", ..." if len(failed) > LISTED else "")
            notes.append(f"{record.path}: {len(failed)} samples failed and count against it: {some}")
    return tuple(notes)
