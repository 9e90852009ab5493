"""One model, two names: as the catalogue writes it, and as released protocols and the tables of numbers do.

A released protocol never changes, and some name models without the variant that the catalogue tells apart. Only names
that are certain stand here: `metric3d-v2` is in tables that do not say which size was run.
"""

from __future__ import annotations

from dabench.reporting.expected import PublishedNumber, numbers

PUBLISHED_AS = {
    "lotus-d-v1.0": ("lotus-d",),
    "lotus-g-v1.0": ("lotus-g",),
    "marigold-e2e-ft": ("marigold-v1.0-e2e-ft",),
    "midas-v3.0-dpt-hybrid": ("midas-v3.0-dpt-h-384",),
    "midas-v3.0-dpt-large": ("midas-v3.0-dpt-l-384",),
    "stable-diffusion-e2e-ft": ("stable-diffusion-2-e2e-ft",),
    "unidepth-v1-large": ("unidepth-v1",),
    "unidepth-v2-large": ("unidepth-v2",),
}
"""Name in the catalogue: further names in tables and protocols."""


def numbers_of(model: str) -> list[PublishedNumber]:
    """The numbers of a model of the catalogue, under all of its names."""
    return [number for name in (model, *PUBLISHED_AS.get(model, ())) for number in numbers(model=name)]
