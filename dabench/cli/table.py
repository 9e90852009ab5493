"""Run summaries as one table: a column a model, a row a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from dabench.run import Run

TITLES = {
    "accuracy": "pair accuracy", "accuracy_weighted": "accuracy on the candidates",
    "abs_rel": "AbsRel ↓", "sq_rel": "SqRel ↓", "rmse": "RMSE ↓", "rmse_log": "RMSE log ↓",
    "log10": "log10 ↓", "silog": "SILog ↓", "delta1": "delta1 ↑", "delta2": "delta2 ↑", "delta3": "delta3 ↑",
    "irmse": "iRMSE ↓", "mae": "MAE ↓", "whdr": "WHDR ↓", "sq_rel_squared": "SqRel (over g²) ↓",
    "silog_half": "SILog (half) ↓", "silog_bessel": "SILog (n - 1) ↓", "rmse_log10": "RMSE log10 ↓",
    "bad_pixel": "bad pixels ↓", "boundary_f1_depth_pro": "boundary F1 (Depth Pro) ↑",
    "boundary_f1_moge": "boundary F1 (MoGe) ↑",
}  # fmt: skip
LISTED_FAILURES = 5
SHOWN_DENSE_METRICS = ("abs_rel", "delta1")
SHARES = ("accuracy", "whdr", "accuracy_weighted")


def format_value(metric: str, value: float | None) -> str:
    """A metric as the field prints it: accuracy and WHDR in percent, the others as ratios."""
    if value is None or value != value:
        return "-"
    return f"{100 * value:.1f} %" if metric in SHARES else f"{value:.4f}"


def _with_interval(metric: str, entry: dict[str, Any]) -> str:
    low, high = entry["ci95"]
    if entry["value"] is None or low is None:
        return format_value(metric, entry["value"])
    if metric in SHARES:
        return f"{format_value(metric, entry['value'])} [dim]\\[{100 * low:.1f}, {100 * high:.1f}][/]"
    return f"{format_value(metric, entry['value'])} [dim]\\[{low:.3f}, {high:.3f}][/]"


def results_table(runs: Sequence[Run]) -> Table:
    """One table over all runs, with per-group rows for pair protocols and the 95 % interval beside each total."""
    from rich import box
    from rich.table import Table

    summaries = [run.summary for run in runs]
    models = list(dict.fromkeys(s["model"]["name"] for s in summaries))
    protocols = list(dict.fromkeys(s["protocol"]["id"] for s in summaries))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for model in models:
        table.add_column(model, justify="right", overflow="fold")
    for protocol in protocols:
        cells = {s["model"]["name"]: s for s in summaries if s["protocol"]["id"] == protocol}
        first = next(iter(cells.values()))
        counted = f"{first['counts']['expected']} images"
        if "pairs" in first["counts"]:
            counted = f"{first['counts']['pairs']} pairs, {counted}"
        rows: list[tuple[str, list[str]]] = []
        for metric in first["metrics"]:
            if metric in SHOWN_DENSE_METRICS or metric == next(iter(first["metrics"])):
                values = [_with_interval(metric, cells[m]["metrics"][metric]) if m in cells else "" for m in models]
                rows.append((f"[bold]{TITLES.get(metric, metric)}[/]", values))
        share = next((metric for metric in SHARES if metric in first["metrics"]), None)
        if share is not None and len(first["groups"]) > 1:
            for group in first["groups"]:
                values = [
                    format_value(share, cells[m]["groups"][group]["metrics"][share]["value"]) if m in cells else ""
                    for m in models
                ]
                rows.append((f"  {group}", values))
        rows += _weighted_rows([cells.get(m, {}) for m in models])
        rows.append(("coverage", [f"{100 * cells[m]['coverage']:.1f} %" if m in cells else "" for m in models]))
        rows += _answer_rows([cells.get(m, {}).get("answers") for m in models])
        if any(s["counts"]["failed"] for s in cells.values()):
            values = [str(cells[m]["counts"]["failed"]) if m in cells else "" for m in models]
            rows.append(("[red]failed[/]", values))
        if any(s["counts"]["empty"] for s in cells.values()):
            rows.append(("empty", [str(cells[m]["counts"]["empty"]) if m in cells else "" for m in models]))
        partial = ", [yellow]partial[/]" if any(s["partial"] for s in cells.values()) else ""
        table.add_row(f"[bold]{protocol}[/]")
        table.add_row(f"[dim]{counted}[/]{partial}")
        for title, values in rows:
            table.add_row(f"  {title}", *values)
        table.add_section()
    return table


def _weighted_rows(summaries: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Accuracy on the candidates that the pairs of a release were drawn from; nothing for other sets."""
    if not any("weighting" in summary for summary in summaries):
        return []

    def row(show: Callable[[dict[str, Any]], str]) -> list[str]:
        return [show(summary) if "weighting" in summary else "" for summary in summaries]

    name = "accuracy_weighted"
    rows = [
        (f"[bold]{TITLES[name]}[/]", row(lambda s: _with_interval(name, s["metrics"][name]))),
        ("  pairs it rests on", row(_resting)),
    ]
    if any(summary.get("weighting", {}).get("without_probability") for summary in summaries):
        rows.append(("  not drawn, left out", row(lambda s: str(s["weighting"]["without_probability"]))))
    return rows


def _resting(summary: dict[str, Any]) -> str:
    return f"{summary['weighting']['pairs']}, worth {summary['weighting']['effective_pairs']:.0f}"


def _answer_rows(answers: Sequence[dict[str, Any] | None]) -> list[tuple[str, list[str]]]:
    """How models without maps answered; nothing where there are none."""
    if not any(answers):
        return []

    def row(show: Callable[[dict[str, Any]], str]) -> list[str]:
        return [show(found) if found else "" for found in answers]

    def usage(found: dict[str, Any]) -> str:
        used = found["usage"]
        return f"{used.get('tokens_in', 0):,.0f} + {used.get('tokens_out', 0):,.0f}"

    rows = [
        ("consistency", row(lambda a: "-" if a["consistency"] is None else f"{100 * a['consistency']:.1f} %")),
        ("refused, unparsable", row(lambda a: f"{a['refused']}, {a['unparsable']} of {a['asked']}")),
        ("tokens in + out", row(usage)),
    ]
    if any(found and "cost" in found["usage"] for found in answers):
        rows.append(("cost", row(lambda a: f"{a['usage'].get('cost', 0):.4f}")))
    return rows


def failures(runs: Sequence[Run]) -> list[str]:
    """What went wrong, a few lines a run."""
    lines = []
    for run in runs:
        bad = [line for line in run.samples if line["status"] == "failed"]
        title = f"{run.summary['model']['name']} on {run.summary['protocol']['id']}"
        if bad:
            lines.append(f"{title}: {len(bad)} of {len(run.samples)} samples failed")
            lines.extend(f"  {line['id']}: {line['error']}" for line in bad[:LISTED_FAILURES])
            if len(bad) > LISTED_FAILURES:
                lines.append(f"  ... and {len(bad) - LISTED_FAILURES} more in samples.jsonl")
        elif run.summary["coverage"] < 1 and (answers := run.summary.get("answers")):
            lines.append(
                f"{title}: coverage {100 * run.summary['coverage']:.2f} %: of {answers['asked']} questions "
                f"{answers['refused']} were refused and {answers['unparsable']} answered in no readable way; these are "
                "wrong"
            )
        elif run.summary["coverage"] < 1:
            lines.append(
                f"{title}: coverage {100 * run.summary['coverage']:.2f} %: some predicted values are not usable "
                "(not finite, or not positive)"
            )
        lines.extend(f"{title}: note: {note}" for note in run.summary["model"]["notes"])
    return lines
