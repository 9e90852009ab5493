"""Marigold: monocular depth as a diffusion on Stable Diffusion 2.

The settings are those of the published numbers: v1.0 with 50 steps and 10 members as in the paper, v1.1 with 1 step
and 10 members as in its evaluation scripts, LCM with 1 step and 5 members, its README's default. A U-Net evaluation at
768 pixels costs a second or more on a CPU, and there are steps x ensemble of them for every image. All evaluation
scripts take seed 1234, and process NYU and KITTI at native size (`-o processing_resolution=0`), ETH3D at 756 and DIODE
at 640; 768 is the resolution of the training, and the pipeline's default.

Licences: the repository says of the models RAIL++-M. The cards of v1.0 say Apache-2.0; the stricter word is kept.

Revisions are those that independent public programs pin and name (see ``sources``); no SHA-256 of the full-precision
network was found, so that it is pinned on first use. Of the LCM's VAE, the file known to exist at full precision is
the one in PyTorch's own format, which is read as weights only.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

FACTORY = "model_zoo.diffusion_depth:load"
REQUIRES = ("diffusers", "transformers")
EXTRA = "zoo"
UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = (
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
)
PIPELINE = ("model_index.json", "scheduler/scheduler_config.json")
PARAMETERS = 865_922_244 + 83_653_863
"""U-Net with twice the input channels, and VAE."""

RESOLUTIONS = "processing resolution 0 on NYU and KITTI, 756 on ETH3D, 640 on DIODE"

_PAPER = "Marigold, CVPR 2024, arXiv 2312.02145"
_REPOSITORY = "prs-eth/Marigold @ b1dffaa"
_LICENCE = "RAIL++-M"


def files(vae: str = VAE) -> tuple[str, ...]:
    """All that the model needs of a repository in this layout."""
    return (UNET, "unet/config.json", vae, "vae/config.json", *TEXT, *PIPELINE)


def entries() -> Iterator[ModelEntry]:
    """By age of the weights, the newest first."""
    yield _marigold(
        "marigold-v1.1",
        "prs-eth/marigold-depth-v1-1",
        "1 DDIM step with zero terminal SNR, 10 members; the current release",
        steps=1,
        ensemble=10,
        revision=None,
        paper="Marigold, arXiv 2505.09358",
        sources=(f"{_REPOSITORY}, script/depth/eval (1 step, ensemble 10, seed 1234; {RESOLUTIONS})",),
    )
    yield _marigold(
        "marigold-v1.0",
        "prs-eth/marigold-depth-v1-0",
        "50 DDIM steps, 10 members: the setting of the CVPR paper",
        steps=50,
        ensemble=10,
        revision="f4fc453d7d217cbe30ddcad3eb311d1ad9a11c4c",
        sources=(
            f"{_REPOSITORY}, script/depth/eval_old (50 steps, ensemble 10, seed 1234; {RESOLUTIONS})",
            "revision and file list: two public setup scripts for DepthLab and AuraFusion360",
        ),
    )
    yield _marigold(
        "marigold-lcm-v1.0",
        "prs-eth/marigold-depth-lcm-v1-0",
        "distilled to 1 step (latent consistency), 5 members",
        steps=1,
        ensemble=5,
        revision="04a73502f7fd8fc5e59947b9df3b2266d71d6849",
        vae="vae/diffusion_pytorch_model.bin",
        sources=(
            "prs-eth/Marigold @ d129f6c, README.md (LCM: 1 to 4 steps, ensemble 5)",
            "revision and VAE file: the validation notes of InferBridge's native Marigold",
        ),
    )


def _marigold(
    name: str,
    source: str,
    summary: str,
    *,
    steps: int,
    ensemble: int,
    revision: str | None,
    sources: tuple[str, ...],
    vae: str = VAE,
    paper: str = _PAPER,
) -> ModelEntry:
    return ModelEntry(
        name=name,
        output=Output.DEPTH,
        summary=summary,
        factory=FACTORY,
        licence=_LICENCE,
        parameters=PARAMETERS,
        source=source,
        revision=revision,
        file=UNET,
        files=files(vae),
        requires=REQUIRES,
        extra=EXTRA,
        settable={"steps": steps, "ensemble": ensemble, "seed": 1234, "processing_resolution": 768},
        paper=paper,
        sources=(*sources, f"{_REPOSITORY}, LICENSE-MODEL.txt", "diffusers, MarigoldDepthPipeline"),
        options={"method": "marigold"},
    )
