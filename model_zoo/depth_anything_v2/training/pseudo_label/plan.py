"""What labelling will need, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dabench.errors import UsageError
from dabench.registry import models
from model_zoo.hub import given_file

from ...config import CONFIGS

MEAN_ASPECT = 1.37
"""Long over short side of typical photographs, between 4:3 and 3:2."""


@dataclass(frozen=True)
class PlannedTeacher:
    """Its name, the SHA-256 of its weights or "unknown", and the short side of its labels in pixels."""

    name: str
    weights: str
    side: int


def planned_teacher(name: str | None, checkpoint: Path | None, input_size: int | None) -> PlannedTeacher:
    """The teacher of a catalogue name, of a checkpoint, or of both, as `teacher.load_teacher` takes them.

    Raises:
        UsageError: it is no Depth Anything V2 network.
        CheckpointError: the checkpoint is absent, or, where no name says what it is, no such network.
    """
    weights = None if checkpoint is None else given_file(checkpoint).sha256
    if name is None:
        from ...checkpoint import load_state

        assert checkpoint is not None
        name, size = checkpoint.stem, load_state(checkpoint).encoder
    else:
        entry = models().get(name)
        weights, size = weights or entry.sha256, entry.options.get("config", "")
    if size not in CONFIGS:
        raise UsageError(f"'{name}' is no Depth Anything V2 network, and cannot label")
    return PlannedTeacher(name, weights or "unknown", CONFIGS[size].input_size if input_size is None else input_size)


def label_bytes(images: int, side: int) -> int:
    """Bytes of the uncompressed codes of `images` labels with the short side `side`."""
    return int(images * side * side * MEAN_ASPECT * 2)
