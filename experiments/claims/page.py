"""RESULTS.md from the results on disk, its plots, and sample pictures from the work folder where it is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dabench.errors import RecordError
from model_zoo.depth_anything_v2.training.validation import predict

from . import plots
from .arms import ARMS, HYPOTHESES, TEACHER, Budget, Hypothesis, start_of
from .data import draw
from .decide import REPORTED, RULES, Comparison, Finding, Results, level
from .measure import HIGHER_IS_BETTER, TITLES
from .study import Places, load_network, read_result

SHOWN_ARMS = ("teacher", "S", "R-pseudo", "R-noisy", "S-w0", "S-w4")
SHOWN_IMAGES, TILE = 6, 84
QUALITY = 82

CANNOT = """\
## What this cannot show

- **R is rendered.** It has other objects, surfaces and skies, and a camera between scene and picture, but no photo.
  How wide the gap between synthetic and real images is, and so how much pseudo-labels are worth, is not measured here.
- **The networks are small**, and start from one that has learnt depth of other scenes (with its decoder), where the
  paper's encoders start from DINOv2. Nothing is said about which encoder transfers, and students align no
  features.{teacher}
- **Only directions are compared.** No number below can be held against one of the paper's.
- **Training is short**: at the end of a run the networks are still improving, and a longer one may turn a result.
- **No network here draws fine edges**: boundary F1 is a few hundredths, so H5 and H6 speak of coarse outlines only.
- **The start was changed once.** A first attempt went on from random weights and was stopped after six trainings, whose
  pairs on R were near chance. The learning rate was halved with it; the rules of the verdicts were not touched.
- **Three seeds** vary the order and the flips of the images, not the images themselves or the start. An interval
  from three is somewhat too narrow.
- **Label noise and injected errors are made up**: kinds of faults that are known of sensors and of teachers, in amounts
  that we chose. The sensor sees no sky, so the sky counts in no score. Another sensor could give another answer.
- H5's arms on clean and on noisy labels are measured each on its own domain, so the two curves differ in images, too.
"""


def load_results(budget: Budget, places: Places) -> dict[str, list[dict[str, Any]]]:
    """Arm -> results by seed, of those arms whose every seed is there and up to date."""
    found = {}
    for arm in ARMS.values():
        rows = [read_result(places, arm, seed, budget) for seed in range(budget.seeds)]
        if all(row is not None for row in rows):
            found[arm.name] = [row for row in rows if row is not None]
    above = {start_of(size): 1 for size in ("tiny", budget.teacher_size)} | {TEACHER: budget.teachers}
    for arm, count in above.items():
        rows = [read_result(places, arm, seed, budget) for seed in range(count)]
        if all(row is not None for row in rows):
            found[arm.name] = [row for row in rows if row is not None]
    return found


def write(budget: Budget, places: Places) -> Path:
    """Write RESULTS.md and its plots into `places.page`. Raises RecordError where there is no result at all."""
    results = load_results(budget, places)
    if not results:
        raise RecordError(f"no results in {places.results}", hint="run the study first, without --report")
    places.figures.mkdir(parents=True, exist_ok=True)
    findings = [RULES[name](results) for name, h in HYPOTHESES.items() if all(arm in results for arm in h.arms)]
    if any(f.deciding for f in findings):
        plots.draw_differences(findings, places.figures / "differences.png")
    known = {f.hypothesis for f in findings}
    if "H5" in known:
        plots.draw_gradient(results, places.figures / "gradient.png")
    if "H9" in known:
        plots.draw_trimming(results, places.figures / "trimming.png")
    path = places.page / "RESULTS.md"
    path.write_text(text(budget, results, places), encoding="utf-8")
    return path


def text(budget: Budget, results: Results, places: Places) -> str:
    """The page."""
    found = {name: RULES[name](results) for name, h in HYPOTHESES.items() if all(arm in results for arm in h.arms)}
    parts = [_head(budget, results, found)]
    if any(finding.deciding for finding in found.values()):
        parts.append(f"![differences that decide]({places.figures.name}/differences.png)\n")
        parts.append(
            "What decides: dot, mean; bar, 95 % interval; ticks, seeds; green and orange where 0 is outside.\n"
        )
    same = "\n- **The teacher is no larger than a student**: what it has ahead of them is a longer training on S."
    one = "\n- **One teacher** labels for all students; the intervals of pseudo-label arms hold for that teacher only."
    teacher = (same if budget.teacher_size == "tiny" else "") + (one if budget.teachers == 1 else "")
    parts.append(CANNOT.format(teacher=teacher))
    for name, hypothesis in HYPOTHESES.items():
        parts.append(_section(hypothesis, found.get(name), results, places))
    parts += [_pictures(places), _arms_table(results), _setting(budget, results)]
    return "\n".join(part for part in parts if part)


def _head(budget: Budget, results: Results, found: dict[str, Finding]) -> str:
    lines = [
        "# Claims of Depth Anything V2, in miniature",
        "",
        f"Written by `python experiments/claims/run.py --report` from the results of budget `{budget.name}`: "
        f"{budget.steps} steps of {budget.batch} images of {budget.size[0]}x{budget.size[1]} pixels, {budget.seeds} "
        f"seeds. Do not edit. Claims are of arXiv 2406.09414; the rule of each verdict is in `decide.py` and was fixed "
        "before the first run.",
        "",
        "| | claim | verdict |",
        "|---|---|---|",
    ]
    for name, hypothesis in HYPOTHESES.items():
        verdict = found[name].verdict if name in found else "not run"
        lines.append(f"| {name} | {hypothesis.claim} | **{verdict}** |")
    return "\n".join(lines) + "\n"


def _section(hypothesis: Hypothesis, finding: Finding | None, results: Results, places: Places) -> str:
    lines = [f"## {hypothesis.name}: {hypothesis.claim}", "", f"Paper: {hypothesis.source}."]
    if finding is None:
        missing = [arm for arm in hypothesis.arms if arm not in results]
        return "\n".join([*lines, "", f"Not run yet: {', '.join(missing)}.", ""])
    rule = " ".join((RULES[hypothesis.name].__doc__ or "").split())
    lines += [f"Rule: {rule}", f"Verdict: **{finding.verdict}**.", ""]
    picture = {"H5": "gradient", "H9": "trimming"}.get(hypothesis.name)
    if picture:
        lines += [f"![{hypothesis.claim}]({places.figures.name}/{picture}.png)", ""]
    lines += ["| compared | measure | on | difference | 95 % interval | each seed | |", "|---|---|---|---|---|---|---|"]
    reported = finding.verdict == REPORTED
    lines += [_row(comparison, "told" if reported else comparison.verdict) for comparison in finding.deciding]
    lines += [_row(comparison, _sign(comparison)) for comparison in finding.beside]
    return "\n".join(lines) + "\n"


def _row(comparison: Comparison, verdict: str) -> str:
    e = comparison.estimate
    seeds = " ".join(f"{100 * seed:+.2f}" for seed in e.seeds)
    return (
        f"| {comparison.what} | {TITLES[comparison.metric]} | {comparison.test} | {100 * e.mean:+.2f} | "
        f"{100 * e.low:+.2f} to {100 * e.high:+.2f} | {seeds} | {verdict} |"
    )


def _sign(comparison: Comparison) -> str:
    return {1: "above 0", -1: "below 0", 0: "either way"}[comparison.estimate.sign]


def _arms_table(results: Results) -> str:
    lines = [
        "## All arms",
        "",
        "Means over seeds and images, in hundredths. R has grammars of no training set, R-seen those of R's pool.",
        "",
        "| arm | " + " | ".join(f"{TITLES[m]} {t}" for t in ("R", "R-seen", "S") for m in HIGHER_IS_BETTER) + " |",
        "|---|" + "---|" * 3 * len(HIGHER_IS_BETTER),
    ]
    for arm in results:
        values = [level(results, arm, t, m).mean for t in ("R", "R-seen", "S") for m in HIGHER_IS_BETTER]
        lines.append(f"| {arm} | " + " | ".join(f"{100 * value:.1f}" for value in values) + " |")
    return "\n".join(lines) + "\n"


def _setting(budget: Budget, results: Results) -> str:
    sets = budget.domains
    lines = [
        "## Setting",
        "",
        f"- Training sets: {sets.s_train.count} images of S ({', '.join(sets.s_train.grammars)}), and "
        f"{sets.r_pool.count} of R ({', '.join(sets.r_pool.grammars)}), labelled by the teacher or a made-up sensor.",
        f"- Test sets: {sets.r_test.count} images of R ({', '.join(sets.r_test.grammars)}, in no training set), "
        f"{sets.r_seen.count} of the pool's grammars, {sets.s_test.count} of S. No two sets share a scene.",
        "- Differences are in hundredths, above 0 where the first arm is better; AbsRel is turned round for that.",
        "- Every student sees as many images as every other; what differs is in `arms.py`, the rest in `base.toml`.",
    ]
    roles = {start_of("tiny").name: "The start of all", TEACHER.name: "Teacher", "S": "Student"}
    for name, role in roles.items():
        if name in results:
            row = results[name][0]
            size = f"{row['parameters'] / 1e6:.1f} M parameters"
            lines.append(f"- {role}: {size}, {row['steps']} steps, {row['images']} images, {row['seconds']:.0f} s.")
    return "\n".join(lines) + "\n"


def _pictures(places: Places) -> str:
    lines = ["## Pictures", ""]
    for name, title in (
        (
            "domains",
            "Images and labels (near is bright, grey is none): S, R's pool, the same with a sensor's labels, R's test",
        ),
        ("predictions", "Test images of R (first three) and S, their depth, and what the arms predict under seed 0"),
    ):
        if (places.figures / f"{name}.jpg").is_file():
            lines += [f"{title}.", "", f"![{name}]({places.figures.name}/{name}.jpg)", ""]
    return "\n".join(lines) if len(lines) > 2 else ""


def draw_samples(budget: Budget, places: Places) -> None:
    """Write the pictures of domains and predictions; arms without weights in the work folder are left out."""
    places.figures.mkdir(parents=True, exist_ok=True)
    sets = budget.domains
    rows = []
    for spec in (sets.s_train, sets.r_pool, sets.r_noisy, sets.r_test):
        tiles = [draw(spec, index) for index in range(min(SHOWN_IMAGES // 2 + 1, spec.count))]
        rows.append(np.concatenate([t for image, depth, _ in tiles for t in (_tile(image), _coloured(depth))], axis=1))
    _write(places.figures / "domains.jpg", rows)
    columns = [(spec, index) for spec, n in ((sets.r_test, 3), (sets.s_test, 2)) for index in range(min(n, spec.count))]
    shown = [draw(spec, index) for spec, index in columns]
    rows = [
        np.concatenate([_tile(image) for image, _, _ in shown], axis=1),
        np.concatenate([_coloured(depth) for _, depth, _ in shown], axis=1),
    ]
    titles = ["image", "depth"]
    for name in SHOWN_ARMS:
        network = load_network(places, TEACHER if name == TEACHER.name else ARMS[name], 0, budget)
        if network is None:
            continue
        device = next(network.parameters()).device
        maps = [_grey(predict(network, image, min(image.shape[:2]), device)) for image, _, _ in shown]
        rows.append(np.concatenate([_colours(values, np.ones(values.shape, bool)) for values in maps], axis=1))
        titles.append(name)
    _write(places.figures / "predictions.jpg", [_named(row, title) for row, title in zip(rows, titles, strict=True)])


def _coloured(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    known = depth > 0
    disparity = np.where(known, 1 / np.where(known, depth, 1), 0).astype(np.float32)
    return _colours(_grey(disparity, known), known)


def _grey(values: npt.NDArray[np.float32], known: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.uint8]:
    inside = values if known is None else values[known]
    low, high = np.percentile(inside, [1, 99]) if inside.size else (0.0, 1.0)
    return np.clip((values - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)


def _colours(grey: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    coloured = cv2.applyColorMap(grey, cv2.COLORMAP_CIVIDIS)[..., ::-1]
    return _tile(np.where(known[..., None], coloured, 110).astype(np.uint8))


def _tile(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    width = round(image.shape[1] * TILE / image.shape[0])
    resized = cv2.resize(image, (width, TILE), interpolation=cv2.INTER_LINEAR)
    return np.pad(np.asarray(resized, np.uint8), ((0, 3), (0, 3), (0, 0)), constant_values=255)


def _named(row: npt.NDArray[np.uint8], title: str) -> npt.NDArray[np.uint8]:
    margin = np.full((row.shape[0], 84, 3), 255, np.uint8)
    cv2.putText(margin, title, (3, row.shape[0] // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([margin, row], axis=1)


def _write(path: Path, rows: Sequence[npt.NDArray[np.uint8]]) -> None:
    done, data = cv2.imencode(".jpg", np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    path.write_bytes(data.tobytes())


def stale(budget: Budget, places: Places) -> bool:
    """Whether RESULTS.md is not what the results say."""
    path = places.page / "RESULTS.md"
    return not path.is_file() or path.read_text(encoding="utf-8") != text(budget, load_results(budget, places), places)


def budget_with_results(budgets: Sequence[Budget], results: Path) -> Budget | None:
    """The last of `budgets` of which any result is on disk below `results`, in a folder of its name."""
    found = [budget for budget in budgets if any((results / budget.name).glob("*.json"))]
    return found[-1] if found else None
