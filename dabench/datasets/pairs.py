"""Any folder in DA-2K layout: ``annotations.json`` beside the images it names.

Layout and coordinate order: DepthAnything/Depth-Anything-V2, ``DA-2K.md``. A point is ``[row, col]`` in pixels of the
original, upright image. A ``meta.json`` of a release may say with which probability each pair was drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dabench.datasets.base import Dataset, DatasetInfo, check_selection
from dabench.datasets.formats import read_image, upright_size
from dabench.datasets.sidecar import read_weights
from dabench.errors import DatasetError, ImageError, SampleError
from dabench.types import Image, Pair, PairSample

ANNOTATIONS = "annotations.json"
LISTED_PROBLEMS = 20

LAYOUT = (
    'layout: annotations.json = {"images/<scene>/<name>.jpg": [{"point1": [row, col], "point2": [row, col], '
    '"closer_point": "point1"}, ...], ...} and the images it names, all relative to the root'
)


class Pairs(Dataset):
    """Reader of one folder in DA-2K layout, with any number of pairs."""

    info = DatasetInfo(
        name="pairs",
        title="Pair set in DA-2K layout",
        summary="any folder of images with an annotations.json of labelled point pairs",
        tasks=("pairs",),
        licence="that of the set",
        source="layout of DA-2K (DepthAnything/Depth-Anything-V2, DA-2K.md)",
        layout=LAYOUT,
        how_to_get="point --data-root at a folder that holds annotations.json",
        root_is_set=True,
    )
    expected_pairs: int | None = None

    def __init__(
        self,
        root: Path | None,
        *,
        task: str = "pairs",
        only: frozenset[str] | None = None,
        split: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(root, task=task, only=only, split=split, field=field)
        assert root is not None
        path = root / ANNOTATIONS
        self._fingerprint, raw = _read_json(path, self.info)
        problems: list[str] = []
        self._paths: dict[str, str] = {}
        self._pairs: dict[str, tuple[Pair, ...]] = {}
        for key, entries in raw.items():
            self._add(key, entries, problems)
        total = sum(len(pairs) for pairs in self._pairs.values())
        if not problems and total == 0:
            problems.append("holds no pairs")
        if not problems and self.expected_pairs is not None and total != self.expected_pairs:
            problems.append(
                f"holds {total} pairs on {len(self._pairs)} images; the whole set has {self.expected_pairs} pairs"
            )
        self._refuse(path, problems)
        self._total = (total, len(self._pairs))
        check_selection(only, frozenset(self._pairs), self.info.name)
        self._ids = tuple(i for i in self._pairs if only is None or i in only)
        self._check_images(root, problems)
        self._refuse(path, problems)
        counts = {key: len(self._pairs[sample_id]) for sample_id, key in self._paths.items()}
        self._weights = read_weights(root, self._fingerprint, counts)
        if self._weights is not None:  # they take part in the numbers, so other weights are another set
            stated = json.dumps([self._weights[key] for key in self._paths.values()])
            self._fingerprint = hashlib.sha256(f"{self._fingerprint}\n{stated}".encode()).hexdigest()

    def _add(self, key: str, entries: Any, problems: list[str]) -> None:
        relative = PurePosixPath(key)
        if relative.is_absolute() or ".." in relative.parts or "\\" in key or not relative.name:
            problems.append(f"'{key}': not a path inside the root")
            return
        sample_id = str(relative.with_suffix(""))
        if sample_id in self._pairs:
            problems.append(f"'{key}' and '{self._paths[sample_id]}' have the same id '{sample_id}'")
            return
        if not isinstance(entries, list) or not entries:
            problems.append(f"'{key}': must hold a non-empty list of pairs")
            return
        pairs = []
        refused = False
        for number, entry in enumerate(entries):
            pair = self._parse(sample_id, entry)
            if isinstance(pair, str):
                problems.append(f"'{key}' pair {number}: {pair}")
                refused = True
            elif pair is not None:
                pairs.append(pair)
        if pairs or refused:
            self._paths[sample_id] = key
            self._pairs[sample_id] = tuple(pairs)

    def _parse(self, sample_id: str, entry: Any) -> Pair | str | None:
        """The pair that an entry of the file stands for, what is wrong with it, or None if it is not of this split."""
        return _parse_pair(entry)

    def _check_images(self, root: Path, problems: list[str]) -> None:
        missing: list[str] = []
        for sample_id in self._ids:
            path = root / self._paths[sample_id]
            if not path.is_file():
                missing.append(f"missing {self._paths[sample_id]}")
                continue
            try:
                height, width = upright_size(path)
            except ImageError:
                continue  # undecodable: that sample fails when it is loaded, the others are scored
            for number, pair in enumerate(self._pairs[sample_id]):
                for name, (row, col) in (("point1", pair.point1), ("point2", pair.point2)):
                    if not (0 <= row < height and 0 <= col < width):
                        problems.append(
                            f"'{self._paths[sample_id]}' pair {number}: {name} [{row}, {col}] lies outside the image "
                            f"of {height} rows and {width} columns"
                        )
        if missing:
            problems.append(f"{len(missing)} of {len(self._ids)} images are not on disk")
            problems.extend(missing)

    def _refuse(self, path: Path, problems: list[str]) -> None:
        if problems:
            shown = problems[:LISTED_PROBLEMS]
            more = len(problems) - len(shown)
            lines = "".join(f"\n    - {p}" for p in shown) + (f"\n    ... and {more} more" if more else "")
            raise DatasetError(f"dataset '{self.info.name}': {path} is refused:{lines}", hint=self.info.how_to_get)

    @property
    def ids(self) -> tuple[str, ...]:
        return self._ids

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def total_targets(self) -> int:
        return self._total[0]

    @property
    def total_samples(self) -> int:
        return self._total[1]

    def targets(self, sample_id: str) -> int:
        return len(self._pairs[sample_id])

    def weights(self, sample_id: str) -> tuple[float | None, ...] | None:
        return None if self._weights is None else self._weights[self._paths[sample_id]]

    def group(self, sample_id: str) -> str:
        """Scene type: the folder below ``images``, or the only folder there is."""
        folders = PurePosixPath(sample_id).parts[:-1]
        if len(folders) > 1 and folders[0] == "images":
            return folders[1]
        return "" if not folders or folders == ("images",) else folders[0]

    def image(self, sample_id: str) -> Image:
        assert self.root is not None
        return read_image(self.root / self._paths[sample_id])

    def load(self, sample_id: str) -> PairSample:
        image = self.image(sample_id)
        pairs = self._pairs[sample_id]
        height, width = image.shape[:2]
        for pair in pairs:
            for row, col in (pair.point1, pair.point2):
                if row >= height or col >= width:
                    raise SampleError(f"{self._paths[sample_id]}: point [{row}, {col}] lies outside {height}x{width}")
        return PairSample(sample_id, self.group(sample_id), image, pairs)


def _read_json(path: Path, info: DatasetInfo) -> tuple[str, Mapping[str, Any]]:
    duplicates: list[str] = []

    def collect(items: list[tuple[str, Any]]) -> dict[str, Any]:
        duplicates.extend(key for key, count in Counter(key for key, _ in items).items() if count > 1)
        return dict(items)

    try:
        content = path.read_bytes()
        raw = json.loads(content.decode("utf-8"), object_pairs_hook=collect)
    except FileNotFoundError as error:
        hint = f"{info.how_to_get}\n  {info.layout}"
        raise DatasetError(f"dataset '{info.name}': {path} is missing", hint=hint) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"dataset '{info.name}': {path} is not readable JSON: {error}", hint=info.layout) from error
    if duplicates:
        raise DatasetError(f"dataset '{info.name}': {path} names '{duplicates[0]}' twice", hint=info.layout)
    if not isinstance(raw, dict):
        raise DatasetError(
            f"dataset '{info.name}': {path} holds a {type(raw).__name__}, not an object", hint=info.layout
        )
    return hashlib.sha256(content).hexdigest(), raw


def _parse_pair(entry: Any) -> Pair | str:
    """The pair, or what is wrong with it."""
    if not isinstance(entry, dict):
        return "is not an object with point1, point2 and closer_point"
    points = []
    for name in ("point1", "point2"):
        value = entry.get(name)
        if (
            not isinstance(value, list)
            or len(value) != 2
            or not all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        ):
            return f"{name} must be [row, col] in whole pixels, got {value!r}"
        if min(value) < 0:
            return f"{name} {value} lies outside the image"
        points.append((value[0], value[1]))
    if points[0] == points[1]:
        return f"both points are {list(points[0])}"
    closer = entry.get("closer_point")
    if closer not in ("point1", "point2"):
        return f"closer_point must be 'point1' or 'point2', got {closer!r}"
    return Pair(points[0], points[1], 1 if closer == "point1" else 2)
