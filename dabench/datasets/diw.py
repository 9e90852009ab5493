"""Depth in the Wild (Chen et al., NIPS 2016), test images, in its official layout.

Source: princeton-vl/relative_depth, ``src/experiment/DataLoader_DIW.lua`` and ``test_model_on_DIW.lua``. The CSV has
two lines an image: its path, and ``yA,xA,yB,xB,relation,width,height``. Coordinates count from 1, as Torch does (the
script indexes its maps with them); here they count from 0. The relation is ``>`` where A is farther than B, or ``<``,
never ``=``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dabench.datasets.base import Dataset, DatasetInfo, check_selection
from dabench.datasets.formats import read_image
from dabench.datasets.layouts import AbsentError, IncompleteError, files_in
from dabench.datasets.listed import fault_list
from dabench.errors import DatasetError, SampleError
from dabench.types import Image, Pair, PairSample

ANNOTATIONS = ("DIW_test.csv", "DIW_Annotations/DIW_test.csv")
COORDINATE_BASE = 1


@dataclass(frozen=True)
class Record:
    """One image of the CSV.

    Attributes:
        id: the path without its extension.
        path: below the root.
        pair: its points from 0, and which is closer.
        symmetric: the points lie on one row, mirrored about the middle.
    """

    id: str
    path: str
    pair: Pair
    symmetric: bool


class Diw(Dataset):
    """Reader of the test images, one pair each. The number of pairs is for the protocol to expect.

    The groups are the two kinds of pairs that the authors drew, told apart by their geometry: ``symmetric`` pairs,
    which no prior on the position solves, and ``unconstrained`` ones, of which "the lower is closer" solves 86 %.
    """

    info = DatasetInfo(
        name="diw",
        title="Depth in the Wild, test",
        summary="74441 photographs from the web with one crowd-labelled point pair each",
        tasks=("pairs",),
        licence="not stated; the images are from Flickr under licences of their own",
        source="Chen et al., Single-Image Depth Perception in the Wild, NIPS 2016; princeton-vl/relative_depth",
        layout="layout: DIW_test.csv (or DIW_Annotations/DIW_test.csv) and the images that it names, "
        "DIW_test/<name>.thumb",
        how_to_get="unpack DIW_test.tar.gz of the project page "
        "http://www-personal.umich.edu/~wfchen/depth-in-the-wild/ and DIW_Annotations_splitted.tar.gz of "
        "https://vl-lab.eecs.umich.edu/data/nips2016/ into DIR/diw",
        expected="74441 pairs on as many images",
        splits=("test",),
    )

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
        path = next((root / name for name in ANNOTATIONS if (root / name).is_file()), root / ANNOTATIONS[0])
        hint = f"{self.info.how_to_get}\n  {self.info.layout}"
        try:
            content = path.read_bytes()
            lines = content.decode("utf-8").splitlines()
        except FileNotFoundError as error:
            raise AbsentError(f"dataset 'diw': {path} is missing", hint=hint, missing=[ANNOTATIONS[0]]) from error
        except (OSError, ValueError) as error:
            raise DatasetError(f"dataset 'diw': {path} is not readable: {error}", hint=hint) from error
        self._fingerprint = hashlib.sha256(content).hexdigest()
        self._records: dict[str, Record] = {}
        faults: list[str] = []
        for place, record in _records(lines):
            if isinstance(record, str):
                faults.append(f"{place}: {record}")
            elif record.id in self._records:
                faults.append(f"{place}: '{record.id}' has a record already")
            else:
                self._records[record.id] = record
        if not faults and not self._records:
            faults.append("holds no records")
        if faults:
            raise DatasetError(f"dataset 'diw': {path} is refused:{fault_list(faults)}", hint=hint)
        check_selection(only, frozenset(self._records), self.info.name)
        self._ids = tuple(i for i in self._records if only is None or i in only)
        without = list(self._missing(root))
        if without:
            there = frozenset(self._ids) - frozenset(without)
            missing = [self._records[i].path for i in without]
            raise (IncompleteError if there else AbsentError)(
                f"dataset 'diw': {root} holds {len(there)} of {len(self._ids)} images:"
                + fault_list([f"missing {path}" for path in missing]),
                hint=hint,
                missing=missing,
                present=there,
            )

    def _missing(self, root: Path) -> Iterator[str]:
        """Samples whose image is not on disk. Folders are listed once: asking for each of 74441 files takes minutes on
        a network drive."""
        listed: dict[str, frozenset[str]] = {}
        for sample_id in self._ids:
            folder, _, name = self._records[sample_id].path.rpartition("/")
            if folder not in listed:
                listed[folder] = files_in(root / folder)
            if name not in listed[folder]:
                yield sample_id

    @property
    def ids(self) -> tuple[str, ...]:
        return self._ids

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def total_samples(self) -> int:
        return len(self._records)

    @property
    def total_targets(self) -> int:
        return len(self._records)

    def targets(self, sample_id: str) -> int:
        return 1

    def group(self, sample_id: str) -> str:
        """``symmetric`` or ``unconstrained``."""
        return "symmetric" if self._records[sample_id].symmetric else "unconstrained"

    def image(self, sample_id: str) -> Image:
        assert self.root is not None
        return read_image(self.root / self._records[sample_id].path)

    def load(self, sample_id: str) -> PairSample:
        image, record = self.image(sample_id), self._records[sample_id]
        for row, column in (record.pair.point1, record.pair.point2):
            if row >= image.shape[0] or column >= image.shape[1]:
                raise SampleError(
                    f"{record.path}: point [{row}, {column}] lies outside the image of {image.shape[0]} rows and "
                    f"{image.shape[1]} columns",
                    hint="the image is not the one that was labelled; its size is in the CSV",
                )
        return PairSample(sample_id, self.group(sample_id), image, (record.pair,))


def _records(lines: list[str]) -> Iterator[tuple[str, Record | str]]:
    """Every record with its place in the file, or what is wrong with it."""
    if len(lines) % 2:
        yield f"line {len(lines)}", "the file has an odd number of lines; a record has two"
    for number in range(0, len(lines) - 1, 2):
        yield f"line {number + 1}", _record(lines[number].strip(), lines[number + 1].strip())


def _record(path: str, line: str) -> Record | str:
    parts = [part for part in path.split("/") if part not in ("", ".")]  # pathlib takes seconds for all of them
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        return f"'{path}' is not a path below the root (the distributed file has './DIW_test/<name>.thumb')"
    columns = line.split(",")
    if len(columns) != 7:
        return f"'{line}' has {len(columns)} columns, not yA,xA,yB,xB,relation,width,height"
    try:
        y_a, x_a, y_b, x_b, width, height = (int(columns[i]) for i in (0, 1, 2, 3, 5, 6))
    except ValueError:
        return f"'{line}' has coordinates or sizes that are not whole numbers"
    if columns[4].strip() not in (">", "<"):
        return f"'{line}' has the relation '{columns[4]}', which is neither '>' nor '<'"
    for y, x in ((y_a, x_a), (y_b, x_b)):
        if not (1 <= y <= height and 1 <= x <= width):
            return f"'{line}' has a point outside 1..{height} rows and 1..{width} columns"
    if (y_a, x_a) == (y_b, x_b):
        return f"'{line}' names one point twice"
    point_a, point_b = ((y - COORDINATE_BASE, x - COORDINATE_BASE) for y, x in ((y_a, x_a), (y_b, x_b)))
    # mirrored about the middle, give or take the pixel that an even width leaves open
    symmetric = y_a == y_b and abs(x_a + x_b - (width + 1)) <= 1
    relative = "/".join(parts)
    stem = parts[-1].rpartition(".")[0]
    sample_id = relative[: len(relative) - len(parts[-1]) + len(stem)] if stem else relative
    return Record(sample_id, relative, Pair(point_a, point_b, 2 if columns[4].strip() == ">" else 1), symmetric)
