"""IRS: rendered homes, offices, restaurants and shops with mirrors and glass, as stereo pairs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from dabench.errors import DatasetError

from ..labels import DenseLabels, LabelRule, labels_from_disparity
from .base import FileDataset, RuleChanges
from .files import names, read_lines, read_values

DEPTH_TIMES_DISPARITY = 0.1 * 480
"""Baseline in metres times focal length in pixels, of "most of the data" (IRS issue 2)."""


class IRS(FileDataset):
    """Left images; 103,316 in all. Source: github.com/blackjack2015/IRS.

    `d_N.exr` is the disparity of the left image in pixels, which is inverse depth up to a factor, and is used as such.
    Divided by 48 it is `1 / metres` for most of the set; a relative loss does not see the factor. Disparity of 0 and
    below is a hole, and so is a depth beyond 200 m, as in CUT3R; sky does not occur.

    Args:
        root: folder of `Home/`, `Office/`, `Restaurant/` and `Store/` (archives such as `Home-1` as they unpack), or of
            `IRSDataset/` with these; found at any depth.
        lists: official list files below `root` (`lists/IRSDataset_TRAIN.list`: left, right, disparity, normals a
            line) whose left images are taken; all that are on disk if None.
        rule: fields of the label rule to change.
    """

    name = "irs"
    default_rule = LabelRule(far=200.0)
    layout = "{Home,Office,Restaurant,Store}/SCENE/{l_N.png,d_N.exr}"
    home = "https://github.com/blackjack2015/IRS"
    paper_count = 103_000

    def __init__(self, root: Path, *, lists: Sequence[str] | None = None, rule: RuleChanges = None) -> None:
        self.lists = None if lists is None else names("lists", lists)
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        if self.lists is None:
            return self._on_disk()
        return self._listed(self.lists)

    def _on_disk(self) -> Iterator[str]:
        for folder, subfolders, files in os.walk(self.root):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            relative = Path(folder).relative_to(self.root)
            for name in files:
                if re.fullmatch(r"l_\d+\.png", name):
                    yield (relative / name).as_posix().removesuffix(".png")

    def _listed(self, lists: Sequence[str]) -> Iterator[str]:
        seen = set()
        for name in lists:
            path = self.root / name
            for line in read_lines(path, "option 'lists' names it"):
                left = PurePosixPath(line.split()[0])
                if not re.fullmatch(r"l_\d+\.png", left.name) or left.is_absolute() or ".." in left.parts:
                    raise DatasetError(f"{path}: '{line}' does not begin with a left image, such as Home/SCENE/l_1.png")
                if left not in seen:
                    seen.add(left)
                    yield left.with_suffix("").as_posix()

    def image_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id}.png"

    def depth_file(self, sample_id: str) -> Path:
        folder, _, name = sample_id.rpartition("l_")
        return self.root / f"{folder}d_{name}.exr"

    def _labels(self, sample_id: str) -> DenseLabels:
        disparity = read_values(self.depth_file(sample_id))
        return labels_from_disparity(disparity, self.rule, DEPTH_TIMES_DISPARITY)
