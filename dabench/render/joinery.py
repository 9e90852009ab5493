"""Wood, cloth and legs: what furniture is made of."""

from __future__ import annotations

from dabench.render.finishes import CLOTH, WOOD
from dabench.render.kit import Kit, Material, Part
from dabench.render.mesh import (
    slab,
)


def wooden(kit: Kit) -> Material:
    """Wood, painted wood or laminate."""
    tone = kit.pick(
        [
            (0.45, 0.28, 0.15),
            (0.3, 0.17, 0.1),
            (0.7, 0.52, 0.34),
            (0.85, 0.83, 0.78),
            (0.12, 0.1, 0.1),
            (0.55, 0.38, 0.25),
        ]
    )
    return kit.material(WOOD, kit.shade(tone, 0.3), metres=(0.5, 1.6), plain=0.25, contrast=0.45)


def upholstery(kit: Kit) -> Material:
    """Cloth or leather."""
    return kit.material(CLOTH, metres=(0.1, 0.8), plain=0.4, contrast=0.4)


def legs(x: float, y: float, h: float, r: float, material: Material, cy: float = 0.0) -> list[Part]:
    """Four square legs under a top of x by y metres centred on (0, cy)."""
    return [(slab(r, r, 0, h, sx * (x / 2 - r), cy + sy * (y / 2 - r)), material) for sx in (-1, 1) for sy in (-1, 1)]
