"""What goes into the queue and what comes out. Plain values: nothing here knows the database or HTTP.

Points are ``(row, col)`` in pixels of the canonical image. ``first`` and ``second`` are the two points in the order in
which one person sees them; ``a`` and ``b`` are the stored ones. Times are milliseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Point = tuple[int, int]


@dataclass(frozen=True)
class Task:
    """One question as one person sees it. Nothing in it tells a test or a repeat from ordinary work.

    ``relations``: ``("closer",)``, or ``("front", "back")`` where two surfaces lie behind one pixel.
    ``proposed``: ``first | second | equal`` in an open check, else None. ``answered``: relation -> what this person has
    answered already.
    """

    assignment: int
    pair: str
    image: str
    width: int
    height: int
    first: Point
    second: Point
    relations: tuple[str, ...]
    qualification: bool
    mode: str
    proposed: str | None
    lease_until: int
    answered: dict[str, str] = field(default_factory=dict)
    scene: str = ""


@dataclass(frozen=True)
class TaskBatch:
    """``done``: tasks that the person has finished in this project, without the qualification. ``left``: tasks that
    could still come, None when that is not known. ``waiting``: why there are no tasks: ``finished``, ``paused``,
    ``qualification failed``, ``daily limit``, ``not a member`` or ``later`` (others hold what is left); else empty.
    """

    tasks: list[Task]
    done: int
    left: int | None
    waiting: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer as a client sends it. ``shown``: ``first | second | equal | skip``. ``active_ms`` is never more than
    ``wall_ms``. ``uuid`` is made by the client; sending it again changes nothing.
    """

    uuid: str
    assignment: int
    relation: str
    shown: str
    reason: str = ""
    confidence: str = ""
    shown_at: int | None = None
    answered_at: int | None = None
    active_ms: int | None = None
    wall_ms: int | None = None
    client: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Feedback:
    """After a qualification pair. ``passed``: None until the round is complete."""

    right: bool
    note: str
    passed: bool | None = None


@dataclass(frozen=True)
class Receipt:
    """``status``: ``saved``; ``duplicate``: this uuid is stored already; ``surplus``: stored, but more than was asked
    for, so that it changes no label. ``late``: it came after the lease had ended.
    """

    uuid: str
    status: str
    late: bool
    received_at: int
    feedback: Feedback | None = None


@dataclass(frozen=True)
class Undone:
    """``response``: the answer that was taken back; ``task``: its question, open again."""

    response: str
    task: Task


@dataclass(frozen=True)
class QualificationState:
    """``state``: ``none | open | passed | failed``. ``right`` and ``done`` are of the newest round."""

    state: str
    pairs: int
    pass_at: int
    tries: int
    right: int
    done: int


@dataclass(frozen=True)
class Dispute:
    """A pair with all that is known about it, for an adjudicator.

    ``answers``: alias, relation, answer (on a and b), reason, confidence, active_ms, round, late, surplus, at.
    ``votes``: model, output, value_a, value_b, vote. ``decisions``: relation, result, policy, by, reason, at.
    """

    pair: str
    image: str
    width: int
    height: int
    scene: str
    a: Point
    b: Point
    route: str
    state: str
    relations: tuple[str, ...]
    answers: list[dict[str, Any]]
    votes: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
