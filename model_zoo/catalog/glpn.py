"""GLPN through transformers: metres, one network for NYU Depth V2 and one for KITTI.

The authors' repository allows non-commercial use only; the cards on the hub say Apache-2.0. The stricter word is kept.
The hub's configuration of the KITTI model leaves the largest depth at NYU's 10 m, where the authors train and evaluate
with 80 m: the row says 80. No revision and no SHA-256 was found; they are pinned on first use. A file in the newer
format is known to exist for NYU only.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

from .midas import FACTORY, SAFETENSORS


def entries() -> Iterator[ModelEntry]:
    """Indoor and road."""
    for variant, trained_on, max_depth, file in (
        ("nyu", "NYU Depth V2", 10, SAFETENSORS),
        ("kitti", "KITTI", 80, "pytorch_model.bin"),
    ):
        yield ModelEntry(
            name=f"glpn-{variant}",
            output=Output.METRIC,
            summary=f"GLPN, MiT-B4 encoder, trained on {trained_on}, up to {max_depth} m",
            factory=FACTORY,
            status="downloadable",
            licence="GLPDepth-NC",
            parameters=61_220_903,
            source=f"vinvino02/glpn-{variant}",
            file=file,
            files=(file, "config.json", "preprocessor_config.json"),
            requires=("transformers",),
            extra="zoo",
            paper="Global-Local Path Networks for Monocular Depth Estimation, arXiv 2201.07436",
            sources=(
                "vinvino02/GLPDepth, README.md (licence; --max_depth 10 and 80), code (input rule)",
                f"huggingface.co/vinvino02/glpn-{variant} (configuration, licence of the card)",
            ),
            options={
                "architecture": "GLPNForDepthEstimation",
                "config": {"max_depth": max_depth},
                "processor": {"size_divisor": 32, "resample": 2},
            },
        )
