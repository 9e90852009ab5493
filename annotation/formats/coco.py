"""COCO key points: one annotation a pair, with the key points ``A`` and ``B`` (cocodataset.org, format-data).

COCO gives x before y and measures from the corner of the image, where the centre of pixel (row, col) lies at
(col + 0.5, row + 0.5); the file says so. The attribute ``closer`` is ``A`` or ``B``, in half of the pairs each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .reading import Found, ImportedPair, inside_path, read_json
from .released import Json, Lettered

DESCRIPTION = (
    "Point pairs; keypoints are [x, y, 2], x = col + 0.5 and y = row + 0.5 (centres of pixels, from the corner of the "
    "image); attributes.closer names the point that is closer to the camera"
)


def dataset(pairs: Sequence[Lettered], images: Mapping[str, Mapping[str, Any]], release: str, digest: str) -> Json:
    """The content of a COCO file. ``images``: by SHA-256, with width, height, licence and source."""
    licences = sorted({image["licence"] for image in images.values() if image["licence"]})
    numbers: dict[str, int] = {}
    listed: list[Json] = []
    annotations: list[Json] = []
    for found in pairs:
        pair, image = found.pair, images[found.pair.image]
        if pair.image not in numbers:
            numbers[pair.image] = len(numbers) + 1
            listed.append(
                {
                    "id": numbers[pair.image],
                    "file_name": pair.key,
                    "width": image["width"],
                    "height": image["height"],
                    "license": licences.index(image["licence"]) + 1 if image["licence"] else 0,
                    "sha256": pair.image,
                    "scene": pair.scene,
                }
            )
        points = [[col + 0.5, row + 0.5] for row, col in (found.first, found.second)]
        (left, right), (top, bottom) = (sorted(point[axis] for point in points) for axis in (0, 1))
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": numbers[pair.image],
                "category_id": 1,
                "keypoints": [value for point in points for value in (*point, 2)],
                "num_keypoints": 2,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "attributes": {"closer": found.closer, "pair": pair.id},
            }
        )
    return {
        "info": {"description": DESCRIPTION, "version": release, "release_digest": digest},
        "licenses": [{"id": number, "name": name, "url": ""} for number, name in enumerate(licences, start=1)],
        "images": listed,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "pair", "supercategory": "", "keypoints": ["A", "B"], "skeleton": [[1, 2]]}],
    }


def read(path: Path) -> Found:
    """Pairs of such a file: annotations with two visible key points; the pixel of a point is where it lies."""
    content = read_json(path)
    found = Found()
    lists = [content.get(name) if isinstance(content, dict) else None for name in ("images", "annotations")]
    if not all(isinstance(entries, list) and all(isinstance(e, dict) for e in entries) for entries in lists):
        found.faults.append("has no lists 'images' and 'annotations'")
        return found
    images = {image.get("id"): image for image in lists[0] or ()}
    for number, entry in enumerate(lists[1] or ()):
        found.add(_pair(f"annotation {entry.get('id', number)}", entry, images))
    return found


def _pair(place: str, entry: Json, images: Mapping[Any, Json]) -> ImportedPair | str:
    image = images.get(entry.get("image_id"))
    if image is None:
        return f"{place}: image {entry.get('image_id')!r} is not in the file"
    name = image.get("file_name")
    if reason := inside_path(name):
        return f"{place}: image {name!r} {reason}"
    values = entry.get("keypoints")
    if (
        not isinstance(values, list)
        or len(values) != 6
        or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        or 0 in (values[2], values[5])
    ):
        return f"{place}: needs two labelled keypoints [x, y, v, x, y, v], got {values!r}"
    size = (image.get("height"), image.get("width"))
    if not all(isinstance(side, int) and side > 0 for side in size):
        return f"{place}: its image has no width and height"
    attributes = entry.get("attributes") if isinstance(entry.get("attributes"), dict) else {}
    assert isinstance(attributes, dict)
    closer = attributes.get("closer")
    labels = {"A": "a", "B": "b", "equal": "equal", None: None}
    if closer not in labels:
        return f"{place}: closer must be A, B or equal, got {closer!r}"
    points = [(math.floor(y), math.floor(x)) for x, y in (values[0:2], values[3:5])]
    more = {"coco": {key: value for key, value in entry.items() if key != "keypoints"}}
    return ImportedPair(
        place, str(name), points[0], points[1], labels[closer], size=(int(size[0] or 0), int(size[1] or 0)),
        sha256=str(image.get("sha256") or ""), scene=str(image.get("scene") or ""), more=more,
    )  # fmt: skip
