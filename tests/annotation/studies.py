"""Small studies for tests: real images, pairs with a known truth, key points, votes, people, a clock that obeys."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from annotation.queue.types import Answer, Task
from annotation.settings import ProjectSettings
from annotation.store.store import wall_clock
from annotation.study import Study

SCENES = ("indoor", "outdoor", "underwater")
PEOPLE = {
    "olga": "owner",
    "adam": "adjudicator",
    "ann": "annotator",
    "ben": "annotator",
    "cat": "annotator",
    "vic": "viewer",
}
MODELS = ("near-sighted", "steady", "contrarian")
START = 1_800_000_000_000
PLAIN = {"gold_share": 0.0, "repeat_share": 0.0}
"""Settings without hidden tasks."""
# How an upright picture is stored under each EXIF orientation (TIFF 6.0, tag 274), written with NumPy alone.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


class Clock:
    """Milliseconds that move only when told to."""

    def __init__(self, at: int = START) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += int(seconds * 1000)


def truth(a: tuple[int, int], b: tuple[int, int]) -> str:
    """In these pictures the lower point is the closer one."""
    return "a" if a > b else "b"


def make_study(
    path: Path,
    images: int = 3,
    pairs_per_image: int = 4,
    people: Mapping[str, str] = PEOPLE,
    settings: ProjectSettings | None = None,
    clock: Callable[[], int] = wall_clock,
    *,
    gold: int = 0,
    qualification: int = 0,
    layered: bool = False,
    size: tuple[int, int] = (64, 48),
    durable: bool = False,
) -> Study:
    """A study with one project ``main``.

    Args:
        people: alias -> role; the name is the alias with a capital.
        gold: hidden test pairs, beyond ``images * pairs_per_image``; their answer is :func:`truth`.
        qualification: pairs of the qualification round.
        layered: every pair is asked for its front and its back layer.
        size: width and height of the images.
        durable: wait for the disk at every commit, as outside of tests.
    """
    study = Study.open(path, create=True, clock=clock)
    if not durable:
        study.store._writer.execute("PRAGMA synchronous = OFF")
    study.images.mkdir(exist_ok=True)
    total = images * pairs_per_image
    with study.store.write("owner") as write:
        write.append("study.set", {"name": "test study", "seed": 0})
        for alias, role in people.items():
            write.append("person.added", {"alias": alias, "name": alias.capitalize(), "role": role})
        write.append(
            "project.created", {"name": "main", "settings": (settings or ProjectSettings()).to_dict(), "state": "open"}
        )
        files = [_add_image(study, write, number, size) for number in range(images)]
        for number in range(total + gold + qualification):
            image = files[number // pairs_per_image % images if number < total else number % images]
            write.append("pair.proposed", _pair(number, image, size, layered))
            if number >= total:
                purpose = "gold" if number < total + gold else "qualification"
                row = write.one("SELECT a_row, a_col, b_row, b_col FROM pairs ORDER BY position DESC LIMIT 1")
                answer = truth((row["a_row"], row["a_col"]), (row["b_row"], row["b_col"]))
                write.append(
                    "pair.gold",
                    {
                        "id": _pair_id(number),
                        "purpose": purpose,
                        "gold": answer,
                        "gold_note": f"the answer is {answer}",
                    },
                )
    return study


def _add_image(study: Study, write, number: int, size: tuple[int, int]) -> str:
    width, height = size
    rows = np.linspace(40, 220, height)[:, None].repeat(width, axis=1)
    pixels = np.stack([rows, rows * 0.8, np.full_like(rows, 20 + number % 200)], axis=-1).astype(np.uint8)
    temporary = study.images / f"new{number}.png"
    Image.fromarray(pixels).save(temporary)
    sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
    temporary.rename(study.images / f"{sha256}.png")
    write.append(
        "image.added",
        {
            "sha256": sha256, "file": f"{sha256}.png", "width": width, "height": height,
            "scene": SCENES[number % len(SCENES)], "original_name": f"photo {number}.png", "original_sha256": sha256,
            "source": "https://example.org/photos", "author": "A. Photographer", "licence": "CC0-1.0",
        },
    )  # fmt: skip
    points = [{"row": 4 + 8 * k, "col": 4 + 8 * k, "area": 30} for k in range(2)]
    write.append(
        "keypoints.found", {"image": sha256, "generator": {"source": "region", "settings": {}}, "points": points}
    )
    return sha256


def _pair_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"pair {number}"))


def _pair(number: int, image: str, size: tuple[int, int], layered: bool) -> dict[str, object]:
    width, height = size
    draw = np.random.default_rng(number)
    rows = draw.choice(height, size=2, replace=False)
    columns = draw.choice(width, size=2, replace=False)
    a, b = (int(rows[0]), int(columns[0])), (int(rows[1]), int(columns[1]))
    right = truth(a, b)
    votes = []
    for index, model in enumerate(MODELS):
        vote = right if index < 2 or number % 2 else "ab"[right == "a"]
        near, far = (2.0, 1.0) if vote == "a" else (1.0, 2.0)
        votes.append(
            {"model": model, "output": "disparity", "value_a": near, "value_b": far, "median_a": near, "median_b": far,
             "vote": vote}
        )  # fmt: skip
    return {
        "id": _pair_id(number), "project": 1, "image": image, "a_row": a[0], "a_col": a[1], "b_row": b[0],
        "b_col": b[1], "route": "control" if number % 2 else "disagreement", "stratum": f"bin {number % 3}",
        "probability": 0.25 if number % 2 else 0.5, "gap": 0.2, "score": 0.0 if number % 2 else 0.9,
        "layered": int(layered), "position": number, "votes": votes,
    }  # fmt: skip


def person(study: Study, alias: str) -> int:
    """Id of a person."""
    row = study.store.one("SELECT id FROM people WHERE alias = ?", alias)
    assert row is not None, alias
    return row["id"]


def right_answer(task: Task) -> str:
    """``first`` or ``second``, whichever is truly closer."""
    return "first" if truth(task.first, task.second) == "a" else "second"


def wrong_answer(task: Task) -> str:
    return "second" if right_answer(task) == "first" else "first"


def answer_to(task: Task, shown: str, *, relation: str | None = None, id: str | None = None, **fields) -> Answer:
    """An answer with plausible times; ``relation``: the first one that is not answered yet."""
    relation = relation or next(name for name in task.relations if name not in task.answered)
    values = {"shown_at": START, "answered_at": START + 3000, "active_ms": 2500, "wall_ms": 3000, "client": {}} | fields
    return Answer(uuid=id or str(uuid.uuid4()), assignment=task.assignment, relation=relation, shown=shown, **values)


def state(study) -> str:
    """Of the first pair."""
    return study.store.one("SELECT state FROM pairs ORDER BY position LIMIT 1")["state"]


def moves(study) -> list[str]:
    """States that pairs came to, in order."""
    return [event.data["to"] for event in study.store.events(["pair.moved"])]


def say(study, alias: str, answer: str, **fields):
    """Let a person answer their first task with ``right | wrong | equal | skip``; the task and the receipt."""
    from annotation import queue

    task = queue.next_tasks(study, 1, person(study, alias), 1).tasks[0]
    shown = {"right": right_answer(task), "wrong": wrong_answer(task)}.get(answer, answer)
    return task, queue.give_answer(study, person(study, alias), answer_to(task, shown, **fields))


def result(study, relation="closer") -> str | None:
    """Of the newest decision."""
    row = study.store.one("SELECT result FROM decisions WHERE relation = ? ORDER BY id DESC LIMIT 1", relation)
    return None if row is None else row["result"]


def truth_of(study) -> str:
    """Of the first pair, ``a | b``."""
    row = study.store.one("SELECT a_row, a_col, b_row, b_col FROM pairs ORDER BY position LIMIT 1")
    return "a" if (row["a_row"], row["a_col"]) > (row["b_row"], row["b_col"]) else "b"
