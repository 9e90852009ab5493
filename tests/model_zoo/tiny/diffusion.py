"""Stable Diffusion's parts with tiny random weights, in the layout and file formats of the real repositories."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from dabench.types import ModelEntry

FACTORIES = ("model_zoo.diffusion_depth:load",)

START, END = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32
SMALL = {"steps": 2, "ensemble": 3, "processing_resolution": 32}
"""In place of settings that cost minutes on a CPU."""


def publish(hub: Any, entry: ModelEntry, folder: Path) -> ModelEntry:
    """Write the files of ``entry`` into ``folder``, offer them on the hub, and return the row that finds them."""
    parameters = write(entry, folder)
    commit = entry.revision or hashlib.sha1(entry.name.encode()).hexdigest()
    hashes: dict[str | None, str] = {}
    for name in entry.files:
        hashes[name] = hub.add(entry.source, commit, name, (folder / name).read_bytes())
    return replace(
        entry,
        revision=commit,
        sha256=hashes[entry.file],
        parameters=parameters,
        settable={**entry.settable, **{key: SMALL[key] for key in SMALL if key in entry.settable}},
    )


def write(entry: ModelEntry, folder: Path) -> int:
    """Write a folder of the row's layout; returns the parameters of U-Net and VAE."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    method = entry.options["method"]
    torch.manual_seed(int.from_bytes(hashlib.sha256(entry.name.encode()).digest()[:4]))
    task = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 4}
    unet: Any = UNet2DConditionModel(
        sample_size=8,
        in_channels=4 if method == "lotus-d" else 8,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=(2, 4),
        cross_attention_dim=WIDTH,
        use_linear_projection=True,
        **(task if method.startswith("lotus") else {}),
    )
    vae: Any = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
    )
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(3)  # maps that use a good part of their range
    unet.save_pretrained(folder / "unet")
    if any(name.endswith(".bin") for name in entry.files):
        vae.save_config(folder / "vae")
        torch.save(_as_of_2022(vae.state_dict()), folder / "vae/diffusion_pytorch_model.bin")
    else:
        vae.save_pretrained(folder / "vae")
    _text_encoder(folder / "text_encoder")
    _tokenizer(folder / "tokenizer")
    _pipeline(entry, folder)
    return sum(p.numel() for network in (unet, vae) for p in network.parameters())


def _as_of_2022(state: dict[str, Any]) -> dict[str, Any]:
    """The names that Stable Diffusion 2's own VAE file has, which loaders still translate."""
    names = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    renamed = {}
    for key, value in state.items():
        for new, old in names.items():
            key = key.replace(new, old)
        renamed[key] = value
    return renamed


def _text_encoder(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=4,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    CLIPTextModel(config).save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    state = {key if key.startswith("text_model.") else f"text_model.{key}": value for key, value in state.items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]  # in files of before 2023
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _tokenizer(folder: Path) -> None:
    folder.mkdir()
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    settings = {**special, "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True}
    (folder / "vocab.json").write_text(json.dumps({START: 0, END: 1, "a": 2, "a</w>": 3}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _pipeline(entry: ModelEntry, folder: Path) -> None:
    from diffusers import DDIMScheduler, LCMScheduler

    shared: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    if "lcm" in entry.name:
        scheduler: Any = LCMScheduler(**shared)
    elif entry.name == "marigold-v1.1":
        scheduler = DDIMScheduler(**shared, timestep_spacing="trailing", rescale_betas_zero_snr=True)
    else:
        scheduler = DDIMScheduler(**shared)  # leading, as v1.0 and Stable Diffusion 2 have it
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "MarigoldDepthPipeline",
        "prediction_type": entry.output.value,
        "scale_invariant": True,
        "shift_invariant": True,
        "scheduler": ["diffusers", type(scheduler).__name__],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
