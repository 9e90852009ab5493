"""TartanAir: flights through thirty rendered worlds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dabench.errors import DatasetError

from ..labels import DenseLabels, LabelRule, labels_from_depth
from .base import FileDataset, RuleChanges
from .files import files_in, folders_in, names, one_of, read_values

DIFFICULTIES = ("Easy", "Hard")


class TartanAir(FileDataset):
    """Left images. Source: github.com/castacks/tartanair_tools, `data_type.md`.

    Depth is in metres along the optical axis (tartanair_tools issue 67). 0 is a hole. The sky is a dome at some ten
    kilometres, not at the same distance in all worlds, so that 1000 m and more is sky here, as in CUT3R; a common other
    choice is 10,000 m. Depth Anything V2's own choice is not known (its issue 144).

    Args:
        root: folder of `ENVIRONMENT/`, into which the `image_left` and `depth_left` archives are unpacked.
        environments: names of the worlds to take; all that are on disk if None.
        leave_out: worlds that are not taken; leaving out `amusement` is a habit of users (Depth-Anything-V2 issue 144).
        difficulties: "Easy", "Hard" or both.
        rule: fields of the label rule to change.
    """

    name = "tartanair"
    default_rule = LabelRule(sky_from=1000.0)
    layout = "ENVIRONMENT/{Easy,Hard}/PNNN/{image_left/IIIIII_left.png,depth_left/IIIIII_left_depth.npy}"
    home = "https://theairlab.org/tartanair-dataset/"
    paper_count = 306_000

    def __init__(
        self,
        root: Path,
        *,
        environments: Sequence[str] | None = None,
        leave_out: Sequence[str] = ("amusement",),
        difficulties: Sequence[str] = DIFFICULTIES,
        rule: RuleChanges = None,
    ) -> None:
        self.environments = None if environments is None else names("environments", environments)
        self.leave_out = names("leave_out", leave_out) if leave_out else ()
        self.difficulties = tuple(one_of("difficulty", d, DIFFICULTIES) for d in names("difficulties", difficulties))
        super().__init__(root, rule=rule)

    def _find(self) -> Iterator[str]:
        for environment in folders_in(self.root) if self.environments is None else self.environments:
            if environment in self.leave_out:
                continue
            if not (self.root / environment).is_dir():
                raise self.lacks(self.root / environment)
            for difficulty in self.difficulties:
                for trajectory in folders_in(self.root / environment / difficulty):
                    yield from self._frames(f"{environment}/{difficulty}/{trajectory}")

    def _frames(self, trajectory: str) -> Iterator[str]:
        frames = [name for name in files_in(self.root / trajectory / "image_left") if _IMAGE.fullmatch(name)]
        depth = self.root / trajectory / "depth_left"
        if frames and not depth.is_dir():
            raise DatasetError(
                f"training set '{self.name}': {depth}: no such folder, though {trajectory}/image_left is there",
                hint=f"unpack depth_left.zip of {trajectory.split('/')[0]} too",
            )
        for name in frames:
            yield f"{trajectory}/image_left/{name.removesuffix('.png')}"

    def image_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id}.png"

    def depth_file(self, sample_id: str) -> Path:
        trajectory, name = sample_id.split("/image_left/")
        return self.root / trajectory / "depth_left" / f"{name}_depth.npy"

    def _labels(self, sample_id: str) -> DenseLabels:
        return labels_from_depth(read_values(self.depth_file(sample_id)), self.rule)


_IMAGE = re.compile(r"\d{6}_left\.png")
