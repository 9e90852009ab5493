"""Baselines: what a score has to beat."""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

_BASELINES = "model_zoo.baselines"


def entries() -> Iterator[ModelEntry]:
    """By how much they know: a row, nothing, noise."""
    for name, attribute, summary in (
        ("location-prior", "load_location_prior", "lower in the image is nearer; looks at no pixel"),
        ("constant", "load_constant", "the same value everywhere; every pair is a tie"),
        ("random", "load_random", "seeded noise, the same for the same image; 50 % on pairs"),
    ):
        yield ModelEntry(
            name=name,
            output=Output.DISPARITY,
            summary=summary,
            factory=f"{_BASELINES}:{attribute}",
            status="baseline",
            licence="Apache-2.0",
            parameters=0,
            source=_BASELINES,
            sources=("model_zoo/baselines.py",),
        )
