"""BlendedMVS and BlendedMVG: reconstructed real places and objects, rendered again from their meshes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dabench.errors import DatasetError

from ..labels import DenseLabels, LabelRule, labels_from_depth
from .base import FileDataset, RuleChanges
from .files import files_in, folders_in, one_of, read_lines, read_values

_IMAGE = re.compile(r"\d{8}\.jpg")


class BlendedMVS(FileDataset):
    """Images of all projects below the root; 502 projects (BlendedMVG) hold the paper's 115K images.

    Source: github.com/YoYo000/BlendedMVS. Depth is along the optical axis, in a unit of its own for each project, and
    0 where the mesh has no surface. There the image may show sky, but also background that was not reconstructed, so
    that it is a hole unless told otherwise. Some maps are empty or nearly so: an image with less than 10 % of surface
    is refused when it is read.

    Args:
        root: folder of the projects, or of folders of projects (`BlendedMVS/PROJECT`, `BlendedMVS+/PROJECT`, ...).
        no_mesh: "hole" or "sky", what a depth of 0 is.
        projects: official list file below `root` (such as `BlendedMVG_training.txt`, one project a line) whose
            projects are taken; all that are on disk if None.
        rule: fields of the label rule to change.
    """

    name = "blended-mvs"
    metric = False
    default_rule = LabelRule(min_valid=0.1)
    layout = "PROJECT/{blended_images/IIIIIIII.jpg,rendered_depth_maps/IIIIIIII.pfm}"
    home = "https://github.com/YoYo000/BlendedMVS"
    paper_count = 115_000

    def __init__(
        self, root: Path, *, no_mesh: str = "hole", projects: str | None = None, rule: RuleChanges = None
    ) -> None:
        self.no_mesh = one_of("no_mesh", no_mesh, ("hole", "sky"))
        self.projects = projects
        super().__init__(root, rule=rule)
        if self.no_mesh == "sky":
            self.rule = replace(self.rule, zero_is_sky=True)

    def _find(self) -> Iterator[str]:
        there: dict[str, str] = {}
        for folder in self._folders():
            other = there.setdefault(folder.rpartition("/")[2], folder)
            if other != folder:
                raise DatasetError(f"{self.root}: {other} and {folder} are the same project", hint="keep one of them")
        if not there:
            raise self.lacks(self.root / "PROJECT/blended_images")
        wanted = set(there)
        if self.projects is not None:
            wanted = set(read_lines(self.root / self.projects, "option 'projects' names it"))
            absent = sorted(wanted - set(there))
            if absent:
                raise DatasetError(
                    f"{self.root}: {len(absent)} projects of {self.projects} are missing, the first is {absent[0]}",
                    hint=f"fetch all parts from {self.home}, or shorten the list",
                )
        for project in wanted:
            folder = there[project]
            if not (self.root / folder / "rendered_depth_maps").is_dir():
                raise self.lacks(self.root / folder / "rendered_depth_maps")
            for name in files_in(self.root / folder / "blended_images"):
                if _IMAGE.fullmatch(name):
                    yield f"{folder}/blended_images/{name.removesuffix('.jpg')}"

    def _folders(self) -> Iterator[str]:
        for outer in folders_in(self.root):
            if (self.root / outer / "blended_images").is_dir():
                yield outer
                continue
            for inner in folders_in(self.root / outer):
                if (self.root / outer / inner / "blended_images").is_dir():
                    yield f"{outer}/{inner}"

    def image_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id}.jpg"

    def depth_file(self, sample_id: str) -> Path:
        return self.root / f"{sample_id.replace('/blended_images/', '/rendered_depth_maps/')}.pfm"

    def _labels(self, sample_id: str) -> DenseLabels:
        return labels_from_depth(read_values(self.depth_file(sample_id)), self.rule)
