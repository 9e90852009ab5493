"""Leaderboards: what may stand in one table, who may have a rank, and what the pages say."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench.errors import UsageError
from dabench.protocols import all_protocols
from dabench.reporting.expected import PublishedNumber, published
from dabench.reporting.leaderboard.build import board, why_unranked
from dabench.reporting.leaderboard.paper import PAPER_TABLES, paper_table
from dabench.reporting.leaderboard.ranking import overlap_ranks, printed_ranks
from dabench.reporting.leaderboard.sample_ranks import sample_ranks
from dabench.reporting.leaderboard.table import (
    NOT_EVERYWHERE,
    Cell,
    Column,
    Row,
    Table,
    higher_is_better,
    shown_cell,
)
from dabench.reporting.leaderboard.text import as_json, comma_separated, markdown
from dabench.reporting.loaded import Record, find_records

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "results" / "measured"
HISTORIC = ROOT / "tests" / "historic_results"
SCENES = ("indoor", "outdoor", "non_real", "transparent_reflective", "adverse_style", "aerial", "underwater", "object")


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return board(find_records([MEASURED]), published(), licences={"depth-anything-v2-small": "L"})


def named(tables: list[Table], key: str) -> Table:
    return next(table for table in tables if table.key == key)


def copied(tmp_path: Path, run: str, name: str, **changes: Any) -> Path:
    """A run of results/measured/mini under another model's name, with fields of its summary changed."""
    source = MEASURED / "mini" / run
    target = tmp_path / name / source.name
    shutil.copytree(source, target)
    for file in ("run.json", "summary.json"):
        content = json.loads((target / file).read_text())
        content["model"]["name"] = name
        if file == "summary.json":
            content |= changes
        (target / file).write_text(json.dumps(content))
    return target


def as_protocol(folder: Path, protocol_id: str) -> None:
    """Let a run's files say that it was made under one of dabench's protocols."""
    recipe = all_protocols()[protocol_id]
    for file in ("run.json", "summary.json"):
        content = json.loads((folder / file).read_text())
        content["protocol"] = {"id": recipe.id, "sha256": recipe.sha256, "text": recipe.text}
        (folder / file).write_text(json.dumps(content))


def test_every_label_is_a_table_of_its_own_and_nothing_is_lost() -> None:
    found = board([], published(), everything=True)
    assert {table.key for table in found} == {number.protocol_label for number in published()}
    cells = {
        (table.key, row.source, row.model, column.dataset, column.scene, column.metric, cell.value)
        for table in found
        for row in table.rows
        for column, cell in row.cells.items()
    }
    printed = {
        (
            n.protocol_label,
            n.source,
            " ".join(filter(None, (n.model, n.variant))),
            n.dataset,
            n.group,
            n.metric,
            n.value,
        )
        for n in published()
    }
    assert cells == printed and len(cells) > 2000


def test_without_all_only_recipes_of_ours_are_there(tables: list[Table]) -> None:
    assert all(table.protocols for table in tables) and not any("_ablation_" in table.key for table in tables)
    keys = [table.key for table in tables]
    assert keys.index("mini-pairs@1") < keys.index("da2k_pair_accuracy") < keys.index("moge_affine_inv_depth")


def test_da2k_shows_its_eight_scenes(tables: list[Table]) -> None:
    table = named(tables, "da2k_pair_accuracy_per_scene")
    assert [column.scene for column in table.shown] == ["", *SCENES]
    row = next(row for row in table.rows if row.model_id == "depth-anything-v2-small")
    assert shown_cell(row, Column("DA-2K", "accuracy", "transparent_reflective")) == "94.4"
    assert row.parameters == 24.8 and row.licence == "L" and row.kind == "published"


def test_five_datasets_in_the_order_of_the_paper(tables: list[Table]) -> None:
    table = named(tables, "dav2_table2_affine_inv_disparity")
    assert table.datasets == ["KITTI", "NYU-D", "Sintel", "ETH3D", "DIODE"]
    # The mean over five datasets of the rank in AbsRel, counted by hand in the printed table.
    rows = [row for row in table.rows if all(Column(name, "abs_rel") in row.cells for name in table.datasets)]
    for row in rows:
        ranks = [1 + sum(o.cells[Column(d, "abs_rel")].value < row.cells[Column(d, "abs_rel")].value for o in rows)
                 for d in table.datasets]  # fmt: skip
        assert row.rank == (pytest.approx(sum(ranks) / 5),) * 2
    assert all(row.unranked == NOT_EVERYWHERE for row in table.rows if row not in rows)


def test_measured_values_are_those_of_the_records(tables: list[Table]) -> None:
    summary = json.loads((MEASURED / "mini/depth-anything-v2-tiny/mini-pairs@1/summary.json").read_text())
    row = named(tables, "mini-pairs@1").rows[0]
    entry = summary["metrics"]["accuracy"]
    assert row.cells[Column("mini", "accuracy")] == Cell(entry["value"], *entry["ci95"])
    aerial = summary["groups"]["aerial"]["metrics"]["accuracy"]
    assert row.cells[Column("mini", "accuracy", "aerial")] == Cell(aerial["value"], *aerial["ci95"])
    assert (row.model, row.kind, row.rank) == ("depth-anything-v2-tiny", "measured", (1, 1))
    assert row.seconds == summary["timing"]["median_seconds"] and row.device == "cpu"
    assert row.parameters == pytest.approx(3.998113) and row.licence == "Apache-2.0"


def test_a_run_joins_every_label_of_its_protocol_and_its_rank_stays_apart(tmp_path: Path) -> None:
    as_protocol(copied(tmp_path, "depth-anything-v2-tiny/mini-pairs@1", "mine"), "da-2k@1")
    found = board(find_records([tmp_path]), published())
    labels = {n.protocol_label for n in published() if n.protocol == "da-2k@1" and "_ablation_" not in n.protocol_label}
    joined = {table.key for table in found if any(row.kind == "measured" for row in table.rows)}
    assert joined == labels and len(labels) >= 3
    table = named(found, "da2k_pair_accuracy")
    assert [row.rank for row in table.rows[:2]] == [(1, 1), (1, 1)], "first of the measured, first of the printed"
    assert table.rows[0].model == "mine"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"partial": True}, "partial: 104 samples"),
        ({"coverage": 0.5}, "coverage 50.00 %"),
        ({"counts": {"expected": 104, "ok": 102, "empty": 0, "failed": 2, "pairs": 311}}, "2 samples failed"),
        ({"counts": {"expected": 104, "ok": 90, "empty": 0, "failed": 0, "pairs": 311}}, "incomplete records"),
    ],
)
def test_what_is_not_whole_has_no_rank_and_never_wins(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    copied(tmp_path, "constant/mini-pairs@1", "whole")
    copied(tmp_path, "location-prior/mini-pairs@1", "second")
    copied(tmp_path, "depth-anything-v2-tiny/mini-pairs@1", "broken", **changes)
    (table,) = board(find_records([tmp_path]))
    assert [row.model for row in table.rows] == ["second", "whole", "broken"]
    assert [row.rank for row in table.rows] == [(1, 1), (2, 2), None]
    assert table.rows[-1].unranked == reason
    assert table.best(Column("mini", "accuracy")) == ("49.8", "0.0")
    line = next(line for line in markdown([table]).splitlines() if "`broken`" in line)
    assert f"- ({reason})" in line and "**76.8**" not in line and "76.8" in line


def test_an_unfinished_run_is_shown_without_values(tmp_path: Path) -> None:
    folder = copied(tmp_path, "constant/mini-pairs@1", "slow")
    (folder / "summary.json").unlink()
    copied(tmp_path, "constant/mini-pairs@1", "done")
    (table,) = board(find_records([tmp_path]))
    assert [(row.model, row.unranked) for row in table.rows] == [("done", ""), ("slow", "unfinished")]
    assert table.rows[1].cells == {}


def test_a_protocol_with_another_text_stands_apart(tmp_path: Path) -> None:
    folder = copied(tmp_path, "constant/mini-pairs@1", "edited")
    copied(tmp_path, "constant/mini-pairs@1", "plain")
    content = json.loads((folder / "run.json").read_text())
    from dabench import protocols

    text = content["protocol"]["text"].replace('title = "', 'title = "Changed: ')
    content["protocol"] |= {"text": text, "sha256": protocols.parse(text, "test").sha256}
    (folder / "run.json").write_text(json.dumps(content))
    found = board(find_records([tmp_path]))
    assert [[row.model for row in table.rows] for table in found] == [["plain"], ["edited"]]
    assert "stand apart" in found[1].about and found[1].protocols == {}


def test_one_model_scored_twice_is_told_apart_and_one_folder_given_twice_is_one_row(tmp_path: Path) -> None:
    for out in ("a", "b"):
        copied(tmp_path / out, "constant/mini-pairs@1", "constant")
    (table,) = board(find_records([tmp_path / "a", tmp_path / "b", tmp_path / "a"]))
    assert sorted(row.model for row in table.rows) == ["constant (a)", "constant (b)"]
    assert {row.rank for row in table.rows} == {(1, 2)}, "the same values cannot be told apart"


def test_records_of_every_schema_are_shown() -> None:
    folders = sorted(path for path in HISTORIC.iterdir() if path.name.startswith("schema-"))
    assert folders
    for folder in folders:
        rows = [row for table in board(find_records([folder])) for row in table.rows]
        assert len(rows) == 2 and all(row.cells for row in rows)
        assert all(row.unranked.startswith("coverage") and row.rank is None for row in rows)


def test_overlap_ranks_against_every_order_that_the_intervals_allow() -> None:
    """The lowest and highest place of each over all orders in which no one stands before whom it is surely behind."""
    cells = [Cell(0.9, 0.8, 0.95), Cell(0.85, 0.7, 0.9), Cell(0.6, 0.5, 0.65), Cell(0.62)]
    allowed = [
        order for order in itertools.permutations(range(4))
        if all(_low(cells[behind]) <= _high(cells[before]) for before, behind in itertools.combinations(order, 2))
    ]  # fmt: skip
    expected = [(min(o.index(i) for o in allowed) + 1, max(o.index(i) for o in allowed) + 1) for i in range(4)]
    assert overlap_ranks(cells, higher=True) == expected == [(1, 2), (1, 2), (3, 4), (3, 4)]
    assert overlap_ranks(cells, higher=False) == [(3, 4), (3, 4), (1, 2), (1, 2)]


def _low(cell: Cell) -> float:
    return cell.value if cell.low is None else cell.low


def _high(cell: Cell) -> float:
    return cell.value if cell.high is None else cell.high


def test_equal_print_shares_a_rank() -> None:
    assert printed_ranks(["97.1", "97.1", "95.3"], [0.971, 0.971, 0.953], higher=True) == [(1, 1), (1, 1), (3, 3)]
    assert printed_ranks(["0.07", "0.06"], [0.07, 0.06], higher=False) == [(2, 2), (1, 1)]


def records_with(tmp_path: Path, **correct: np.ndarray[Any, Any]) -> list[Record]:
    """Runs of the pair protocol on 60 images with 4 pairs each, of which ``correct`` are."""
    for name, counts in correct.items():
        folder = copied(tmp_path, "constant/mini-pairs@1", name)
        lines = [
            {"id": f"i{i:03}", "group": "indoor", "status": "ok", "n_valid": 4, "n_correct": int(count)}
            for i, count in enumerate(counts)
        ]
        (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return find_records([tmp_path / name for name in correct])


def test_the_same_images_tell_apart_what_intervals_cannot(tmp_path: Path) -> None:
    """One more correct pair in every third image: the spread between images is large, that of the difference small."""
    base = np.tile([0, 1, 2, 3], 15)
    better = base + (np.arange(60) % 3 == 0)
    runs = records_with(tmp_path, worse=base, better=better)
    assert [run.model for run in runs] == ["better", "worse"]
    assert sample_ranks(runs) == [(1, 1), (2, 2)]
    half = 1.96 * base.std() / 4 / 60**0.5
    spans = [Cell(v.mean() / 4, v.mean() / 4 - half, v.mean() / 4 + half) for v in (better, base)]
    assert overlap_ranks(spans, higher=True) == [(1, 2), (1, 2)]


def test_other_images_are_not_compared_by_sample(tmp_path: Path) -> None:
    runs = records_with(tmp_path, one=np.full(60, 4), two=np.full(59, 1))
    assert sample_ranks(runs) is None and sample_ranks([]) == []


def test_sequences_are_ranked_as_sequences() -> None:
    """Two clips: ten images are two draws, so that a difference in one clip says nothing."""
    recipe = next(p for p in all_protocols().values() if p.aggregation.total == "mean-of-sequences")
    metric = recipe.primary_metric

    class Stub:
        protocol = recipe

        def __init__(self, first: float) -> None:
            self.first = first

        def samples(self) -> list[dict[str, Any]]:
            return [
                {"id": str(i), "status": "ok", "sequence": "ab"[i % 2], metric: self.first if i % 2 else 0.2}
                for i in range(10)
            ]

    assert sample_ranks([Stub(0.1), Stub(0.2)]) == [(1, 2), (1, 2)]  # type: ignore[list-item]


def test_direction_of_metrics() -> None:
    known = {n.metric for n in published()} | {m for p in all_protocols().values() for m in p.metrics}
    better = {m for m in known if higher_is_better(m)}
    assert {"accuracy", "delta1", "boundary_f1_depth_pro", "boundary_recall", "miou_pct", "fps_rtx3090"} <= better
    assert not better & {"abs_rel", "rmse", "silog", "whdr", "bad_pixel", "latency_ms", "gflops", "log10", "irmse"}


TABLE_2 = {
    "depth-anything-v2-small": "0.078 0.936 0.053 0.973 0.500 0.718 0.142 0.851 0.073 0.942",
    "depth-anything-v2-large": "0.074 0.946 0.045 0.979 0.487 0.752 0.131 0.865 0.066 0.952",
    "midas-v3.1-beit-l-512": "0.127 0.850 0.048 0.980 0.587 0.699 0.139 0.867 0.075 0.942",
}
TABLE_14 = {
    "depth-anything-v2-small": "92.9 93.0 98.4 94.4 95.7 96.4 99.2 96.6 95.3",
    "depth-anything-v2-base": "96.2 94.8 98.7 96.3 96.7 99.0 100.0 97.3 97.0",
    "depth-anything-v2-large": "96.4 93.9 99.0 96.3 97.3 99.5 99.2 98.0 97.1",
}
TABLE_3 = {"marigold-v1.0": "86.8", "depthfm": "85.8", "geowizard": "88.1", "depth-anything-v2-giant": "97.4"}
TABLE_4 = {
    "depth-anything-v2-large-nyu": "0.984 0.998 1.000 0.056 0.206 0.024      ",
    "depth-anything-v2-large-kitti": "      0.983 0.998 1.000 0.045 1.861 0.067",
}


@pytest.mark.parametrize(
    ("name", "values", "rows"), [("2", TABLE_2, 8), ("3", TABLE_3, 8), ("4", TABLE_4, 18), ("14", TABLE_14, 6)]
)
def test_the_tables_of_the_paper_come_out_as_printed(name: str, values: dict[str, str], rows: int) -> None:
    table = paper_table(name, published())
    assert len(table.rows) == rows
    for model, printed in values.items():
        row = next(row for row in table.rows if row.model_id == model)
        assert [shown_cell(row, column) for column in table.columns if shown_cell(row, column)] == printed.split()
    # Every number of the source is in the table, and no other.
    sources = PAPER_TABLES[name].sources
    printed_values = sorted(n.value for n in published() if n.source in sources)
    assert sorted(cell.value for row in table.rows for cell in row.cells.values()) == printed_values
    assert set(table.protocols.values()) <= set(all_protocols())


def test_a_model_of_yours_is_the_last_row(tmp_path: Path) -> None:
    as_protocol(copied(tmp_path, "depth-anything-v2-tiny/mini-pairs@1", "mine"), "da-2k@1")
    copied(tmp_path, "depth-anything-v2-tiny/mini-depth@1", "mine")
    table = paper_table("14", published(), find_records([tmp_path]))
    row = table.rows[-1]
    assert (row.model, row.kind, len(table.rows)) == ("mine", "measured", 7)
    values = " ".join(shown_cell(row, column) for column in table.columns)
    assert values == "75.0 75.0 78.9 68.4 86.8 56.4 87.2 87.2 76.8"


def test_runs_of_other_protocols_do_not_join_a_paper_table() -> None:
    with pytest.raises(UsageError, match=r"da-2k@1; these are under mini-depth@1, mini-pairs@1"):
        paper_table("3", published(), find_records([MEASURED / "mini"]))
    with pytest.raises(UsageError, match="no paper table '7'"):
        paper_table("7", published())
    with pytest.raises(UsageError, match="hold nothing from"):
        paper_table("3", [])


def test_markdown_is_a_table(tables: list[Table]) -> None:
    lines = markdown(tables).splitlines()
    widths = {}
    for place, line in enumerate(lines):
        if line.startswith("|") and not lines[place - 1].startswith("|"):
            widths[place] = [row.replace("\\|", "").count("|") for row in itertools.takewhile(
                lambda row: row.startswith("|"), lines[place:])]  # fmt: skip
    assert len(widths) == len(tables) and all(len(set(found)) == 1 for found in widths.values())
    assert "| **measured** |" in markdown(tables) and "**76.8** [71.3–82.0]" in markdown(tables)


def test_csv_and_json_hold_every_number(tables: list[Table]) -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(tables))))
    cells = [(t, row, column, cell) for t in tables for row in t.rows for column, cell in row.cells.items()]
    assert len(rows) == len(cells) > 700
    assert {
        (r["table"], r["model"], r["source"], r["dataset"], r["scene"], r["metric"], float(r["value"])) for r in rows
    } == {(t.key, row.model, row.source, c.dataset, c.scene, c.metric, cell.value) for t, row, c, cell in cells}
    found = json.loads(as_json(tables))["tables"]
    assert sum(len(row["values"]) for table in found for row in table["rows"]) == len(cells)
    first = next(t for t in found if t["table"] == "mini-pairs@1")["rows"][0]
    assert first["rank"] == [1, 1] and first["values"][0]["ci95"][0] == pytest.approx(0.7133, abs=1e-4)


def test_digits_are_those_of_the_source() -> None:
    number = PublishedNumber(
        model="M", protocol_label="l", protocol="da-2k@1", dataset="DA-2K", metric="accuracy", value=0.9705,
        kind="reproduced", source="somewhere",
    )  # fmt: skip
    (table,) = board([], [number])
    assert shown_cell(table.rows[0], table.columns[0]) == "97.05"
    measured = Row("m", "measured", {table.columns[0]: Cell(0.97051)})
    assert shown_cell(measured, table.columns[0]) == "97.1"


def test_why_unranked_says_nothing_of_a_whole_run() -> None:
    assert {why_unranked(record) for record in find_records([MEASURED])} == {""}


def test_the_generated_pages_are_fresh() -> None:
    spec = importlib.util.spec_from_file_location("build_leaderboard", ROOT / "docs" / "build_leaderboard.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pages = script.pages()
    assert {path.relative_to(ROOT).as_posix() for path in pages} == {
        "results/LEADERBOARD.md",
        "results/site/index.html",
    }
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, "run python docs/build_leaderboard.py"
