"""A pair of a release, as every writer of a format takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Point = tuple[int, int]


@dataclass(frozen=True)
class ReleasedPair:
    """A pair of a release.

    Attributes:
        key: its image's path in the release, ``images/<scene>/<name>``.
        a, b: ``(row, col)`` as stored.
        labels: relation -> ``a | b``; of a layered pair also ``equal`` for the background.
        sources: where the two points come from: ``sam``, ``region``, ``manual``, ...
        answers: relation -> number of people who said ``a | b | equal | skip`` at the time of the release.
        votes: of the expert models, with their raw values.
        decided_by: relation -> name of the policy, or ``adjudication``.
        more: what an imported file said beyond the points.
    """

    id: str
    image: str
    key: str
    scene: str
    a: tuple[int, int]
    b: tuple[int, int]
    labels: Mapping[str, str]
    route: str
    stratum: str
    probability: float | None
    gap: float | None
    score: float | None
    reason: str
    layered: bool
    sources: tuple[str, str]
    answers: Mapping[str, Mapping[str, int]]
    votes: Sequence[Json]
    decided_by: Mapping[str, str]
    more: Json = field(default_factory=dict)

    @property
    def closer(self) -> str:
        """``a`` or ``b``: the point that the release calls closer."""
        return self.labels["front" if self.layered else "closer"]

    def points_closer_first(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self.a, self.b) if self.closer == "a" else (self.b, self.a)


@dataclass(frozen=True)
class Lettered:
    """A pair whose points are called A and B. ``closer``: ``A | B``; ``a_is_first``: stored point a is called A."""

    pair: ReleasedPair
    first: Point
    second: Point
    closer: str
    a_is_first: bool

    def letter(self, answer: str) -> str:
        """``a`` or ``b`` as the letter of that point; anything else as it is."""
        if answer not in ("a", "b"):
            return answer
        return "A" if (answer == "a") == self.a_is_first else "B"


def lettered(pairs: Sequence[ReleasedPair], seed: int = 0) -> list[Lettered]:
    """Call the points of each pair A and B so that the closer one is A in half of the pairs, in every scene.

    Within a scene the pairs are taken in an order that a hash of seed and id gives, and the letter changes from one to
    the next, on into the next scene: the counts differ by at most one in each scene and in all. The result has the
    order of ``pairs``, which says nothing about the letters, and does not depend on it.
    """

    def drawn(pair: ReleasedPair) -> bytes:
        return hashlib.sha256(f"{seed}\n{pair.id}".encode()).digest()

    ordered = sorted(pairs, key=lambda pair: (pair.scene, drawn(pair)))
    start = hashlib.sha256(f"{seed}\nstart".encode()).digest()[0] % 2
    letters = {pair.id: "AB"[(number + start) % 2] for number, pair in enumerate(ordered)}
    found = []
    for pair in pairs:
        letter = letters[pair.id]
        a_is_first = (letter == "A") == (pair.closer == "a")
        first, second = (pair.a, pair.b) if a_is_first else (pair.b, pair.a)
        found.append(Lettered(pair, first, second, letter, a_is_first))
    return found
