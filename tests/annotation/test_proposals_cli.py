"""``dabench annotate propose`` as people call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from typer.testing import CliRunner

from annotation.cli import app
from annotation.proposals import ProposalSettings
from annotation.proposals.options import read_settings
from annotation.study import Study
from dabench.errors import DabenchError, UsageError


def run(*words: object) -> tuple[int, str]:
    """Exit code, and all that was printed, with the message of an error as the command line shows it."""
    result = CliRunner().invoke(app, ["propose", *map(str, words)], env={"COLUMNS": "200"})
    if isinstance(result.exception, DabenchError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three pictures of coloured patches, in two scenes."""
    random = np.random.default_rng(0)
    for name in ("indoor/a.png", "indoor/b.png", "outdoor/ c d.jpg"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        patches = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        PillowImage.fromarray(np.kron(patches, np.ones((40, 40, 1), np.uint8))).save(path)
    return tmp_path / "pictures"


def test_a_first_run_a_second_one_and_a_broken_file(tmp_path: Path, images: Path) -> None:
    study = tmp_path / "study"
    code, text = run(images, "--out", study, "--seed", 1, "--experts", "random,location-prior", "--control-share", 0.5)
    assert code == 0, text
    for part in (
        "No --sam checkpoint: key points are the middles of regions", "images: 3 listed, 3 new, 0 known",
        "key points: region (3 images)", "experts: random, location-prior", "not of the same smallest region",
        "indoor", "outdoor", "6 new pairs; project 'pairs' has 6", f"next: dabench annotate serve {study}",
    ):  # fmt: skip
        assert part in text, part
    code, text = run(images, "--out", study, "--seed", 1, "--experts", "random,location-prior")
    assert code == 0 and "3 of them proposed before" in text and "0 new pairs" in text
    (images / "outdoor" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    code, text = run(images, "--out", study, "--experts", "none")
    assert code == 1 and "outdoor/cut.jpg: " in text and "1 of 4 images failed" in text
    with Study.open(study) as opened:
        settings = opened.setting("proposal.1")
        votes = opened.store.one("SELECT count(DISTINCT model) n FROM votes")["n"]
    assert settings["settings"]["control_share"] == 0.5 and settings["seed"] == 1 and votes == 2


def test_the_bundled_network_votes_when_nobody_is_named(tmp_path: Path, images: Path) -> None:
    code, text = run(images / "indoor", "--out", tmp_path / "study", "--pairs", 3, "-o", "edge=2")
    assert code == 0 and "no experts were named" in text and "3 new pairs" in text, text
    with Study.open(tmp_path / "study") as study:
        models = [row["model"] for row in study.store.query("SELECT DISTINCT model FROM votes ORDER BY model")]
        kept = sorted(path.name for path in (study.cache / "experts").iterdir())
    assert models == kept == [f"depth-anything-v2-tiny@{size}" for size in (168, 252, 336)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scene", "indoor"], "--scene indoor is not NAME=N"),
        (["--scene", "indoor=1", "--scene", "indoor=2"], "given twice"),
        (["--scene", "inside=1", "--experts", "none"], "unknown scene 'inside'"),
        (["-o", "edge"], "not NAME=VALUE"),
        (["-o", "edgy=1"], "did you mean 'edge'"),
        (["-o", "edge=wide"], "edge"),
        (["-o", "pairs=3"], "option of its own"),
        (["--control-share", "2"], "'control_share' cannot be 2.0"),
        (["--experts", "nobody"], "unknown model 'nobody'"),
        (["--sam", "missing.pth"], "missing.pth"),
        (["--project", ""], "name of a project"),
    ],
)
def test_wrong_calls_say_what_to_do(tmp_path: Path, images: Path, words: list[str], says: str) -> None:
    code, text = run(images, "--out", tmp_path / "study", *words)
    assert code == 2 and says in text


def test_settings_are_read_from_text() -> None:
    settings = read_settings({"pairs": None}, ["a=b=3"], ["gap_edges=0.2", "level=0.1", "gap=rank", "balance=false"])
    assert (settings.scene_pairs, settings.gap_edges, settings.level, settings.gap, settings.balance) == (
        {"a=b": 3}, (0.2,), 0.1, "rank", False,
    )  # fmt: skip
    assert read_settings({}, [], ["gap_max=none", "gap_edges=0.1,0.3"]).gap_edges == (0.1, 0.3)
    with pytest.raises(UsageError, match="gap"):
        read_settings({}, [], ["gap=ratio"])


def test_the_page_names_every_setting() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "annotate-propose.md").read_text(encoding="utf-8")
    options = {"pairs", "scene_pairs", "pairs_per_image", "control_share", "uniform"}
    for name in ProposalSettings.__struct_fields__:
        spelled = f"--{name.removesuffix('_pairs').replace('_', '-')}" if name in options else f"`{name}`"
        assert spelled in page, name
