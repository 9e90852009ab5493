"""Models that tables cite and nobody can run here: each row says why. Their numbers are in ``results/published``.

The two parts of a row that a reader needs are its output, which decides under which protocols its numbers stand, and
the reason. A licence or a number of parameters that no source states is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

_V2 = "Depth Anything V2, NeurIPS 2024, arXiv 2406.09414"
_V2_PARAMETERS = {"small": 24_785_089, "base": 97_470_785, "large": 335_315_649}
_OWN_CODE = "score saved maps of its own code with --predictions DIR"
_IN_DOMAIN = {"nyu": ("NYU Depth V2", 10.0), "kitti": ("KITTI", 80.0)}


def entries() -> Iterator[ModelEntry]:
    """Those of affine-invariant depth, the metric ones, and the fine-tuned ones of Depth Anything V2's own tables."""
    yield ModelEntry(
        name="leres",
        output=Output.DEPTH,
        summary="shape from one image by a depth network and a point cloud network, ResNeXt-101",
        status="published-only",
        licence="Adobe-Research-NC",
        paper="Learning to Recover 3D Scene Shape from a Single Image, CVPR 2021, arXiv 2012.09365",
        sources=("aim-uofa/AdelaiDepth, LeReS/README.md",),
        reason="its weights lie on a cloud drive without a checksum, their licence excludes commercial use, and its "
        "code is no package and asks for PyTorch 1.6",
    )
    yield ModelEntry(
        name="omnidata",
        output=Output.DEPTH,
        summary="DPT-hybrid trained on twelve million rendered and scanned views",
        status="published-only",
        paper="Omnidata, ICCV 2021, arXiv 2110.04994",
        sources=("EPFL-VILAB/omnidata @ f69ff3a, LICENSE and omnidata_tools/torch",),
        reason="its weights come without a licence of their own (that of the repository is the data's), and its demo "
        "crops the centre of an image to 384 x 384, so that most pixels of a benchmark have no prediction",
    )
    yield ModelEntry(
        name="hdn",
        output=Output.DEPTH,
        summary="hierarchical normalisation of depth, a loss, on DPT-large",
        status="published-only",
        paper="Hierarchical Normalization for Robust Monocular Depth Estimation, NeurIPS 2022, arXiv 2210.09670",
        sources=("the authors' repository HDN @ df9bb5f",),
        reason="no weights were published: the repository holds the losses only",
    )
    yield ModelEntry(
        name="zerodepth",
        output=Output.METRIC,
        summary="metric depth across cameras by embedding the rays of the camera, ResNet-18",
        status="published-only",
        licence="CC-BY-NC-4.0",
        parameters=233_000_000,
        paper="Towards Zero-Shot Scale-Aware Monocular Depth Estimation, ICCV 2023, arXiv 2306.17253",
        sources=("TRI-ML/vidar @ e6b1e63, README.md", "parameters: Depth Pro, arXiv 2410.02073, Table 5"),
        reason="it needs the camera's intrinsics with every image, its code is that of 2023 and no package, and it "
        "runs out of memory on large images (Depth Pro, Table 1)",
    )
    yield ModelEntry(
        name="patchfusion",
        output=Output.METRIC,
        summary="ZoeDepth on tiles of a high-resolution image, fused by a network",
        status="published-only",
        licence="MIT",
        parameters=203_000_000,
        paper="PatchFusion, CVPR 2024, arXiv 2312.02284",
        sources=("zhyever/PatchFusion @ edb4679", "parameters: Depth Pro, arXiv 2410.02073, Table 5"),
        reason="its code is no package and pins a PyTorch and a timm of 2023, and an image takes more than a minute on "
        "a large GPU (Depth Pro, Table 5)",
    )
    yield from _others()
    for data, (title, max_depth) in _IN_DOMAIN.items():
        for size, parameters in _V2_PARAMETERS.items():
            yield _in_domain(size, parameters, data, title, max_depth)


def _others() -> Iterator[ModelEntry]:
    """Models that protocols name beside those of the paper."""
    for name, title, parameters in (
        ("large-384", "ResNeXt-101", 105_000_000),
        ("small-256", "EfficientNet", 21_000_000),
    ):
        yield ModelEntry(
            name=f"midas-v2.1-{name}",
            output=Output.DISPARITY,
            summary=f"MiDaS before transformers, {title} encoder",
            status="published-only",
            licence="MIT",
            parameters=parameters,
            paper="Towards Robust Monocular Depth Estimation, TPAMI 2022, arXiv 1907.01341",
            sources=("isl-org/MiDaS @ 4545977, README.md",),
            reason=f"only torch.hub loads it, from a repository that is not maintained any more; {_OWN_CODE}",
        )
    for data, title in (("kitti", "KITTI"), ("nyu", "NYU Depth V2")):
        yield ModelEntry(
            name=f"dpt-hybrid-{data}",
            output=Output.METRIC,
            summary=f"DPT-hybrid fine-tuned on {title}",
            status="published-only",
            licence="MIT",
            parameters=123_000_000,
            paper="Vision Transformers for Dense Prediction, ICCV 2021, arXiv 2103.13413",
            sources=("isl-org/DPT, README.md and EVALUATION.md",),
            reason=f"its weights exist in the format of the original code only, which needs timm 0.6; {_OWN_CODE}",
        )
    yield ModelEntry(
        name="metric3d-v1",
        output=Output.METRIC,
        summary="metric depth in a canonical camera, ConvNeXt-L encoder",
        status="published-only",
        parameters=203_000_000,
        paper="Metric3D, ICCV 2023, arXiv 2307.10984",
        sources=("YvanYin/Metric3D @ eb5b6fa, README.md",),
        reason=f"only its second version has a worker here; {_OWN_CODE}",
    )
    yield ModelEntry(
        name="video-depth-anything-large",
        output=Output.DISPARITY,
        summary="Depth Anything V2 with attention over time",
        status="published-only",
        licence="CC-BY-NC-4.0",
        parameters=381_800_000,
        paper="Video Depth Anything, CVPR 2025, arXiv 2501.12375",
        sources=("DepthAnything/Video-Depth-Anything, README.md",),
        reason=f"it reads videos, and its network has no adapter here; {_OWN_CODE}",
    )


def _in_domain(size: str, parameters: int, data: str, title: str, max_depth: float) -> ModelEntry:
    return ModelEntry(
        name=f"depth-anything-v2-{size}-{data}",
        output=Output.METRIC,
        summary=f"fine-tuned on {title} for the paper's in-domain table",
        factory="model_zoo.depth_anything_v2.factory:load",
        status="published-only",
        parameters=parameters,
        paper=_V2,
        sources=("DepthAnything/Depth-Anything-V2, issue 177",),
        reason="the authors did not release it: their metric models are those of Hypersim and Virtual KITTI; "
        f"`dabench train metric-{data}-{size}` makes one, to be given with --checkpoint FILE",
        options={"config": size, "max_depth": max_depth},
    )
