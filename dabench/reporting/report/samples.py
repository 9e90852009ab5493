"""The samples that a report shows as pictures: the worst and the median ones, and where two models differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dabench.errors import DabenchError
from dabench.reporting.report.html import escape, note, panel, slider
from dabench.reporting.report.measure import aligned_sample
from dabench.reporting.report.paired import value
from dabench.reporting.report.pictures import (
    DepthScale,
    data_uri,
    error_bar,
    error_picture,
    map_bar,
    map_picture,
    pair_marks,
)
from dabench.reporting.report.sources import Source
from dabench.reporting.report.words import higher_is_better, number, title

Line = Mapping[str, Any]
WORST, MEDIAN, APART = 6, 3, 3


def ranked(source: Source, lines: Sequence[Line]) -> list[Line]:
    """Scored samples with a value, worst first. Of pairs, the most wrong ones come first."""
    recipe = source.record.protocol
    metric = recipe.primary_metric
    known = [line for line in lines if line["status"] == "ok" and value(recipe, metric, line) is not None]
    if recipe.task == "pairs":
        return sorted(known, key=lambda s: (s["n_correct"] - s["n_valid"], s["n_correct"] / s["n_valid"], s["id"]))
    sign = 1 if higher_is_better(metric) else -1
    return sorted(known, key=lambda line: (sign * (value(recipe, metric, line) or 0.0), line["id"]))


def middle(ordered: Sequence[Line]) -> list[Line]:
    """The samples around the median that are not among the worst."""
    rest = len(ordered) // 2 - MEDIAN // 2
    return list(ordered[max(rest, min(WORST, len(ordered))) :][:MEDIAN])


def one(source: Source, line: Line) -> str:
    """A sample of one run as a row of pictures."""
    recipe = source.record.protocol
    head = f"{line['id']}"
    score = value(recipe, recipe.primary_metric, line)
    told = f"{title(recipe.primary_metric)} {number(recipe.primary_metric, score)}"
    try:
        panels = _pairs(source, line) if recipe.task == "pairs" else _dense(source, line)
    except (DabenchError, OSError) as error:
        panels = [note(f"This sample cannot be shown: {getattr(error, 'message', error)}")]
    return _framed(head, told, panels)


def _framed(head: str, told: str, panels: Sequence[str]) -> str:
    return (
        f'<div class="sample"><h3><code>{escape(head)}</code> <small>{escape(told)}</small></h3>'
        f'<div class="panels">{"".join(panels)}</div></div>'
    )


def _pairs(source: Source, line: Line) -> list[str]:
    image, pairs = source.pairs(line["id"])
    marks = pair_marks(pairs, line["correct"], image.shape)
    wrong = line["n_valid"] - line["n_correct"]
    words = f"{line['id']} with {len(pairs)} labelled pairs, {wrong:g} of them answered wrong"
    panels = [panel(f"image, {wrong:g} of {len(pairs)} pairs wrong", data_uri(image), words, marks)]
    prediction = source.prediction(line["id"], image) if source.has_maps else None
    if prediction is not None:
        panels.append(panel("prediction", map_picture(prediction), "predicted map", marks, map_bar()))
    return panels


def _dense(source: Source, line: Line) -> list[str]:
    found = aligned_sample(source, line)
    if found is None:
        return [note("No map of this image is kept.")]
    image, aligned = found
    scale = DepthScale.of(aligned)
    return [
        panel("image", data_uri(image), line["id"]),
        panel("truth", scale.picture(aligned.truth, aligned.valid), "true depth", below=scale.bar()),
        panel(
            "aligned prediction", scale.picture(aligned.depth, aligned.depth > 0), "predicted depth", below=scale.bar()
        ),
        panel("signed error", error_picture(aligned), "signed relative error", below=error_bar()),
    ]


def apart(a: Source, lines: Sequence[tuple[Line, Line]]) -> tuple[list[tuple[Line, Line]], list[tuple[Line, Line]]]:
    """The samples on which the first run, and on which the second, is ahead by most."""
    recipe = a.record.protocol
    metric = recipe.primary_metric
    sign = 1 if higher_is_better(metric) else -1

    def lead(both: tuple[Line, Line]) -> float:
        x, y = (value(recipe, metric, line) for line in both)
        return sign * ((x or 0.0) - (y or 0.0))

    known = [
        both
        for both in lines
        if all(line["status"] == "ok" and value(recipe, metric, line) is not None for line in both)
    ]
    ordered = sorted(known, key=lambda both: (-lead(both), both[0]["id"]))
    first = [both for both in ordered[:APART] if lead(both) > 0]
    second = [both for both in ordered[::-1][:APART] if lead(both) < 0]
    return first, second


def two(a: Source, b: Source, lines: tuple[Line, Line]) -> str:
    """A sample of two runs: the image, the truth, both predictions in one slider, both errors."""
    recipe = a.record.protocol
    metric = recipe.primary_metric
    names = labels(a, b)
    scores = [number(metric, value(recipe, metric, line)) for line in lines]
    told = f"{title(metric)}: {names[0]} {scores[0]}, {names[1]} {scores[1]}"
    try:
        panels = _two_pairs(a, b, lines) if recipe.task == "pairs" else _two_dense(a, b, lines)
    except (DabenchError, OSError) as error:
        panels = [note(f"This sample cannot be shown: {getattr(error, 'message', error)}")]
    return _framed(str(lines[0]["id"]), told, panels)


def labels(a: Source, b: Source) -> tuple[str, str]:
    """What the two runs are called; their folders where the models have one name."""
    if a.record.model != b.record.model:
        return a.record.model, b.record.model
    return f"{a.record.model} (A)", f"{b.record.model} (B)"


def _two_pairs(a: Source, b: Source, lines: tuple[Line, Line]) -> list[str]:
    image, pairs = a.pairs(lines[0]["id"])
    names, shown, maps = labels(a, b), data_uri(image), []
    panels = []
    for source, line, name in zip((a, b), lines, names, strict=True):
        wrong = line["n_valid"] - line["n_correct"]
        marks = pair_marks(pairs, line["correct"], image.shape)
        panels.append(panel(f"{name}: {wrong:g} of {len(pairs)} wrong", shown, f"pairs of {name}", marks))
        maps.append(source.prediction(line["id"], image) if source.has_maps else None)
    if maps[0] is not None and maps[1] is not None:
        left, right = ((n, map_picture(m)) for n, m in zip(names, maps, strict=True) if m is not None)
        panels.append(_sliding(slider(left, right, "predicted map"), map_bar()))
    return panels


def _sliding(content: str, below: str) -> str:
    return f'<div class="panel sliding"><span>predictions, drag the edge</span>{content}{below}</div>'


def _two_dense(a: Source, b: Source, lines: tuple[Line, Line]) -> list[str]:
    found = [aligned_sample(source, line) for source, line in zip((a, b), lines, strict=True)]
    if found[0] is None or found[1] is None:
        return [note("No map of this image is kept for one of the models.")]
    image, names = found[0][0], labels(a, b)
    maps = [entry[1] for entry in found if entry is not None]
    scale = DepthScale.of(maps[0])
    left, right = ((n, scale.picture(m.depth, m.depth > 0)) for n, m in zip(names, maps, strict=True))
    return [
        panel("image", data_uri(image), lines[0]["id"]),
        panel("truth", scale.picture(maps[0].truth, maps[0].valid), "true depth", below=scale.bar()),
        _sliding(slider(left, right, "predicted depth"), scale.bar()),
        *(
            panel(f"error, {name}", error_picture(m), f"signed relative error of {name}", below=error_bar())
            for name, m in zip(names, maps, strict=True)
        ),
    ]
