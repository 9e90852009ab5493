"""Depth Anything V1: the official relative weights in our own network, which reads V1's blocks of the encoder.

The official `.pth` files lie in the authors' space on the hub. Their SHA-256 were read from the hub's pages of the
files and of copies, and from public programs that check against them. The repository's licence is Apache-2.0.
The same network also reads the `-hf` files, with --checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

from .depth_anything_v2 import FACTORY, PARAMETERS

PAPER = "Depth Anything, CVPR 2024, arXiv 2401.10891"
_REPOSITORY = "LiheYoung/Depth-Anything @ 1d03336"
_SPACE = "spaces/LiheYoung/Depth-Anything"
_REVISION = "392f705912d2c6bd326dfcbe79becb9f3cfc7792"
_PINS = (
    f"huggingface.co/{_SPACE}, commit history of checkpoints/ (revision), pages of the files (SHA-256)",
    "github: MegaSaM set-up scripts, and a Nix package of ComfyUI's depth nodes (SHA-256)",
)
_SHA256 = {
    "small": "59afe57cfd9f4284deaf5b753d954723d7136ae842fba3e068ba03537ca1e60e",
    "base": "64ae214ae4e27424b644c49464c0aa243016f6f753d95097c8eb9ad0b9cb2d9b",
    "large": "6c6a383e33e51c5fdfbf31e7ebcda943973a9e6a1cbef1564afe58d7f2e8fe63",
}


def entries() -> Iterator[ModelEntry]:
    """Relative models by size, then the metric ones, which only the authors' code runs."""
    for size, sha256 in _SHA256.items():
        letter = size[0]
        yield ModelEntry(
            name=f"depth-anything-v1-{size}",
            output=Output.DISPARITY,
            summary=f"official relative-depth model of version 1, DINOv2 ViT-{letter.upper()} encoder",
            factory=FACTORY,
            status="downloadable",
            licence="Apache-2.0",
            parameters=PARAMETERS[size],
            source=_SPACE,
            revision=_REVISION,
            file=f"checkpoints/depth_anything_vit{letter}14.pth",
            sha256=sha256,
            paper=PAPER,
            sources=(f"{_REPOSITORY}, depth_anything/dpt.py (blocks), run.py (input rule), LICENSE", *_PINS),
            options={"config": f"{size}-v1"},
        )
    for domain, trained_on, zoedepth in (("indoor", "NYU Depth V2", "zoedepth-n"), ("outdoor", "KITTI", "zoedepth-k")):
        yield ModelEntry(
            name=f"depth-anything-v1-metric-{domain}",
            output=Output.METRIC,
            summary=f"version 1's ViT-L encoder in ZoeDepth, fine-tuned on {trained_on}",
            status="published-only",
            licence="Apache-2.0",
            paper=PAPER,
            sources=(f"{_REPOSITORY}, metric_depth/README.md",),
            reason="its file is read by the authors' fork of ZoeDepth only, which is no package and asks for timm 0.6; "
            f"depth-anything-v2-metric-{domain}-large is its successor, and {zoedepth} what the fork is built on",
        )
