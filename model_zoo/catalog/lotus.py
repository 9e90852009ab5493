"""Lotus: one evaluation of a Stable Diffusion 2 U-Net that predicts the clean latent; G from noise, D without.

The evaluation scripts process NYU and KITTI at native size (`-o processing_resolution=0`), ETH3D at 768 and DIODE at
640, in half precision with seed 42, and align the disparity models in disparity. 768 is the pipeline's default.

Licences: the repository is Apache-2.0; the cards of the weights name no licence of their own.

Revisions and SHA-256 of the first two were read in the validation notes and converter of a public native port, whose
file sizes and tensor counts are those of these networks; the revision of the generative disparity model in a public
audit that lists its cached files.
"""

from __future__ import annotations

from collections.abc import Iterator

from dabench.types import ModelEntry, Output

from .marigold import EXTRA, FACTORY, REQUIRES, TEXT, UNET, VAE

_PAPER = "Lotus, ICLR 2025, arXiv 2409.18124"
_REPOSITORY = "EnVision-Research/Lotus @ b737e12"
_PORT = "revision and SHA-256: the validation notes and prompt converter of InferBridge's native Lotus"
_AUDIT = "revision: a public audit of Iris on MS2, which names the cached snapshot"

_PARAMETERS = {"g": 867_568_324 + 83_653_863, "d": 867_556_804 + 83_653_863}
"""U-Net with its class embedding, and VAE; G has twice the input channels."""

_FILES = (UNET, "unet/config.json", VAE, "vae/config.json", *TEXT)
"""The scheduler has no part in a single prediction of the clean latent."""


def entries() -> Iterator[ModelEntry]:
    """Depth before disparity, as they were released; G before D."""
    yield _lotus(
        "g",
        "v1.0",
        Output.DEPTH,
        revision="d8f1b0835745cb1ef5c8b89528c8d37bc764a37b",
        sha256="41a8d50a989a757016251e170f39b6ac90e1ff324a90ae88c9a762ec549d0f34",
        sources=(_PORT,),
    )
    yield _lotus(
        "d",
        "v1.0",
        Output.DEPTH,
        revision="9b858ffdbec93117d50de899e8bccf64345d8f3b",
        sha256="66f32e128f0f85a6f2d72893f56c663f8abde5a76678180b0eb51b1f3ed44899",
        sources=(_PORT,),
    )
    yield _lotus("g", "v2.1", Output.DISPARITY, revision="5a6f234319ae90f4bdf1b2d326a575e2715eb40d", sources=(_AUDIT,))
    yield _lotus("d", "v2.0", Output.DISPARITY)


def _lotus(
    kind: str,
    release: str,
    output: Output,
    *,
    revision: str | None = None,
    sha256: str | None = None,
    sources: tuple[str, ...] = (),
) -> ModelEntry:
    suffix = "-disparity" if output is Output.DISPARITY else ""
    generative = kind == "g"
    return ModelEntry(
        name=f"lotus-{kind}-{release}{suffix}",
        output=output,
        summary="generative, one step from seeded noise" if generative else "discriminative, one step, no noise",
        factory=FACTORY,
        licence="Apache-2.0",
        parameters=_PARAMETERS[kind],
        source=f"jingheya/lotus-depth-{kind}-{release.replace('.', '-')}{suffix}",
        revision=revision,
        file=UNET,
        files=_FILES,
        requires=REQUIRES,
        extra=EXTRA,
        settable={**({"seed": 42} if generative else {}), "processing_resolution": 768},
        sha256=sha256,
        paper=_PAPER,
        sources=(
            f"{_REPOSITORY}, pipeline.py, eval.py, LICENSE",
            f"{_REPOSITORY}, datasets/eval/depth/configs (native size on NYU and KITTI, 768 on ETH3D, 640 on DIODE)",
            *sources,
        ),
        options={"method": f"lotus-{kind}"},
    )
