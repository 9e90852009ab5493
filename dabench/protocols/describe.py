"""A protocol in plain words, in the order in which a person would do it by hand, and the difference of two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from dabench.protocols import all_protocols
from dabench.protocols.schema import Alignment, Crop, Expected, Protocol, ValidRange
from dabench.scoring.crops import crop_box

# (height, width) of the images a protocol of this dataset meets, for showing what a crop means in pixels.
USUAL_SIZES: dict[str, tuple[tuple[int, int], ...]] = {
    "kitti": ((375, 1242), (376, 1241), (374, 1238), (370, 1226), (370, 1224)),
    "nyu-d": ((480, 640),),
    "sintel": ((436, 1024),),
    "eth3d": ((4032, 6048),),
    "diode": ((768, 1024),),
}
# No depth is outside this range, so that a protocol that names it does not clip.
UNCLIPPED = (1e-6, 1e6)
OUTPUTS = ("disparity", "depth", "metric")
STATUS_WORDS = {
    "reproduces": "an independent run agrees with the published numbers",
    "published-only": "the recipe of its source; nobody is known to have rerun it",
    "unreproduced": "the best known recipe; independent runs get other numbers",
    "house": "dabench's own",
}
MARKS = ("Trap", "Differs", "Evidence")
NOT_COMPUTED = ("name", "version", "title", "status", "description", "sources", "default", "expected", "text", "sha256")


@dataclass(frozen=True)
class Step:
    """One thing that is done, in words.

    Attributes:
        title: one or two words.
        text: what is done.
        fields: the fields of the protocol file that the words stand for, dotted.
    """

    title: str
    text: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """What one protocol does and another does differently: a step's title, or a field's name, and both texts."""

    title: str
    first: str
    second: str


@dataclass(frozen=True)
class Description:
    """The parts of a description: paragraphs as they come, and those marked ``Trap:``, ``Differs:``, ``Evidence:``.

    Attributes:
        summary: what the protocol is.
        evidence: why the recipe is believed to be right.
        traps: what makes others arrive at another number.
        differs: where this file departs from its source.
    """

    summary: tuple[str, ...]
    evidence: tuple[str, ...]
    traps: tuple[str, ...]
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """Expected numbers of one model from one source.

    Attributes:
        values: ``(metric, value)``, in the order of the file.
        tolerance: relative difference up to which a run counts as agreeing, or None.
    """

    model: str
    values: tuple[tuple[str, float], ...]
    kind: str
    by: str
    tolerance: float | None
    note: str


def description(protocol: Protocol) -> Description:
    """Split a protocol's description into its parts; each paragraph on one line."""
    parts: dict[str, list[str]] = {"": [], **{mark: [] for mark in MARKS}}
    for paragraph in protocol.description.strip().split("\n\n"):
        line = " ".join(paragraph.split())
        mark = next((m for m in MARKS if line.startswith(m + ": ")), "")
        text = line.removeprefix(mark + ": ") if mark else line
        parts[mark].append(text if text.split(" ", 1)[0] in protocol.metrics else text[:1].upper() + text[1:])
    return Description(tuple(parts[""]), tuple(parts["Evidence"]), tuple(parts["Trap"]), tuple(parts["Differs"]))


def expected_numbers(protocol: Protocol) -> tuple[Expected, ...]:
    """The expected numbers, or those of the version before where a corrected version states none of its own.

    A correction brings a file nearer to its source; what the source printed stays the same.
    """
    known = all_protocols()
    earlier = (f"{protocol.name}@{version}" for version in range(protocol.version - 1, 0, -1))
    for version in (protocol, *(known[name] for name in earlier if name in known)):
        if version.expected:
            return version.expected
    return ()


def references(protocol: Protocol) -> list[Reference]:
    """The expected numbers, one entry for each model, source and note."""
    merged: dict[tuple[Any, ...], list[tuple[str, float]]] = {}
    for entry in expected_numbers(protocol):
        key = (entry.model, entry.kind, entry.by, entry.tolerance, entry.note)
        merged.setdefault(key, []).append((entry.metric, entry.value))
    return [Reference(k[0], tuple(values), k[1], k[2], k[3], k[4]) for k, values in merged.items()]


def steps(protocol: Protocol) -> list[Step]:
    """What is done under a protocol, in order."""
    return list(_pair_steps(protocol) if protocol.task == "pairs" else _depth_steps(protocol))


def differences(first: Protocol, second: Protocol) -> list[Difference]:
    """Where two protocols compute something else, step by step; empty when only names, numbers or sources differ.

    A field that no step speaks of, and that differs, is listed under its own name: nothing that changes a number is
    left out.
    """
    mine, theirs = ({step.title: step for step in steps(p)} for p in (first, second))
    found = []
    told: set[str] = set()
    for title in [*mine, *(t for t in theirs if t not in mine)]:
        texts = [step.text if step else "nothing" for step in (mine.get(title), theirs.get(title))]
        told |= {f for step in (mine.get(title), theirs.get(title)) if step for f in step.fields}
        if texts[0] != texts[1]:
            found.append(Difference(title, *texts))
    fields = [dict(_flat(msgspec.to_builtins(p))) for p in (first, second)]
    for name in sorted(set(fields[0]) | set(fields[1])):
        values = [f.get(name) for f in fields]
        if values[0] != values[1] and name not in told and name.partition(".")[0] not in NOT_COMPUTED:
            found.append(Difference(name, str(values[0]), str(values[1])))
    return found


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and prefix != "valid.quantile_limit":
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else key)
    elif value is not None:
        yield prefix, value


def _images(protocol: Protocol) -> Step:
    dataset = protocol.dataset
    size = f"{dataset.expected} {dataset.expected_of}" if dataset.expected else "any number of images"
    fields = ("dataset.name", "dataset.split", "dataset.expected", "dataset.expected_of")
    return Step("images", f"{size} of {dataset.name}, split {dataset.split}", fields)


def _pair_steps(protocol: Protocol) -> Iterator[Step]:
    yield _images(protocol)
    yield Step(
        "prediction", "the map is brought to the size of the original image", ("inference.flip", "inference.input_size")
    )
    yield Step("read at", "the pixel [row, col] of each point", ("comparison.sampling",))
    yield Step("closer is", "the strictly larger disparity, or the strictly smaller depth", ())
    wrong = ("comparison.tie", "comparison.non_finite", "comparison.failed_sample")
    yield Step("counts wrong", "a tie, a non-finite value, every pair of a failed image", wrong)
    measured = {"accuracy": "accuracy, the share of right pairs", "whdr": "whdr, the share of wrong pairs"}
    yield Step("measured", ", ".join(measured.get(m, m) for m in protocol.metrics), ("metrics",))
    yield _total(protocol)


def _depth_steps(protocol: Protocol) -> Iterator[Step]:
    valid, alignment, crop = protocol.valid, protocol.alignment, protocol.crop
    assert valid is not None and alignment is not None, "the loader refuses a depth protocol without them"
    yield _images(protocol)
    sees = "the whole image" if crop.image == "full" else "the bottom centre 352 x 1216 of the image (KB crop)"
    yield Step("model sees", sees, ("crop.image",))
    if protocol.inference.input_size:
        words = f"in the source {protocol.inference.input_size}; here the model decides"
        yield Step("network size", words, ("inference.input_size",))
    if protocol.inference.flip:
        yield Step("mirror", "prediction is the mean over the image and its mirror image", ("inference.flip",))
    corners = "true" if protocol.resampling.align_corners else "false"
    yield Step(
        "resize",
        f"a prediction of another size is brought to the ground truth's, {protocol.resampling.mode} "
        f"(align_corners {corners}); never the other way round",
        ("resampling.mode", "resampling.align_corners"),
    )
    yield Step("ground truth", _valid_words(valid), tuple(f"valid.{f}" for f in ValidRange.__struct_fields__))
    yield Step("crop", crop_words(crop, protocol.dataset.name), ("crop.frame", "crop.region"))
    for output in OUTPUTS:
        words = method_words(alignment.method(output), output)
        yield Step(f"{output} model", words, (f"alignment.{output}",))
    yield from _fit_steps(alignment)
    if protocol.space == "disparity":
        yield Step("error is in", "disparity: p and g are replaced by 1/p and 1/g before measuring", ("space",))
    else:
        yield Step("error is in", "depth", ("space",))
    yield Step("measured", ", ".join(protocol.metrics), ("metrics",))
    yield _total(protocol)


def _fit_steps(alignment: Alignment) -> Iterator[Step]:
    methods = {alignment.method(output) for output in OUTPUTS} - {"refuse", "none"}
    if methods:
        yield Step("fit", _fit_words(alignment), tuple(f"alignment.{f}" for f in FIT_FIELDS))
    if "least-squares-disparity" in methods:
        floor = alignment.disparity_floor
        words = "1 / max(g) of the image" if isinstance(floor, str) else f"{_reciprocal(floor)} per metre"
        yield Step("floor", f"aligned disparity is not below {words}", ("alignment.disparity_floor",))
    near, far = alignment.depth_range
    if (near, far) == UNCLIPPED:
        words = "none (depth stays between 1 micrometre and 1000 km)"
    else:
        words = f"depth is clipped to {_plain(near)} m .. "
        if isinstance(far, str):
            words += "max(g) of the image"
        else:
            words += "no upper end" if far == UNCLIPPED[1] else f"{_plain(far)} m"
    yield Step("clip", words, ("alignment.depth_range",))
    if alignment.unusable == "worst":
        words = "counts, for each metric, as the worse end of that range"
    else:
        words = "infinity counts as the far end of that range, anything else as the near end"
    yield Step("unusable value", words, ("alignment.unusable",))


FIT_FIELDS = ("scope", "fit_on", "fit_floor", "fit_max_side", "degenerate", "negative_scale")


def _fit_words(alignment: Alignment) -> str:
    words = ["one an image" if alignment.scope == "image" else "one for all images of a sequence"]
    words.append("over the valid pixels" + (" with a positive prediction" if alignment.fit_on == "positive" else ""))
    if alignment.fit_floor is not None:
        words.append(f"predictions raised to {alignment.fit_floor:g} before it")
    if alignment.fit_max_side is not None:
        words.append(f"on nearest-neighbour samples, longer side at most {alignment.fit_max_side}")
    if alignment.negative_scale == "median-ratio":
        words.append("a negative scale is replaced by median(g) / median(p)")
    if alignment.degenerate == "farthest":
        words.append("without a solution the far end of the range everywhere")
    else:
        words.append("without a solution the mean of the ground truth")
    return "; ".join([", ".join(words[:2]), *words[2:]])


def _valid_words(valid: ValidRange) -> str:
    if valid.max is None:
        bounds = f"g {'>=' if valid.min_inclusive else '>'} {_plain(valid.min)} m counts, without an upper bound"
    else:
        low, high = ("<=" if inclusive else "<" for inclusive in (valid.min_inclusive, valid.max_inclusive))
        bounds = f"{_plain(valid.min)} {low} g {high} {_plain(valid.max)} m counts"
    words = [f"field '{valid.field}'"]
    if valid.clip_to is not None:
        words.append(f"clipped to {valid.clip_to:g} m first")
    words.append(bounds)
    if valid.quantile_limit is not None:
        limit = valid.quantile_limit
        words.append(f"and at most {limit.factor:g} times its own {100 * limit.share:g} % quantile in the image")
    if valid.min_pixels > 1:
        words.append(f"an image with fewer than {valid.min_pixels} such pixels is left out")
    return "; ".join(words)


def crop_words(crop: Crop, dataset: str) -> str:
    """Which pixels count, with the rows and columns that this means at the usual sizes of the dataset."""
    kb = crop.frame == "kb"
    frame = "the 352 x 1216 crop" if kb else "the full image"
    if crop.region == "none":
        return "none: every pixel of " + frame
    if isinstance(crop.region, str):
        name = {"garg": "Garg", "garg-rounded": "Garg", "eigen": "Eigen"}[crop.region]
        words = f"{name} fractions of {frame}, bounds {'rounded' if crop.region == 'garg-rounded' else 'truncated'}; "
    else:
        words = "" if not kb else f"in {frame}, "
    sizes = USUAL_SIZES.get(dataset, ())
    shown: list[tuple[str, str]] = []
    for height, width in sizes:
        box = crop_box(height, width, crop.frame, crop.region)
        text = f"rows {box.top}:{box.bottom}, columns {box.left}:{box.right}"
        if not shown or text != shown[-1][1]:
            shown.append((f"{height} x {width}", text))
    if not shown and not isinstance(crop.region, str):
        top, bottom, left, right = crop.region
        return words + f"rows {top}:{bottom}, columns {left}:{right}"
    place = " of the full image" if kb else ""
    return words + "; ".join(f"{text}{place} at {size}" for size, text in shown)


def method_words(method: str, output: str) -> str:
    """What an alignment method does to a prediction of an output kind."""
    if method == "refuse":
        return "not scored under this protocol"
    if method == "none":
        return "taken as it is" + ("" if output == "metric" else ", without any fit")
    in_disparity = method == "least-squares-disparity"
    first = ""
    if in_disparity and output != "disparity":
        first = "inverted; "
    elif not in_disparity and output == "disparity":
        first = "inverted to depth; "
    return (
        first
        + {
            "least-squares-disparity": "scale and shift fitted to 1/g by least squares; inverted to depth",
            "least-squares-depth": "scale and shift fitted to g by least squares",
            "least-squares-scale": "a scale fitted to g by least squares",
            "ridge-depth": "scale and shift fitted to g by least squares with a ridge of 1e-9",
            "median-ratio": "multiplied by median(g) / median(p)",
            "lower-median-ratio": "multiplied by median(g) / median(p), each the lower of two middle values",
            "median-of-ratios": "multiplied by median(g / p)",
            "weiszfeld-scale": "a scale fitted to g by ten rounds of reweighting towards the least absolute deviation",
            "l1-depth": "scale and shift that minimise the sum of |s p + t - g| / g on a 64 x 64 grid",
            "l1-scale": "a scale that minimises the sum of |s p - g| / g on a 64 x 64 grid",
            "lad-depth": "scale and shift fitted to g by least absolute deviation",
        }[method]
    )


def _total(protocol: Protocol) -> Step:
    words = {
        "mean-of-images": "mean over images of each image's value",
        "valid-weighted-mean": "mean over images, weighted by their valid pixels",
        "mean-of-sequences": "mean over sequences of the mean over their images",
        "pooled-pairs": "pairs pooled over all images",
    }[protocol.aggregation.total]
    groups = {"wilson": "; a group's by Wilson", "bootstrap-by-image": ""}[protocol.aggregation.group_interval]
    fields = ("aggregation.total", "aggregation.total_interval", "aggregation.group_interval")
    return Step("total", f"{words}; interval by a bootstrap over images{groups}", fields)


def _plain(value: float) -> str:
    """0.00001, never 1e-05."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _reciprocal(value: float) -> str:
    """0.0125 as '1/80': a floor is a depth in disguise."""
    inverse = 1.0 / value
    whole = round(inverse)
    return f"1/{whole}" if whole > 1 and abs(inverse - whole) < 1e-6 * inverse and whole < 10_000 else _plain(value)
