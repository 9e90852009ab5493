"""The command line as a user meets it: help, listings, the table, exit codes, and documents that match it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import dabench.cli
from dabench import protocols
from dabench.datasets import registry as readers
from dabench.registry import models

ROOT = Path(__file__).resolve().parents[2]
runner = CliRunner()

CONTRACT_OPTIONS = (
    "--checkpoint", "--predictions", "--output-kind", "--data-root", "--device", "--precision", "--batch-size",
    "--workers", "--subset", "--limit", "--out", "--fresh", "--json",
)  # fmt: skip


def run(*arguments: str | Path, code: int | None = 0) -> str:
    result = runner.invoke(dabench.cli.build_app(), [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert code is None or result.exit_code == code, result.output
    return result.output


@pytest.fixture
def pair_set(tmp_path: Path) -> Path:
    """Two photographs, two pairs each; the lower point is closer in exactly half of them."""
    root = tmp_path / "set"
    (root / "images" / "indoor").mkdir(parents=True)
    annotations = {}
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / "indoor" / f"{number}.png")
        annotations[f"images/indoor/{number}.png"] = [
            {"point1": [25, 10], "point2": [5, 30], "closer_point": "point1"},
            {"point1": [3, 10], "point2": [20, 30], "closer_point": "point1"},
        ]
    (root / "annotations.json").write_text(json.dumps(annotations))
    return root


def verbs() -> list[str]:
    import typer.main

    return sorted(typer.main.get_command(dabench.cli.build_app()).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "verb", ["eval", "ls", "show", "predict", "data", "doctor", "render", "compare", "leaderboard", "report"]
)
def test_every_verb_of_the_contract_has_help(verb: str) -> None:
    assert verb in verbs()
    assert len(run(verb, "--help").split()) > 15


def test_eval_takes_every_option_of_the_contract() -> None:
    text = run("eval", "--help")
    for option in CONTRACT_OPTIONS:
        assert option in text, option


@pytest.mark.parametrize("kind", ["models", "datasets", "protocols"])
def test_ls_lists_everything_registered(kind: str) -> None:
    known = {"models": list(models()), "datasets": list(readers()), "protocols": list(protocols.all_protocols())}[kind]
    rows = json.loads(run("ls", kind, "--json"))
    assert sorted(row.get("name", row.get("id")) for row in rows) == sorted(known)
    text = run("ls", kind)
    assert all(name in text for name in known)


def test_eval_prints_a_table_and_resumes(pair_set: Path, tmp_path: Path) -> None:
    arguments = ("eval", "-m", "location-prior", "-m", "constant", "-d", "pairs", "--data-root", pair_set)
    out = tmp_path / "runs"
    text = run(*arguments, "--out", out)
    assert "50.0 %" in text and "0.0 %" in text and "4 pairs" in text
    records = {p: p.read_bytes() for p in out.rglob("*.json*")}
    assert {p.name for p in records} == {"run.json", "samples.jsonl", "summary.json"}
    assert run(*arguments, "--out", out) == text
    assert {p: p.read_bytes() for p in out.rglob("*.json*")} == records


def test_eval_json_is_the_summaries(pair_set: Path, tmp_path: Path) -> None:
    text = run("eval", "-m", "location-prior", "-p", "pairs@1", "--data-root", pair_set, "--out", tmp_path, "--json")
    (summary,) = json.loads(text[: text.rindex("]") + 1])
    assert summary == json.loads((tmp_path / "location-prior" / "pairs@1" / "summary.json").read_text())
    assert summary["metrics"]["accuracy"]["value"] == 0.5


def test_saved_predictions_are_scored(pair_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "maps" / "images" / "indoor"
    folder.mkdir(parents=True)
    rows = np.repeat(np.arange(30, dtype=np.float32)[:, None], 40, axis=1)
    for number in range(2):
        np.save(folder / f"{number}.npy", rows if number else -rows)
    shared = (
        "eval",
        "--predictions",
        tmp_path / "maps",
        "-d",
        "pairs",
        "--data-root",
        pair_set,
        "--out",
        tmp_path / "o",
    )
    run(*shared, "--output-kind", "disparity")
    lines = (tmp_path / "o" / "predictions" / "pairs@1" / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["correct"] for line in lines] == [[0, 1], [1, 0]]
    run(*shared, "-m", "mine", "--output-kind", "metric", code=1)  # depth that is not positive is not covered
    lines = (tmp_path / "o" / "mine" / "pairs@1" / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["correct"] for line in lines] == [[1, 0], [0, 1]]


def test_subset_and_limit_are_marked_partial(pair_set: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("images/indoor/1\n")
    (pair_set / "images" / "indoor" / "0.png").unlink()
    common = ("eval", "-m", "location-prior", "-d", "pairs", "--data-root", pair_set, "--out", tmp_path / "o", "--json")
    text = run(*common, "--subset", tmp_path / "ids.txt")
    (summary,) = json.loads(text[: text.rindex("]") + 1])
    assert summary["partial"] is True and summary["counts"]["expected"] == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_predict_writes_three_files(suffix: str, tmp_path: Path) -> None:
    picture = tmp_path / f"bild_ü{suffix}"
    Image.fromarray(np.zeros((31, 47, 3), np.uint8)).save(picture)
    run("predict", picture, "-m", "location-prior", "--out", tmp_path / "maps")
    values = np.load(tmp_path / "maps" / "bild_ü.npy")
    assert values.shape == (31, 47) and values.dtype == np.float32
    sixteen = np.asarray(Image.open(tmp_path / "maps" / "bild_ü_16bit.png"))
    assert sixteen.min() == 0 and sixteen.max() == 65535
    assert Image.open(tmp_path / "maps" / "bild_ü_color.png").size == (47, 31)


def test_predict_goes_on_after_a_bad_picture(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(good)
    bad.write_bytes(good.read_bytes()[:40])
    text = run("predict", bad, tmp_path, good, "-m", "location-prior", "--out", tmp_path / "maps", code=1)
    assert "bad.png" in text and "2 of 3 pictures failed" in text
    assert (tmp_path / "maps" / "good.npy").is_file()


def test_data_check_counts_the_bundled_set() -> None:
    text = run("data", "check", "mini")
    assert "everything is there" in text
    assert all(scene in text for scene in ("indoor", "underwater", "transparent_reflective"))


def test_doctor_is_content_with_this_installation() -> None:
    assert "BAD" not in run("doctor")


@pytest.mark.parametrize("arguments", [["--help"], ["ls", "models"], ["ls", "protocols"], ["show", "da-2k"]])
def test_listings_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, dabench.cli; app = dabench.cli.build_app()\n"
        f"try: app({arguments!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'cv2', 'scipy', 'pandas', 'matplotlib', 'mitsuba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_commands_in_the_documents_exist() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    seen = 0
    for page in pages:
        code = "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), flags=re.MULTILINE | re.DOTALL))
        for line in re.findall(r"^ *dabench (.*)$", code, flags=re.MULTILINE):
            seen += 1
            words = line.split("#")[0].split()
            assert words[0] in verbs(), f"{page.name}: dabench {line}"
            deep = {("annotate", "people"): 3, ("annotate", "project"): 3}.get(tuple(words[:2]), 2)
            spoken = run(*words[: deep if words[0] in ("annotate", "data", "vlm") else 1], "--help")
            for option in (w for w in words if w.startswith("--")):
                assert option.split("=")[0] in spoken, f"{page.name}: {option} in dabench {line}"
    assert seen >= 4


def test_the_readme_agrees_with_the_records() -> None:
    done = subprocess.run([sys.executable, "docs/build_readme.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_recorded_baselines_are_what_a_run_gives(tmp_path: Path) -> None:
    """The figures of the README come from records; this holds the records to the code and data of today."""
    run("eval", "-m", "location-prior", "-m", "constant", "-p", "mini-*", "--out", tmp_path)
    for path in tmp_path.rglob("summary.json"):
        recorded = ROOT / "results" / "measured" / "mini" / path.relative_to(tmp_path)
        now, then = json.loads(path.read_text()), json.loads(recorded.read_text())
        assert (now["counts"], now["protocol"]) == (then["counts"], then["protocol"]), path
        for name, entry in then["metrics"].items():  # another CPU may round the last bits differently
            assert now["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-9), path
            assert now["metrics"][name]["ci95"] == pytest.approx(entry["ci95"], rel=1e-9), path
        if now["protocol"]["id"] == "mini-pairs@1":
            assert now["groups"] == then["groups"], path
