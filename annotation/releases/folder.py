"""The files of a release: a set in DA-2K's layout, its sidecar, tables, licences, datasheet."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annotation.errors import StudyError
from annotation.formats import da2k, tables
from annotation.formats.released import Lettered, ReleasedPair, lettered
from annotation.releases.citation import citation
from annotation.releases.datasheet import datasheet
from annotation.releases.freezing import describe, standing_responses
from annotation.releases.licences import COLUMNS, licence_rows
from annotation.releases.names import image_keys
from annotation.releases.release import Release
from annotation.store.store import canonical_json
from annotation.study import Study
from dabench import __version__
from dabench.datasets.sidecar import FORMAT
from dabench.datasets.sidecar import SCHEMA as SIDECAR_SCHEMA

Json = dict[str, Any]
ANNOTATIONS, META, MANIFEST, DATASHEET = "annotations.json", "meta.json", "manifest.json", "DATASHEET.md"


def write_release_folder(study: Study, release: Release, folder: Path) -> None:
    """Write every file of a release into an empty folder. Depends on the study and the release only.

    Raises:
        StudyError: a canonical image is missing, or its bytes are not those of its name.
    """
    pairs = describe(study, release.manifest)
    images = {image["sha256"]: image for image in release.content["images"]}
    keys = image_keys(release.content["images"])
    for sha256, key in keys.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(study, images[sha256]))
    letters = lettered(pairs)
    responses = response_rows(study, release, letters)
    rows = tables.pair_rows(letters, images)
    licences = licence_rows(release.content["images"], keys)
    manifest = {**release.manifest, "name": release.name, "digest": release.digest}
    files = {
        ANNOTATIONS: da2k.encoded(da2k.entries_of(pairs)),
        MANIFEST: (canonical_json(manifest) + "\n").encode(),
        "pairs.csv": tables.csv_bytes(rows, list(tables.PAIR_COLUMNS)),
        "pairs.parquet": tables.parquet_bytes(rows, tables.PAIR_COLUMNS),
        "responses.csv": tables.csv_bytes(responses, list(tables.RESPONSE_COLUMNS)),
        "responses.parquet": tables.parquet_bytes(responses, tables.RESPONSE_COLUMNS),
        "licences.csv": tables.csv_bytes(licences, COLUMNS),
    }
    meta = release_meta(study, release, pairs, images, keys, responses)
    files["CITATION.cff"] = citation(meta).encode()
    files[DATASHEET] = datasheet(meta, rows, responses, licences).encode()
    meta["digests"] = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    files[META] = (json.dumps(meta, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def image_bytes(study: Study, image: Mapping[str, Any]) -> bytes:
    """The canonical file of an image, checked against its SHA-256."""
    path = study.images / image["file"]
    hint = "restore it from a copy of the study's folder images, or mark the image as bad"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}", hint=hint) from error
    if hashlib.sha256(data).hexdigest() != image["sha256"]:
        raise StudyError(f"{path} is not the image that was labelled: its bytes have changed", hint=hint)
    return data


def response_rows(study: Study, release: Release, pairs: Sequence[Lettered]) -> list[Json]:
    """Answers to the released pairs that stood at the time of the release, by pseudonym, with the columns of
    :data:`annotation.formats.tables.RESPONSE_COLUMNS`; oldest first.

    ``shown`` is what the person answered on the two points as they saw them, ``closer`` the same in the letters of
    ``pairs.csv``.
    """
    by_id = {found.pair.id: found for found in pairs}
    with study.store.read() as connection:
        standing = standing_responses(connection, release.manifest["project"], release.manifest["event"])
    rows = []
    for row in standing:
        found = by_id.get(row["pair"])
        if found is None:
            continue
        client = json.loads(row["client"])
        version = client.get("instructions_version") if isinstance(client, dict) else None
        rows.append(
            {
                "response": row["uuid"], "pair": row["pair"], "image": found.pair.key, "person": row["alias"],
                "kind": row["kind"], "relation": row["relation"], "round": row["round"], "shown": row["shown"],
                "closer": found.letter(row["answer"]), "confidence": row["confidence"], "reason": row["reason"],
                "mode": row["mode"], "received_at": row["received_at"], "active_ms": row["active_ms"],
                "wall_ms": row["wall_ms"], "late": bool(row["late"]),
                "instructions_version": version if isinstance(version, int) else None,
            }
        )  # fmt: skip
    return rows


def event_lines(study: Study) -> bytes:
    """The whole event log as gzipped JSON lines, with pseudonyms instead of names."""

    def lines() -> Iterator[str]:
        for event in study.store.events():
            data = event.data
            if event.kind in ("person.added", "person.changed") and "name" in data:
                data = {**data, "name": data["alias"]}
            yield canonical_json(
                {"seq": event.seq, "at": event.at, "actor": event.actor, "kind": event.kind, "data": data}
            )

    return gzip.compress("".join(f"{line}\n" for line in lines()).encode(), mtime=0)


def release_meta(
    study: Study,
    release: Release,
    pairs: Sequence[ReleasedPair],
    images: Mapping[str, Mapping[str, Any]],
    keys: Mapping[str, str],
    responses: Sequence[Mapping[str, Any]],
) -> Json:
    """The content of ``meta.json``, but for the digests of the other files."""
    content = release.content
    described: dict[str, list[Json]] = {}
    for pair in pairs:
        described.setdefault(pair.key, []).append(_pair(pair))
    points = Counter(source for pair in pairs for source in pair.sources)
    total = sum(points.values())
    with study.store.read() as connection:
        generators = [
            {**dict(row), "settings": json.loads(row["settings"])}
            for row in connection.execute("SELECT source, settings, checkpoint, checkpoint_sha256 FROM generators")
            if row["source"] in points
        ]
    return {
        "format": FORMAT,
        "schema": SIDECAR_SCHEMA,
        "name": release.name,
        "study": study.setting("name", ""),
        "project": content["project"],
        "tool": f"dabench {__version__}",
        "made_at": datetime.fromtimestamp(release.at / 1000, UTC).isoformat(timespec="seconds"),
        "made_by": release.by,
        "digest": release.digest,
        "previous": release.manifest["previous"],
        "changes": release.manifest["changes"],
        "policy": content["policy"],
        "collected_under": content["collected_under"],
        "rules": content["rules"],
        "tie": "wrong",
        "coordinates": {"order": ["row", "col"], "base": 0, "unit": "pixel", "of": "the released image"},
        "orientation": "applied",
        "counts": {
            "pairs": len(pairs),
            "images": len(images),
            "scenes": dict(sorted(Counter(pair.scene for pair in pairs).items())),
            "routes": dict(sorted(Counter(pair.route for pair in pairs).items())),
            "with_probability": sum(pair.probability is not None for pair in pairs),
            "layered": sum(pair.layered for pair in pairs),
            "responses": len(responses),
            "people": len({row["person"] for row in responses}),
            "left_out": content["left_out"],
            "without_licence": len(release.unlicensed),
        },
        "point_sources": {source: {"points": n, "share": n / total} for source, n in sorted(points.items())},
        "generators": generators,
        "experts": sorted({vote["model"] for pair in pairs for vote in pair.votes}),
        "images": {
            keys[sha256]: {
                name: images[sha256][name]
                for name in ("sha256", "width", "height", "scene", "original_name", "original_sha256", "orientation")
            }
            for sha256 in sorted(keys, key=lambda sha256: keys[sha256])
        },
        "pairs": described,
    }


def _pair(pair: ReleasedPair) -> Json:
    """What the sidecar says of a pair; ``a`` and ``b`` are its points in the order of ``annotations.json``."""
    flip = {} if pair.closer == "a" else {"a": "b", "b": "a", "value_a": "value_b", "value_b": "value_a",
                                         "median_a": "median_b", "median_b": "median_a"}  # fmt: skip
    sources = pair.sources if pair.closer == "a" else pair.sources[::-1]

    def order(value: Any) -> Any:
        return flip.get(value, value) if isinstance(value, str) else value

    return {
        "id": pair.id,
        "route": pair.route,
        "stratum": pair.stratum,
        "probability": pair.probability,
        "gap": pair.gap,
        "score": pair.score,
        "reason": pair.reason,
        "sources": list(sources),
        "labels": {relation: _point(order(label)) for relation, label in pair.labels.items()},
        "decided_by": dict(pair.decided_by),
        "answers": {
            relation: {_point(order(answer)): n for answer, n in sorted(counts.items())}
            for relation, counts in pair.answers.items()
        },
        "votes": [
            {
                "model": vote["model"],
                "output": vote["output"],
                "value1": vote[order("value_a")],
                "value2": vote[order("value_b")],
                "median1": vote[order("median_a")],
                "median2": vote[order("median_b")],
                "vote": _point(order(vote["vote"])),
            }
            for vote in pair.votes
        ],
        **({"more": pair.more} if pair.more else {}),
    }


def _point(answer: str) -> str:
    return {"a": "point1", "b": "point2"}.get(answer, answer)
