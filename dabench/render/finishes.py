"""Texture families by use, and dull metal."""

from __future__ import annotations

from dabench.render.kit import Kit, Material

PRINT = ("glyphs", "shapes", "stripes", "flowers", "landscape", "checker", "polka", "leaves")

CLOTH = ("fabric", "plaid", "stripes", "flowers", "clouds", "polka", "leaves", "checker")

WOOD = ("wood", "planks", "wood")

ANY = (
    "clouds",
    "speckle",
    "wood",
    "tiles",
    "stripes",
    "checker",
    "fabric",
    "marble",
    "shapes",
    "flowers",
    "glyphs",
    "plaid",
    "voronoi",
    "leaves",
    "polka",
)


def plain_metal(kit: Kit) -> Material:
    """Grey, black or brass metal, drawn dull enough not to need reflections."""
    tone = kit.pick([(0.75, 0.75, 0.77), (0.15, 0.15, 0.16), (0.55, 0.5, 0.42), (0.7, 0.58, 0.3), (0.9, 0.9, 0.9)])
    return Material("plastic", kit.shade(tone, 0.15), roughness=kit.uniform(0.05, 0.25))
