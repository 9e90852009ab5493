"""A network file as a `DepthModel`: image in, map of the image's size out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dabench.errors import DabenchError, ModelError
from dabench.types import DepthMap, DepthModel, Image, ModelInfo, Prediction

from .input_rule import InputRule
from .outputs import as_map, choose_output
from .ports import Array, Network, as_number_map

PROBE_SHAPE = (3, 4)
"""Aspect ratio, height to width, of the grey image that a file is tried with when it is loaded."""


class NetworkFileModel(DepthModel):
    """Predicts with an opened network file, one image at a time.

    Args:
        network: the opened file.
        rule: how an image becomes its input.
        info: what the record says.
        path: of the file, for errors.
        output_name: the output that is the map; None to find it.

    Raises:
        ModelError: the network fails on an ordinary image, or gives no map.
        UsageError: it gives several.
    """

    def __init__(
        self, network: Network, rule: InputRule, info: ModelInfo, path: Path, output_name: str | None = None
    ) -> None:
        self.info = info
        self.device = network.device
        self.rule = rule
        self._path = path
        self._network: Network | None = network
        short = rule.input_size
        probe = np.full((short, short * PROBE_SHAPE[1] // PROBE_SHAPE[0], 3), 127, dtype=np.uint8)
        outputs, size = self._run(probe)
        self.output_name = choose_output(path, outputs, output_name, size)

    def predict(self, image: Image) -> Prediction:
        """Map of one uint8 RGB [H, W, 3] image."""
        outputs, _ = self._run(image)
        array = as_map(outputs[self.output_name])
        if array is None:
            raise ModelError(
                f"{self._path}: its output '{self.output_name}' has shape {list(outputs[self.output_name].shape)} for "
                f"an image of {image.shape[1]}x{image.shape[0]}, which is no map of one channel"
            )
        return Prediction(restore(as_number_map(array), image.shape[0], image.shape[1]), self.info.output)

    def close(self) -> None:
        if self._network is not None:
            self._network.close()
        self._network = None

    def _run(self, image: Image) -> tuple[dict[str, Array], tuple[int, int]]:
        if self._network is None:
            raise ModelError(f"model '{self.info.name}' was closed", hint="load it again")
        array = self.rule.prepare(image)
        planes = array.shape[-3:]
        height, width = planes[1:] if self.rule.layout == "nchw" else planes[:2]
        try:
            return dict(self._network.run(array)), (height, width)
        except DabenchError:
            raise
        except Exception as error:  # runtimes have no common type of failure
            raise ModelError(
                f"{self._path} fails on an input of {height}x{width} (height x width): "
                f"{' '.join(str(error).split())[-300:]}",
                hint="if it takes other sizes only: --input-size N, -o multiple=N, -o resize=stretch, -o layout=nhwc",
            ) from error


def restore(values: DepthMap, height: int, width: int) -> DepthMap:
    """[h, w] -> float32 [height, width], bilinear with aligned corners as Depth Anything does it.

    A value that is not finite makes its neighbourhood not finite; none is made up.
    """
    if values.shape == (height, width):
        return values
    import torch

    tensor = torch.from_numpy(values)[None, None]
    enlarged = torch.nn.functional.interpolate(tensor, (height, width), mode="bilinear", align_corners=True)
    resized: DepthMap = enlarged[0, 0].numpy()
    return resized
