"""Beds, seats and people. Parts stand on z = 0, centred in x, their back on y = 0 and their front towards -y."""

from __future__ import annotations

import numpy as np

from dabench.render.finishes import CLOTH, plain_metal
from dabench.render.joinery import legs, upholstery, wooden
from dabench.render.kit import Kit, Material, Part, place
from dabench.render.mesh import (
    box,
    cushion,
    cylinder,
    rotation_x,
    slab,
    sphere,
    superquadric,
    surface,
    tube,
)
from dabench.render.props import scatter


def bed(kit: Kit) -> list[Part]:
    """A bed with mattress, blanket and pillows, its head at the back."""
    w, d, h = kit.uniform(0.9, 2.0), kit.uniform(1.9, 2.2), kit.uniform(0.35, 0.65)
    frame, sheet, cover = (
        wooden(kit),
        kit.material(CLOTH, kit.shade((0.85, 0.84, 0.82), 0.2), kind="diffuse"),
        upholstery(kit),
    )
    parts: list[Part] = [
        (slab(w, d, 0.1, h * 0.6, 0, -d / 2), frame),
        (cushion(w, d, h * 0.4, h, 0, -d / 2, 0.15), sheet),
    ]
    parts.append(
        (slab(w + 0.06, 0.06, 0, h + kit.uniform(0.2, 0.7), 0, -0.03), frame if kit.chance(0.7) else upholstery(kit))
    )
    if kit.chance(0.4):
        parts.append((slab(w + 0.06, 0.06, 0, h + kit.uniform(-0.05, 0.3), 0, -d), frame))
    reach = kit.uniform(0.5, 0.85) * d
    t = np.linspace(-1, 1, 40)
    grid_x = t * (w / 2 + 0.04)
    drop = np.clip((np.abs(t) - 0.93) / 0.07, 0, 1) * -kit.uniform(0.1, h * 0.8)
    rows = np.linspace(-d - 0.02, -d + reach, 24)
    wave = 0.02 * np.sin(grid_x[None] * 7 + rows[:, None] * 5 + kit.heading()) * np.sin(rows[:, None] * 9)
    z = h + 0.04 + drop[None] + wave + np.where(np.arange(24) < 1, -h * 0.5, 0)[:, None]
    parts.append((surface(np.stack(np.broadcast_arrays(grid_x[None], rows[:, None], z), -1)), cover))
    pillow = upholstery(kit)
    for side in (-0.25, 0.25) if w > 1.3 else (0.0,):
        for row in range(kit.integer(1, 2)):
            p = superquadric((w * 0.2 if w > 1.3 else 0.32, 0.2, 0.07), 0.9, 0.5, 18)
            lean = rotation_x(kit.uniform(0.1, 1.0))
            parts.append((p.rotated(lean, (side * w, -0.28 - 0.22 * row, h + 0.14)), pillow if row else sheet))
    if kit.chance(0.7):
        parts += scatter(kit, kit.integer(1, 4), (-w * 0.4, w * 0.4), (-d * 0.9, -d * 0.4), h + 0.04, 0.5)
    return parts


def sofa(kit: Kit) -> list[Part]:
    """A sofa with arms and cushions."""
    w, d, seat, back = kit.uniform(1.3, 2.4), kit.uniform(0.75, 1.0), kit.uniform(0.36, 0.48), kit.uniform(0.7, 0.95)
    cloth_, soft = upholstery(kit), kit.uniform(0.15, 0.4)
    parts: list[Part] = [
        (slab(w, d, 0.05, seat * 0.6, 0, -d / 2), cloth_),
        (cushion(w, 0.28, seat * 0.4, back, 0, -0.14, soft), cloth_),
    ]
    count = kit.integer(1, 3)
    inner = w - 0.36
    for k in range(count):
        cx = -inner / 2 + (k + 0.5) * inner / count
        parts.append((cushion(inner / count * 0.98, d - 0.2, seat * 0.6, seat, cx, -d / 2 - 0.08, 0.25), cloth_))
        parts.append((cushion(inner / count * 0.96, 0.18, seat, back + 0.03, cx, -0.3, 0.35), cloth_))
    for side in (-1, 1):
        parts.append((cushion(0.2, d, 0.05, kit.uniform(0.55, 0.68), side * (w / 2 - 0.1), -d / 2, soft), cloth_))
    for _ in range(kit.integer(0, 3)):
        p = superquadric((0.22, 0.22, 0.07), 0.9, 0.4, 16).rotated(rotation_x(kit.uniform(0.8, 1.3)))
        parts.append((p.moved((kit.uniform(-inner / 2, inner / 2), -0.45, seat + 0.2)), upholstery(kit)))
    if kit.chance(0.35):
        parts += scatter(
            kit,
            2,
            (-inner / 2, inner / 2),
            (-d + 0.05, -0.4),
            seat,
            0.3,
            ("clothes", "book", "toy", "laptop", "carton"),
        )
    return parts


def armchair(kit: Kit) -> list[Part]:
    """A shell chair: half a drum around a seat."""
    r, seat = kit.uniform(0.35, 0.5), kit.uniform(0.35, 0.45)
    cover = upholstery(kit)
    a = np.linspace(-0.2, np.pi + 0.2, 24)
    rim = kit.uniform(0.65, 0.95)
    rings = [
        np.stack([f * r * np.cos(a), f * r * np.sin(a), np.full(24, h)], 1)
        for f, h in ((1.0, 0.12), (1.06, rim * 0.8), (1.02, rim), (0.9, rim * 0.97), (0.86, seat))
    ]
    parts = [
        (surface(np.stack(rings)), cover),
        (cushion(1.7 * r, 1.7 * r, 0.12, seat + 0.05, 0, -0.05, 0.7), upholstery(kit)),
    ]
    return place(parts, 0, -r - 0.05) + legs(1.4 * r, 1.4 * r, 0.14, 0.04, wooden(kit), -r)


def chair(kit: Kit) -> list[Part]:
    """A four-legged chair with a slatted or solid back."""
    w, seat, top = kit.uniform(0.38, 0.5), kit.uniform(0.42, 0.48), kit.uniform(0.78, 1.1)
    wood = wooden(kit)
    parts = legs(w, w, seat, 0.035, wood, -w / 2)
    parts.append(
        (
            cushion(w, w, seat - 0.02, seat + kit.uniform(0.01, 0.07), 0, -w / 2, 0.2),
            wood if kit.chance(0.5) else upholstery(kit),
        )
    )
    for side in (-1, 1):
        parts.append((slab(0.035, 0.035, seat, top, side * (w / 2 - 0.02), -0.02), wood))
    if kit.chance(0.5):
        for k in range(kit.integer(2, 6)):
            z = seat + 0.12 + k * 0.11
            if z < top:
                parts.append((box((w, 0.02, 0.05), (0, -0.02, z)), wood))
    else:
        parts.append(
            (
                box((w * 0.92, 0.03, (top - seat) * 0.7), (0, -0.02, top - (top - seat) * 0.35)),
                wood if kit.chance(0.5) else upholstery(kit),
            )
        )
    return parts


def stool(kit: Kit) -> list[Part]:
    """A round bar stool with splayed legs."""
    h, r = kit.uniform(0.45, 0.8), kit.uniform(0.15, 0.22)
    wood = wooden(kit)
    parts: list[Part] = [(cylinder(r, h - 0.05, h, 18), upholstery(kit) if kit.chance(0.5) else wood)]
    for k in range(kit.integer(3, 4)):
        a = k * 2 * np.pi / 4
        path = np.array(
            [[r * 0.5 * np.cos(a), r * 0.5 * np.sin(a), h - 0.03], [r * 1.2 * np.cos(a), r * 1.2 * np.sin(a), 0]]
        )
        parts.append((tube(path, 0.018, 6), wood))
    return place(parts, 0, -0.25)


def office_chair(kit: Kit) -> list[Part]:
    """A swivel chair on a star base."""
    seat, cover, metal = kit.uniform(0.44, 0.55), kit.material(CLOTH, kit.colour((0.05, 0.5), 0.3)), plain_metal(kit)
    parts: list[Part] = [
        (cylinder(0.03, 0.08, seat, 10), metal),
        (cushion(0.5, 0.48, seat, seat + 0.09, soft=0.5), cover),
    ]
    for k in range(5):
        a = k * 2 * np.pi / 5
        tip = [0.3 * np.cos(a), 0.3 * np.sin(a), 0.06]
        parts += [
            (tube(np.array([[0, 0, 0.12], tip]), 0.02, 6), metal),
            (sphere(0.03, 8).moved((tip[0], tip[1], 0.03)), metal),
        ]
    back = cushion(0.46, 0.09, 0, kit.uniform(0.4, 0.75), soft=0.5)
    parts.append((back.rotated(rotation_x(-0.12), (0, 0.22, seat + 0.12)), cover))
    if kit.chance(0.7):
        for side in (-1, 1):
            parts += [
                (slab(0.05, 0.26, seat + 0.22, seat + 0.26, side * 0.28), metal),
                (slab(0.03, 0.03, seat, seat + 0.22, side * 0.28), metal),
            ]
    return place(parts, 0, -0.3, yaw=kit.uniform(-0.8, 0.8))


def person(kit: Kit) -> list[Part]:
    """A standing or sitting figure: legs, torso, arms, head; about 1.7 m tall."""
    h = kit.uniform(1.5, 1.9) / 1.75
    skin = Material("diffuse", kit.shade(kit.pick([(0.85, 0.65, 0.53), (0.55, 0.38, 0.28), (0.35, 0.23, 0.17)]), 0.15))
    shirt, trousers = upholstery(kit), kit.material(CLOTH, kit.colour((0.05, 0.6)), plain=0.7, kind="diffuse")
    hair = Material("diffuse", kit.colour((0.03, 0.5), 0.05))
    stride = kit.uniform(0.0, 0.25)
    parts: list[Part] = [
        (superquadric((0.2, 0.12, 0.3), 0.6, 0.8, 16).moved((0, 0, 1.15)), shirt),
        (superquadric((0.09, 0.11, 0.13), 1, 1, 14).moved((0, 0, 1.6)), skin),
        (superquadric((0.1, 0.115, 0.11), 1, 1, 14).moved((0, 0.02, 1.64)), hair),
        (cylinder(0.05, 1.38, 1.52, 10), skin),
    ]
    for s in (-1, 1):
        parts.append(
            (
                tube(
                    np.array([[s * 0.1, 0, 0.9], [s * 0.1, -s * stride * 0.3, 0.48], [s * 0.1, s * stride, 0.05]]),
                    [0.095, 0.07, 0.05],
                    10,
                ),
                trousers,
            )
        )
        parts.append((cushion(0.09, 0.25, 0, 0.08, s * 0.1, s * stride - 0.05, 0.6), hair))
        bend = kit.uniform(-0.1, 0.35)
        arm = np.array([[s * 0.22, 0, 1.4], [s * 0.28, -bend * 0.3, 1.12], [s * 0.26, -bend, 0.9]])
        parts.append((tube(arm, [0.06, 0.045, 0.035], 8), shirt if kit.chance(0.6) else skin))
        parts.append((sphere(0.045, 8).moved((s * 0.26, -bend, 0.86)), skin))
    return place(parts, 0, -0.3, 0, kit.heading(), h)
