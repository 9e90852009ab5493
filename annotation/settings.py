"""Settings of a project: what is asked, of how many people, and how their answers become a label."""

from __future__ import annotations

from typing import Any

import msgspec

from annotation.errors import StudyError


class Qualification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Test pairs that come first.

    ``pairs`` 0: no round. ``pass_at``: right answers needed. ``tries``: rounds a person may take.
    """

    pairs: int = 0
    pass_at: int = 0
    tries: int = 2


class ProjectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of a project, with the defaults of a new one."""

    policy: str = "first-two-checkers"
    """Name of a policy of :mod:`annotation.policy`; it says how many people answer a pair."""
    check_mode: str = "blind"
    """``blind``: checkers answer afresh; ``open``: they see the first answer and confirm or contradict it."""
    gold_share: float = 0.05
    """Share of a person's tasks that are hidden pairs with a known answer."""
    repeat_share: float = 0.03
    """Share of a person's tasks that are hidden repeats of a pair they answered before."""
    repeat_distance: int = 20
    """Least number of answers between a pair and its repeat."""
    lease_seconds: int = 600
    """How long a task is kept for a person without a sign of life."""
    qualification: Qualification = Qualification()
    layered: bool = False
    """Whether annotators may place pairs with two relations, front layer and background."""
    confidence: bool = False
    """Ask for guessing, probably or definitely after each answer."""
    allow_equal: bool = True
    skip_reasons: tuple[str, ...] = ("cannot tell", "same depth", "point unclear", "reflection or glass", "bad image")
    drop_reasons: tuple[str, ...] = ("ambiguous", "point on an edge", "wrong image", "other")
    manual_reasons: tuple[str, ...] = (
        "reflection", "transparent", "thin part", "painting or screen", "illusion", "low contrast", "other",
    )  # fmt: skip
    members: tuple[str, ...] = ()
    """Aliases of those who may work in it; empty: everybody with the role."""
    instructions: str = ""
    """Text above the standard instructions; Markdown is not interpreted."""
    instructions_version: int = 1
    pause_after_minutes: int = 45
    """Suggest a pause after this much active time; 0: never."""
    daily_limit: int = 0
    """Answers of one person a day (UTC); 0: no limit."""
    scene_targets: dict[str, int] = msgspec.field(default_factory=dict)
    """Scene -> wanted number of final pairs; a scene that is full is not asked any more."""
    seed: int = 0
    """Of everything that is random in the queue: the order of the two points, places of gold and repeats."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ProjectSettings:
        """Validated settings. Raises StudyError that names the field."""
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise StudyError(f"settings of the project: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built
