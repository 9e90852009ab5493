"""Tiny networks of Segment Anything with random weights, for tests of key points."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch


def tiny_sam(seed: int = 3) -> Any:
    """A ``Sam`` of 80 thousand weights with an input of 128 x 128, whose masks are blobs that depend on the point."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    sam = Sam(
        image_encoder=ImageEncoderViT(
            img_size=128,
            patch_size=16,
            embed_dim=32,
            depth=2,
            num_heads=2,
            out_chans=32,
            use_rel_pos=True,
            window_size=3,
            global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(32, (8, 8), (128, 128), 4),
        mask_decoder=MaskDecoder(
            transformer_dim=32,
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, num_heads=2, mlp_dim=32),
            iou_head_hidden_dim=16,
        ),
    )
    for name, weights in sam.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(weights, std=0.5)
        if "hypernetworks" in name and "layers.2.weight" in name:
            weights.data.mul_(60)
        if name == "mask_decoder.iou_prediction_head.layers.2.bias":
            weights.data.add_(0.6)  # qualities above 0, where a threshold of 0 would mean no threshold
        if "output_upscaling" in name and weights.ndim == 4:
            weights.data.copy_(0.2 * weights + 1.4 * weights.mean((2, 3), keepdim=True))  # smooth masks
    for layer in sam.mask_decoder.transformer.layers:
        attention = layer.cross_attn_image_to_token  # image tokens near a point look at it
        attention.q_proj.weight.data.mul_(2)
        attention.k_proj.weight.data.copy_(attention.q_proj.weight * 2)
        attention.out_proj.weight.data.mul_(4)
    return sam.eval().requires_grad_(False)


def twin(sam: Any) -> Any:
    """A ``SamModel`` of transformers with the weights of :func:`tiny_sam`."""
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "output_channels": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 128,
            "patch_size": 16,
            "window_size": 3,
            "global_attn_indexes": [1],
            "num_pos_feats": 16,
            "mlp_dim": 128,
            "layer_norm_eps": 1e-5,
        },
        prompt_encoder_config={
            "hidden_size": 32,
            "image_size": 128,
            "patch_size": 16,
            "mask_input_channels": 4,
        },
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
            "layer_norm_eps": 1e-5,
        },
    )
    model = SamModel(config).eval().requires_grad_(False)
    state = {_renamed(name): weights for name, weights in sam.state_dict().items()}
    state["shared_image_embedding.positional_embedding"] = state["prompt_encoder.shared_embedding.positional_embedding"]
    model.load_state_dict(state, strict=True)
    return model


def tiny_sam2() -> Any:
    """A ``Sam2Model`` of transformers with an input of 128 x 128."""
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(1)
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "image_size": [128, 128],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2],
                "window_size_per_stage": [8, 4, 8, 4],
                "window_positional_embedding_background_size": [4, 4],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    model = Sam2Model(config).eval().requires_grad_(False)
    for name, weights in model.mask_decoder.named_parameters():
        if "bias" in name or "hypernetworks" in name or "upscale" in name:
            torch.nn.init.normal_(weights, std=0.5)
    return model


def _renamed(name: str) -> str:
    rules = (
        (r"^image_encoder\.", "vision_encoder."),
        (r"patch_embed\.proj", "patch_embed.projection"),
        (r"\.blocks\.", ".layers."),
        (r"neck\.0", "neck.conv1"),
        (r"neck\.1", "neck.layer_norm1"),
        (r"neck\.2", "neck.conv2"),
        (r"neck\.3", "neck.layer_norm2"),
        (r"mask_downscaling\.0", "mask_embed.conv1"),
        (r"mask_downscaling\.1", "mask_embed.layer_norm1"),
        (r"mask_downscaling\.3", "mask_embed.conv2"),
        (r"mask_downscaling\.4", "mask_embed.layer_norm2"),
        (r"mask_downscaling\.6", "mask_embed.conv3"),
        (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
        (r"point_embeddings", "point_embed"),
        (r"output_upscaling\.0", "upscale_conv1"),
        (r"output_upscaling\.1", "upscale_layer_norm"),
        (r"output_upscaling\.3", "upscale_conv2"),
        (r"((?:mlps\.\d|iou_prediction_head)\.)layers\.0", r"\1proj_in"),
        (r"((?:mlps\.\d|iou_prediction_head)\.)layers\.2", r"\1proj_out"),
        (r"((?:mlps\.\d|iou_prediction_head)\.)layers\.1", r"\1layers.0"),
        (r"\.norm_final_attn", ".layer_norm_final_attn"),
        (r"\.norm(\d)", r".layer_norm\1"),
    )
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth coloured blobs, RGB uint8 [H, W, 3]."""
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    generator = np.random.default_rng(seed)
    channels = [
        sum(np.sin(a * rows + b * columns + c) for a, b, c in generator.uniform(-20, 20, (4, 3))) for _ in range(3)
    ]
    return np.uint8(np.clip(128 + 40 * np.stack(channels, axis=-1), 0, 255))
