"""People made of chance, who take tasks from the queue and answer them: for tests, benchmarks and planning."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from annotation.queue import Answer, Task, give_answer, next_tasks
from annotation.study import Study

Point = tuple[int, int]
Truth = Callable[[str, Point, Point], str]
"""(sha256 of the image, first point, second point) -> ``first``, ``second``, or empty where it cannot be told."""


@dataclass(frozen=True)
class SimulatedAnnotator:
    """How somebody answers.

    Args:
        alias: of the person in the study.
        error: chance of the wrong point on a pair that can be told.
        skip: chance of a skip on one that cannot; otherwise a coin is tossed.
        seconds: median of the active time, which is log-normal.
        spread: standard deviation of its logarithm.
    """

    alias: str
    error: float = 0.03
    skip: float = 0.7
    seconds: float = 3.5
    spread: float = 0.5

    def answer(self, task: Task, truth: Truth, draw: np.random.Generator, *, at: int = 0) -> list[Answer]:
        """An answer for each relation of the task that has none; the first point was seen at ``at`` (milliseconds)."""
        answers = []
        for relation in task.relations:
            if relation in task.answered:
                continue
            right = truth(task.image, task.first, task.second)
            active = max(round(1000 * self.seconds * math.exp(self.spread * draw.standard_normal())), 1)
            answers.append(
                Answer(
                    uuid=str(uuid.UUID(bytes=draw.bytes(16), version=4)),
                    assignment=task.assignment,
                    relation=relation,
                    shown=(shown := self._shown(right, draw)),
                    reason="cannot tell" if shown == "skip" else "",
                    shown_at=at,
                    answered_at=at + active,
                    active_ms=active,
                    wall_ms=active + int(draw.integers(0, 500)),
                )
            )
            at += active
        return answers

    def _shown(self, right: str, draw: np.random.Generator) -> str:
        if not right:
            return "skip" if draw.random() < self.skip else ("first", "second")[int(draw.integers(2))]
        if draw.random() < self.error:
            return "second" if right == "first" else "first"
        return right


def simulate(
    study: Study,
    project: int,
    annotators: Sequence[SimulatedAnnotator],
    truth: Truth,
    *,
    seed: int = 0,
    batch: int = 4,
    most: int | None = None,
    tick: Callable[[float], None] | None = None,
) -> int:
    """Let everybody work in turns until nobody is given a task; the number of answers that were stored.

    Args:
        seed: of all chance, also of the answers' ids: a second call on a study needs another one.
        batch: tasks taken at a time.
        most: stop after so many answers; None: never.
        tick: called with the seconds of each answer, so that a test's clock can follow.
    """
    draw = np.random.default_rng(seed)
    ids = {row["alias"]: int(row["id"]) for row in study.store.query("SELECT id, alias FROM people")}
    given = 0
    worked = True
    while worked:
        worked = False
        for annotator in annotators:
            person = ids[annotator.alias]
            for task in next_tasks(study, project, person, batch).tasks:
                worked = True
                for answer in annotator.answer(task, truth, draw, at=study.store.now()):
                    if tick is not None:
                        tick((answer.active_ms or 0) / 1000.0)
                    give_answer(study, person, answer)
                    given += 1
                    if most is not None and given >= most:
                        return given
    return given
