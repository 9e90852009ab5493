"""The fields of a protocol file, their defaults and their meanings.

Every choice that changes a number is a field with a closed set of values, so that two protocols can be compared field
by field. A default is what a file means that does not mention the field; it never changes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

# TOML can say inf and nan; neither is a depth, and a bound of a thousand kilometres refuses both.
Positive = Annotated[float, Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0, le=1e6)]
Count = Annotated[int, Meta(gt=0)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9.]+)*$")]
Output = Literal["disparity", "depth", "metric"]

AlignmentMethod = Literal[
    "least-squares-disparity",
    "least-squares-depth",
    "least-squares-scale",
    "ridge-depth",
    "median-ratio",
    "lower-median-ratio",
    "median-of-ratios",
    "weiszfeld-scale",
    "l1-depth",
    "l1-scale",
    "lad-depth",
    "none",
    "refuse",
]


class DatasetSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which samples: dataset, split, and how many there must be (``None``: any number)."""

    name: Name
    split: str = "all"
    expected: Count | None = None
    expected_of: Literal["images", "pairs"] = "images"


class QuantileLimit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ground truth counts up to ``factor`` times its own quantile of order ``share`` in the image (MoGe)."""

    share: Annotated[float, Meta(gt=0, lt=1)]
    factor: Positive


class ValidRange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ground truth counts where ``min < g < max`` (metres) and the dataset marks it valid.

    field: which ground truth of the dataset. min_inclusive, max_inclusive: whether the bound itself counts.
    clip_to: ground truth beyond this is set to it before anything else, so that it counts (sky in Sintel).
    min_pixels: an image with fewer valid pixels is empty.
    """

    field: Name = "depth"
    min: NotNegative = 0.0
    max: Positive | None = None
    min_inclusive: bool = False
    max_inclusive: bool = False
    clip_to: Positive | None = None
    quantile_limit: QuantileLimit | None = None
    min_pixels: Count = 1


class Crop(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which part of the image the model sees, and which pixels count.

    image: ``full``, or ``kb`` (the bottom centre 352 x 1216 of KITTI).
    frame: what ``region`` is measured in, the ``full`` image or its ``kb`` crop; "KB crop and Garg" exists with both.
    region: ``none``; ``garg`` or ``eigen`` (fractions of the frame, truncated to whole pixels); ``garg-rounded`` (the
        same fractions, rounded); or half-open ``[top, bottom, left, right]`` in pixels of the frame, cut at its border.
    """

    image: Literal["full", "kb"] = "full"
    frame: Literal["full", "kb"] = "full"
    region: Literal["none", "garg", "garg-rounded", "eigen"] | tuple[int, int, int, int] = "none"


class Resampling(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a prediction of another size is brought to the size of the ground truth (never the other way round).

    mode: no mode averages what it shrinks. ``bicubic`` is that of OpenCV and torch (a = -0.75).
    """

    mode: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    align_corners: bool = False


class Inference(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the source does when it predicts. flip: the prediction is the mean of the image's and its mirror image's.

    input_size: words on the size that the source feeds its network, for the reader; the model decides.
    """

    flip: bool = False
    input_size: str = ""


class Alignment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a prediction of each output kind is brought to metres.

    disparity, depth, metric: the method for that output. A disparity that is aligned in depth is inverted first, a
    depth that is aligned in disparity likewise, and only because the file says so.
        ``least-squares-disparity``: scale and shift to 1/g, floored, inverted. ``least-squares-depth``: scale and shift
        to g. ``least-squares-scale``: scale alone. ``ridge-depth``: as least squares with 1e-9 on the diagonal.
        ``median-ratio``: median(g) / median(p); ``lower-median-ratio``: with the lower of two middle values, as
        torch.median has it. ``median-of-ratios``: median(g / p). ``weiszfeld-scale``: ten reweighted rounds towards the
        least absolute deviation. ``l1-depth``, ``l1-scale``: exact minimum of sum |s p + t - g| / g on a 64 x 64 grid.
        ``lad-depth``: scale and shift of least absolute deviation.
        ``none``: taken as it is. ``refuse``: not scored under this protocol.
    scope: one fit an ``image``, or one for all images of a ``sequence``.
    disparity_floor: aligned disparity is raised to this, in 1/metres; ``max-ground-truth`` is 1 / max(g) of the image.
    depth_range: the compared depth is clipped to this, metres.
    fit_on: the fit uses every ``usable`` prediction, or of those the ``positive`` ones.
    fit_floor: predictions are raised to this before the fit.
    fit_max_side: the fit uses nearest-neighbour samples of the maps, with at most this longer side.
    degenerate: a fit without a solution predicts the mean (``constant``) or the far end of the range (``farthest``).
    negative_scale: ``keep``, or fall back to ``median-ratio``.
    unusable: a value that cannot be used counts, for each metric, as the ``worst`` end of the range; or, with
        ``range-ends``, infinity as the far end and anything else as the near end.
    """

    disparity: AlignmentMethod = "least-squares-disparity"
    depth: AlignmentMethod = "least-squares-depth"
    metric: AlignmentMethod = "none"
    scope: Literal["image", "sequence"] = "image"
    disparity_floor: Positive | Literal["max-ground-truth"] = "max-ground-truth"
    depth_range: tuple[Positive, Positive | Literal["max-ground-truth"]] = (1e-3, "max-ground-truth")
    fit_on: Literal["usable", "positive"] = "usable"
    fit_floor: Positive | None = None
    fit_max_side: Count | None = None
    degenerate: Literal["constant", "farthest"] = "constant"
    negative_scale: Literal["keep", "median-ratio"] = "keep"
    unusable: Literal["worst", "range-ends"] = "worst"

    def method(self, output: str) -> str:
        """The method for one output kind."""
        return {"disparity": self.disparity, "depth": self.depth, "metric": self.metric}[output]


class Comparison(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a pair is decided: the strictly larger disparity (smaller depth) at the pixel [row, col] is closer."""

    sampling: Literal["pixel"] = "pixel"
    tie: Literal["wrong"] = "wrong"
    non_finite: Literal["wrong"] = "wrong"
    failed_sample: Literal["wrong"] = "wrong"


class Aggregation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How images become one number, and which interval is printed beside it.

    ``mean-of-images``: mean of per-image metrics. ``valid-weighted-mean``: weighted by valid pixels.
    ``mean-of-sequences``: mean over sequences of the mean over their images. ``pooled-pairs``: correct / all pairs.
    """

    total: Literal["pooled-pairs", "mean-of-images", "valid-weighted-mean", "mean-of-sequences"]
    total_interval: Literal["bootstrap-by-image"] = "bootstrap-by-image"
    group_interval: Literal["wilson", "bootstrap-by-image"]


class Expected(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number from the literature or an independent rerun, for comparison with ours.

    tolerance: relative difference up to which a run counts as agreeing (None: nothing was claimed). note: what to know.
    """

    model: str
    metric: str
    value: float
    kind: Literal["published", "reproduced"]
    by: str
    tolerance: Positive | None = None
    note: str = ""


class Protocol(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A validated recipe. ``text`` is the file it came from and ``sha256`` the hash of that text.

    status: ``reproduces`` (an independent run got the published number), ``published-only`` (the source's recipe;
    nobody is known to have rerun it), ``unreproduced`` (the best known recipe, which gives another number)
    or ``house`` (ours). space: errors are measured on ``depth`` or on ``disparity`` (p and g replaced by 1/p and 1/g).
    """

    name: Name
    version: Count
    task: Literal["pairs", "depth"]
    title: str
    status: Literal["reproduces", "published-only", "unreproduced", "house"]
    description: str
    sources: Annotated[tuple[str, ...], Meta(min_length=1)]
    dataset: DatasetSpec
    metrics: Annotated[tuple[str, ...], Meta(min_length=1)]
    aggregation: Aggregation
    default: bool = False
    space: Literal["depth", "disparity"] = "depth"
    valid: ValidRange | None = None
    crop: Crop = Crop()
    resampling: Resampling = Resampling()
    inference: Inference = Inference()
    alignment: Alignment | None = None
    comparison: Comparison | None = None
    expected: tuple[Expected, ...] = ()
    text: str = ""
    sha256: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]
