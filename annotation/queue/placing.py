"""Pairs that people place by hand: the route that finds what all models get wrong together."""

from __future__ import annotations

import sqlite3

from annotation.errors import NotAllowedError, NotFoundError, StepError
from annotation.store import Write
from annotation.study import Study
from dabench.errors import UsageError

from .answering import check_uuid
from .people import alias_of, project, worker
from .types import Point


def place_pair(
    study: Study,
    person: int,
    uuid: str,
    project_id: int,
    image: str,
    a: Point,
    b: Point,
    reason: str,
    layered: bool = False,
) -> str:
    """Queue a pair at the end of the project; its id is ``uuid``. The same call again changes nothing.

    Args:
        image: sha256 of the canonical image.
        a, b: different pixels of it, (row, col).
        reason: one of the project's ``manual_reasons``.

    Raises:
        UsageError: points outside the image or equal, another reason.
        NotFoundError: no such person, project or image.
        NotAllowedError: not a member of the project.
        StepError: the project is not open, asks no layered pairs, has this pair already, or the uuid is taken.
    """
    check_uuid(uuid)
    with study.store.write(alias_of(study, person)) as write:
        who, where = worker(write, person), project(write, project_id)
        if not who.works_in(where.settings):
            raise NotAllowedError(f"{who.alias} is not a member of this project")
        known = write.one("SELECT * FROM pairs WHERE id = ?", uuid)
        if known is not None:
            if (known["project"], known["image"], *_points(known)) != (project_id, image, tuple(a), tuple(b)):
                raise StepError(f"uuid {uuid} belongs to another pair", hint="every pair needs a uuid of its own")
            return uuid
        if where.state != "open":
            raise StepError(f"the project is {where.state}; no pairs can be added")
        if layered and not where.settings.layered:
            raise StepError("this project asks no layered pairs", hint="switch 'layered' on in its settings")
        if reason not in where.settings.manual_reasons:
            raise UsageError(
                f"reason '{reason}' is not offered", hint=f"allowed: {', '.join(where.settings.manual_reasons)}"
            )
        _check_points(write, project_id, image, a, b)
        last = write.one("SELECT coalesce(max(position), -1) AS n FROM pairs WHERE project = ?", project_id)
        assert last is not None
        write.append(
            "pair.proposed",
            {
                "id": uuid, "project": project_id, "image": image, "a_row": a[0], "a_col": a[1], "b_row": b[0],
                "b_col": b[1], "route": "manual", "stratum": reason, "reason": reason, "layered": int(layered),
                "position": last["n"] + 1,
            },
        )  # fmt: skip
        return uuid


def _points(row: sqlite3.Row) -> tuple[Point, Point]:
    return (row["a_row"], row["a_col"]), (row["b_row"], row["b_col"])


def _check_points(write: Write, project_id: int, image: str, a: Point, b: Point) -> None:
    size = write.one("SELECT width, height, state FROM images WHERE sha256 = ?", image)
    if size is None:
        raise NotFoundError(f"there is no image {image}")
    if size["state"] != "ok":
        raise StepError(f"image {image} is damaged and not asked about")
    for name, (row, col) in (("a", a), ("b", b)):
        if not (0 <= row < size["height"] and 0 <= col < size["width"]):
            raise UsageError(
                f"point {name} is ({row}, {col}); the image has {size['height']} rows and {size['width']} columns"
            )
    if tuple(a) == tuple(b):
        raise UsageError(f"points a and b are both ({a[0]}, {a[1]})")
    for first, second in ((a, b), (b, a)):
        twin = write.one(
            "SELECT id FROM pairs WHERE image = ? AND project = ? AND (a_row, a_col, b_row, b_col) = (?, ?, ?, ?)",
            image,
            project_id,
            *first,
            *second,
        )
        if twin is not None:
            raise StepError("the project has this pair already", hint=f"pair {twin['id']}")
