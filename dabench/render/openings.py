"""Windows and doors, in the xz plane, facing -y."""

from __future__ import annotations

from dabench.render.finishes import plain_metal
from dabench.render.fittings import curtain
from dabench.render.joinery import wooden
from dabench.render.kit import Kit, Material, Part, place
from dabench.render.mesh import box, quad


def window(kit: Kit, w: float, h: float, shines: bool) -> list[Part]:
    """A window in the xz plane, its sill at z = 0: bright view, frame, bars, sometimes blinds or curtains."""
    night = kit.chance(0.15)
    glow = kit.uniform(0.05, 0.4) if night else kit.uniform(1.5, 9)
    light = kit.shade((0.9, 0.95, 1.0), 0.08)
    view = kit.texture(("landscape", "clouds", "leaves")) if kit.chance(0.5) else None
    pane = Material(
        "light" if shines else "glow",
        kit.shade((0.35, 0.42, 0.35), 0.4) if view else light,
        light,
        None,
        view,
        1.0,
        radiance=glow,
    )
    frame = kit.material(
        (), kit.shade(kit.pick([(0.92, 0.92, 0.9), (0.4, 0.25, 0.15), (0.1, 0.1, 0.1)]), 0.1), kind="diffuse"
    )
    parts: list[Part] = [(quad((-w / 2, -0.015, 0), (w, 0, 0), (0, 0, h)).unit_uv(), pane)]
    t = kit.uniform(0.03, 0.08)
    parts += [(box((t, 0.08, h + t), (s * w / 2, -0.03, h / 2)), frame) for s in (-1, 1)]
    parts += [(box((w + t, 0.08, t), (0, -0.03, z)), frame) for z in (0, h)]
    for k in range(1, kit.integer(1, 3) + 1):
        if kit.chance(0.7):
            parts.append((box((t * 0.5, 0.04, h), (w * (k / 3 - 0.5), -0.03, h / 2)), frame))
    if kit.chance(0.5):
        parts.append((box((w, 0.04, t * 0.6), (0, -0.03, h * kit.uniform(0.4, 0.6))), frame))
    if kit.chance(0.3):
        blind, reach = kit.material((), kit.shade((0.85, 0.82, 0.75), 0.2), kind="diffuse"), kit.uniform(0.2, 1.0)
        step = kit.uniform(0.04, 0.08)
        parts += [(box((w, 0.025, step * 0.55), (0, -0.08, h - k * step)), blind) for k in range(int(h * reach / step))]
    if kit.chance(0.5):
        height, drop = h + 0.25, kit.uniform(0.1, 0.9)
        for s in (-1, 1):
            cw = kit.uniform(0.15, 0.45) * w
            parts += place(curtain(kit, cw, height + drop), s * (w / 2 + 0.05 - cw * 0.3), -0.12, -drop)
        parts.append((box((w * 1.5, 0.03, 0.03), (0, -0.12, h + 0.25)), plain_metal(kit)))
    return parts


def door(kit: Kit) -> list[Part]:
    w, h = kit.uniform(0.75, 0.95), kit.uniform(1.95, 2.1)
    wood, case = wooden(kit), wooden(kit)
    leaf = Material("diffuse", (0.05, 0.05, 0.06)) if kit.chance(0.15) else wood
    parts: list[Part] = [(box((w, 0.03, h), (0, -0.015, h / 2)), leaf)]
    parts += [(box((0.08, 0.06, h + 0.08), (s * (w / 2 + 0.04), -0.03, h / 2)), case) for s in (-1, 1)]
    parts.append((box((w + 0.16, 0.06, 0.08), (0, -0.03, h + 0.04)), case))
    for z0, z1 in ((0.15, 0.9), (1.05, h - 0.15)):
        if leaf is wood and kit.chance(0.7):
            parts += [(box((w * 0.32, 0.02, z1 - z0), (s * w * 0.22, -0.035, (z0 + z1) / 2)), wood) for s in (-1, 1)]
    return [*parts, (box((0.12, 0.05, 0.02), (w * 0.4, -0.06, 1.0)), plain_metal(kit))]
