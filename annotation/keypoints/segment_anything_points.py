"""Key points from the ``segment-anything`` package: the points of its automatic mask generator, sooner."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .checkpoints import Checkpoint, load_segment_anything
from .decoder import Attention, Block, DecodedImage, DecoderParts, ImageDecoder
from .encoder import encode
from .filtering import Frame
from .mask_points import GridSettings, find_masks, points_of_masks
from .types import KeyPoints


class SegmentAnythingPoints:
    """A :class:`~annotation.keypoints.types.PointGenerator` over a ``segment_anything.modeling.Sam``.

    Args:
        sam: the network, in evaluation mode.
        settings: of the grid.
        checkpoint: file its weights came from; None for weights that came from no file.
        batch: points at a time; on a processor two, whose image tokens fit its cache. Results do not depend on it.
    """

    source = "sam"

    def __init__(
        self,
        sam: Any,
        settings: GridSettings | None = None,
        checkpoint: Checkpoint | None = None,
        *,
        batch: int | None = None,
    ) -> None:
        self.sam, self.settings, self.checkpoint = sam, settings or GridSettings(), checkpoint
        self.side = int(sam.image_encoder.img_size)
        self.on_cpu = sam.device.type == "cpu"
        self.batch = batch or (2 if self.on_cpu else 64)
        self._parts = parts_of_segment_anything(sam.mask_decoder)

    @classmethod
    def from_checkpoint(
        cls, path: Path, settings: GridSettings | None = None, *, device: str = "cpu"
    ) -> SegmentAnythingPoints:
        """Load a checked checkpoint file of ViT-B, -L or -H. Raises what :func:`load_segment_anything` raises."""
        sam, checkpoint = load_segment_anything(path)
        return cls(sam.to(device), settings, checkpoint)

    def describe(self) -> dict[str, Any]:
        named = self.checkpoint
        return {
            "source": self.source,
            "settings": asdict(self.settings),
            "checkpoint": named.name if named else "",
            "checkpoint_sha256": named.sha256 if named else "",
        }

    def generate(self, image: NDArray[np.uint8]) -> KeyPoints:
        """Key points of an RGB image uint8 [H, W, 3]."""
        masks = find_masks(image, self, self.settings)
        return points_of_masks(masks, (image.shape[0], image.shape[1]), self.describe())

    def frame(self, size: tuple[int, int]) -> Frame:
        """The aspect is kept and the short side padded."""
        return Frame.of(size, self.side)

    def encode(self, crop: NDArray[np.uint8], frame: Frame) -> DecodedImage:
        """Resize, normalise and pad a crop, and run the image encoder over it."""
        sam, prompts = self.sam, self.sam.prompt_encoder
        small = np.asarray(Image.fromarray(crop).resize(frame.used[::-1], Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(small.transpose(2, 0, 1).copy()).to(sam.device)
        embedding = encode(sam.image_encoder, sam.preprocess(pixels[None]))
        decoder = ImageDecoder(self._parts, embedding, prompts.get_dense_pe(), prompts.no_mask_embed.weight[0])
        return DecodedImage(decoder, self._embed)

    def _embed(self, points: Tensor) -> Tensor:
        labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
        sparse, _ = self.sam.prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)
        embedded: Tensor = sparse
        return embedded


def parts_of_segment_anything(decoder: Any) -> DecoderParts:
    """The parts of a ``segment_anything.modeling.MaskDecoder``."""
    transformer = decoder.transformer
    upscale1, norm, activation, upscale2 = decoder.output_upscaling[:4]
    return DecoderParts(
        output_tokens=torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight)).detach(),
        blocks=tuple(
            Block(
                self_attention=_attention(layer.self_attn),
                norm1=layer.norm1,
                to_image=_attention(layer.cross_attn_token_to_image),
                norm2=layer.norm2,
                mlp=layer.mlp,
                norm3=layer.norm3,
                to_tokens=_attention(layer.cross_attn_image_to_token),
                norm4=layer.norm4,
            )
            for layer in transformer.layers
        ),
        final=_attention(transformer.final_attn_token_to_image),
        final_norm=transformer.norm_final_attn,
        upscale1=upscale1,
        norm=norm,
        upscale2=upscale2,
        activation=activation,
        hypernetworks=tuple(decoder.output_hypernetworks_mlps),
        quality=decoder.iou_prediction_head,
    )


def _attention(module: Any) -> Attention:
    return Attention(module.q_proj, module.k_proj, module.v_proj, module.out_proj, module.num_heads)
