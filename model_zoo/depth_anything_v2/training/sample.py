"""What every source of labelled images gives to training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """One image with dense labels, before any resizing.

    Attributes:
        id: unique within its dataset.
        image: ``uint8 [H, W, 3]``, RGB.
        disparity: ``float32 [H, W]``, inverse depth (1/z): per metre where ``metric``, else in any positive unit.
            Exactly 0 in sky and where ``valid`` is False.
        valid: ``bool [H, W]``, pixels that a relative loss looks at, sky included.
        sky: ``bool [H, W]``, infinitely far; a subset of ``valid``. Metric losses leave it out.
        metric: whether 1 / disparity is metres.
    """

    id: str
    image: npt.NDArray[np.uint8]
    disparity: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    sky: npt.NDArray[np.bool_]
    metric: bool


class TrainingDataset(ABC):
    """Labelled images in a fixed order. Picklable, so that worker processes can have it.

    Attributes:
        name: registry name, as recipes write it.
        metric: whether its depth is in metres.
    """

    name: str
    metric: bool

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def id_of(self, index: int) -> str:
        """Id of a sample, without reading it."""

    @abstractmethod
    def __getitem__(self, index: int) -> LabelledSample:
        """Read one sample.

        Raises:
            SampleError: a file is missing, damaged or of the wrong size; the message names it.
        """
