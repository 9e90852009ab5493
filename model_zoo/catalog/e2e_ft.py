"""End-to-end fine-tuned models: Marigold, or Stable Diffusion 2 itself, trained to predict depth in one step.

There is nothing to set but the resolution: no noise, one step, one member. The evaluation scripts process NYU and
KITTI at native size (`-o processing_resolution=0`), ETH3D at 756 and DIODE at 640; 768 is the default elsewhere.

The repository states no licence for the weights; they descend from Stable Diffusion 2 and Marigold, whose RAIL++-M
passes its use restrictions on. Neither revisions nor SHA-256 are known: pinned on first use. The third model of the
paper, GeoWizard + E2E-FT, has another layout (an image encoder and a U-Net of its own) and is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

from .marigold import EXTRA, FACTORY, PARAMETERS, REQUIRES, RESOLUTIONS, UNET, files

_PAPER = "Fine-Tuning Image-Conditional Diffusion Models is Easier than You Think, WACV 2025, arXiv 2409.11355"
_REPOSITORY = "VisualComputingInstitute/diffusion-e2e-ft @ 4ff5aad"


def entries() -> Iterator[ModelEntry]:
    """In the order of the paper's table."""
    for name, start in (("stable-diffusion", "Stable Diffusion 2"), ("marigold", "Marigold")):
        yield ModelEntry(
            name=f"{name}-e2e-ft",
            output=Output.DEPTH,
            summary=f"{start} fine-tuned end to end: one step, no noise",
            factory=FACTORY,
            licence="RAIL++-M (of the base model)",
            parameters=PARAMETERS,
            source=f"GonzaloMG/{name}-e2e-ft-depth",
            file=UNET,
            files=files(),
            requires=REQUIRES,
            extra=EXTRA,
            settable={"processing_resolution": 768},
            paper=_PAPER,
            sources=(
                f"{_REPOSITORY}, README.md, Marigold/marigold/marigold_pipeline.py",
                f"{_REPOSITORY}, experiments/depth/eval_args ({RESOLUTIONS})",
                "file list: a public Dockerfile that fetches the mirror camenduru/marigold-e2e-ft-depth",
            ),
            options={"method": "e2e-ft"},
        )
