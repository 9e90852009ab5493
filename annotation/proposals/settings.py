"""Settings of a proposal: which pairs are candidates, and how they are drawn."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from dabench.errors import UsageError


class ProposalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings, with their defaults. Lengths are shares of the picture unless they say pixels."""

    pairs: int | None = None
    """Pairs of all scenes together; None: as many as ``pairs_per_image`` allows."""
    scene_pairs: dict[str, int] = msgspec.field(default_factory=dict)
    """Scene -> pairs; the other scenes share what is left of ``pairs``."""
    pairs_per_image: int = 2
    """At most this many pairs of one image: answers on one picture are alike, so many pictures tell more."""
    control_share: float = 0.2
    """Share of the pairs on which all experts agree, to measure how often they are wrong together."""
    uniform: bool = False
    """Draw without looking at the votes: one stratum a scene."""
    balance: bool = True
    """In each stratum, half of the pairs where most experts see the lower point closer, half the others."""

    border: float = 0.03
    """Least distance of a point from the border, as a share of the side."""
    border_pixels: float = 12
    """Least distance of a point from the border, in pixels."""
    edge: float = 8
    """Least distance of a point from the edge of any region, in pixels of a picture whose longer side is 1024."""
    smooth: float = 0.05
    """Largest interquartile range of any expert's values around a point, over the spread of its map."""
    duplicate: float = 0.02
    """Two points nearer than this share of the diagonal count as one."""
    max_points: int = 150
    """Points of one image that are paired; more are thinned at random."""
    distance: float = 0.05
    """Least distance of the two points, as a share of the diagonal."""
    level: float | None = None
    """Largest difference of their rows, as a share of the height; None: any."""

    tie: float = 0.01
    """An expert whose values differ by less than this share of the spread of its map votes for a tie."""
    gap: Literal["difference", "rank"] = "difference"
    """Measure of the depth gap: difference over the spread of the map, or difference of ranks in the map."""
    gap_min: float = 0.05
    """Smallest gap: below, people cannot tell either."""
    gap_max: float | None = None
    """Largest gap; None: any. Easy pairs are a stratum of their own, so they need not be cut."""
    gap_edges: tuple[float, ...] = (0.1, 0.25)
    """Where the strata of the gap begin, beyond ``gap_min``."""
    margin_weight: float = 0.25
    """Weight of the margin in the score, against one bit of the votes' entropy."""
    score_power: float = 1.0
    """Disputed pairs of one stratum and image are drawn in proportion to score to this power; 0: all alike."""

    map_side: int = 1024
    """Longer side of the kept maps; a larger map is averaged down."""

    def __post_init__(self) -> None:
        checks = {
            "pairs": self.pairs is None or self.pairs >= 1,
            "scene_pairs": all(count >= 0 for count in self.scene_pairs.values()),
            "pairs_per_image": 1 <= self.pairs_per_image <= 100,
            "control_share": 0 <= self.control_share <= 1,
            "border": 0 <= self.border < 0.5,
            "border_pixels": self.border_pixels >= 0,
            "edge": self.edge >= 0,
            "smooth": self.smooth >= 0,
            "duplicate": 0 <= self.duplicate < 1,
            "max_points": 2 <= self.max_points <= 1000,
            "distance": 0 <= self.distance < 1,
            "level": self.level is None or 0 <= self.level <= 1,
            "tie": 0 <= self.tie < 1,
            "gap_min": 0 <= self.gap_min <= 1,
            "gap_max": self.gap_max is None or self.gap_max > self.gap_min,
            "gap_edges": all(a < b for a, b in zip((self.gap_min, *self.gap_edges), self.gap_edges, strict=False)),
            "margin_weight": self.margin_weight >= 0,
            "score_power": 0 <= self.score_power <= 10,
            "map_side": 64 <= self.map_side <= 8192,
        }
        for name, fine in checks.items():
            if not fine:
                raise UsageError(f"proposal setting '{name}' cannot be {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built
