"""One protocol's share of the work: which samples, which record folder, what is finished, and the summary."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dabench import datasets, protocols
from dabench.datasets.base import Dataset
from dabench.errors import DatasetError, ProtocolError, UsageError
from dabench.protocols import Protocol
from dabench.protocols.rule import dense_rule
from dabench.records import SCHEMA, Json, RunFolder, describe_model, environment, provenance, to_json
from dabench.run import Run, Tally
from dabench.shards import Shard, ShardFolder
from dabench.summary import summarise
from dabench.types import ModelInfo, Output

OUTPUTS = {
    Output.DISPARITY: "affine-invariant disparity (larger is nearer, no unit)",
    Output.DEPTH: "affine-invariant depth (larger is farther, no unit)",
    Output.METRIC: "metric depth (metres)",
    Output.ORDER: "no map, only which of two points is closer",
}
NAMED_ALTERNATIVES = 3
Opened = dict[tuple[str, str, str, str | None], Dataset]


class Job:
    """One model under one protocol.

    Args:
        recipe: the protocol.
        model: what the record says of the model.
        dataset: opened for the protocol's task, split and field.
        limit: score the first so many samples.
        batch_size: images that are predicted together.
        settings: further settings to record; ``workers`` changes no number and takes no part in the identity.
        out: folder for the records; None keeps them in memory.

    Attributes:
        ids: the selected samples, in the order of the dataset.
        rule: how dense depth is scored, None for pairs.
        share: those of them that this process scores; all, unless several processes share the run.
        finished: lines of the samples that are scored, as they are read back.
        kept: how many of them were scored from kept predictions in this call.
    """

    def __init__(
        self,
        recipe: Protocol,
        model: ModelInfo,
        dataset: Dataset,
        *,
        limit: int | None,
        batch_size: int,
        workers: int,
        settings: Mapping[str, Any],
        out: Path | None,
    ) -> None:
        self.recipe, self.model, self.dataset = recipe, model, dataset
        self.ids = dataset.ids[:limit] if limit is not None else dataset.ids
        self.rule = dense_rule(recipe) if recipe.task == "depth" else None
        self.fits_sequences = recipe.alignment is not None and recipe.alignment.scope == "sequence"
        self.names_sequences = self.fits_sequences or recipe.aggregation.total == "mean-of-sequences"
        self._sequences: dict[str, list[str]] = {}
        for sample_id in self.ids if self.names_sequences else ():
            self._sequences.setdefault(dataset.sequence(sample_id), []).append(sample_id)
        if "" in self._sequences:
            raise ProtocolError(
                f"{recipe.id} works by sequence, and dataset '{dataset.info.name}' has samples of no sequence"
            )
        self.share = self._selected = frozenset(self.ids)
        self._partial = len(self.ids) < dataset.total_samples
        self._selection: Json = {"partial": self._partial, "samples": len(self.ids)}
        self._about_dataset = {
            "name": dataset.info.name,
            "split": recipe.dataset.split,
            "fingerprint": dataset.fingerprint,
        }
        self._manifest = self._describe(batch_size, workers, settings)
        self._path = out / model.name / recipe.id if out is not None else None
        self._folder = RunFolder(self._path) if self._path is not None else None
        self.finished: dict[str, Json] = {}
        self.kept = 0
        self.tally = Tally(recipe, len(self.ids))

    def _describe(self, batch_size: int, workers: int, settings: Mapping[str, Any]) -> Json:
        """The content of ``run.json``."""
        recipe, dataset = self.recipe, self.dataset
        identity: Json = {
            "dabench": provenance()["dabench"],
            "protocol": {"id": recipe.id, "sha256": recipe.sha256},
            "model": describe_model(self.model),
            "dataset": self._about_dataset,
            "settings": {**settings, "batch_size": batch_size},
        }
        if batch_size > 1 or self.fits_sequences:
            # The members of a batch can change the last bits of a prediction, and those of a sequence its fit, so
            # another selection is another run.
            identity["selection"] = dict(self._selection)
            if self._partial:
                identity["selection"]["ids_sha256"] = hashlib.sha256("\n".join(self.ids).encode()).hexdigest()
        manifest: Json = to_json(
            {
                "schema": SCHEMA,
                **provenance(),
                "identity": identity,
                "protocol": {"id": recipe.id, "sha256": recipe.sha256, "text": recipe.text},
                "model": describe_model(self.model),
                "dataset": {
                    **self._about_dataset,
                    "expected": recipe.dataset.expected,
                    "expected_of": recipe.dataset.expected_of,
                    "samples": dataset.total_samples,
                    "licence": dataset.info.licence,
                },
                "selection": self._selection,
                "settings": {**settings, "batch_size": batch_size, "workers": workers},
                "environment": environment(),
            }
        )
        return manifest

    def take(self, shard: Shard, share: Container[str]) -> None:
        """Score only the samples of ``share``; the others are other processes'."""
        assert self._path is not None
        self.share = frozenset(i for i in self.ids if i in share)
        self._folder = ShardFolder(self._path, shard, self.share)
        self.tally = Tally(self.recipe, len(self.share))

    def begin(self, stack: ExitStack, *, fresh: bool) -> Job:
        """Take the record folder, until ``stack`` closes, and read what is finished. Returns itself.

        Raises:
            RecordError: the folder holds another run, or another process writes it.
        """
        if self._folder is not None:
            stack.enter_context(self._folder.writing())
            self.finished = self._folder.begin(self._manifest, fresh=fresh)
            # A sequence is fitted as a whole: one sample that is tried again takes the others with it.
            stale = {i for i in self.finished if any(other not in self.finished for other in self.together(i))}
            if stale:
                self._folder.drop(stale)
                self.finished = {i: line for i, line in self.finished.items() if i not in stale}
            if any(i not in self.finished for i in self.share):
                self._folder.discard_summary()
        for sample_id in self.ids:
            if sample_id in self.share and sample_id in self.finished:
                self.tally.add(self.finished[sample_id])
        return self

    def together(self, sample_id: str) -> Sequence[str]:
        """The samples that share one fit with this one."""
        if not self.fits_sequences or sample_id not in self._selected:
            return (sample_id,)
        return self._sequences[self.dataset.sequence(sample_id)]

    def wants(self, sample_id: str) -> bool:
        """Whether this sample is this process's and not finished."""
        return sample_id in self.share and sample_id not in self.finished

    def add(self, line: Json) -> Json:
        """Record one scored sample; returns the line as it will be read back."""
        stored: Json = self._folder.append(line) if self._folder is not None else to_json(line)
        self.finished[stored["id"]] = stored
        self.tally.add(stored)
        return stored

    def finish(self) -> Run | None:
        """The run, with its summary written; None while other processes have not finished their shares."""
        if isinstance(self._folder, ShardFolder):
            merged = self._folder.merge(self.ids)
            if merged is None:
                return None
            lines = merged
        else:
            lines = [self.finished[i] for i in self.ids]
        about = {**self._about_dataset, **self._selection}
        model = describe_model(self.model)
        summary = to_json(summarise(self.recipe, lines, model=model, dataset=about, partial=self._partial))
        if self._folder is not None:
            self._folder.write_summary(summary)
        return Run(summary, lines, self._folder.path if self._folder is not None else None, self.kept)


def refuse(recipe: Protocol, model: ModelInfo) -> None:
    """Say no to a kind of output that a protocol does not score.

    Raises:
        UsageError: names what the model gives, what the protocol does, and the protocols of the dataset that fit.
    """
    if model.output is Output.ORDER:
        if recipe.task != "pairs":
            raise UsageError(
                f"model '{model.name}' gives {OUTPUTS[model.output]}; {recipe.id} scores depth maps",
                hint="it can be scored on pairs: -d da-2k, -d pairs, -p mini-pairs",
            )
        return
    method = recipe.alignment.method(model.output) if recipe.alignment is not None else None
    affine = model.output is not Output.METRIC
    if method != "refuse" and not (method == "none" and affine):
        return
    does = "does not score it" if method == "refuse" else "aligns nothing, so that its values would count as metres"
    fitting = [
        other
        for other in protocols.all_protocols().values()
        if other.dataset.name == recipe.dataset.name
        and other.alignment is not None
        and other.alignment.method(model.output) not in ("refuse", *(["none"] if affine else []))
    ]
    fitting.sort(key=lambda other: (not other.default, other.dataset.split != recipe.dataset.split))
    named = ", ".join(other.id for other in fitting[:NAMED_ALTERNATIVES])
    raise UsageError(
        f"model '{model.name}' gives {OUTPUTS[model.output]}; {recipe.id} {does}",
        hint=f"for this output: -p {named}" if named else f"dabench show {recipe.id}",
    )


def open_for(
    recipe: Protocol, data_root: str | Path | None, subset: Sequence[str] | None, opened: Opened | None = None
) -> Dataset:
    """The dataset of a protocol, with as many samples as the protocol is defined on.

    Args:
        opened: datasets that this call may share with others of the same root and subset.

    Raises:
        DatasetError, ProtocolError, UsageError: it is not there, is not whole, or has no such part.
    """
    only = None if subset is None else frozenset(subset)
    if only is not None and not only:
        raise UsageError("the subset names no sample")
    info = datasets.registry().get(recipe.dataset.name).info
    field = recipe.valid.field if recipe.valid is not None else None
    for kind, chosen, known in (("splits", recipe.dataset.split, info.splits), ("fields", field, info.fields)):
        if chosen is not None and chosen not in known:
            raise ProtocolError(f"{recipe.id}: dataset '{info.name}' has the {kind} {known}, not '{chosen}'")
    root = Path(data_root) if data_root is not None else None
    opened = {} if opened is None else opened
    key = (recipe.dataset.name, recipe.task, recipe.dataset.split, field)
    if key not in opened:
        opened[key] = datasets.open_dataset(
            recipe.dataset.name, root, task=recipe.task, only=only, split=recipe.dataset.split, field=field
        )
    dataset = opened[key]
    expected = recipe.dataset.expected
    found = dataset.total_targets if recipe.dataset.expected_of == "pairs" else dataset.total_samples
    if expected is not None and found != expected:
        raise DatasetError(
            f"dataset '{dataset.info.name}' at {dataset.root} has {found} {recipe.dataset.expected_of}; "
            f"{recipe.id} is defined on {expected}",
            hint=f"{dataset.info.how_to_get}; to score a part on purpose, name it with --subset FILE",
        )
    return dataset
