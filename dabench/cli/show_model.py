"""What ``dabench show`` says of a model: what it is, what it needs, what can be set, and what it should score."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dabench.types import ModelEntry

OUTPUT_WORDS = {
    "disparity": "affine-invariant disparity: larger is nearer, no unit",
    "depth": "affine-invariant depth: larger is farther, no unit",
    "metric": "metric depth: metres, larger is farther",
    "order": "the closer one of two points; no map",
}
SETTING_WORDS = {
    "steps": "denoising steps",
    "ensemble": "predictions that are joined to one",
    "seed": "seed of the noise",
    "focal": "focal length of the camera in pixels of the image; 0: a field of view of 60 degrees is assumed",
    "domain": "kind of scene: indoor, outdoor or object",
    "resolution_level": "0 (fast) to 9 (fine): how many tokens the network sees",
    "mask": "whether pixels that the model masks out are left without a prediction",
    "endpoint": "address of an OpenAI-compatible interface, up to and including /v1",
    "model": "the model's name there",
    "answers": "files of batch answers to read before the endpoint is asked, one a line",
    "orders": "2: each pair is asked in both orders of A and B; 1: in one, drawn by hash",
    "order_seed": "seed of that draw",
    "side": "longer side of the picture in pixels",
    "picture": "jpeg or png",
    "temperature": "sent as it is; below 0, not sent",
    "max_tokens": "length of a reply",
    "limit_field": "field that this length is sent in",
    "detail": "OpenAI's detail of a picture; not sent where empty",
    "re_asks": "how often a reply that cannot be read is asked again",
    "concurrency": "requests at a time",
    "timeout": "seconds of silence after which a request has failed",
    "attempts": "how often a request is sent before it has failed for good",
    "backoff": "seconds before the second attempt; doubles with each further one",
    "key_variable": "environment variable that holds the key; empty for an endpoint without one",
    "allow_http": "whether key and pictures may travel unencrypted to another machine",
    "price_in": "price of a million tokens read",
    "price_out": "price of a million tokens written",
    "max_cost": "no request is begun once so much is spent; 0: no limit",
    "processing_resolution": "long side of the network input in pixels; 0 for the image's own size",
}
"""What a setting means. A name means the same in every model."""

TITLE = 17


def model_record(entry: ModelEntry) -> dict[str, Any]:
    """Everything that is known of a model, as JSON has it."""
    from dabench.cli.availability import availability
    from dabench.reporting.names import numbers_of

    return {
        "kind": "model",
        **asdict(entry),
        "non_commercial": entry.non_commercial,
        **asdict(availability(entry)),
        "numbers": [
            {
                key: getattr(number, key)
                for key in ("dataset", "protocol", "protocol_label", "metric", "value", "kind", "source", "note")
            }
            for number in numbers_of(entry.name)
        ],
    }


def describe_model(record: Mapping[str, Any], width: int) -> list[str]:
    """A record of :func:`model_record` in plain words, as lines; only checksums and addresses may pass ``width``."""
    from dabench.cli.availability import STATES

    parameters = f"{record['parameters'] / 1e6:.3f} M" if record["parameters"] else None
    licence = f"{record['licence']}: NON-COMMERCIAL use only" if record["non_commercial"] else record["licence"]
    fields = [
        ("state", f"{record['state']} ({STATES[record['state']]})"),
        ("needs", record["needs"] if record["state"] != "downloadable" else None),
        ("output", OUTPUT_WORDS[str(record["output"])]),
        ("parameters", parameters),
        ("licence", licence),
        ("weights", record["source"]),
        *_files(record),
        *((key.replace("_", " "), value) for key, value in record["options"].items()),
        ("packages", ", ".join(record["requires"])),
        ("paper", record["paper"]),
        ("reason", record["reason"]),
        *(("source", source) for source in record["sources"]),
    ]
    lines = textwrap.wrap(record["summary"], width, initial_indent="  ", subsequent_indent="  ")
    lines = [f"model {record['name']}", *lines]
    for title, value in fields:
        if value not in (None, "", (), []):
            lines += _field(title, str(value), width)
    lines += _settings(record["settable"], width)
    lines += _numbers(record["numbers"], width)
    if record["status"] != "published-only":
        lines += ["", "score it", f"  dabench eval -m {record['name']} -d DATASET --data-root DIR"]
    elif record["factory"]:
        lines += ["", "score weights of your own", f"  dabench eval -m {record['name']} --checkpoint FILE"]
    return lines


def _files(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if not record["file"] and not record["files"]:
        return []
    unknown = None
    if record["status"] == "downloadable":
        elsewhere = "environment" in record["options"]
        unknown = "not catalogued: " + ("what its own package downloads" if elsewhere else "pinned on first use")
    return [
        ("file", record["file"]),
        ("files", ", ".join(record["files"])),
        ("revision", record["revision"] or unknown),
        ("SHA-256", record["sha256"] or unknown),
    ]


def _settings(settable: Mapping[str, Any], width: int) -> list[str]:
    if not settable:
        return []
    column = max(len(f"{key}={value}") for key, value in settable.items()) + 4
    lines = ["", "options: -o NAME=VALUE, here with their defaults"]
    for key, value in settable.items():
        lines += _hanging(f"  {key}={value}", SETTING_WORDS.get(key, ""), column, width)
    return lines


def _numbers(numbers: list[dict[str, Any]], width: int) -> list[str]:
    if not numbers:
        return []
    lines = ["", "numbers to expect; those of different recipes are not comparable"]

    def origin(number: dict[str, Any]) -> tuple[str, str, str]:
        return number["kind"], number["source"], number["protocol_label"]

    for (kind, source, label), members in groupby(numbers, key=origin):
        group = list(members)
        notes = {number["note"] for number in group}
        shared = notes.pop() if len(notes) == 1 else ""
        heading = f"{kind}: {source}; recipe {label}" + (f" ({shared})" if shared else "")
        lines += textwrap.wrap(heading, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
        places: dict[tuple[str, str, str], list[str]] = {}
        for number in group:
            place = (number["dataset"] or "speed", number["protocol"], number["note"])
            places.setdefault(place, []).append(f"{number['metric']} {number['value']:.5g}")
        for (dataset, protocol, note), values in places.items():
            said = "  ".join(values) + (f"  ({note})" if note and not shared else "")
            lines += _hanging(f"    {dataset:<14} {protocol or '-':<30}", said, 50, width)
    return lines


def _field(title: str, text: str, width: int) -> list[str]:
    return _hanging(f"  {title + ':'}", text, TITLE + 1, width)


def _hanging(head: str, text: str, column: int, width: int) -> list[str]:
    """``head``, and ``text`` from ``column`` on; words longer than the room (addresses, checksums) are not broken."""
    body = textwrap.wrap(text, max(width - column, 20), break_long_words=False, break_on_hyphens=False) or [""]
    first = f"{head:<{column}}" if len(head) < column else head + " "
    return [(first + body[0]).rstrip(), *(" " * column + line for line in body[1:])]
