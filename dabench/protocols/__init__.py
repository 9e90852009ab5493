"""Scoring recipes as data: one TOML file a protocol, validated when loaded, immutable once released.

A protocol is named ``name@version``. Changing what a released file means is a new version, never an edit.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from dabench.errors import ProtocolError, UnknownNameError
from dabench.scoring.metrics import DENSE_METRICS

# TOML can say inf and nan; neither is a depth, and a bound of a thousand kilometres refuses both.
Positive = Annotated[float, Meta(gt=0, le=1e6)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9.]+)*$")]


class DatasetSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which samples: dataset, split, and how many there must be (``None``: any number)."""

    name: Name
    split: str = "all"
    expected: Annotated[int, Meta(gt=0)] | None = None
    expected_of: Literal["images", "pairs"] = "images"


class ValidRange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ground truth counts where ``min < g < max`` (strict; metres) and the dataset marks it valid."""

    field: Literal["depth"] = "depth"
    min: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    max: Positive | None = None


class Alignment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a prediction of each output kind is brought to metres.

    ``least-squares-disparity``: scale and shift to 1/g, floored, inverted. ``least-squares-depth``: scale and shift
    to g. ``none``: taken as it is. ``refuse``: not scored under this protocol.
    ``disparity_floor``: ``max-ground-truth`` is 1 / max(g) over the image's valid pixels, a number is 1/metres.
    """

    disparity: Literal["least-squares-disparity", "refuse"] = "least-squares-disparity"
    depth: Literal["least-squares-depth", "refuse"] = "least-squares-depth"
    metric: Literal["none", "least-squares-depth", "refuse"] = "none"
    scope: Literal["image"] = "image"
    disparity_floor: Positive | Literal["max-ground-truth"] = "max-ground-truth"
    depth_range: tuple[Positive, Positive | Literal["max-ground-truth"]] = (1e-3, "max-ground-truth")
    unusable: Literal["worst"] = "worst"

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
    """How images become one number, and which interval is printed beside it."""

    total: Literal["pooled-pairs", "mean-of-images"]
    total_interval: Literal["bootstrap-by-image"] = "bootstrap-by-image"
    group_interval: Literal["wilson", "bootstrap-by-image"]


class Expected(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number from the literature or an independent rerun, for comparison with ours."""

    model: str
    metric: str
    value: float
    kind: Literal["published", "reproduced"]
    by: str


class Protocol(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A validated recipe. ``text`` is the file it came from and ``sha256`` the hash of that text."""

    name: Name
    version: Annotated[int, Meta(gt=0)]
    task: Literal["pairs", "depth"]
    title: str
    status: Literal["reproduces", "published-only", "unreproduced", "house"]
    description: str
    sources: Annotated[tuple[str, ...], Meta(min_length=1)]
    dataset: DatasetSpec
    metrics: Annotated[tuple[str, ...], Meta(min_length=1)]
    aggregation: Aggregation
    default: bool = False
    valid: ValidRange | None = None
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


def parse(text: str, origin: str) -> Protocol:
    """Validate the text of one protocol file.

    Args:
        text: TOML.
        origin: file name, for errors.

    Raises:
        ProtocolError: not TOML, an unknown or missing field, a wrong value, or sections that contradict the task.
    """
    try:
        table = tomllib.loads(text)
        written = sorted({"text", "sha256"} & set(table))
        if written:
            raise ProtocolError(f"{origin}: field '{written[0]}' is computed from the file and cannot be in it")
        protocol = msgspec.convert(
            {**table, "text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}, Protocol, strict=True
        )
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProtocolError(f"{origin}: {error}") from error
    problems = _contradictions(protocol)
    if problems:
        raise ProtocolError(f"{origin}: " + "; ".join(problems))
    return protocol


def _contradictions(protocol: Protocol) -> list[str]:
    """What no single field shows: sections that do not belong to the task, and ranges that hold nothing."""
    problems = []
    repeated = sorted({name for name in protocol.metrics if protocol.metrics.count(name) > 1})
    if repeated:
        problems.append(f"metrics names {', '.join(repeated)} twice")
    unreported = sorted({e.metric for e in protocol.expected} - set(protocol.metrics))
    if unreported:
        problems.append(f"expected gives {', '.join(unreported)}, which metrics does not report")
    if protocol.dataset.expected is None and protocol.dataset.expected_of != "images":
        problems.append("dataset.expected_of is set without dataset.expected")
    if protocol.valid is not None and protocol.valid.max is not None and not protocol.valid.min < protocol.valid.max:
        problems.append(f"valid.min {protocol.valid.min} is not below valid.max {protocol.valid.max}")
    if protocol.alignment is not None:
        near, far = protocol.alignment.depth_range
        if not isinstance(far, str) and not near < far:
            problems.append(f"alignment.depth_range starts at {near}, which is not below its end {far}")
    if protocol.task == "pairs":
        if protocol.metrics != ("accuracy",):
            problems.append("a pairs protocol reports exactly one metric, 'accuracy'")
        if protocol.comparison is None:
            problems.append("a pairs protocol needs a [comparison] section")
        if protocol.valid is not None or protocol.alignment is not None:
            problems.append("a pairs protocol has no [valid] or [alignment] section: nothing is aligned")
        if protocol.aggregation.total != "pooled-pairs":
            problems.append("a pairs protocol pools pairs (aggregation.total = 'pooled-pairs')")
    else:
        unknown = sorted(set(protocol.metrics) - set(DENSE_METRICS))
        if unknown:
            problems.append(f"unknown metrics {', '.join(unknown)}; known: {', '.join(DENSE_METRICS)}")
        if protocol.valid is None or protocol.alignment is None:
            problems.append("a depth protocol needs [valid] and [alignment] sections")
        if protocol.comparison is not None:
            problems.append("a depth protocol has no [comparison] section")
        if protocol.aggregation.total != "mean-of-images" or protocol.aggregation.group_interval == "wilson":
            problems.append("a depth protocol averages images and bootstraps its intervals")
        if protocol.dataset.expected_of != "images":
            problems.append("a depth protocol counts images")
    return problems


def load_folder(folder: Path) -> dict[str, Protocol]:
    """All protocols of a folder by id. A file is named ``<name>@<version>.toml``."""
    protocols: dict[str, Protocol] = {}
    for path in sorted(folder.glob("*.toml")):
        protocol = parse(path.read_text(encoding="utf-8"), path.name)
        if path.stem != protocol.id:
            raise ProtocolError(f"{path.name}: holds '{protocol.id}'", hint="name the file after the protocol it holds")
        protocols[protocol.id] = protocol
    return protocols


@cache
def all_protocols() -> dict[str, Protocol]:
    """The protocols in the wheel, by id."""
    with resources.as_file(resources.files("dabench.protocols")) as folder:
        return load_folder(folder)


def get(name: str) -> Protocol:
    """The protocol ``name@version``, or the newest version of ``name``.

    Raises:
        UnknownNameError: no such protocol or version; lists the nearest.
    """
    protocols = all_protocols()
    if name in protocols:
        return protocols[name]
    versions = [protocol for protocol in protocols.values() if protocol.name == name]
    if not versions:
        raise UnknownNameError("protocol", name, [*protocols, *{p.name for p in protocols.values()}])
    return max(versions, key=lambda protocol: protocol.version)


def defaults_of(dataset: str, among: Iterable[Protocol] | None = None) -> list[Protocol]:
    """The protocols that ``dataset`` is scored under when none is named."""
    candidates = all_protocols().values() if among is None else among
    return [p for p in candidates if p.dataset.name == dataset and p.default]
