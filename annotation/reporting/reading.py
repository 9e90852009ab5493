"""What a project holds, read in one snapshot: pairs, answers that count, labels and votes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from annotation.settings import ProjectSettings
from annotation.study import Study

STATES = ("proposed", "queued", "answered", "agreed", "disputed", "adjudicated", "final", "dropped")
SETTLED = frozenset({"final", "dropped"})
"""States in which nobody will be asked about a pair again, so that its answers may be shown."""


WORK = frozenset({"label", "check"})
"""Kinds of assignments that make labels."""


@dataclass(frozen=True)
class PairRow:
    """A pair. ``a`` and ``b`` are (row, col) in its ``width`` x ``height`` image; areas are of the points' regions."""

    id: str
    image: str
    scene: str
    stratum: str
    route: str
    a: tuple[int, int]
    b: tuple[int, int]
    a_area: int | None
    b_area: int | None
    layered: bool
    purpose: str
    gold: str | None
    state: str
    width: int
    height: int
    file: str


@dataclass(frozen=True)
class AnswerRow:
    """A live answer. ``answer`` is on points a and b, ``shown`` as the person saw it; times in milliseconds.

    ``round`` 1 is the first time that a person saw the pair; later ones are hidden repeats, or come from a pair that
    was reopened.
    """

    pair: str
    person: int
    round: int
    relation: str
    kind: str
    shown: str
    answer: str
    reason: str
    mode: str
    active_ms: int | None
    wall_ms: int | None
    received_at: int


@dataclass(frozen=True)
class Person:
    id: int
    alias: str
    name: str
    role: str
    active: bool


@dataclass(frozen=True)
class Material:
    """Everything that the reports are made of.

    Attributes:
        labels: (pair, relation) -> newest decision, ``a | b | equal | drop | reopen``.
        votes: pair -> {model: ``a | b | tie``}.
        spent: (kind, active_ms, wall_ms) of every answer ever given, also of undone ones.
        decided: (person alias, time) of every decision by a person, in order.
    """

    study: str
    project: int
    name: str
    state: str
    settings: ProjectSettings
    event: int
    pairs: dict[str, PairRow]
    answers: list[AnswerRow]
    people: dict[int, Person]
    labels: dict[tuple[str, str], str]
    votes: dict[str, dict[str, str]]
    spent: list[tuple[str, int | None, int | None]]
    decided: list[tuple[str, int]]
    images: Counter[str] = field(default_factory=Counter)

    @cached_property
    def wanted(self) -> list[PairRow]:
        """Pairs that are to be labelled: without gold and test pairs."""
        return [pair for pair in self.pairs.values() if pair.purpose == "label"]

    @cached_property
    def final(self) -> list[tuple[PairRow, str]]:
        """Final pairs with their label ``a`` or ``b`` (of a layered pair, that of its front layer)."""
        found = []
        for pair in self.wanted:
            label = self.labels.get((pair.id, "front" if pair.layered else "closer"), "")
            if pair.state == "final" and label in ("a", "b"):
                found.append((pair, label))
        return found


def read(study: Study, project: str | int | None) -> Material:
    """Read a project by name or id; None: the first. Raises NotFoundError."""
    number, settings = study.project(project)
    with study.store.read() as connection:

        def rows(sql: str, *parameters: Any) -> list[sqlite3.Row]:
            return connection.execute(sql, parameters).fetchall()

        [row] = rows("SELECT name, state FROM projects WHERE id = ?", number)
        return Material(
            study=str(study.setting("name") or study.path.resolve().name),
            project=number,
            name=row["name"],
            state=row["state"],
            settings=settings,
            event=int(rows("SELECT coalesce(max(seq), 0) AS seq FROM events")[0]["seq"]),
            pairs={pair.id: pair for pair in map(_pair, rows(_PAIRS, number))},
            answers=[AnswerRow(*row) for row in rows(_ANSWERS, number)],
            people={
                row["id"]: Person(row["id"], row["alias"], row["name"], row["role"], bool(row["active"]))
                for row in rows("SELECT * FROM people ORDER BY id")
            },
            labels={(row["pair"], row["relation"]): row["result"] for row in rows(_DECISIONS, number)},
            votes=_votes(rows("SELECT v.pair, v.model, v.vote " + _OF_VOTES, number)),
            spent=[tuple(row) for row in rows(_SPENT, number)],
            decided=[(row["by_person"], row["at"]) for row in rows(_DECISIONS, number) if row["by_person"] != "policy"],
            images=Counter(
                {
                    row["scene"]: row["n"]
                    for row in rows("SELECT scene, count(*) AS n FROM images WHERE state = 'ok' GROUP BY scene")
                }
            ),
        )


_PAIRS = """
SELECT p.*, i.scene, i.width, i.height, i.file, ka.area AS a_area, kb.area AS b_area
FROM pairs p JOIN images i ON i.sha256 = p.image
LEFT JOIN keypoints ka ON ka.id = p.a_keypoint LEFT JOIN keypoints kb ON kb.id = p.b_keypoint
WHERE p.project = ? ORDER BY p.position, p.id"""
_ANSWERS = """
SELECT r.pair, r.person, r.round, r.relation, s.kind, r.shown, r.answer, r.reason, r.mode, r.active_ms, r.wall_ms,
       r.received_at
FROM live l JOIN responses r ON r.uuid = l.uuid JOIN assignments s ON s.id = r.assignment
JOIN pairs p ON p.id = r.pair WHERE p.project = ? AND r.shown <> 'undo' ORDER BY r.received_at, r.rowid"""
_SPENT = """
SELECT s.kind, r.active_ms, r.wall_ms FROM responses r JOIN assignments s ON s.id = r.assignment
JOIN pairs p ON p.id = r.pair WHERE p.project = ? AND r.shown <> 'undo'"""
_DECISIONS = """
SELECT d.pair, d.relation, d.result, d.by_person, d.at FROM decisions d JOIN pairs p ON p.id = d.pair
WHERE p.project = ? ORDER BY d.id"""
_OF_VOTES = "FROM votes v JOIN pairs p ON p.id = v.pair WHERE p.project = ? ORDER BY v.model"


def _pair(row: sqlite3.Row) -> PairRow:
    return PairRow(
        id=row["id"], image=row["image"], scene=row["scene"], stratum=row["stratum"], route=row["route"],
        a=(row["a_row"], row["a_col"]), b=(row["b_row"], row["b_col"]), a_area=row["a_area"], b_area=row["b_area"],
        layered=bool(row["layered"]), purpose=row["purpose"], gold=row["gold"], state=row["state"],
        width=row["width"], height=row["height"], file=row["file"],
    )  # fmt: skip


def _votes(rows: list[sqlite3.Row]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row["pair"], {})[row["model"]] = row["vote"]
    return found


def targets(material: Material) -> dict[str, int]:
    """Wanted final pairs a scene, where the project sets any."""
    return {str(scene): int(n) for scene, n in material.settings.scene_targets.items()}
