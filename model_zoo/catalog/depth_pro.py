"""Depth Pro through transformers: metres, by the field of view that the network predicts itself.

Apple's research licence forbids commercial use; the suffix NC stands for that. The hub's page gives the SHA-256 of the
weights; no page names the whole commit, which is pinned on first use.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

from .midas import FACTORY, SAFETENSORS


def entries() -> Iterator[ModelEntry]:
    """The one released model."""
    yield ModelEntry(
        name="depth-pro",
        output=Output.METRIC,
        summary="Depth Pro, 1536 px, metres through the predicted field of view",
        factory=FACTORY,
        status="downloadable",
        licence="Apple-AMLR-NC",
        parameters=951_991_330,
        source="apple/DepthPro-hf",
        file=SAFETENSORS,
        files=(SAFETENSORS, "config.json", "preprocessor_config.json"),
        requires=("transformers",),
        extra="zoo",
        sha256="9c6811e3165485b9a94a204329860cb333a79877e757eb795a179a4ea34bbcf7",
        paper="Depth Pro, ICLR 2025, arXiv 2410.02073",
        sources=(
            "apple/ml-depth-pro @ 9efe5c1, src/depth_pro/depth_pro.py (input rule, field of view)",
            "huggingface.co/apple/DepthPro-hf, page of model.safetensors (SHA-256, licence apple-amlr)",
            "parameters: huggingface.co/takara-ai/DepthPro-Safetensors, README.md",
        ),
        options={
            "architecture": "DepthProForDepthEstimation",
            "processor": {
                "size": {"height": 1536, "width": 1536},
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
                "resample": 2,
            },
        },
    )
