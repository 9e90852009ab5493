"""The report: what its sections are, and which figures each one holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dabench.reporting.report import about, html, map_plots, paired, plots, samples
from dabench.reporting.report.build import Progress, Report
from dabench.reporting.report.figures import inline_svg
from dabench.reporting.report.measure import (
    MEASURED,
    DenseMeasured,
    PairsMeasured,
    evenly,
    measure_dense,
    measure_pairs,
)
from dabench.reporting.report.sources import Source
from dabench.reporting.report.words import arrow, higher_is_better, interval, number, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Page:
    """Collects the sections and figures of a report on one run or two.

    Args:
        sources: of each run.
        progress: told what is being read.
    """

    def __init__(self, sources: Sequence[Source], progress: Progress) -> None:
        self.sources, self.progress = sources, progress
        self.records = [source.record for source in sources]
        self.recipe = self.records[0].protocol
        self.metric = self.recipe.primary_metric
        self.lines = [record.samples() for record in self.records]
        self.names = [self.records[0].model] if len(sources) == 1 else list(samples.labels(*sources))
        self.report = Report()
        self.sections: list[tuple[str, str, str]] = []

    def build(self) -> Report:
        """Read what is needed, draw, and put the page together."""
        pairs = self.recipe.task == "pairs"
        self._results()
        if len(self.sources) == 2:
            self._paired()
        self._distribution()
        self._groups()
        (self._pair_difficulty if pairs else self._depth_and_place)()
        if not pairs:
            self._alignment()
        self._pictures()
        self._speed()
        self.sections.append(("protocol", "Protocol", about.protocol(self.recipe)))
        machines = "".join(about.environment(record) for record in self.records)
        self.sections.append(("environment", "Model, data and environment", machines))
        heading = " and ".join(self.names) + f" under {self.recipe.id}"
        lead = f"<h1>{html.escape(heading)}</h1>" + html.paragraph(self.recipe.title, "soft")
        lead += about.warnings(self.records) + self._headline()
        self.report.html = html.document(heading, lead, self.sections)
        return self.report

    def _figure(self, name: str, figure: Figure, caption: str) -> str:
        self.report.figures[name] = figure
        drawn = inline_svg(figure, name, caption)
        return f"<figure>{drawn}<figcaption>{html.escape(caption)}</figcaption></figure>"

    def _numbered(self, name: str, at: int) -> str:
        """Name of a figure of one of the runs."""
        return f"{name}-{at + 1}" if len(self.names) > 1 else name

    def _whose(self, name: str, caption: str) -> str:
        """A caption that says which model it is about, where there are two."""
        return f"{name}. {caption}" if len(self.names) > 1 else caption

    def _add(self, anchor: str, heading: str, figures: Sequence[str], *parts: str) -> None:
        grid = f'<div class="figures">{"".join(figures)}</div>' if figures else ""
        if grid or parts:
            self.sections.append((anchor, heading, "".join(parts) + grid))

    def _headline(self) -> str:
        boxes = []
        for name, record in zip(self.names, self.records, strict=True):
            entry = record.summary["metrics"][self.metric]
            whose = f"{name}: " if len(self.records) > 1 else ""
            label = f"{whose}{title(self.metric)} {arrow(self.metric)}"
            bounds = interval(self.metric, tuple(entry["ci95"]))
            boxes.append((label, number(self.metric, entry["value"]), f"95 % interval {bounds}" if bounds else ""))
        if len(self.records) == 1:
            summary = self.records[0].summary
            counts = summary["counts"]
            boxes.append(("coverage", f"{100 * summary['coverage']:.2f} %", "usable predictions of what counts"))
            boxes.append(("images", f"{counts['expected']}", f"{counts['pairs']} pairs" if "pairs" in counts else ""))
        shown = "".join(
            f"<div>{html.escape(label)}<b>{html.escape(text)}</b><small>{html.escape(more)}</small></div>"
            for label, text, more in boxes
        )
        return f'<div class="big">{shown}</div>'

    def _results(self) -> None:
        head = ["", *(f"{n}" for name in self.names for n in (name, "95 % interval"))]
        rows = []
        for metric in self.recipe.metrics:
            row = [f"{title(metric)} {arrow(metric)}"]
            for record in self.records:
                entry = record.summary["metrics"][metric]
                row += [number(metric, entry["value"]), interval(metric, tuple(entry["ci95"]))]
            rows.append(row)
        rows.append(["coverage", *(c for r in self.records for c in (f"{100 * r.summary['coverage']:.2f} %", ""))])
        self._add("results", "Results", [], html.table(head, rows), about.counts(self.records, self.names))

    def _paired(self) -> None:
        both = paired.common(*self.lines)
        rows = []
        for metric in self.recipe.metrics:
            found = paired.difference(self.recipe, metric, both)
            if found is None:
                continue
            ahead = found.difference if higher_is_better(metric) else -found.difference
            low, high = found.ci95
            verdict = "not told apart" if not low * high > 0 else f"{self.names[ahead > 0]} ahead"
            rows.append(
                [
                    f"{title(metric)} {arrow(metric)}",
                    *(number(metric, v) for v in found.values),
                    number(metric, found.difference, signed=True),
                    interval(metric, found.ci95, signed=True),
                    verdict,
                ]
            )
        head = ["", *self.names, "difference", "95 % interval", "at 95 %, each row by itself"]
        text = (
            f"On the {len(both)} samples that both have; the difference is {self.names[1]} minus {self.names[0]}, "
            "its interval a bootstrap of the paired differences over "
            + ("sequences." if self.recipe.aggregation.total == "mean-of-sequences" else "images.")
        )
        values = [
            (paired.value(self.recipe, self.metric, x), paired.value(self.recipe, self.metric, y)) for x, y in both
        ]
        known = np.array([(x, y) for x, y in values if x is not None and y is not None], dtype=np.float64)
        figures = []
        if len(known) and self.recipe.task == "depth":
            pair = (self.names[0], self.names[1])
            figures = [
                self._figure(
                    "agreement", plots.agreement(self.metric, pair, known[:, 0], known[:, 1]),
                    f"{title(self.metric)} of every image under both models; the dashed line is equality.",
                ),
                self._figure(
                    "differences", plots.differences(self.metric, pair, known[:, 1] - known[:, 0]),
                    f"Differences image by image. {'Above' if higher_is_better(self.metric) else 'Below'} zero, "
                    f"{pair[1]} is better.",
                ),
            ]  # fmt: skip
        elif len(known):
            text += " " + about.paired_pairs(both, self.names)
        self._add("paired", "Paired differences", figures, html.paragraph(text), html.table(head, rows))

    def _distribution(self) -> None:
        figures = []
        if self.recipe.task == "pairs":
            wrong = {
                name: np.array([line["n_valid"] - line["n_correct"] for line in lines], dtype=np.float64)
                for name, lines in zip(self.names, self.lines, strict=True)
            }
            figures.append(
                self._figure(
                    "distribution", plots.wrong_pairs(wrong), "How the wrong pairs are spread over the images."
                )
            )
        else:
            second = next((m for m in self.recipe.metrics[1:] if higher_is_better(m)), None)
            for metric in (self.metric, *([second] if second else [])):
                values = {
                    name: np.array([line[metric] for line in lines if line.get(metric) is not None], dtype=np.float64)
                    for name, lines in zip(self.names, self.lines, strict=True)
                }
                if all(len(found) for found in values.values()):
                    caption = f"{title(metric)} of every image, with the median dashed."
                    figures.append(self._figure(f"distribution-{metric}", plots.distribution(metric, values), caption))
        self._add("distribution", "Distribution over images", figures)

    def _groups(self) -> None:
        summaries = {name: record.summary for name, record in zip(self.names, self.records, strict=True)}
        known = self.records[0].summary.get("groups", {})
        if len(known) < 2:
            return
        figure = self._figure(
            "groups", plots.groups(self.metric, summaries),
            f"{title(self.metric)} of each group with its interval; dashed, all together.",
        )  # fmt: skip
        shown = [m for m in self.recipe.metrics if m == self.metric or m in ("delta1", "rmse")]
        many = len(self.names) > 1
        head = ["group", "images", *(f"{title(m)} {n}" if many else title(m) for n in self.names for m in shown)]
        rows = []
        for group, content in known.items():
            row = [group.replace("_", " "), str(content["images"])]
            for record in self.records:
                metrics: Mapping[str, Any] = record.summary["groups"].get(group, {}).get("metrics", {})
                row += [number(m, metrics.get(m, {}).get("value")) for m in shown]
            rows.append(row)
        self._add("groups", "Groups", [figure], html.table(head, rows))

    def _read_notes(self, lost: Sequence[str], read: int, of: int) -> str:
        parts = []
        if of > MEASURED:
            parts.append(html.paragraph(f"From {MEASURED} of {of} images, evenly spaced over the run.", "soft"))
        if lost:
            parts.append(html.note(f"{len(lost)} of {len(lost) + read} images could not be read; the first: {lost[0]}"))
        return "".join(parts)

    def _lacks(self, source: Source) -> str:
        """What keeps a run's images or maps from being shown, and the one command that changes it; once a reason."""
        text, command = about.lacking(source)
        if text and text not in self.report.notes:
            self.report.notes.append(text)
        return html.note(text, command) if text else ""

    def _measured(self, read: Callable[..., Any], lines: Sequence[Mapping[str, Any]], source: Source, name: str) -> Any:
        total = len(evenly(lines, MEASURED))
        done = 0

        def one_more() -> None:
            nonlocal done
            done += 1
            self.progress(f"reading images and maps of {name}", done, total)

        return read(source, lines, one_more)

    def _pair_difficulty(self) -> None:
        parts, found = [], {}
        for name, source, lines in zip(self.names, self.sources, self.lines, strict=True):
            parts.append(self._lacks(source))
            if source.has_data:
                one: PairsMeasured = self._measured(measure_pairs, lines, source, name)
                parts.append(self._read_notes(one.lost, one.images, len(lines)))
                if one.correct:
                    found[name] = one
        figures = []
        if found:
            correct = {name: np.array(one.correct) for name, one in found.items()}
            distance = {name: np.array(one.distance) for name, one in found.items()}
            figures.append(
                self._figure(
                    "pair-distance",
                    map_plots.reliability(distance, correct, "distance of the points (image diagonals)"),
                    "Accuracy against the distance of the two points. Bins of as many pairs each, Wilson intervals.",
                )
            )
            gap = {name: np.array(one.gap) for name, one in found.items()}
            known = {name: np.isfinite(values) for name, values in gap.items()}
            mapped = [name for name in gap if known[name].any() and np.ptp(gap[name][known[name]]) > 0]
            if mapped:
                figures.append(
                    self._figure(
                        "pair-gap",
                        map_plots.reliability(
                            {n: gap[n][known[n]] for n in mapped},
                            {n: correct[n][known[n]] for n in mapped},
                            "predicted gap (ranges of the map)",
                        ),
                        "Accuracy against how far apart the model puts the points: a model that knows what it does "
                        "not know is near a coin flip only on the left.",
                    )
                )
            most = max(map_plots.failing_share(*one.heat()).max() for one in found.values())
            for at, (name, one) in enumerate(found.items()):
                wrong, seen = one.heat()
                caption = "Where in the image pairs go wrong, at both of their points. Empty: hardly any pair there."
                figure = map_plots.heat(wrong, seen, "wrong pairs (%)", float(most))
                figures.append(self._figure(self._numbered("where", at), figure, self._whose(name, caption)))
        self._add("difficulty", "Reliability and place", figures, *parts)

    def _depth_and_place(self) -> None:
        parts, found = [], {}
        for name, source, lines in zip(self.names, self.sources, self.lines, strict=True):
            parts.append(self._lacks(source))
            if source.has_maps:
                one: DenseMeasured = self._measured(measure_dense, lines, source, name)
                parts.append(self._read_notes(one.lost, one.images, len(lines)))
                if one.images:
                    found[name] = one
        figures = []
        if found:
            figures.append(
                self._figure(
                    "depth-ranges", map_plots.by_depth(found),
                    "Relative error of the pixels by their true depth, ranges of about as many pixels each.",
                )
            )  # fmt: skip
            for at, (name, one) in enumerate(found.items()):
                figures.append(
                    self._figure(
                        self._numbered("truth-prediction", at),
                        map_plots.truth_against_prediction(one),
                        self._whose(name, "Aligned prediction against true depth, all pixels. Dashed, equality."),
                    )
                )
            most = max(map_plots.failing_share(one.failing, one.seen).max() for one in found.values())
            for at, (name, one) in enumerate(found.items()):
                figures.append(
                    self._figure(
                        self._numbered("where", at),
                        map_plots.heat(one.failing, one.seen, "pixels off by more than 25 % (%)", float(most)),
                        self._whose(name, "Where in the image depth is off by more than a quarter (outside δ1)."),
                    )
                )
        self._add("depth", "By depth and by place", figures, *parts)

    def _alignment(self) -> None:
        figures = []
        for at, (name, record, lines) in enumerate(zip(self.names, self.records, self.lines, strict=True)):
            output = record.info["model"]["output"]
            space = "disparity" if about.fit_in_disparity(self.recipe, output) else "depth"
            figure = plots.fits(lines, space)
            if figure is not None:
                caption = "Scale and shift that bring each image's prediction to metres."
                figures.append(self._figure(self._numbered("alignment", at), figure, self._whose(name, caption)))
        self._add("alignment", "Alignment", figures)

    def _pictures(self) -> None:
        lacking = "".join(self._lacks(source) for source in self.sources)
        if not self.sources[0].has_data or (self.recipe.task == "depth" and not all(s.has_maps for s in self.sources)):
            self._add("samples", "Samples", [], lacking)
            return
        parts = []
        if len(self.sources) == 1:
            ordered = samples.ranked(self.sources[0], self.lines[0])
            chosen = {
                f"Worst by {title(self.metric)}": ordered[: samples.WORST],
                "Around the median": samples.middle(ordered),
            }
            for heading, members in chosen.items():
                if members:
                    parts.append(f"<h3>{html.escape(heading)}</h3>")
                    parts += [samples.one(self.sources[0], line) for line in members]
        else:
            a, b = self.sources
            for name, apart in zip(self.names, samples.apart(a, paired.common(*self.lines)), strict=True):
                if apart:
                    parts.append(f"<h3>{html.escape(name)} is ahead by most</h3>")
                    parts += [samples.two(a, b, both) for both in apart]
        legend = about.legend(self.recipe)
        self._add("samples", "Samples", [], html.paragraph(legend, "soft"), lacking, *parts)

    def _speed(self) -> None:
        seconds = {
            name: np.array([line["seconds"] for line in lines if line["status"] != "failed" and line.get("seconds")])
            for name, lines in zip(self.names, self.lines, strict=True)
        }
        seconds = {name: found for name, found in seconds.items() if len(found)}
        rows = [
            [
                name,
                f"{1000 * float(np.median(found)):.3g} ms",
                f"{1000 * float(np.quantile(found, 0.95)):.3g} ms",
                f"{len(found) / found.sum():.3g}",
            ]
            for name, found in seconds.items()
        ]
        if not rows:
            return
        text = "Time of the predictions of this run, the first ones included; a busy machine slows them."
        figure = self._figure("speed", plots.speed(seconds), "Share of images predicted within a time.")
        head = ["model", "median", "95 % within", "images a second"]
        self._add("speed", "Speed", [figure], html.paragraph(text, "soft"), html.table(head, rows))
