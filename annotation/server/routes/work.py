"""Labelling: tasks out, answers in."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from annotation import queue
from annotation.queue import Answer, Task

from ..allow import Shared, Signed
from ..bodies import JS_INTEGER, Assignments, GivenAnswer, PlacedPair, Undo, WantedTasks

router = APIRouter()
ROUNDS = 20
"""How often tasks are asked for again when pictures are damaged: a whole folder may be, and the person waits."""
Project = Annotated[int, Path(ge=1, le=JS_INTEGER)]


def point(value: tuple[int, int]) -> dict[str, int]:
    return {"row": value[0], "col": value[1]}


def task_json(task: Task) -> dict[str, Any]:
    return {**dataclasses.asdict(task), "first": point(task.first), "second": point(task.second)}


@router.post("/api/projects/{project}/tasks")
def tasks(project: Project, body: WantedTasks, server: Shared, caller: Signed) -> dict[str, Any]:
    """Up to ``n`` tasks, leased. A task whose picture turns out to be damaged is given back and another one is taken,
    so that nobody is asked about a picture that cannot be shown.
    """
    for _ in range(ROUNDS):
        batch = queue.next_tasks(server.study, project, caller.id, body.n)
        good = [task for task in batch.tasks if server.pictures.usable(task.image)]
        if len(good) == len(batch.tasks):
            break
        queue.give_back(server.study, caller.id, [task.assignment for task in batch.tasks if task not in good])
    return {
        "tasks": [task_json(task) for task in good],
        "done": batch.done,
        "left": batch.left,
        "waiting": batch.waiting,
    }


@router.post("/api/answers")
def answers(body: GivenAnswer, server: Shared, caller: Signed) -> dict[str, Any]:
    """Store an answer. The reply is sent after the commit that makes it last."""
    values = body.model_dump()
    values["uuid"] = body.uuid.lower()
    return dataclasses.asdict(queue.give_answer(server.study, caller.id, Answer(**values)))


@router.post("/api/undo")
def undo(body: Undo, server: Shared, caller: Signed) -> dict[str, Any]:
    response = body.response.lower() if body.response else None
    undone = queue.undo(server.study, caller.id, body.uuid.lower(), response)
    return {"response": undone.response, "task": task_json(undone.task)}


@router.post("/api/heartbeat")
def heartbeat(body: Assignments, server: Shared, caller: Signed) -> dict[str, Any]:
    kept = queue.heartbeat(server.study, caller.id, body.assignments)
    return {"assignments": {str(number): until for number, until in kept.items()}}


@router.post("/api/return")
def give_back(body: Assignments, server: Shared, caller: Signed) -> dict[str, Any]:
    queue.give_back(server.study, caller.id, body.assignments)
    return {}


@router.get("/api/projects/{project}/history")
def history(
    project: Project, server: Shared, caller: Signed, n: Annotated[int, Query(ge=1, le=500)] = 50
) -> dict[str, Any]:
    """The caller's own live answers, newest first."""
    return {"answers": queue.history(server.study, project, caller.id, n)}


@router.get("/api/projects/{project}/images")
def images(
    project: Project,
    server: Shared,
    caller: Signed,
    after: Annotated[str, Query(pattern=r"^([0-9a-f]{64})?$")] = "",
    n: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Pictures in the order of their digest, for placing pairs by hand. ``pairs``: how many the project has on each."""
    server.study.project(project)
    rows = server.study.store.query(
        "SELECT sha256, width, height, scene, "
        "(SELECT count(*) FROM pairs p WHERE p.image = images.sha256 AND p.project = ?) AS pairs "
        "FROM images WHERE state = 'ok' AND sha256 > ? ORDER BY sha256 LIMIT ?",
        project, after, n,
    )  # fmt: skip
    return {"images": [dict(row) for row in rows]}


@router.post("/api/projects/{project}/pairs")
def pairs(project: Project, body: PlacedPair, server: Shared, caller: Signed) -> dict[str, Any]:
    """A pair placed by hand."""
    pair = queue.place_pair(
        server.study,
        caller.id,
        body.uuid.lower(),
        project,
        body.image,
        (body.a.row, body.a.col),
        (body.b.row, body.b.col),
        body.reason,
        body.layered,
    )
    return {"pair": pair}


@router.get("/api/projects/{project}/placed")
def placed(
    project: Project, server: Shared, caller: Signed, n: Annotated[int, Query(ge=1, le=500)] = 200
) -> dict[str, Any]:
    """The pairs that the caller has placed by hand, newest first. Nothing in it says what anybody answered."""
    server.study.project(project)
    rows = server.study.store.query(
        "SELECT p.id, p.image, i.scene, p.a_row, p.a_col, p.b_row, p.b_col, p.reason, p.layered, p.created "
        "FROM pairs p JOIN images i ON i.sha256 = p.image "
        "WHERE p.project = ? AND p.route = 'manual' AND p.created_by = ? "
        "ORDER BY p.created DESC, p.position DESC LIMIT ?",
        project, caller.alias, n,
    )  # fmt: skip
    return {
        "pairs": [
            {
                "pair": row["id"],
                "image": row["image"],
                "scene": row["scene"],
                "a": point((row["a_row"], row["a_col"])),
                "b": point((row["b_row"], row["b_col"])),
                "reason": row["reason"],
                "layered": bool(row["layered"]),
                "created": row["created"],
            }
            for row in rows
        ]
    }
