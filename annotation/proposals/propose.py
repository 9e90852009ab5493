"""The whole way from images to drawn pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import dabench
from annotation.errors import StepError
from annotation.image_list import ListedImage, list_images
from annotation.keypoints import PointGenerator
from annotation.projects import create_project
from annotation.settings import ProjectSettings
from annotation.store.store import Write, canonical_json
from annotation.study import Study
from dabench.datasets.formats import read_image
from dabench.errors import ImageError, UnknownNameError, UsageError

from .batch import StratumCount, draw_batch
from .experts import DEFAULT_EXPERTS, opened, read_specs
from .filters import STAGES, Left
from .intake import StudyImage, take_in
from .points import PointSource
from .population import Candidates, candidates_of
from .report import ProposalReport, position_priors
from .settings import ProposalSettings
from .voting import Reading, read_points

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""
KEY = "proposal."
DEFAULT_NOTE = (
    "no experts were named: the bundled small network votes at three input sizes. It errs alike at all of them; "
    "name other models for a set that is to be released"
)


def propose(
    images: Path | Sequence[ListedImage],
    study_path: Path,
    *,
    settings: ProposalSettings | None = None,
    seed: int = 0,
    project: str = "pairs",
    generator: PointGenerator | None = None,
    experts: Sequence[str] | None = None,
    device: str = "auto",
    progress: Progress = lambda what, done, of: None,
) -> ProposalReport:
    """Take images into a study, find key points, let experts vote, and draw pairs for people to label.

    The same images, settings and seed give the same pairs, byte for byte. A call that was stopped goes on: copies, key
    points and maps are kept, and the pairs of a draw are stored together or not at all. Images that the project has
    drawn from before are left alone, so a second call adds nothing and one with new images adds pairs at the end.

    Args:
        images: a folder or a list (:func:`annotation.image_list.list_images`), or the images themselves.
        study_path: folder of the study; made when absent.
        settings: which pairs are candidates and how they are drawn.
        seed: of everything that is random.
        project: of the study; made when absent, with default settings and the quotas of scenes as their targets.
        generator: of key points; None: regions of the picture.
        experts: who votes (:func:`annotation.proposals.experts.read_specs`); None: the bundled network at three input
            sizes; empty: nobody, and pairs are drawn uniformly.
        device: where experts run.
        progress: told how far it is.

    Raises:
        UsageError: nothing to propose from, or settings that do not fit.
        ModelError: an expert that cannot be loaded.
        StudyError: the study cannot be opened or written.
    """
    settings = settings or ProposalSettings()
    listed = list_images(images) if isinstance(images, Path) else list(images)
    specs = read_specs(DEFAULT_EXPERTS if experts is None else experts)
    with Study.open(study_path, create=True) as study:
        _check_scenes(study, listed, settings)
        taken = take_in(study, listed, lambda done: progress("images", done, len(listed)))
        report = ProposalReport(project, listed=len(listed), added=taken.added, failed=taken.failed, notes=taken.notes)
        report.known = len(listed) - taken.added - len(taken.failed)
        if study.store.one("SELECT 1 FROM projects WHERE name = ?", project) is None:
            create_project(study, project, ProjectSettings(seed=seed, scene_targets=settings.scene_pairs).to_dict())
        number, batches = _batches(study, project)
        used = {sha256 for batch in batches for sha256 in batch["images"]}
        new = sorted((image for image in taken.images if image.sha256 not in used), key=lambda image: image.sha256)
        report.proposed_before = len(taken.images) - len(new)
        report.experts = [spec.label for spec in specs]
        if new:
            points = PointSource(study, generator)
            readings, about = _readings(study, new, specs, points, settings, device, report, progress)
            new = [image for image in new if image.sha256 in readings]
            candidates = _candidates(new, points, readings, about, settings, seed, report, progress)
            report.stages = _stages(candidates)
            drawn, report.strata = draw_batch(
                candidates, about, settings, (seed, project, number), _drawn_by_scene(study, project)
            )
            report.pairs, report.priors = len(drawn), position_priors(candidates, drawn)
            batch = {
                "project": project, "seed": seed, "settings": settings.to_dict(), "experts": about,
                "images": [image.sha256 for image in new], "dabench": dabench.__version__, "pairs": len(drawn),
                "stages": {name: [left.points, left.pairs] for name, left in report.stages.items()},
                "strata": [stratum.to_dict() for stratum in report.strata],
            }  # fmt: skip
            if new:
                _store(study, project, number, batch, drawn, points)
                _say_what_to_know(study, report, settings, batch, batches)
            if points.without:
                some = ", ".join(points.without[:3]) + (", ..." if len(points.without) > 3 else "")
                report.notes.append(
                    f"{len(points.without)} images gave no key point under the thresholds of the network and got those "
                    f"of regions: {some}"
                )
            if experts is None:
                report.notes.append(DEFAULT_NOTE)
        row = study.store.one(
            "SELECT count(*) n FROM pairs p JOIN projects j ON j.id = p.project WHERE j.name = ?", project
        )
        report.total = row["n"] if row else 0
    return report


def _check_scenes(study: Study, listed: Sequence[ListedImage], settings: ProposalSettings) -> None:
    """Refuse a quota for a scene that has no image, before hours of work."""
    known = {item.scene for item in listed}
    known |= {row["scene"] for row in study.store.query("SELECT DISTINCT scene FROM images")}
    for scene in settings.scene_pairs:
        if scene not in known:
            raise UnknownNameError("scene", scene, sorted(known))


def _batches(study: Study, project: str) -> tuple[int, list[dict[str, Any]]]:
    """The number of the next draw, and the earlier ones of the project."""
    rows = study.store.query("SELECT value FROM study WHERE key LIKE ? || '%'", KEY)
    batches = [json.loads(row["value"]) for row in rows]
    return len(batches) + 1, [batch for batch in batches if batch["project"] == project]


def _drawn_by_scene(study: Study, project: str) -> dict[str, int]:
    rows = study.store.query(
        "SELECT i.scene scene, count(*) n FROM pairs p JOIN images i ON i.sha256 = p.image"
        " JOIN projects j ON j.id = p.project WHERE j.name = ? AND p.probability IS NOT NULL GROUP BY i.scene",
        project,
    )
    return {row["scene"]: row["n"] for row in rows}


def _readings(
    study: Study,
    images: Sequence[StudyImage],
    specs: Sequence[Any],
    points: PointSource,
    settings: ProposalSettings,
    device: str,
    report: ProposalReport,
    progress: Progress,
) -> tuple[dict[str, list[Reading]], list[dict[str, Any]]]:
    """What each expert says at the key points of each image; an image that fails is left out. One expert is in memory
    at a time, and sees each image once.
    """
    readings: dict[str, list[Reading]] = {}
    places: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for done, image in enumerate(images, start=1):
        try:
            found = points.of(image)
        except ImageError as error:
            report.failed.append((image.name, error.message))
        else:
            rows = np.array([point.row for point in found.points], np.int64)
            places[image.sha256] = rows, np.array([point.col for point in found.points], np.int64)
            readings[image.sha256] = []
        progress("key points", done, len(images))
    about = []
    for spec in specs:
        with opened(spec, study.cache / "experts", settings.map_side, device) as expert:
            about.append(expert.about)
            for done, image in enumerate(images, start=1):
                progress(f"maps of {spec.label}", done, len(images))
                if image.sha256 not in readings:
                    continue
                try:
                    kept = expert.kept(image.sha256) or expert.map(
                        image.sha256, read_image(study.images / image.file), image.name
                    )
                except ImageError as error:
                    report.failed.append((image.name, error.message))
                    del readings[image.sha256]
                    continue
                size = (image.height, image.width)
                readings[image.sha256].append(read_points(kept.values, kept.output, *places[image.sha256], size))
    return readings, about


def _candidates(
    images: Sequence[StudyImage],
    points: PointSource,
    readings: Mapping[str, Sequence[Reading]],
    about: Sequence[Mapping[str, Any]],
    settings: ProposalSettings,
    seed: int,
    report: ProposalReport,
    progress: Progress,
) -> list[Candidates]:
    baseline = [bool(expert["baseline"]) for expert in about]
    candidates = []
    for done, image in enumerate(images, start=1):
        found = points.of(image)
        source = found.generator["source"]
        report.sources[source] = report.sources.get(source, 0) + 1
        candidates.append(candidates_of(image, found, readings[image.sha256], baseline, settings, seed))
        progress("pairs", done, len(images))
    return candidates


def _stages(candidates: Sequence[Candidates]) -> dict[str, Left]:
    total: dict[str, Left] = {}
    for item in candidates:
        for name in STAGES:
            if name in item.left:
                total[name] = total.get(name, Left(0, 0)) + item.left[name]
    return total


def _store(
    study: Study, project: str, number: int, batch: dict[str, Any], drawn: Sequence[dict[str, Any]], points: PointSource
) -> None:
    """Key points, settings and pairs of a draw in one transaction."""
    with study.store.write("owner") as write:
        if write.one("SELECT 1 FROM study WHERE key = ?", f"{KEY}{number}") is not None:
            raise StepError("another proposal was stored in the meantime", hint="run it again")
        row = write.one("SELECT id FROM projects WHERE name = ?", project)
        assert row is not None
        identity = row["id"]
        ids = {sha256: _keypoint_ids(write, points.found[sha256]) for sha256 in batch["images"]}
        write.append("study.set", {f"{KEY}{number}": batch})
        last = write.one("SELECT coalesce(max(position), 0) last FROM pairs WHERE project = ?", identity)
        assert last is not None
        for position, pair in enumerate(drawn, start=last["last"] + 1):
            numbers = ids[pair["image"]]
            a, b = (numbers[k] for k in pair["keypoints"])
            data = {key: value for key, value in pair.items() if key not in ("keypoints", "candidate")}
            write.append(
                "pair.proposed",
                {**data, "project": identity, "position": position, "a_keypoint": a, "b_keypoint": b},
            )


def _keypoint_ids(write: Write, data: dict[str, Any]) -> list[int]:
    """Ids of an image's key points in their order; stored first when this generator's are not there.

    Args:
        data: of the event ``keypoints.found``.
    """
    about = data["generator"]
    query = (
        "SELECT k.id FROM keypoints k JOIN generators g ON g.id = k.generator WHERE k.image = ? AND g.source = ?"
        " AND g.settings = ? AND g.checkpoint_sha256 = ? ORDER BY k.id"
    )
    key = (
        data["image"],
        about["source"],
        canonical_json(about.get("settings", {})),
        about.get("checkpoint_sha256", ""),
    )
    rows = write.query(query, *key)
    if not rows and data["points"]:
        write.append("keypoints.found", data)
        rows = write.query(query, *key)
    return [row["id"] for row in rows]


def _say_what_to_know(
    study: Study,
    report: ProposalReport,
    asked: ProposalSettings,
    batch: dict[str, Any],
    before: Sequence[dict[str, Any]],
) -> None:
    if before:
        changed = [key for key in ("seed", "settings", "experts") if before[-1][key] != batch[key]]
        if changed:
            report.notes.append(
                f"earlier pairs of this project were drawn with another {' and '.join(changed)}; they stay"
            )
    if len(report.sources) > 1:
        mixed = ", ".join(f"{source} ({count} images)" for source, count in sorted(report.sources.items()))
        report.notes.append(f"key points of several kinds: {mixed}")
    drawn = {**dict.fromkeys(asked.scene_pairs, 0), **_drawn_by_scene(study, report.project)}
    for scene, wanted in sorted(asked.scene_pairs.items()):
        if drawn[scene] < wanted:
            report.notes.append(
                f"scene '{scene}' has {drawn[scene]} of {wanted} pairs: its images have no more to give"
            )
    if asked.pairs is not None and sum(drawn.values()) < asked.pairs:
        report.notes.append(
            f"the project has {sum(drawn.values())} of {asked.pairs} pairs: at most {asked.pairs_per_image} an image"
        )


def strata_of(study: Study) -> list[StratumCount]:
    """The strata of all draws of a study, with the size of their populations.

    Raises:
        UsageError: the study was not made by a proposal.
    """
    rows = study.store.query("SELECT value FROM study WHERE key LIKE ? || '%' ORDER BY key", KEY)
    if not rows:
        raise UsageError(f"{study.path} has no proposal")
    return [StratumCount(**stratum) for row in rows for stratum in json.loads(row["value"])["strata"]]
