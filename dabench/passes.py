"""Which predictions several protocols can share: a pass shows every image to the model once for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from dabench.job import Job
from dabench.protocols import Protocol


@dataclass(frozen=True)
class Setting:
    """What a protocol asks of inference.

    Attributes:
        kb: the model sees only KITTI's bottom centre 352 x 1216, not the full image.
        flip: the prediction is the mean of the image's and of its mirror image's.
    """

    kb: bool = False
    flip: bool = False

    @property
    def name(self) -> str:
        return ("kb" if self.kb else "full") + ("-flip" if self.flip else "")


def setting_of(recipe: Protocol) -> Setting:
    """The inference setting of a protocol."""
    return Setting(recipe.crop.image == "kb", recipe.inference.flip)


@dataclass(frozen=True, eq=False)
class Pass:
    """Protocols of one dataset and inference setting, and the images that any of them needs.

    Attributes:
        ids: every sample of any of the jobs, once; a sequence that one of them fits as a whole is in one piece.
        batch_size: images that are predicted together.
    """

    setting: Setting
    jobs: tuple[Job, ...]
    ids: tuple[str, ...]
    batch_size: int

    @property
    def title(self) -> str:
        """Dataset, and inference setting where it is not the plain one."""
        name = self.jobs[0].dataset.info.name
        return name if self.setting == Setting() else f"{name} ({self.setting.name})"

    @property
    def shelf(self) -> str:
        """Name under which its predictions are kept: the setting, and the batches where they could change a bit."""
        if self.batch_size == 1:
            return self.setting.name
        company = hashlib.sha256("\n".join(self.ids).encode()).hexdigest()[:8]
        return f"{self.setting.name}-batch{self.batch_size}-{company}"

    def batches(self) -> list[Sequence[str]]:
        """Batches that hold an unfinished sample.

        They are cut from ``ids`` as a whole, so that a resumed run predicts each image in the same company as an
        uninterrupted one.
        """
        chunks = [self.ids[start : start + self.batch_size] for start in range(0, len(self.ids), self.batch_size)]
        unfinished = {i for job in self.jobs for i in job.ids if job.wants(i)}
        return [chunk for chunk in chunks if not unfinished.isdisjoint(chunk)]


def plan(jobs: Sequence[Job], batch_size: int) -> list[Pass]:
    """As few passes as the jobs allow, in the order of the jobs.

    One image a batch can be predicted in any company. In larger batches only protocols with the same list of samples
    share a pass, so that a protocol's predictions do not depend on which others were asked for.
    """
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        company = (job.ids, job.fits_sequences) if batch_size > 1 else None
        groups.setdefault((job.dataset.info.name, setting_of(job.recipe), company), []).append(job)
    return [
        Pass(setting_of(members[0].recipe), tuple(members), _union(members), batch_size) for members in groups.values()
    ]


def _union(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Every sample of the jobs, once, with the samples of a sequence that is fitted as a whole side by side."""
    ids = list(dict.fromkeys(i for job in jobs for i in job.ids))
    sequences = {i: job.dataset.sequence(i) for job in jobs if job.fits_sequences for i in job.ids}
    first: dict[str, int] = {}
    for place, sample_id in enumerate(ids):
        first.setdefault(sequences.get(sample_id, f"\0{sample_id}"), place)
    return tuple(sorted(ids, key=lambda i: first[sequences.get(i, f"\0{i}")]))
