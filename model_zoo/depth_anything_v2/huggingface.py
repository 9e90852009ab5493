"""Names of the Hugging Face `-hf` files, brought to official names.

Source: transformers, `models/depth_anything/` and `models/dinov2/`; hub files keep the names of version 4
(`attention.attention.query`), modules of version 5 have others (`attention.q_proj`). Both are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_BLOCK = r"backbone\.encoder\.layer\.(\d+)\."

# pattern of a whole name -> official name
_RULES: tuple[tuple[str, str], ...] = (
    (r"backbone\.embeddings\.(cls_token|mask_token)", r"pretrained.\1"),
    (r"backbone\.embeddings\.position_embeddings", r"pretrained.pos_embed"),
    (r"backbone\.embeddings\.patch_embeddings\.projection\.(\w+)", r"pretrained.patch_embed.proj.\1"),
    (_BLOCK + r"(norm[12])\.(\w+)", r"pretrained.blocks.\1.\2.\3"),
    (_BLOCK + r"attention\.(?:output\.dense|o_proj)\.(\w+)", r"pretrained.blocks.\1.attn.proj.\2"),
    (_BLOCK + r"layer_scale([12])\.lambda1", r"pretrained.blocks.\1.ls\2.gamma"),
    (_BLOCK + r"mlp\.(fc[12])\.(\w+)", r"pretrained.blocks.\1.mlp.\2.\3"),
    (_BLOCK + r"mlp\.weights_in\.(\w+)", r"pretrained.blocks.\1.mlp.w12.\2"),
    (_BLOCK + r"mlp\.(?:weights_out|down_proj)\.(\w+)", r"pretrained.blocks.\1.mlp.w3.\2"),
    (r"backbone\.layernorm\.(\w+)", r"pretrained.norm.\1"),
    (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.(\w+)", r"depth_head.projects.\1.\2"),
    (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.(\w+)", r"depth_head.resize_layers.\1.\2"),
    (r"head\.conv1\.(\w+)", r"depth_head.scratch.output_conv1.\1"),
    (r"head\.conv2\.(\w+)", r"depth_head.scratch.output_conv2.0.\1"),
    (r"head\.conv3\.(\w+)", r"depth_head.scratch.output_conv2.2.\1"),
)

# parts that official files store as one tensor: pattern -> (official name, position among the parts)
_QKV = re.compile(_BLOCK + r"attention\.(?:attention\.(query|key|value)|([qkv])_proj)\.(\w+)")
_GATED = re.compile(_BLOCK + r"mlp\.(gate|up)_proj\.(\w+)")
_CONVS = re.compile(r"neck\.convs\.(\d)\.weight")
_FUSION = re.compile(r"neck\.fusion_stage\.layers\.(\d)\.(?:projection|residual_layer([12])\.convolution([12]))\.(\w+)")


def is_huggingface(names: Mapping[str, object]) -> bool:
    """Whether tensor names are those of a transformers `DepthAnythingForDepthEstimation`."""
    return any(name.startswith("backbone.") for name in names) and any(name.startswith("neck.") for name in names)


def to_official(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under official names. A name that no rule knows is kept, to be reported by the strict comparison."""
    official: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        if found := _QKV.fullmatch(name):
            block, old, new, kind = found.groups()
            position = "qkv".index((old or new)[0])
            parts.setdefault(f"pretrained.blocks.{block}.attn.qkv.{kind}", {})[position] = tensor
        elif found := _GATED.fullmatch(name):
            block, half, kind = found.groups()
            parts.setdefault(f"pretrained.blocks.{block}.mlp.w12.{kind}", {})[int(half == "up")] = tensor
        else:
            official[_rename(name)] = tensor
    for name, pieces in parts.items():
        official[name] = torch.cat([pieces[position] for position in sorted(pieces)])
    return official


def _rename(name: str) -> str:
    if found := _CONVS.fullmatch(name):
        return f"depth_head.scratch.layer{int(found[1]) + 1}_rn.weight"
    if found := _FUSION.fullmatch(name):  # transformers counts the fusion stages from the coarsest
        layer, unit, conv, kind = found.groups()
        place = "out_conv" if unit is None else f"resConfUnit{unit}.conv{conv}"
        return f"depth_head.scratch.refinenet{4 - int(layer)}.{place}.{kind}"
    for pattern, replacement in _RULES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    return name
