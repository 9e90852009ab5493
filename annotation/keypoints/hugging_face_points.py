"""Key points from the Segment Anything classes of ``transformers``.

Their ``mask-generation`` pipeline does not say which point a mask came from, so the grid is ours: the same loop, the
same filters and, for the first SAM, the same decoder as over the ``segment-anything`` package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dabench.errors import CheckpointError, ModelError
from model_zoo.hub import file_sha256

from .decoder import Attention, Block, DecodedImage, DecoderParts, ImageDecoder
from .filtering import Frame
from .mask_points import Encoded, GridSettings, find_masks, points_of_masks
from .types import KeyPoints

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""Of the red, green and blue of all published SAM and SAM 2 networks, in 0 to 255."""


class HuggingFacePoints:
    """A :class:`~annotation.keypoints.types.PointGenerator` over ``SamModel`` or ``Sam2Model`` of transformers.

    Args:
        model: in evaluation mode.
        settings: of the grid.
        name: what to call the checkpoint.
        sha256: of its weight files.
        batch: points at a time. Results do not depend on it.
    """

    def __init__(
        self,
        model: Any,
        settings: GridSettings | None = None,
        name: str = "",
        sha256: str = "",
        *,
        batch: int | None = None,
    ) -> None:
        self.model, self.settings, self.name, self.sha256 = model, settings or GridSettings(), name, sha256
        self.second = model.config.model_type.startswith("sam2")
        self.source = "sam2-hf" if self.second else "sam-hf"
        vision = model.config.vision_config
        self.side = int(vision.backbone_config.image_size[0] if self.second else vision.image_size)
        self.on_cpu = model.device.type == "cpu"
        self.batch = batch or (64 if not self.on_cpu else 8 if self.second else 2)
        self._parts = None if self.second else parts_of_hugging_face(model.mask_decoder)

    @classmethod
    def from_folder(
        cls, folder: Path, settings: GridSettings | None = None, *, device: str = "cpu"
    ) -> HuggingFacePoints:
        """Load a folder with ``config.json`` and ``*.safetensors``. Nothing is downloaded.

        Raises:
            CheckpointError: the folder holds no such network.
            ModelError: transformers is not installed.
        """
        folder = Path(folder)
        files = sorted(folder.glob("*.safetensors"))
        if not (folder / "config.json").is_file() or not files:
            raise CheckpointError(
                f"{folder} holds no network of transformers", hint="config.json and *.safetensors are expected"
            )
        try:
            from transformers import AutoConfig, Sam2Model, SamModel
        except ImportError as error:
            raise ModelError(
                "key points of transformers need a transformers with SamModel and Sam2Model",
                hint="pip install -U transformers",
            ) from error
        try:
            kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
            classes: dict[str, Any] = {"sam": SamModel, "sam2": Sam2Model, "sam2_video": Sam2Model}
            if kind not in classes:
                raise CheckpointError(f"{folder} holds a network of the kind '{kind}'", hint="sam or sam2 is expected")
            model = classes[kind].from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except CheckpointError:
            raise
        except Exception as error:  # transformers and safetensors raise many kinds for a damaged folder
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CheckpointError(f"{folder} cannot be loaded by transformers: {reason}") from error
        digests = [file_sha256(path) for path in files]
        digest = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
        return cls(model.to(device).eval().requires_grad_(False), settings, folder.name, digest)

    def describe(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "settings": asdict(self.settings),
            "checkpoint": self.name,
            "checkpoint_sha256": self.sha256,
        }

    def generate(self, image: NDArray[np.uint8]) -> KeyPoints:
        """Key points of an RGB image uint8 [H, W, 3]."""
        masks = find_masks(image, self, self.settings)
        return points_of_masks(masks, (image.shape[0], image.shape[1]), self.describe())

    def frame(self, size: tuple[int, int]) -> Frame:
        """The first SAM keeps the aspect and pads; the second stretches to a square."""
        return Frame(self.side, (self.side, self.side), size, direct=True) if self.second else Frame.of(size, self.side)

    def encode(self, crop: NDArray[np.uint8], frame: Frame) -> Encoded:
        """Resize, normalise and pad a crop, and run the image encoder over it."""
        model = self.model
        small = np.asarray(Image.fromarray(crop).resize(frame.used[::-1], Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(small.transpose(2, 0, 1).astype(np.float32)).to(model.device)
        mean, std = (torch.tensor(values, device=model.device)[:, None, None] for values in (MEAN, STD))
        padding = (0, self.side - frame.used[1], 0, self.side - frame.used[0])
        embedding = model.get_image_embeddings(torch.nn.functional.pad((pixels - mean) / std, padding)[None])
        if self._parts is None:
            return _SecondEncoded(model, embedding)
        position = model.get_image_wide_positional_embeddings()
        no_mask = model.prompt_encoder.no_mask_embed.weight[0]
        return DecodedImage(ImageDecoder(self._parts, embedding, position, no_mask), self._embed)

    def _embed(self, points: Tensor) -> Tensor:
        placed = points.float()[None, :, None]
        labels = torch.ones(placed.shape[:-1], dtype=torch.int, device=points.device)
        sparse, _ = self.model.prompt_encoder(
            input_points=placed, input_labels=labels, input_boxes=None, input_masks=None
        )
        embedded: Tensor = sparse[0]
        return embedded


class _SecondEncoded:
    """A crop seen by ``Sam2Model``, whose own decoder is used."""

    def __init__(self, model: Any, embeddings: list[Tensor]) -> None:
        self.model, self.embeddings = model, embeddings

    def qualities(self, points: NDArray[np.float64]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        placed = torch.from_numpy(points).float().to(self.embeddings[-1].device)[None, :, None]
        made = self.model(image_embeddings=self.embeddings, input_points=placed, multimask_output=True)
        masks = made.pred_masks[0]
        return made.iou_scores[0], lambda wanted: masks[wanted]


def parts_of_hugging_face(decoder: Any) -> DecoderParts:
    """The parts of a ``SamMaskDecoder``."""
    transformer = decoder.transformer
    return DecoderParts(
        output_tokens=torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight)).detach(),
        blocks=tuple(
            Block(
                self_attention=_attention(layer.self_attn),
                norm1=layer.layer_norm1,
                to_image=_attention(layer.cross_attn_token_to_image),
                norm2=layer.layer_norm2,
                mlp=layer.mlp,
                norm3=layer.layer_norm3,
                to_tokens=_attention(layer.cross_attn_image_to_token),
                norm4=layer.layer_norm4,
            )
            for layer in transformer.layers
        ),
        final=_attention(transformer.final_attn_token_to_image),
        final_norm=transformer.layer_norm_final_attn,
        upscale1=decoder.upscale_conv1,
        norm=decoder.upscale_layer_norm,
        upscale2=decoder.upscale_conv2,
        activation=decoder.activation,
        hypernetworks=tuple(decoder.output_hypernetworks_mlps),
        quality=decoder.iou_prediction_head,
    )


def _attention(module: Any) -> Attention:
    return Attention(module.q_proj, module.k_proj, module.v_proj, module.out_proj, module.num_attention_heads)
