"""What a scene is described with: materials, parts, lights, cameras, and the random choices that respect the split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from dabench.render.mesh import Mesh, rotation_z
from dabench.render.patterns import HELDOUT_PATTERNS

Split = Literal["train", "heldout", "photo"]
T = TypeVar("T")
Colour = tuple[float, float, float]

HELDOUT_FAMILIES = frozenset(
    {
        "armchair",
        "wardrobe",
        "toilet",
        "ceiling_fan",
        "teapot",
        "robot",
        "knot",
        "dome",
        "van",
        "poplar",
        "arch",
        "tent",
        "starfish",
        "manta",
        "crystal",
        "stool",
    }
)
"""Object families that the train split never uses."""


@dataclass(frozen=True)
class Material:
    """A surface: `kind` diffuse, plastic, metal, glass, pane (thin glass), mirror, light
    (shines on others) or glow (only looks bright); colours are sRGB 0..1.

    `metres` is the size of one texture period.
    """

    kind: str
    colour: Colour
    second: Colour | None = None
    accent: Colour | None = None
    pattern: tuple[str, int] | None = None
    metres: float = 1.0
    roughness: float = 0.2
    radiance: float = 0.0


Part = tuple[Mesh, Material]


def place(
    parts: Sequence[Part], x: float, y: float, z: float = 0.0, yaw: float = 0.0, scale: float = 1.0
) -> list[Part]:
    """Parts scaled, turned by `yaw` radians about z and moved to (x, y, z) metres."""
    return [(mesh.moved((x, y, z), yaw, scale), material) for mesh, material in parts]


def turned(parts: Sequence[Part], rotation: np.ndarray, offset: Sequence[float] = (0, 0, 0)) -> list[Part]:
    """Parts rotated by a matrix [3, 3] and moved by `offset` metres."""
    return [(mesh.rotated(rotation, offset), material) for mesh, material in parts]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: position and target in metres, roll in degrees, horizontal field of view in degrees."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float
    roll: float = 0.0


@dataclass(frozen=True)
class Light:
    """`kind` point, sun (direction `position`) or panel (a rectangle of `size` metres facing `facing`).

    `colour` is linear RGB: intensity, irradiance or radiance.
    """

    kind: str
    position: tuple[float, float, float]
    colour: Colour
    facing: tuple[float, float, float] = (0.0, 0.0, -1.0)
    size: tuple[float, float] = (1.0, 1.0)


@dataclass
class Scene:
    """A described world. `sky` is linear radiance float32 [H, 2H, 3] (equirectangular, z up) or None indoors.

    `ambient` is light from everywhere relative to the mean direct light; `specular` asks for traced reflections and
    refractions; `stage` is the height (m) on which a close-up's objects stand.
    """

    parts: list[Part] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    sky: np.ndarray | None = None
    ambient: Colour = (0.25, 0.25, 0.25)
    propose: Callable[[np.random.Generator], Camera] | None = None
    specular: bool = False
    stage: float = 0.0


class Kit:
    """Random choices for one scene. Remembers which object and texture families it used.

    `kit.choose(options)` draws a family name the split may use: train never gets a held-out one, held-out prefers them.
    The photo split has worlds of its own, so that its options hold none of the others' names.
    """

    def __init__(self, rng: np.random.Generator, split: Split):
        self.rng = rng
        self.split = split
        self.families: set[str] = set()
        self.saturation = float(rng.choice([0.6, 1.0, 1.4]))

    def uniform(self, low: float, high: float) -> float:
        """A float in low..high."""
        return float(self.rng.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high, high included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, uniformly."""
        return options[int(self.rng.integers(len(options)))]

    def choose(self, options: Sequence[str] | Mapping[str, object], heldout: frozenset[str] = HELDOUT_FAMILIES) -> str:
        """A family name allowed in this split, recorded as used."""
        names = sorted(options)
        kept = [name for name in names if name in heldout]
        if self.split == "train":
            names = [name for name in names if name not in heldout]
        elif kept and self.chance(0.4):
            names = kept
        name = self.pick(names)
        self.families.add(name)
        return name

    def allowed(self, name: str) -> bool:
        """Whether this split may use a family; records it as used if so."""
        if self.split == "train" and name in HELDOUT_FAMILIES:
            return False
        self.families.add(name)
        return True

    def colour(self, value: tuple[float, float] = (0.1, 0.95), vivid: float = 0.2) -> Colour:
        """An sRGB colour, mostly muted; `vivid` is the chance of a saturated one."""
        from colorsys import hsv_to_rgb

        if self.chance(vivid):
            hue, saturation = self.uniform(0, 1), self.uniform(0.5, 1.0)
        else:
            hue = self.uniform(0.02, 0.16) if self.chance(0.6) else self.uniform(0, 1)
            saturation = min(1.0, abs(float(self.rng.normal(0, 0.28))) * self.saturation)
        return hsv_to_rgb(hue, saturation, self.uniform(*value))

    def shade(self, colour: Colour, amount: float = 0.3) -> Colour:
        """A colour near another one: brightness and tint changed by up to `amount`."""
        gain = 1 + self.uniform(-amount, amount)
        tint = self.rng.normal(0, amount * 0.12, 3)
        r, g, b = np.clip(np.asarray(colour) * gain + tint, 0.02, 0.98)
        return float(r), float(g), float(b)

    def texture(self, families: Sequence[str], variants: int = 24) -> tuple[str, int]:
        """A texture (family, variant) allowed in this split, recorded as used."""
        family = self.choose(list(families), HELDOUT_PATTERNS)
        return family, self.integer(0, variants - 1)

    def material(
        self,
        families: Sequence[str] = (),
        colour: Colour | None = None,
        *,
        contrast: float = 0.5,
        metres: tuple[float, float] = (0.3, 1.5),
        plain: float = 0.3,
        kind: str | None = None,
        vivid: float = 0.2,
    ) -> Material:
        """A material with a texture of one of `families` (plain with the given chance) in muted or vivid colours."""
        base = colour or self.colour(vivid=vivid)
        kind = kind or ("plastic" if self.chance(0.2) else "diffuse")
        if not families or self.chance(plain):
            return Material(kind, base, roughness=self.uniform(0.05, 0.3))
        second = self.shade(base, contrast) if self.chance(0.75) else self.colour(vivid=vivid)
        accent = self.colour(vivid=vivid) if self.chance(0.35) else None
        return Material(
            kind, base, second, accent, self.texture(families), self.uniform(*metres), self.uniform(0.05, 0.3)
        )

    def around(self, sigma: float) -> tuple[float, float]:
        """Two normal numbers with standard deviation `sigma`: an offset on the ground."""
        x, y = self.rng.normal(0, sigma, 2)
        return float(x), float(y)

    def heading(self) -> float:
        """An angle in 0..2 pi."""
        return self.uniform(0, 2 * np.pi)


def direction(yaw: float, pitch: float = 0.0) -> np.ndarray:
    """Unit vector [3] for a yaw about z (0 along +y) and a pitch above the horizon, in radians."""
    return rotation_z(yaw) @ np.array([0.0, np.cos(pitch), np.sin(pitch)])
