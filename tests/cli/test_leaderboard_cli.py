"""``dabench leaderboard`` as a user calls it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dabench.cli
from dabench.errors import DabenchError

ROOT = Path(__file__).resolve().parents[2]
MEASURED = str(ROOT / "results" / "measured")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(dabench.cli.build_app(), ["leaderboard", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_records_and_published_tables_together() -> None:
    text = run(MEASURED, "-p", "mini-pairs", "-p", "da2k*")
    assert "## Pair accuracy on the bundled rendered benchmark" in text and "## DA-2K pair accuracy by scene" in text
    assert "Table 2" not in text and "**97.4**" in text


@pytest.mark.parametrize(
    ("form", "name"),
    [("md", "LEADERBOARD.md"), ("html", "index.html"), ("csv", "leaderboard.csv"), ("latex", "leaderboard.tex"),
     ("json", "leaderboard.json")],
)  # fmt: skip
def test_every_format_to_a_folder_and_to_a_file(form: str, name: str, tmp_path: Path) -> None:
    one = f"{MEASURED}/nyu60-pairs"
    printed = run(one, "--no-published", "--format", form)
    assert "depth-anything-v2-tiny" in printed and "Depth Anything V2 ViT-S" not in printed
    assert run(one, "--no-published", "--format", form, "--out", str(tmp_path / "new")).strip().endswith(name)
    assert (tmp_path / "new" / name).read_text(encoding="utf-8") == printed
    run(one, "--no-published", "--format", form, "--out", str(tmp_path / f"mine.{form}"))
    assert (tmp_path / f"mine.{form}").read_text(encoding="utf-8") == printed


def test_without_a_folder_the_usual_ones_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "measured" not in {row["kind"] for row in csv.DictReader(io.StringIO(run("--format", "csv")))}
    (tmp_path / "runs").symlink_to(Path(MEASURED) / "mini", target_is_directory=True)
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv", "-p", "mini-*"))))
    assert {row["model"] for row in rows} == {"constant", "depth-anything-v2-tiny", "location-prior"}


def test_published_rows_carry_the_licence_of_the_catalogue() -> None:
    found = json.loads(run(MEASURED, "--format", "json", "-p", "da2k_pair_accuracy"))
    rows = {row["model_id"]: row for row in found["tables"][0]["rows"]}
    assert rows["depth-anything-v2-small"]["licence"] == "Apache-2.0"
    assert rows["depth-anything-v2-large"]["licence"] == "CC-BY-NC-4.0"


def test_a_table_of_the_paper() -> None:
    text = run("--paper-table", "2")
    row = next(line for line in text.splitlines() if "Depth Anything V2 ViT-S" in line)
    cells = [cell.strip(" *<u>/") for cell in row.split("|")]
    assert cells[3:13] == ["0.078", "0.936", "0.053", "0.973", "0.500", "0.718", "0.142", "0.851", "0.073", "0.942"]
    assert "rank" not in text and r"\begin{tabular}" in run("--paper-table", "14", "--format", "latex")


def test_more_with_all() -> None:
    assert "dav2 ablation" not in run(MEASURED) and "dav2 ablation" in run(MEASURED, "--all")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--paper-table", "5"], "no paper table '5'"),
        (["--paper-table", "3", MEASURED], "takes no folders"),
        (["--paper-table", "3", "--add", MEASURED], "these are under mini-depth@1"),
        (["--add", MEASURED], "belongs to --paper-table"),
        ([MEASURED, "-p", "nothing-like-it"], "no table is of 'nothing-like-it'"),
        (["/does/not/exist"], "is not a folder"),
    ],
)
def test_wrong_calls_say_what_to_do(arguments: list[str], said: str) -> None:
    with pytest.raises(DabenchError, match=said) as error:
        run(*arguments)
    assert error.value.exit_code in (1, 2)


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(DabenchError, match="nothing to show"):
        run(str(tmp_path), "--no-published")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DabenchError, match="cannot write"):
        run(MEASURED, "--no-published", "--out", str(tmp_path / "file" / "x.md"))
