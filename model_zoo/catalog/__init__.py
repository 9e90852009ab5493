"""The catalogue: every model by name, with its source, checksum, licence and meaning. Imports no framework.

One file a family; each has ``entries()``, which yields the family's rows in the order in which they are listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry

from . import (
    baselines,
    depth_anything_v1,
    depth_anything_v2,
    depth_pro,
    e2e_ft,
    external,
    glpn,
    lotus,
    marigold,
    midas,
    published_only,
    vlm,
    zoedepth,
)

FAMILIES = (
    depth_anything_v2,
    depth_anything_v1,
    midas,
    zoedepth,
    depth_pro,
    glpn,
    marigold,
    lotus,
    e2e_ft,
    external,
    vlm,
    published_only,
    baselines,
)
"""The modules whose rows make the catalogue."""


def entries() -> Iterator[ModelEntry]:
    """All models of this package, family by family."""
    for family in FAMILIES:
        yield from family.entries()
