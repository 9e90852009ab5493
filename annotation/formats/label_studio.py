"""Label Studio tasks, written and read (HumanSignal/label-studio, its JSON of tasks and of exports).

A task is a pair: two key points ``A`` and ``B`` and a choice ``closer``. Coordinates are percent of width and height. A
pixel is written as its centre, ``100 (col + 0.5) / width``, with all the digits of a double, and read back as the pixel
that holds the position; so a pixel comes back as itself at any size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .reading import Found, ImportedPair, inside_path, read_json
from .released import Json, Lettered, Point

POINTS, CLOSER, IMAGE = "points", "closer", "image"
SEVERAL = ("A", "B", "equal")
CONFIG = """<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <KeyPointLabels name="points" toName="image" strokeWidth="2">
    <Label value="A"/>
    <Label value="B"/>
  </KeyPointLabels>
  <Header value="Which point is closer to the camera?"/>
  <Choices name="closer" toName="image" choice="single" showInline="true">
    <Choice value="A" hotkey="1"/>
    <Choice value="B" hotkey="2"/>
    <Choice value="equal" hotkey="3"/>
  </Choices>
</View>
"""


def percent(pixel: int, size: int) -> float:
    """Centre of a pixel in percent of the side."""
    return 100.0 * (pixel + 0.5) / size


def pixel(value: float, size: int) -> int:
    """The pixel that holds a position in percent; the far border belongs to the last one."""
    return min(math.floor(value * size / 100.0), size - 1)


def tasks(
    pairs: Sequence[Lettered],
    images: Mapping[str, Mapping[str, Any]],
    responses: Mapping[str, Sequence[Mapping[str, Any]]],
    release: str,
    prefix: str = "",
) -> list[Json]:
    """One task a pair, with the label as a prediction and each person's answer as an annotation.

    Args:
        images: by SHA-256, with width and height.
        responses: pair id -> rows of the table of answers, but ``person`` is a number.
        release: name of the release, the ``model_version`` of the predictions.
        prefix: put before the path of each image, for instance ``/data/local-files/?d=set/``.
    """
    return [_task(number, found, images, responses, release, prefix) for number, found in enumerate(pairs, start=1)]


def _task(
    number: int,
    found: Lettered,
    images: Mapping[str, Mapping[str, Any]],
    responses: Mapping[str, Sequence[Mapping[str, Any]]],
    release: str,
    prefix: str,
) -> Json:
    pair, image = found.pair, images[found.pair.image]
    size = (image["height"], image["width"])
    annotations = []
    for said in responses.get(pair.id, ()):
        when = datetime.fromtimestamp(said["received_at"] / 1000, UTC).isoformat(timespec="milliseconds")
        skipped = said["shown"] == "skip"
        annotations.append(
            {
                "unique_id": said["response"],
                "completed_by": said["person"],
                "was_cancelled": skipped,
                "ground_truth": False,
                "created_at": when.replace("+00:00", "Z"),
                "lead_time": None if said["active_ms"] is None else said["active_ms"] / 1000,
                "result": _result(pair.id, found, size, None if skipped else said["closer"]),
            }
        )
    return {
        "id": number,
        "data": {
            "image": prefix + pair.key,
            "pair": pair.id,
            "scene": pair.scene,
            "sha256": pair.image,
        },
        "annotations": annotations,
        "predictions": [{"model_version": release, "result": _result(pair.id, found, size, found.closer)}],
    }


def _result(pair: str, found: Lettered, size: tuple[int, int], choice: str | None) -> list[Json]:
    height, width = size
    about = {"to_name": IMAGE, "original_width": width, "original_height": height, "image_rotation": 0}
    result: list[Json] = []
    for letter, (row, col) in (("A", found.first), ("B", found.second)):
        value = {"x": percent(col, width), "y": percent(row, height), "width": 0.5, "keypointlabels": [letter]}
        result.append(
            {"id": f"{pair}-{letter}", "from_name": POINTS, "type": "keypointlabels", **about, "value": value}
        )
    if choice is not None:
        choices = {"choices": [choice]}
        result.append(
            {"id": f"{pair}-closer", "from_name": CLOSER, "to_name": IMAGE, "type": "choices", "value": choices}
        )
    return result


def read(path: Path) -> Found:
    """Pairs of Label Studio's JSON export.

    Points are taken from the first annotation that was not cancelled, else from the first prediction. The label is what
    all such annotations chose; where they differ there is none, and all of them are kept in ``more``.
    """
    content = read_json(path)
    found = Found()
    if not isinstance(content, list):
        found.faults.append("holds no list of tasks")
        return found
    disagreeing = 0
    for number, task in enumerate(content):
        pair = _read_task(f"task {task.get('id', number) if isinstance(task, dict) else number}", task)
        found.add(pair)
        disagreeing += isinstance(pair, ImportedPair) and pair.label is None
    if disagreeing:
        found.notes.append(f"{disagreeing} tasks have no label that all annotations agree on")
    return found


def _read_task(place: str, task: Any) -> ImportedPair | str:
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        return f"{place}: has no data"
    image = image_path(data.get(IMAGE))
    if reason := inside_path(image):
        return f"{place}: image {data.get(IMAGE)!r} {reason}"
    made = [entry for entry in _listed(task, "annotations") if entry.get("was_cancelled") is not True]
    source = made or _listed(task, "predictions")
    if not source:
        return f"{place}: has neither an annotation nor a prediction"
    first: tuple[dict[str, Point], tuple[int, int]] | None = None
    labels: set[str | None] = set()
    for entry in source:
        points = _points(entry.get("result"))
        if isinstance(points, str):
            return f"{place}: {points}"
        if first is not None and points != first:
            return f"{place}: its annotations mark different points"
        first = points
        labels.add(_choice(entry.get("result")))
    assert first is not None
    letters = {"A": "a", "B": "b", "equal": "equal", None: None}
    if wrong := {label for label in labels if label not in letters}:
        return f"{place}: closer is {sorted(map(str, wrong))[0]!r}, not one of {', '.join(SEVERAL)}"
    label = letters[labels.pop()] if len(labels) == 1 else None
    more = {"label_studio": {name: value for name, value in task.items() if name != "predictions" or not made}}
    points_of, size = first
    return ImportedPair(
        place, str(image), points_of["A"], points_of["B"], label, size=size, sha256=str(data.get("sha256") or ""),
        scene=str(data.get("scene") or ""), more=more,
    )  # fmt: skip


def image_path(value: Any) -> str:
    """The path in a task's image address: of ``/data/local-files/?d=set/a.jpg`` it is ``set/a.jpg``; of an uploaded
    file, ``a.jpg`` of ``/data/upload/3/1f2e3d4c-a.jpg``.
    """
    if not isinstance(value, str):
        return ""
    parts = urlsplit(value)
    if parts.path.rstrip("/").endswith("local-files") and (named := parse_qs(parts.query).get("d")):
        return named[0].lstrip("/")
    path = unquote(parts.path) if parts.scheme in ("http", "https") or value.startswith("/data/") else value
    if "/data/upload/" in path:
        return re.sub(r"^[0-9a-f]{8}-", "", PurePosixPath(path).name)
    return path.lstrip("/") if parts.scheme in ("http", "https") else path


def _listed(task: Mapping[str, Any], name: str) -> list[Json]:
    entries = task.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _points(result: Any) -> tuple[dict[str, Point], tuple[int, int]] | str:
    """A and B as pixels, with ``(height, width)``; or what is wrong."""
    points: dict[str, Point] = {}
    sizes: set[tuple[int, int]] = set()
    for item in result if isinstance(result, list) else ():
        if not isinstance(item, dict) or item.get("type") != "keypointlabels":
            continue
        width, height, value = item.get("original_width"), item.get("original_height"), item.get("value")
        if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in (width, height)):
            return "a point has no original_width and original_height"
        if item.get("image_rotation"):
            return "its image was rotated in Label Studio; points are of the upright one"
        assert isinstance(width, int) and isinstance(height, int)
        labels = value.get("keypointlabels") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(labels, list) or len(labels) != 1:
            return "a point has no label"
        place = [value.get("x"), value.get("y")]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 100 for v in place):
            return f"a point lies at {place} percent, outside the image"
        if labels[0] not in ("A", "B") or labels[0] in points:
            return f"its points are not one A and one B ({labels[0]!r})"
        points[labels[0]] = (pixel(value["y"], height), pixel(value["x"], width))
        sizes.add((height, width))
    if len(points) != 2 or len(sizes) != 1:
        return f"has {len(points)} of the two points A and B"
    return points, sizes.pop()


def _choice(result: Any) -> str | None:
    for item in result if isinstance(result, list) else ():
        if isinstance(item, dict) and item.get("type") == "choices":
            choices = item.get("value", {}).get("choices") if isinstance(item.get("value"), dict) else None
            if isinstance(choices, list) and len(choices) == 1:
                return str(choices[0])
    return None
