"""``dabench report`` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import dabench.cli
from dabench import evaluate
from dabench.errors import DabenchError
from dabench.types import DepthMap, Image

runner = CliRunner()


def column(image: Image) -> DepthMap:
    return np.tile(np.arange(1, image.shape[1] + 1, dtype=np.float32), (image.shape[0], 1))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    evaluate(column, "mini-pairs", output="disparity", name="column", out=out, limit=3, workers=1)
    return out / "column" / "mini-pairs@1"


def call(*arguments: object) -> str:
    result = runner.invoke(dabench.cli.build_app(), ["report", *map(str, arguments)])
    if isinstance(result.exception, DabenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_one_call_writes_the_page_and_the_figures(run: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "pages" / "one.html", tmp_path / "figures"
    told = call(run, "--out", page, "--figures", figures)
    assert str(page) in told and "This run kept no predictions" in " ".join(told.split())
    text = page.read_text(encoding="utf-8")
    assert "column under mini-pairs@1" in text and "--keep-predictions" in text
    assert {path.suffix for path in figures.iterdir()} == {".pdf", ".svg"}
    assert "pair-gap" not in {path.stem for path in figures.iterdir()}


def test_maps_from_elsewhere_are_shown(run: Path, tmp_path: Path) -> None:
    from dabench.datasets import open_dataset

    dataset = open_dataset("mini")
    for sample_id in dataset.ids[:3]:
        path = tmp_path / "maps" / f"{sample_id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, column(dataset.image(sample_id)))
    told = call(run, "--predictions", tmp_path / "maps", "--out", tmp_path / "page.html")
    assert "note" not in told
    assert "predicted gap" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_wrong_calls_are_told_in_a_sentence(run: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ([run, run, run], "one run or two, not 3"),
        ([run, "--out", tmp_path / "page.pdf"], "does not end in .html"),
        ([tmp_path], "holds no run"),
        ([run, run, "--predictions", tmp_path], "2 runs and 1 --predictions"),
    ):
        with pytest.raises(DabenchError, match=message) as caught:
            call(*arguments)
        assert caught.value.exit_code == 2
