"""Which pairs a release holds, and how each is labelled: the manifest, and everything that is known of its pairs.

A manifest is made once and stored with its digest. What a release folder says beyond it (answers, votes, sources of the
points) is read from the append-only tables as they were at the time of the release, so a folder can always be written
again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from annotation.errors import StepError
from annotation.formats.released import ReleasedPair
from annotation.releases.names import image_keys
from annotation.store.store import canonical_json
from annotation.study import Study

Json = dict[str, Any]
SCHEMA = 1
RULES = {
    "pairs": "pairs in state final; pairs for tests of people (gold, qualification) are never released",
    "label": "the newest decision of a pair names the closer point; pairs decided as equal or dropped are left out",
    "layers": "of a pair with two layers the label is that of the front one, the nearest surface at the pixel",
    "order": "in annotations.json point1 is the closer one; in pairs.csv and pairs.parquet the closer point is A in "
    "half of the pairs of each scene",
    "tie": "equal predicted values at both points are wrong",
    "coordinates": "points are (row, col) counted from 0, in whole pixels of the released image",
    "orientation": "the EXIF orientation was applied to the pixels once; released images are upright and carry no tag",
}
IMAGE_FIELDS = (
    "sha256", "file", "width", "height", "scene", "original_name", "original_sha256", "orientation", "source",
    "author", "licence", "retrieved", "keyword",
)  # fmt: skip
LABEL_KINDS = ("label", "check")


def nfc(value: Any) -> Any:
    """The value with every text composed (Unicode NFC)."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {nfc(key): nfc(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [nfc(inner) for inner in value]
    return value


def digest(content: Any) -> str:
    """SHA-256 of a value as canonical JSON: sorted keys, no spaces, NFC, UTF-8, one line feed at the end."""
    return hashlib.sha256((canonical_json(nfc(content)) + "\n").encode()).hexdigest()


def freeze(study: Study, project: str | int | None, policy: str | None = None) -> tuple[Json, int]:
    """The content of a manifest: schema, project, policy, rules, images and pairs with their labels, counts.

    Returns it with the number of the last event that it rests on.

    Args:
        project: name or id; None: the first.
        policy: judge the answers of each pair by this policy instead of the one it was collected under; what an
            adjudicator decided stays.

    Raises:
        NotFoundError: no such project.
        UnknownNameError: no such policy.
        StepError: no pair is final.
    """
    number, settings = study.project(project)
    judge = _judge(policy) if policy is not None else None
    with study.store.read() as connection:
        rows = connection.execute(
            "SELECT p.*, i.state AS image_state FROM pairs p JOIN images i ON i.sha256 = p.image WHERE p.project = ? "
            "ORDER BY p.id",
            (number,),
        ).fetchall()
        [name] = connection.execute("SELECT name FROM projects WHERE id = ?", (number,)).fetchone()
        decisions = _decisions(connection, number)
        answers = _counting_answers(connection, number) if judge is not None else {}
        [event] = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        left_out: Counter[str] = Counter()
        pairs: list[Json] = []
        for row in rows:
            relations = ("front", "back") if row["layered"] else ("closer",)
            found = {relation: decisions.get((row["id"], relation)) for relation in relations}
            labels = _labels(row, found, judge, answers)
            if isinstance(labels, str):
                left_out[labels] += 1
                continue
            pairs.append(
                {
                    "id": row["id"],
                    "image": row["image"],
                    "a": [row["a_row"], row["a_col"]],
                    "b": [row["b_row"], row["b_col"]],
                    "layered": bool(row["layered"]),
                    "labels": labels,
                    "decided_by": {relation: by["policy"] for relation, by in found.items() if by is not None},
                    "route": row["route"],
                    "stratum": row["stratum"],
                    "probability": row["probability"],
                }
            )
        wanted = sorted({pair["image"] for pair in pairs})
        images = [
            {name: row[name] for name in IMAGE_FIELDS}
            for row in connection.execute(f"SELECT {', '.join(IMAGE_FIELDS)} FROM images ORDER BY sha256")
            if row["sha256"] in set(wanted)
        ]
    if not pairs:
        said = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items())) or "none at all"
        raise StepError(
            f"project '{name}' has no final pair to release (pairs: {said})",
            hint="label pairs until the policy or an adjudicator decides them: dabench annotate serve STUDY",
        )
    content: Json = nfc(
        {
            "format": "dabench-release-manifest",
            "schema": SCHEMA,
            "project": name,
            "policy": policy or settings.policy,
            "collected_under": {"policy": settings.policy, "check_mode": settings.check_mode},
            "rules": RULES,
            "images": images,
            "pairs": pairs,
            "left_out": dict(sorted(left_out.items())),
        }
    )
    return content, int(event)


def _judge(policy: str) -> Callable[[Sequence[str]], str | None]:
    from annotation.policy import named

    rule = named(policy)

    def judge(answers: Sequence[str]) -> str | None:
        return rule.judge(answers).label or None

    return judge


def _labels(
    row: sqlite3.Row,
    found: Mapping[str, sqlite3.Row | None],
    judge: Callable[[Sequence[str]], str | None] | None,
    answers: Mapping[tuple[str, str], Sequence[str]],
) -> dict[str, str] | str:
    """Relation -> label, or why the pair is left out."""
    if row["purpose"] != "label":
        return "for tests of people"
    if row["image_state"] != "ok":
        return "on an image that is marked bad"
    if row["state"] != "final":
        return row["state"] if row["state"] == "dropped" else "not final"
    labels: dict[str, str] = {}
    for relation, decision in found.items():
        label = decision["result"] if decision is not None else None
        if judge is not None and decision is not None and decision["by_person"] == "policy":
            label = judge(answers.get((row["id"], relation), ()))
            if label is None:
                return "not agreed under this policy"
        if label in ("a", "b", "equal"):
            labels[relation] = label
    asked = "front" if row["layered"] else "closer"
    if labels.get(asked) == "equal":
        return "equal"
    return labels if asked in labels else "not final"


def describe(study: Study, manifest: Mapping[str, Any]) -> list[ReleasedPair]:
    """Everything that is known of the pairs of a manifest, as it was when it was made; ordered by image and id."""
    content, number = manifest["content"], manifest["project"]
    keys = image_keys(content["images"])
    scenes = {image["sha256"]: image["scene"] for image in content["images"]}
    with study.store.read() as connection:
        answers = _answers(connection, number, manifest["event"])
        rows = {
            row["id"]: row
            for row in connection.execute(
                "SELECT p.id, p.gap, p.score, p.reason, p.more, ga.source AS a_source, gb.source AS b_source "
                "FROM pairs p LEFT JOIN keypoints ka ON ka.id = p.a_keypoint LEFT JOIN generators ga "
                "ON ga.id = ka.generator LEFT JOIN keypoints kb ON kb.id = p.b_keypoint "
                "LEFT JOIN generators gb ON gb.id = kb.generator WHERE p.project = ?",
                (number,),
            )
        }
        votes: dict[str, list[Json]] = {}
        for vote in connection.execute(
            "SELECT v.* FROM votes v JOIN pairs p ON p.id = v.pair WHERE p.project = ? ORDER BY v.model", (number,)
        ):
            said = {name: vote[name] for name in vote.keys() if name not in ("pair", "more")}  # noqa: SIM118
            votes.setdefault(vote["pair"], []).append({**said, "more": json.loads(vote["more"])})
    described = []
    for pair in content["pairs"]:
        row = rows[pair["id"]]
        by_hand = pair["route"] if pair["route"] in ("manual", "import") else "unknown"
        counted = {
            relation: dict(Counter(answers.get((pair["id"], relation), ())))
            for relation in (("front", "back") if pair["layered"] else ("closer",))
        }
        described.append(
            ReleasedPair(
                id=pair["id"],
                image=pair["image"],
                key=keys[pair["image"]],
                scene=scenes[pair["image"]],
                a=(pair["a"][0], pair["a"][1]),
                b=(pair["b"][0], pair["b"][1]),
                labels=pair["labels"],
                route=pair["route"],
                stratum=pair["stratum"],
                probability=pair["probability"],
                gap=row["gap"],
                score=row["score"],
                reason=row["reason"],
                layered=pair["layered"],
                sources=(row["a_source"] or by_hand, row["b_source"] or by_hand),
                answers=counted,
                votes=votes.get(pair["id"], []),
                decided_by=pair["decided_by"],
                more=json.loads(row["more"]),
            )
        )
    return sorted(described, key=lambda pair: (PurePosixPath(pair.key).parts, pair.id))


def _decisions(connection: sqlite3.Connection, project: int) -> dict[tuple[str, str], sqlite3.Row]:
    """The newest decision of each pair and relation."""
    rows = connection.execute(
        "SELECT d.* FROM decisions d JOIN pairs p ON p.id = d.pair WHERE p.project = ? ORDER BY d.id", (project,)
    )
    return {(row["pair"], row["relation"]): row for row in rows}


def _answers(connection: sqlite3.Connection, project: int, event: int | None) -> dict[tuple[str, str], list[str]]:
    """Answers to label or check a pair, of different people, in the order in which they came."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in standing_responses(connection, project, event):
        if row["kind"] in LABEL_KINDS and row["round"] == 1:
            found.setdefault((row["pair"], row["relation"]), []).append(row["answer"])
    return found


def _counting_answers(connection: sqlite3.Connection, project: int) -> dict[tuple[str, str], list[str]]:
    """Those of them that count now: not more than was asked for, and not from before the pair was reopened."""
    asked_from = dict(connection.execute("SELECT id, asked_from FROM pairs WHERE project = ?", (project,)).fetchall())
    found: dict[tuple[str, str], list[str]] = {}
    for row in standing_responses(connection, project, None):
        counts = not row["surplus"] and row["assignment"] > asked_from[row["pair"]]
        if counts and row["kind"] in LABEL_KINDS and row["round"] == 1:
            found.setdefault((row["pair"], row["relation"]), []).append(row["answer"])
    return found


def standing_responses(connection: sqlite3.Connection, project: int, event: int | None) -> list[sqlite3.Row]:
    """Answers that stood after an event (None: now), with ``alias`` and ``kind``, oldest first.

    One that was taken back does not stand, nor a second one of the same person to the same question.
    """
    rows = connection.execute(
        "SELECT r.*, s.kind, w.alias FROM responses r JOIN assignments s ON s.id = r.assignment "
        "JOIN people w ON w.id = r.person JOIN pairs p ON p.id = r.pair "
        "WHERE p.project = ? AND r.seq <= coalesce(?, r.seq) ORDER BY r.seq",
        (project, event),
    )
    standing: dict[tuple[Any, ...], sqlite3.Row] = {}
    key_of: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        if row["shown"] == "undo":
            standing.pop(key_of.pop(row["supersedes"], ()), None)
            continue
        key = (row["pair"], row["person"], row["round"], row["relation"])
        if key not in standing:
            standing[key] = row
            key_of[row["uuid"]] = key
    return sorted(standing.values(), key=lambda row: int(row["seq"]))
