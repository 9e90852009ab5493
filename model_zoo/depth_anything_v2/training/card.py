"""Write the measured numbers of a model card from evaluation records, so that no number is typed by hand.

    python -m model_zoo.depth_anything_v2.training.card RUNS --card model_zoo/weights/MODEL_CARD.md

RUNS is the output folder of `dabench eval`; every `summary.json` below it becomes a row.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

START, END = "<!-- measured: start -->", "<!-- measured: end -->"

SHOWN = ("accuracy", "abs_rel", "delta1")


def _value(metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return "-"
    interval = metric.get("ci95")
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval and None not in interval else ""
    return f"{metric['value']:.3f}{bounds}"


def table(runs: Path) -> str:
    """A Markdown table of every complete run below `runs`, with the metrics in SHOWN."""
    lines = ["| model | dataset | protocol | scored | metrics (95 % interval) |", "|---|---|---|---|---|"]
    for path in sorted(runs.rglob("summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        run_file = path.with_name("run.json")
        run = json.loads(run_file.read_text(encoding="utf-8")) if run_file.exists() else {}
        metrics = ", ".join(f"{name} {_value(metric)}" for name, metric in summary["metrics"].items() if name in SHOWN)
        counts = summary["counts"]
        dataset = Path(str(run.get("dataset", {}).get("name", ""))).name
        cells = [summary["model"]["name"], dataset, summary["protocol"]["id"], f"{counts['ok']}/{counts['expected']}"]
        lines.append("| " + " | ".join([*cells, metrics]) + " |")
    if len(lines) == 2:
        raise SystemExit(f"no summary.json below {runs}; run `dabench eval --out {runs}` first")
    return "\n".join(lines)


def fill(card: str, content: str) -> str:
    """`card` with what stands between the markers replaced."""
    if card.count(START) != 1 or card.count(END) != 1:
        raise SystemExit(f"the card needs one '{START}' and one '{END}'")
    before, rest = card.split(START)
    return f"{before}{START}\n{content}\n{END}{rest.split(END)[1]}"


def main(arguments: list[str] | None = None) -> None:
    """Command line: rewrite the card's table in place."""
    parser = argparse.ArgumentParser(prog="python -m model_zoo.depth_anything_v2.training.card", description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--card", type=Path, required=True)
    options = parser.parse_args(arguments)
    measured = table(options.runs)
    text = fill(options.card.read_text(encoding="utf-8"), measured)
    options.card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
