"""Depth Anything V2: the bundled network and the official weights, relative and metric.

Revisions and SHA-256 of the official files were read from two independent public records of what the hub's API reports
for them, `tools/fetch/depth_anything_v2.py` of datamarkin/mozo (commit bc6c021) and `first_setup.py` of
capsuleutkarsh-design/UTVFX_AI_VFX_Suit, which agree on all nine. :mod:`model_zoo.hub` checks every file against them.

Licences: the official README says Apache-2.0 for Small and CC-BY-NC-4.0 for the larger ones. Some cards of the metric
models are tagged Apache-2.0 at every size; as those descend from non-commercial weights, the README's word is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dabench.types import ModelEntry, Output

PAPER = "Depth Anything V2, NeurIPS 2024, arXiv 2406.09414"
_README = "DepthAnything/Depth-Anything-V2 @ a561b84, README.md"
_METRIC_README = "DepthAnything/Depth-Anything-V2 @ a561b84, metric_depth/README.md"
_PINS = (
    "datamarkin/mozo @ bc6c021, tools/fetch/depth_anything_v2.py (SHA-256)",
    "capsuleutkarsh-design/UTVFX_AI_VFX_Suit, first_setup.py (revision, SHA-256, bytes)",
)

FACTORY = "model_zoo.depth_anything_v2.factory:load"

_ENCODERS = {"small": "vits", "base": "vitb", "large": "vitl"}
_TINY_PARAMETERS = 3_998_113
PARAMETERS = {"small": 24_785_089, "base": 97_470_785, "large": 335_315_649, "giant": 1_258_132_225}
_LICENCES = {"small": "Apache-2.0", "base": "CC-BY-NC-4.0", "large": "CC-BY-NC-4.0"}

# (domain, size): revision of the repository, SHA-256 and bytes of the file
_FILES = {
    ("", "small"): (
        "03876f8651c73a60fe4c2c48294e09fcb6838fcf",
        "715fade13be8f229f8a70cc02066f656f2423a59effd0579197bbf57860e1378",
        99_218_434,
    ),
    ("", "base"): (
        "a4e71a6c2ce52fe50df0f212066b0d4a87be9b5e",
        "0d2b7002e62d39d655571c371333340bd88f67ab95050c03591555aa05645328",
        389_961_218,
    ),
    ("", "large"): (
        "cbbb86a30ce19b5684b7a05155dc7e6cbc7685b9",
        "a7ea19fa0ed99244e67b624c72b8580b7e9553043245905be58796a608eb9345",
        1_341_395_338,
    ),
    ("indoor", "small"): (
        "3bc65d4e14a6786a61acec16453c50e12bf5f338",
        "b782898d8a3e8be1f639de33837ed85e9b4b73e40f8f5e5cd99067588d722545",
        99_222_290,
    ),
    ("indoor", "base"): (
        "4ebcd7fd0858cbb953451619ca943ea39ec08e00",
        "9dc9e274c5eff55c6daf27b660c0ced0eca4e8593a6da90cdcb04d2b4d3f3fa2",
        389_965_138,
    ),
    ("indoor", "large"): (
        "79720800638389a78b2defc92caa885104f69974",
        "6f82ff2bc543ac02ddff4aa31fa363676a8305dd3ccf04e80e2af115a044cb6d",
        1_341_401_882,
    ),
    ("outdoor", "small"): (
        "c725b8589bdf6ab04072cab74c0467830db80d6d",
        "9203e538d35255c90dda4b7fedb47ff33fe725497bcca3b1e53b3a65ee63f0cb",
        99_221_808,
    ),
    ("outdoor", "base"): (
        "e96fd0c8cedf1825a55b9c61309f754982948df0",
        "4dad67a7cc10b462bca48e6b8569c762b8eb3c1adada170a3851a6d3ba37bb3e",
        389_964_656,
    ),
    ("outdoor", "large"): (
        "070e97e4b80e317ec1d03c19927304f4091a180b",
        "239b1054a369e66da2576e9a118d6d7c12d90dc8ebe609579a9a09cd8e05fe38",
        1_341_401_064,
    ),
}
# domain: training set as the repositories name it, largest depth in metres
_DOMAINS = {"indoor": ("Hypersim", 20.0), "outdoor": ("VKITTI", 80.0)}


def entries() -> Iterator[ModelEntry]:
    """The bundled model first, then by size; metric models after the relative ones."""
    yield _tiny()
    for size in _ENCODERS:
        yield _relative(size)
    yield _giant()
    for domain in _DOMAINS:
        for size in _ENCODERS:
            yield _metric(domain, size)


def _tiny() -> ModelEntry:
    return ModelEntry(
        name="depth-anything-v2-tiny",
        output=Output.DISPARITY,
        summary="the same architecture with a small encoder, trained on this project's rendered scenes; in the package",
        factory=FACTORY,
        status="bundled",
        sha256="09ccc94f63b3ff4bd3e4b31785d293974e3137479d0b3c83a45b3f836ed9d879",
        licence="Apache-2.0",
        parameters=_TINY_PARAMETERS,
        source="model_zoo/weights",
        file="depth_anything_v2_tiny.safetensors",
        paper=PAPER + " (architecture and losses)",
        sources=("model_zoo/weights (how it was made)",),
        options={"config": "tiny"},
    )


def _relative(size: str) -> ModelEntry:
    revision, sha256, size_bytes = _FILES["", size]
    return ModelEntry(
        name=f"depth-anything-v2-{size}",
        output=Output.DISPARITY,
        summary=f"official relative-depth model, DINOv2 ViT-{size[0].upper()} encoder",
        factory=FACTORY,
        status="downloadable",
        licence=_LICENCES[size],
        parameters=PARAMETERS[size],
        source=f"depth-anything/Depth-Anything-V2-{size.capitalize()}",
        revision=revision,
        file=f"depth_anything_v2_{_ENCODERS[size]}.pth",
        sha256=sha256,
        paper=PAPER,
        sources=(_README, *_PINS),
        options={"config": size, "bytes": size_bytes},
    )


def _metric(domain: str, size: str) -> ModelEntry:
    revision, sha256, size_bytes = _FILES[domain, size]
    trained_on, max_depth = _DOMAINS[domain]
    options: dict[str, Any] = {"config": size, "max_depth": max_depth, "bytes": size_bytes}
    return ModelEntry(
        name=f"depth-anything-v2-metric-{domain}-{size}",
        output=Output.METRIC,
        summary=f"official metric model, fine-tuned on {trained_on} ({domain}, up to {max_depth:.0f} m)",
        factory=FACTORY,
        status="downloadable",
        licence=_LICENCES[size],
        parameters=PARAMETERS[size],
        source=f"depth-anything/Depth-Anything-V2-Metric-{trained_on}-{size.capitalize()}",
        revision=revision,
        file=f"depth_anything_v2_metric_{trained_on.lower()}_{_ENCODERS[size]}.pth",
        sha256=sha256,
        paper=PAPER,
        sources=(_METRIC_README, *_PINS),
        options=options,
    )


def _giant() -> ModelEntry:
    return ModelEntry(
        name="depth-anything-v2-giant",
        output=Output.DISPARITY,
        summary="the teacher of the paper, DINOv2 ViT-G encoder; numbers only, unless you bring weights",
        factory=FACTORY,
        status="published-only",
        licence="CC-BY-NC-4.0",
        parameters=PARAMETERS["giant"],
        paper=PAPER,
        sources=(_README, "DepthAnything/Depth-Anything-V2, issue 287"),
        reason="the authors never released its weights, and unofficial copies are of unknown origin; "
        "weights of your own are given with --checkpoint FILE",
        options={"config": "giant"},
    )
