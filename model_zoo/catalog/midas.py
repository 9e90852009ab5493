"""MiDaS v3.0 (DPT) and v3.1 through transformers: affine-invariant disparity.

The files are the ones that transformers' authors converted under the organisation of MiDaS' authors. Their weights are
those of the releases; the image processor's settings are given here, as `midas/model_loader.py` has them. One departs:
transformers' networks of v3.0 take square images only, the hybrid only of 384 px, where the original keeps the aspect
ratio (see :mod:`model_zoo.transformers_depth`).

Revisions and SHA-256 were read from the hub's own pages of the files, and from an audit of the configurations that
names the commits; where no page was found, they are pinned on first use. The hybrid is taken in PyTorch's own format
(read as weights only): the other one is on a branch of the hub's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dabench.types import ModelEntry, Output

FACTORY = "model_zoo.transformers_depth:load"
SAFETENSORS = "model.safetensors"
_V30 = "Vision Transformers for Dense Prediction, ICCV 2021, arXiv 2103.13413"
_V31 = "MiDaS v3.1, arXiv 2307.14460"
_CODE = "isl-org/MiDaS @ 4545977, midas/model_loader.py (input rule), README.md (parameters)"

_AUDIT = "a public audit of transformers' DPT configurations, which lists the repositories' commits (revision)"
_AUDITED = {"midas-v3.1-beit-b-384", "midas-v3.1-swin2-t-256", "midas-v3.0-dpt-hybrid"}


class _Row(NamedTuple):
    name: str
    repository: str
    encoder: str
    parameters: int
    size: int
    square: bool = False
    fixed: bool = False
    revision: str | None = None
    sha256: str | None = None
    file: str = SAFETENSORS


_ROWS = (
    _Row(
        "midas-v3.1-beit-l-512",
        "Intel/dpt-beit-large-512",
        "BEiT-L",
        345_000_000,
        512,
        revision="ead58c150f1fcebca5de8edc0fbc80a947572243",
        sha256="1b8f53dd5004a5c8f33ddf8998803fcf566bfb40b8d189531ac4946d488a7364",
    ),
    _Row(
        "midas-v3.1-beit-l-384",
        "Intel/dpt-beit-large-384",
        "BEiT-L",
        344_000_000,
        384,
        sha256="0d353badaf2cb08a05ab343cc70d1895c769ff1da34da4e2962c08dce8d4d1a1",
    ),
    _Row(
        "midas-v3.1-beit-b-384",
        "Intel/dpt-beit-base-384",
        "BEiT-B",
        112_000_000,
        384,
        revision="e22f6ad701b672c643643c403a3fa7da27515222",
        sha256="6ce0e6f0620e5d8fbb515721e6c668c49e24fb738ef6c2f8f0d472b5582170b9",
    ),
    _Row("midas-v3.1-swin2-l-384", "Intel/dpt-swinv2-large-384", "Swin V2-L", 213_000_000, 384, square=True),
    _Row("midas-v3.1-swin2-b-384", "Intel/dpt-swinv2-base-384", "Swin V2-B", 102_000_000, 384, square=True),
    _Row(
        "midas-v3.1-swin2-t-256",
        "Intel/dpt-swinv2-tiny-256",
        "Swin V2-T",
        42_000_000,
        256,
        square=True,
        revision="f7f350e1a10a5ea58671b68ab5f49dc18ec00483",
        sha256="b11e8b50dee40e953a1c38c9d9330e3bf5512247389b87b74d0c47c263b64983",
    ),
    _Row(
        "midas-v3.0-dpt-large",
        "Intel/dpt-large",
        "ViT-L",
        344_000_000,
        384,
        square=True,
        revision="cc27b92e869fc79f52a0241addbbcd1579b66b11",
        sha256="c173e7fd575c4d6c2164621063fed3a0e7e2eb6adbfb7c1845b364bc0fed9ce8",
    ),
    _Row(
        "midas-v3.0-dpt-hybrid",
        "Intel/dpt-hybrid-midas",
        "ResNet-50 and ViT-B",
        123_000_000,
        384,
        square=True,
        fixed=True,
        revision="11eaf7a1cf4bd70740697dbc216f98980c0aeb03",
        file="pytorch_model.bin",
    ),
)


def entries() -> Iterator[ModelEntry]:
    """The newer release first, then by size."""
    for row in _ROWS:
        yield _entry(row)


def _entry(row: _Row) -> ModelEntry:
    processor: dict[str, Any] = {
        "size": {"height": row.size, "width": row.size},
        "keep_aspect_ratio": not row.square,
        "ensure_multiple_of": 32,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "do_pad": False,
    }
    release = "3.1" if "v3.1" in row.name else "3.0"
    options: dict[str, Any] = {"architecture": "DPTForDepthEstimation", "processor": processor}
    if not row.fixed:
        options["multiple"] = 32
    pins = []
    if row.sha256:
        pins.append(f"huggingface.co/{row.repository}, page of {row.file} (SHA-256)")
    if row.revision:
        pins.append(
            _AUDIT if row.name in _AUDITED else f"huggingface.co/{row.repository}, page of the commit (revision)"
        )
    return ModelEntry(
        name=row.name,
        output=Output.DISPARITY,
        summary=f"MiDaS v{release}, {row.encoder} encoder, {row.size} px{' square' if row.square else ''}",
        factory=FACTORY,
        status="downloadable",
        licence="MIT",
        parameters=row.parameters,
        source=row.repository,
        revision=row.revision,
        file=row.file,
        files=(row.file, "config.json", "preprocessor_config.json"),
        requires=("transformers",),
        extra="zoo",
        sha256=row.sha256,
        paper=_V31 if release == "3.1" else _V30,
        sources=(_CODE, *pins),
        options=options,
    )
