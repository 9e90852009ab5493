"""Models that look at no depth cue: what a score has to beat.

All three return disparity (larger is nearer). ``location-prior`` is the strongest simple prior of photographs taken by
standing people: the ground is below and near, the sky above and far (Depth in the Wild, arXiv 1604.03901, section 3,
which samples pairs on one row or mirrored about the centre column to take it away).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from dabench.errors import UsageError
from dabench.types import DepthModel, Image, ModelEntry, ModelInfo, Output, Prediction

DEFAULT_SEED = 0


class LocationPrior(DepthModel):
    """Disparity is the row index, so that the lower of two points is the nearer one; points of one row tie."""

    def __init__(self) -> None:
        self.info = _info("location-prior", {"disparity": "row index"})

    def predict(self, image: Image) -> Prediction:
        height, width = image.shape[:2]
        rows = np.arange(height, dtype=np.float32)[:, None]
        return Prediction(np.repeat(rows, width, axis=1), Output.DISPARITY)


class Constant(DepthModel):
    """The same disparity at every pixel of every image: all pairs tie, and a tie is wrong."""

    def __init__(self, value: float = 1.0) -> None:
        self._value = value
        self.info = _info("constant", {"value": value})

    def predict(self, image: Image) -> Prediction:
        return Prediction(np.full(image.shape[:2], self._value, dtype=np.float32), Output.DISPARITY)


class Random(DepthModel):
    """White noise in [0, 1), seeded by the image's content: independent of order, batching and other images."""

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._seed = seed
        self.info = _info("random", {"seed": seed, "seeded_by": "SHA-256 of the image's size and pixels"})

    def predict(self, image: Image) -> Prediction:
        digest = hashlib.sha256(f"{self._seed} {image.shape}".encode())
        digest.update(np.ascontiguousarray(image).data)
        generator = np.random.default_rng(int.from_bytes(digest.digest()[:16], "little"))
        return Prediction(generator.random(image.shape[:2], dtype=np.float32), Output.DISPARITY)


def load_location_prior(entry: ModelEntry, *, checkpoint: Path | None = None, **_: Any) -> LocationPrior:
    """Factory of the catalogue. Device, precision and size mean nothing to a baseline and are ignored."""
    _refuse(entry, checkpoint)
    return LocationPrior()


def load_constant(entry: ModelEntry, *, checkpoint: Path | None = None, **_: Any) -> Constant:
    """Factory of the catalogue, as :func:`load_location_prior`."""
    _refuse(entry, checkpoint)
    return Constant()


def load_random(entry: ModelEntry, *, checkpoint: Path | None = None, **_: Any) -> Random:
    """Factory of the catalogue, as :func:`load_location_prior`."""
    _refuse(entry, checkpoint)
    return Random()


def _info(name: str, settings: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=name,
        output=Output.DISPARITY,
        parameters=0,
        licence="Apache-2.0",
        source="model_zoo.baselines",
        settings=settings,
    )


def _refuse(entry: ModelEntry, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        raise UsageError(f"model '{entry.name}' has no weights", hint=f"leave out --checkpoint {checkpoint}")
