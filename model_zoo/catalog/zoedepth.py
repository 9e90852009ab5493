"""ZoeDepth through transformers: metres, from MiDaS' BEiT-L with bins for indoor scenes, roads, or both by a router.

The input is that of the configuration files of the original: 384x512 with the aspect ratio kept, 384x768 for the KITTI
model. Revisions and SHA-256 were read from a public estimator of TU Ilmenau that checks the files against them; those
of the NYU and KITTI model also from two other programs.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

from .midas import FACTORY, SAFETENSORS

_PAPER = "ZoeDepth, arXiv 2302.12288"
_CODE = "isl-org/ZoeDepth @ d87f17b, zoedepth/models (input rule, padding, flip), config_zoedepth_kitti.json (384x768)"
_PINS = "HuggingFace depth estimators by Fischedick and Seichter, TU Ilmenau (revision, SHA-256 of three models)"

# variant: trained on, repository, width of the input, parameters, revision, SHA-256
_ROWS = {
    "n": (
        "NYU Depth V2, up to 10 m",
        "Intel/zoedepth-nyu",
        512,
        344_000_000,
        "52ae69caf7896c927909b3ceab4249c235e16dc1",
        "b616e347efc30e64822be28d2464c2fcd0b665b5fdbc9a135d53d168c31c77ab",
    ),
    "k": (
        "KITTI, up to 80 m",
        "Intel/zoedepth-kitti",
        768,
        344_000_000,
        "0347db85b019f309d5544c70ad2ac998ad570899",
        "8427d1e398736f909cc7432276981417b2e7ec698b4d70786022142def78fe38",
    ),
    "nk": (
        "NYU Depth V2 and KITTI, chosen per image",
        "Intel/zoedepth-nyu-kitti",
        512,
        345_000_000,
        "f364d4c7936e91f465abba182208dd68142bf0ca",
        "c5494fa0938f18d71e215e245472470c3aefebd7b434abd89750e5ae4008e2dc",
    ),
}


def entries() -> Iterator[ModelEntry]:
    """Indoor, road, both."""
    for variant, (trained_on, repository, width, parameters, revision, sha256) in _ROWS.items():
        yield ModelEntry(
            name=f"zoedepth-{variant}",
            output=Output.METRIC,
            summary=f"ZoeDepth M12-{variant.upper()}, BEiT-L encoder, fine-tuned on {trained_on}",
            factory=FACTORY,
            status="downloadable",
            licence="MIT",
            parameters=parameters,
            source=repository,
            revision=revision,
            file=SAFETENSORS,
            files=(SAFETENSORS, "config.json", "preprocessor_config.json"),
            requires=("transformers",),
            extra="zoo",
            sha256=sha256,
            paper=_PAPER,
            sources=(_CODE, _PINS),
            options={
                "architecture": "ZoeDepthForDepthEstimation",
                "processor": {
                    "size": {"height": 384, "width": width},
                    "keep_aspect_ratio": True,
                    "ensure_multiple_of": 32,
                    "image_mean": [0.5, 0.5, 0.5],
                    "image_std": [0.5, 0.5, 0.5],
                    "resample": 2,
                    "do_pad": True,
                },
            },
        )
