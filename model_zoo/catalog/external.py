"""Models that run in an environment of their own (docs/environments.md), through their authors' own packages.

Their weights are downloaded by those packages, in their environment, at the catalogued revision where one is known;
the worker reports the SHA-256 of what it loaded, and a catalogued one is compared with it.

Revisions and SHA-256 of UniDepth v2, Depth Anything 3 and MoGe 2 were read from public lists of pinned weights, those
of vfxli/Lab2Shot first, with which every other list that was found agrees; those of Metric3D, which is addressed by its
branch, from four lists that agree, and those of the monocular Depth Anything 3 from two. Where no list was found,
nothing is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dabench.types import ModelEntry, Output

FACTORY = "model_zoo.environments.factory:load"

_LISTS = "vfxli/Lab2Shot, its declarations of weights (revision, SHA-256)"
_MOGE = "microsoft/MoGe @ 0744441, README.md and moge/model"
_DA3 = "ByteDance-Seed/Depth-Anything-3 @ 2c21ea8, README.md and src/depth_anything_3/api.py"
_UNIDEPTH = "lpiccinelli-eth/UniDepth @ 8d8cfe4, README.md and unidepth/models"
_UNIK3D = "lpiccinelli-eth/UniK3D @ 29f7862, README.md and unik3d/models/unik3d.py"
_METRIC3D = "YvanYin/Metric3D @ eb5b6fa, README.md, hubconf.py and mono/utils/do_test.py"

_MOGE_2 = {
    # size: repository, parameters as published, revision, SHA-256
    "large": (
        "Ruicheng/moge-2-vitl",
        326_000_000,
        "39c4d5e957afe587e04eec59dc2bcc3be5ecd968",
        "3eefd4abb2102f38f12b2d1992e5ff15e4923e5431c67dd494afe157e0111cd5",
    ),
    "large-normal": (
        "Ruicheng/moge-2-vitl-normal",
        331_000_000,
        "cb0e8bbd6b1e243589717c78e750b1ba4c093acf",
        "280741fd09bc3f403ccff9967784c2a391b52d2c0742ae3efdb21d9f90cc1a01",
    ),
    "base-normal": (
        "Ruicheng/moge-2-vitb-normal",
        104_000_000,
        "54ad3a693e61907ea4633d13dec6ee682fa09419",
        None,
    ),
    "small-normal": (
        "Ruicheng/moge-2-vits-normal",
        35_000_000,
        "679230677b4d282c6f304189a93e98e14f085902",
        "79a16621928c2bf0ed04659218c55c01075e950507f40bb3332fb4c873d3e1dc",
    ),
}
_UNIDEPTH_2 = {
    "large": (
        "52b349b514bd8b47642f67ac78cb7b5dc5c51dd9",
        "ba73d3de735302ccc64a50f1e557122050c4b1893e6060b28dba05d6af3e67c6",
    ),
    "base": (
        "6830c15e415da7f94babbe0e83b46e1a04bc28ea",
        "871289bd6464fc1a8088fcd2a9bbe39f7746aa40cfa562c608f8e928bf053597",
    ),
    "small": (
        "038c238f06c87b6c2f5b3749fd51fbf442b1f218",
        "93705cb3295dd7476b44911b8a55f5215bf74e8d5eccd27cecdb1b338270a648",
    ),
}
_METRIC3D_2 = {
    # size: entry point, key in MODEL_TYPE, file, SHA-256
    "giant": ("metric3d_vit_giant2", "ViT-giant2", "metric_depth_vit_giant2_800k.pth", None),
    "large": (
        "metric3d_vit_large",
        "ViT-Large",
        "metric_depth_vit_large_800k.pth",
        "15328ffc42b528b95f188687418f6f03b3f123eb34ccdbd686c112abbea6d972",
    ),
    "small": (
        "metric3d_vit_small",
        "ViT-Small",
        "metric_depth_vit_small_800k.pth",
        "b34b2a2be9148054991cef7e417930e1320602ba7bc503b0ee4e7888543728f6",
    ),
}


def entries() -> Iterator[ModelEntry]:
    """Family by family, the larger first."""
    yield from _moge()
    yield from _depth_anything_3()
    yield from _unidepth()
    yield from _unik3d()
    yield from _metric3d()
    yield _geowizard()
    yield _depthfm()


def _row(name: str, environment: str, worker: str, **fields: Any) -> ModelEntry:
    options = {"environment": environment, "worker": worker, **fields.pop("options", {})}
    fields["summary"] += f"; in the environment '{environment}', whose own package downloads the weights"
    return ModelEntry(name=name, factory=FACTORY, options=options, **fields)


def _moge() -> Iterator[ModelEntry]:
    settable = {"resolution_level": 9, "mask": False}
    first = _row(
        "moge-1-large",
        "moge",
        "moge",
        output=Output.DEPTH,
        summary="MoGe, ViT-L: depth of affine-invariant points",
        licence="MIT",
        parameters=314_000_000,
        source="Ruicheng/moge-vitl",
        revision="ad326bfb61facd6c52b5a825bc1e34d7c97d9672",
        file="model.pt",
        settable=settable,
        paper="MoGe, CVPR 2025, arXiv 2410.19115",
        sources=(_MOGE,),
        options={"version": "v1", "precisions": ("fp32", "fp16")},
    )
    yield first
    for size, (source, parameters, revision, sha256) in _MOGE_2.items():
        normals = " and normals" if size.endswith("normal") else ""
        yield replace(
            first,
            name=f"moge-2-{size}",
            output=Output.METRIC,
            summary=first.summary.replace(
                "MoGe, ViT-L: depth of affine-invariant points",
                f"MoGe-2, ViT-{size[0].upper()}: depth of metric points{normals}",
            ),
            parameters=parameters,
            source=source,
            revision=revision,
            sha256=sha256,
            paper="MoGe-2, arXiv 2507.02546",
            sources=(_MOGE, _LISTS) if sha256 else (_MOGE,),
            options={**first.options, "version": "v2"},
        )


def _depth_anything_3() -> Iterator[ModelEntry]:
    mono = _row(
        "depth-anything-3-mono-large",
        "depth-anything-3",
        "depth_anything_3",
        output=Output.DEPTH,
        summary="Depth Anything 3, monocular model: depth, not disparity",
        licence="Apache-2.0",
        parameters=350_000_000,
        source="depth-anything/DA3MONO-LARGE",
        revision="f465978e618db8cc79c83b8bbf24964857db1875",
        file="model.safetensors",
        sha256="7a799a7f95eb8d4c404c2ca8be3dc3276b350a417ddc4420db72ba850cc0e960",
        settable={"processing_resolution": 504},
        paper="Depth Anything 3, arXiv 2511.10647",
        sources=(_DA3,),
    )
    yield mono
    yield replace(
        mono,
        name="depth-anything-3-metric-large",
        output=Output.METRIC,
        summary=mono.summary.replace(
            "monocular model: depth, not disparity", "metric model: metres for a known focal length"
        ),
        source="depth-anything/DA3METRIC-LARGE",
        revision="4010e39f3634a45bc60553321fb49fb760bd594e",
        sha256="bbea5b0b3ee389849cffa7ddae89de064a90abd2b055fc5aa99aac68db324776",
        settable={"processing_resolution": 504, "focal": 0.0},
        sources=(_DA3, _LISTS),
        options={
            **mono.options,
            "metric": True,
            "notes": (
                "metres are proportional to the focal length in pixels of the image (option focal; 0: a horizontal "
                "field of view of 60 degrees is assumed): without the true one, errors of metric depth mean nothing",
            ),
        },
    )


def _unidepth() -> Iterator[ModelEntry]:
    note = "no intrinsics were given: the camera is the one that the model predicts"
    rows: list[tuple[str, str, str, int | None, str | None, str | None]] = [
        ("v1-large", "unidepth-v1-vitl14", "UniDepthV1", 347_000_000, None, None),
        ("v1-convnext-large", "unidepth-v1-cnvnxtl", "UniDepthV1", None, None, None),
    ]
    rows += [
        (f"v2-{size}", f"unidepth-v2-vit{size[0]}14", "UniDepthV2", None, revision, sha256)
        for size, (revision, sha256) in _UNIDEPTH_2.items()
    ]
    for variant, repository, kind, parameters, revision, sha256 in rows:
        version = variant[:2]
        backbone = "ConvNeXt-L" if "convnext" in variant else f"ViT-{variant[3].upper()}"
        yield _row(
            f"unidepth-{variant}",
            "unidepth",
            "unidepth",
            output=Output.METRIC,
            summary=f"UniDepth {version}, {backbone}, with its own camera",
            licence="CC-BY-NC-4.0",
            parameters=parameters,
            source=f"lpiccinelli/{repository}",
            revision=revision,
            file="model.safetensors",
            sha256=sha256,
            paper="UniDepth, CVPR 2024, arXiv 2403.18913" if version == "v1" else "UniDepthV2, arXiv 2502.20110",
            sources=(_UNIDEPTH, _LISTS) if sha256 else (_UNIDEPTH,),
            options={"class": kind, "notes": (note,)},
        )


def _unik3d() -> Iterator[ModelEntry]:
    for size in ("large", "base", "small"):
        yield _row(
            f"unik3d-{size}",
            "unik3d",
            "unik3d",
            output=Output.METRIC,
            summary=f"UniK3D, ViT-{size[0].upper()}: depth of metric points for any camera, with its own camera",
            licence="CC-BY-NC-4.0",
            source=f"lpiccinelli/unik3d-vit{size[0]}",
            file="model.safetensors",
            paper="UniK3D, CVPR 2025, arXiv 2503.16591",
            sources=(_UNIK3D,),
            options={"notes": ("no camera was given: it is the one that the model predicts",)},
        )


def _metric3d() -> Iterator[ModelEntry]:
    for size, (entry_point, kind, file, sha256) in _METRIC3D_2.items():
        yield _row(
            f"metric3d-v2-{size}",
            "metric3d",
            "metric3d",
            output=Output.METRIC,
            summary=f"Metric3D v2, ViT-{size[0].upper()}: metres for a known focal length",
            licence=None,
            parameters=1_378_000_000 if size == "giant" else None,
            source="JUGGHM/Metric3D",
            file=file,
            sha256=sha256,
            settable={"focal": 1000.0},
            paper="Metric3D v2, TPAMI 2024, arXiv 2404.15506",
            sources=(_METRIC3D,),
            options={
                "entry_point": entry_point,
                "type": kind,
                "notes": (
                    "metres are proportional to the focal length in pixels of the image (option focal; 1000 is the "
                    "authors' default for unknown cameras): without the true one, errors of metric depth mean nothing",
                    "the code is BSD-2-Clause; no licence of the weights is stated",
                ),
            },
        )


def _geowizard() -> ModelEntry:
    return _row(
        "geowizard",
        "geowizard",
        "geowizard",
        output=Output.DEPTH,
        summary="GeoWizard, depth by diffusion; steps and ensemble as its authors compare it",
        licence="CC-BY-4.0",
        source="lemonaddie/geowizard",
        settable={"steps": 50, "ensemble": 10, "processing_resolution": 768, "domain": "indoor", "seed": 0},
        paper="GeoWizard, ECCV 2024, arXiv 2403.12013",
        sources=("fuxiao0719/GeoWizard @ deee629, README.md and geowizard/run_infer.py",),
        options={
            "predict_timeout": 6 * 3600,
            "notes": ("the domain (indoor, outdoor or object) is an option that has to fit the dataset",),
        },
    )


def _depthfm() -> ModelEntry:
    return _row(
        "depthfm",
        "depthfm",
        "depthfm",
        output=Output.DEPTH,
        summary="DepthFM, depth by flow matching",
        licence="MIT",
        parameters=891_000_000,
        source="https://ommer-lab.com/files/depthfm/depthfm-v1.ckpt",
        file="depthfm-v1.ckpt",
        settable={"steps": 2, "ensemble": 4, "processing_resolution": 0, "seed": 0},
        paper="DepthFM, AAAI 2025, arXiv 2403.13788",
        sources=("CompVis/depth-fm @ da632c8, README.md, inference.py and depthfm/dfm.py",),
        options={
            "vae": "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "notes": (
                "its code names the autoencoder of a removed repository (runwayml/stable-diffusion-v1-5); "
                "the mirror under stable-diffusion-v1-5 is used",
            ),
        },
    )
