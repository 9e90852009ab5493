"""What things are made of in the photo split: natural colours on its own textures."""

from __future__ import annotations

from collections.abc import Sequence

from dabench.render.kit import Colour, Kit, Material

PLASTERS: tuple[Colour, ...] = (
    (0.86, 0.82, 0.74), (0.79, 0.67, 0.52), (0.74, 0.58, 0.47), (0.67, 0.71, 0.69), (0.9, 0.89, 0.87),
    (0.55, 0.6, 0.56), (0.83, 0.74, 0.45), (0.71, 0.45, 0.38), (0.48, 0.52, 0.6),
)  # fmt: skip
STONES: tuple[Colour, ...] = (
    (0.56, 0.54, 0.5), (0.66, 0.6, 0.5), (0.42, 0.42, 0.43), (0.6, 0.5, 0.42), (0.74, 0.71, 0.65), (0.35, 0.33, 0.3),
)  # fmt: skip
TIMBERS: tuple[Colour, ...] = (
    (0.62, 0.46, 0.3), (0.4, 0.27, 0.17), (0.75, 0.6, 0.42), (0.5, 0.45, 0.39), (0.26, 0.19, 0.14), (0.66, 0.63, 0.58),
)  # fmt: skip
CLOTHS: tuple[Colour, ...] = (
    (0.55, 0.5, 0.44), (0.32, 0.36, 0.42), (0.5, 0.25, 0.22), (0.78, 0.74, 0.66), (0.28, 0.35, 0.28),
    (0.7, 0.58, 0.35), (0.2, 0.2, 0.23), (0.45, 0.52, 0.6), (0.62, 0.43, 0.47),
)  # fmt: skip
PAINTS: tuple[Colour, ...] = (
    (0.72, 0.16, 0.13), (0.13, 0.3, 0.5), (0.93, 0.75, 0.2), (0.16, 0.4, 0.3), (0.9, 0.9, 0.88), (0.85, 0.45, 0.15),
    (0.1, 0.1, 0.11), (0.5, 0.7, 0.75), (0.6, 0.62, 0.64), (0.35, 0.2, 0.3),
)  # fmt: skip
LEAVES: tuple[Colour, ...] = (
    (0.3, 0.42, 0.17), (0.42, 0.48, 0.22), (0.2, 0.33, 0.2), (0.55, 0.53, 0.25), (0.24, 0.38, 0.3), (0.62, 0.45, 0.2),
)  # fmt: skip
SOILS: tuple[Colour, ...] = (
    (0.46, 0.38, 0.29), (0.6, 0.53, 0.42), (0.35, 0.31, 0.26), (0.73, 0.66, 0.53), (0.5, 0.43, 0.37),
)  # fmt: skip


def skin(
    kit: Kit, tone: Colour, families: Sequence[str], metres: tuple[float, float], contrast: float = 0.35
) -> Material:
    """`tone` on one of the texture families: from a darker to a lighter shade of itself."""
    base = kit.shade(tone, 0.18)
    low, high = 1 - contrast * kit.uniform(0.6, 1.2), 1 + 0.7 * contrast * kit.uniform(0.4, 1.2)
    dark = (max(base[0] * low, 0.01), max(base[1] * low, 0.01), max(base[2] * low, 0.01))
    light = (min(base[0] * high, 0.98), min(base[1] * high, 0.98), min(base[2] * high, 0.98))
    return Material("diffuse", dark, light, None, kit.texture(families), kit.uniform(*metres))


def plaster(kit: Kit) -> Material:
    """Painted or bare walls."""
    return skin(kit, kit.pick(PLASTERS), ("concrete", "carpet", "lichen", "brushed"), (1.2, 4.0), 0.14)


def masonry(kit: Kit) -> Material:
    """Coursed or cracked stone."""
    return skin(kit, kit.pick(STONES), ("ashlar", "ashlar", "cracked", "concrete"), (1.0, 3.0), 0.4)


def stone(kit: Kit) -> Material:
    """Rough rock."""
    return skin(kit, kit.pick(STONES), ("lichen", "concrete", "rust", "cracked"), (0.5, 2.5), 0.45)


def timber(kit: Kit) -> Material:
    """Boards and beams, raw or weathered."""
    return skin(kit, kit.pick(TIMBERS), ("knotty", "knotty", "brushed"), (0.4, 1.2), 0.35)


def metal(kit: Kit) -> Material:
    """Dull steel, brass, iron or rust."""
    tone = kit.pick([(0.6, 0.61, 0.63), (0.3, 0.31, 0.33), (0.62, 0.5, 0.3), (0.45, 0.3, 0.22), (0.8, 0.8, 0.8)])
    return skin(kit, tone, ("brushed", "brushed", "tread", "rust"), (0.3, 1.2), 0.25)


def textile(kit: Kit) -> Material:
    """Knit, weave, damask or felt."""
    return skin(kit, kit.pick(CLOTHS), ("knit", "damask", "carpet", "wicker", "furrows"), (0.12, 0.7), 0.35)


def paint(kit: Kit) -> Material:
    """Enamel and lacquer, mostly plain, sometimes worn."""
    tone = kit.shade(kit.pick(PAINTS), 0.2)
    if kit.chance(0.6):
        return Material("diffuse", tone)
    return skin(kit, tone, ("rust", "brushed", "concrete"), (0.5, 2.0), 0.2)


def leafage(kit: Kit) -> Material:
    """Leaves seen as a mass."""
    return skin(kit, kit.pick(LEAVES), ("leaf_litter", "leaf_litter", "turf"), (0.5, 1.6), 0.75)


def rind(kit: Kit) -> Material:
    """Bark."""
    return skin(kit, kit.pick(TIMBERS), ("cracked", "lichen", "furrows"), (0.4, 1.2), 0.5)


def floor(kit: Kit) -> Material:
    """Indoor floors."""
    if kit.chance(0.45):
        return skin(kit, kit.pick(TIMBERS), ("knotty",), (0.8, 1.6), 0.35)
    if kit.chance(0.3):
        return skin(kit, kit.pick(CLOTHS), ("carpet", "wicker"), (0.5, 1.5), 0.25)
    return skin(kit, kit.pick(STONES), ("terrazzo", "hexagons", "concrete", "ashlar", "tread"), (0.6, 2.0), 0.35)


def print_(kit: Kit) -> Material:
    """Printed paper or a painted board, to be shown once."""
    dark, light = kit.shade(kit.pick(PAINTS), 0.3), kit.shade(kit.pick(PLASTERS), 0.1)
    accent = kit.shade(kit.pick(PAINTS), 0.3) if kit.chance(0.5) else None
    return Material("diffuse", dark, light, accent, kit.texture(("poster", "poster", "damask", "sand_ripples")), 1.0)
