"""``dabench compare``: is one model better than another, by how much, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabench.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from dabench.reporting.compare import Compared, Comparison, Difference, SampleDifference

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def compare_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN_A RUN_B [RUN_C...]", help="Folders of runs, OUT/<model>/<protocol>.")
    ],
    common: Annotated[
        bool, typer.Option("--common", help="Where the samples differ, compare on those that all runs have.")
    ] = False,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="Compare each with each, not only with the first.")
    ] = False,
    top: Annotated[int, typer.Option(min=0, help="Samples to name on either side.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (docs/compare.md).")] = False,
) -> None:
    """Compare runs of one protocol on the same samples: difference, interval, p, and where they differ most."""
    from dabench.cli.console import messages, results
    from dabench.reporting.compare import compare
    from dabench.reporting.loaded import load_record

    if len(runs) > len(LETTERS):
        raise UsageError(f"{len(runs)} runs are too many for one table", hint=f"at most {len(LETTERS)}")
    found = compare([load_record(path) for path in runs], common=common, all_pairs=all_pairs, top=top)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    stdout = results()
    for line in heading(found):
        stdout.print(line, markup=False, soft_wrap=True)
    for comparison in found.comparisons:
        stdout.print()
        stdout.print(verdict(found, comparison), style="bold", markup=False)
        stdout.print(metrics_table(found, comparison))
        if comparison.groups:
            stdout.print(groups_table(found, comparison))
        if comparison.a_better or comparison.b_better:
            stdout.print(samples_table(found, comparison))
    stdout.print(method(found), style="dim", markup=False)
    stderr = messages()
    for note in found.matched.notes:
        stderr.print(f"note: {note}", markup=False, soft_wrap=True)


def heading(found: Compared) -> list[str]:
    """What is compared, and which letter stands for which run."""
    matched, counted = found.matched, f"{len(found.matched.lines[0])} images"
    if matched.protocol.task == "pairs":
        counted = f"{sum(line['n_valid'] for line in matched.lines[0])} pairs, {counted}"
    width = max(len(record.model) for record in matched.records)
    return [
        f"{matched.protocol.id}: {counted}{', partial' if matched.partial else ''}",
        *(f"  {LETTERS[n]}  {r.model:<{width}}  {r.path}" for n, r in enumerate(matched.records)),
    ]


def verdict(found: Compared, comparison: Comparison) -> str:
    """The primary metric in a sentence."""
    from dabench.cli.table import TITLES

    name = found.primary_metric
    a, b, result = LETTERS[comparison.a], LETTERS[comparison.b], comparison.metrics[name]
    title = TITLES.get(name, name).rstrip(" ↑↓")
    if result.difference != result.difference:
        return f"{a} and {b}: no image has a value of {title} in both"
    if result.better is None:
        smallest = _size(name, result.minimum_detectable_difference)
        return (
            f"{a} and {b} cannot be told apart in {title} (p {_equals(result.p_holm)}); "
            f"a true difference of {smallest} would show four times in five"
        )
    winner, loser = (a, b) if result.better == "a" else (b, a)
    size = _size(name, abs(result.difference))
    return f"{winner} is better than {loser} in {title} by {size} (p {_equals(result.p_holm)})"


def metrics_table(found: Compared, comparison: Comparison) -> Table:
    """A row a metric."""
    from dabench.cli.table import TITLES, format_value

    a, b = LETTERS[comparison.a], LETTERS[comparison.b]
    pairs = found.matched.protocol.task == "pairs"
    several = len(found.comparisons) > 1
    columns = [a, b, f"{b} - {a} [95 %]", "p", *(["p (Holm)"] if several else []), *(["p (McNemar)"] if pairs else [])]
    table = _table("", *columns, "detectable")
    for name, result in comparison.metrics.items():
        row = [format_value(name, result.a), format_value(name, result.b), _change(name, result), _p(result.p)]
        row += [_p(result.p_holm)] if several else []
        row += [_p(result.mcnemar.p)] if result.mcnemar is not None else []
        missing = f" ({result.missing} images left out: no value)" if result.missing else ""
        table.add_row(TITLES.get(name, name) + missing, *row, _size(name, result.minimum_detectable_difference))
    return table


def groups_table(found: Compared, comparison: Comparison) -> Table:
    """The primary metric by group, the largest difference first."""
    from dabench.cli.table import format_value

    name, a, b = found.primary_metric, LETTERS[comparison.a], LETTERS[comparison.b]
    table = _table("groups, by difference", "images", a, b, f"{b} - {a} [95 %]")
    for group in comparison.groups:
        table.add_row(
            group.group or "(none)",
            str(group.images),
            format_value(name, group.a),
            format_value(name, group.b),
            _interval(name, group.difference, group.ci95),
        )
    return table


def samples_table(found: Compared, comparison: Comparison) -> Table:
    """The images on which one is most ahead of the other."""
    a, b = LETTERS[comparison.a], LETTERS[comparison.b]
    table = _table("images that differ most", a, b, f"{b} - {a}", "better")
    for letter, samples in ((a, comparison.a_better), (b, comparison.b_better)):
        for sample in samples:
            table.add_row(sample.id, *_cells(sample), letter)
    return table


def method(found: Compared) -> str:
    """How the numbers were made, for a reader who wants to quote them."""
    unit = f"{found.unit}s"
    lines = [
        f"Intervals: paired bootstrap over {unit}. p: {unit} swap sides by chance (permutation).",
        "detectable: true difference that would show four times in five (80 % power at 5 %).",
    ]
    if len(found.comparisons) > 1:
        lines.append(f"Verdicts follow p (Holm), adjusted for {len(found.comparisons)} comparisons; intervals do not.")
    tests = [c.metrics[found.primary_metric].mcnemar for c in found.comparisons]
    if any(test is not None for test in tests):
        lines.append("McNemar takes the pairs of one image for independent; quote p where images hold several pairs.")
    for comparison, test in zip(found.comparisons, tests, strict=True):
        if test is not None:
            a, b = LETTERS[comparison.a], LETTERS[comparison.b]
            words = "more nearly right" if test.graded else "right"
            half = "; with half credits it is a sign test" if test.graded else ""
            lines.append(f"Only {a} {words}: {test.only_a} pairs; only {b}: {test.only_b}{half}.")
    return "\n".join(lines)


def _table(first: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _change(name: str, result: Difference) -> str:
    text = _interval(name, result.difference, result.ci95)
    return f"[bold]{text}[/]" if result.better else text


def _interval(name: str, value: float, ends: tuple[float, float]) -> str:
    from dabench.cli.table import SHARES

    if value != value:
        return "-"
    scale, digits = (100.0, 1) if name in SHARES else (1.0, 4)
    if ends[0] != ends[0]:
        return f"{scale * value:+.{digits}f}"
    return f"{scale * value:+.{digits}f} \\[{scale * ends[0]:+.{digits}f}, {scale * ends[1]:+.{digits}f}]"


def _size(name: str, value: float) -> str:
    from dabench.cli.table import SHARES

    if value != value:
        return "-"
    return f"{100 * value:.1f} points" if name in SHARES else f"{value:.4f}"


def _p(value: float) -> str:
    """Three digits; very small ones as a bound, because they say nothing more."""
    if value != value:
        return "-"
    return "< 0.0005" if value < 0.0005 else f"{value:.3f}"


def _equals(value: float) -> str:
    return text if (text := _p(value)).startswith("<") else f"= {text}"


def _cells(sample: SampleDifference) -> tuple[str, str, str]:
    if sample.pairs is None:
        return f"{sample.a:.4f}", f"{sample.b:.4f}", f"{sample.difference:+.4f}"
    return f"{sample.a:g} of {sample.pairs}", f"{sample.b:g} of {sample.pairs}", f"{sample.difference:+g}"
