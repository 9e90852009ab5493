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

import msgspec

from dabench.errors import ProtocolError, UnknownNameError
from dabench.protocols.schema import Protocol
from dabench.scoring.metrics import DENSE_METRICS

__all__ = ["Protocol", "all_protocols", "defaults_of", "get", "load_folder", "parse"]

PAIR_METRICS = ("accuracy", "whdr")


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
    problems = contradictions(protocol)
    if problems:
        raise ProtocolError(f"{origin}: " + "; ".join(problems))
    return protocol


def contradictions(protocol: Protocol) -> list[str]:
    """What no single field shows: sections that do not belong to the task, and ranges that hold nothing."""
    problems = []
    repeated = sorted({name for name in protocol.metrics if protocol.metrics.count(name) > 1})
    if repeated:
        problems.append(f"metrics names {', '.join(repeated)} twice")
    unreported = sorted({e.metric for e in protocol.expected} - set(protocol.metrics))
    if unreported:
        problems.append(f"expected gives {', '.join(unreported)}, which metrics does not report")
    region = protocol.crop.region
    if not isinstance(region, str) and not (0 <= region[0] < region[1] and 0 <= region[2] < region[3]):
        problems.append(f"crop.region {list(region)} is not [top, bottom, left, right] with top < bottom, left < right")
    if protocol.crop.image == "kb" and protocol.crop.frame == "full" and region == "none":
        problems.append("crop.image is 'kb' while every pixel of the full frame counts; set crop.frame to 'kb'")
    if protocol.crop.image == "full" and protocol.crop.frame == "kb" and protocol.dataset.name != "kitti":
        problems.append("the KB crop is KITTI's")
    if protocol.dataset.expected is None and protocol.dataset.expected_of != "images":
        problems.append("dataset.expected_of is set without dataset.expected")
    if protocol.valid is not None and protocol.valid.max is not None and not protocol.valid.min < protocol.valid.max:
        problems.append(f"valid.min {protocol.valid.min} is not below valid.max {protocol.valid.max}")
    if protocol.alignment is not None:
        near, far = protocol.alignment.depth_range
        if not isinstance(far, str) and not near < far:
            problems.append(f"alignment.depth_range starts at {near}, which is not below its end {far}")
    if protocol.task == "pairs":
        if len(protocol.metrics) != 1 or protocol.metrics[0] not in PAIR_METRICS:
            problems.append(f"a pairs protocol reports exactly one metric of {', '.join(PAIR_METRICS)}")
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
        if protocol.aggregation.total == "pooled-pairs" or protocol.aggregation.group_interval == "wilson":
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
