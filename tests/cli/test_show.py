"""``dabench show`` and ``dabench ls protocols`` as a user reads them."""

from __future__ import annotations

import itertools
import json

import pytest
from typer.testing import CliRunner

import dabench.cli
from dabench import protocols
from dabench.cli.show import describe, describe_difference, describe_protocol, find
from dabench.cli.show_model import SETTING_WORDS
from dabench.datasets import registry as readers
from dabench.registry import models
from dabench.reporting.names import numbers_of
from dabench.types import ModelEntry, Output

runner = CliRunner()


def run(*arguments: str, code: int = 0, width: int = 100) -> str:
    result = runner.invoke(dabench.cli.build_app(), list(arguments), env={"COLUMNS": str(width)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_why_others_get_three_times_the_diode_number() -> None:
    """The first lines say it, without a scroll: which images, how many, what the others did."""
    opening = " ".join(run("show", "diode-dav2-table2", width=80).split("\n\n")[1].split())
    assert len(opening.split()) < 90, "a minute is about 200 words, with the next paragraph"
    for fact in ("325 INDOOR", "all 771", "0.21", "0.066", "446 outdoor"):
        assert fact in opening, fact
    text = run("show", "diode-dav2-table2")
    for way_out in ("diode-all@1", "diode-marigold@1", "diode-moge@1"):
        assert way_out in text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_protocols_fit_the_terminal(width: int) -> None:
    assert max(len(line) for line in run("show", "kitti-depth-anything-ac", width=width).splitlines()) <= width
    for name, protocol in protocols.all_protocols().items():
        lines = describe_protocol(protocol, width)
        assert [line for line in lines if len(line) > width] == [], name
        assert [line for line in lines if line != line.rstrip()] == [], name
        other = protocols.get("kitti-depth-anything-ac")
        assert [line for line in describe_difference(protocol, other, width) if len(line) > width] == [], name


def test_the_recipe_comes_in_the_order_of_the_work() -> None:
    lines = run("show", "kitti-marigold").splitlines()
    titles = [
        "images",
        "model sees",
        "resize",
        "ground truth",
        "crop",
        "depth model",
        "fit",
        "clip",
        "measured",
        "total",
    ]
    places = [next(i for i, line in enumerate(lines) if line.startswith(f"  {title}  ")) for title in titles[:-1]]
    assert places == sorted(places)
    headings = [line for line in lines if line in ("evidence", "traps", "numbers to expect", "sources")]
    assert headings == ["evidence", "traps", "numbers to expect", "sources"]


def test_every_name_can_be_shown() -> None:
    for name in {*models(), *readers(), *protocols.all_protocols()}:
        entries = find(name)
        assert entries and all(entry["kind"] in ("model", "dataset", "protocol") for entry in entries)
        assert all(name in "\n".join(describe(entry)) for entry in entries)
        assert json.dumps(entries)
    shown = json.loads(run("show", "pairs", "--json"))
    assert [entry["kind"] for entry in shown] == ["dataset", "protocol"]


def test_expected_numbers_name_their_source() -> None:
    text = run("show", "da-2k@1")
    assert "2068 pairs" in text and "a tie" in text
    assert "published: arXiv 2406.09414, Table 3" in text
    (line,) = (line for line in text.splitlines() if line.startswith("    depth-anything-v2-large"))
    assert line.split() == ["depth-anything-v2-large", "accuracy", "0.971"]
    text = run("show", "kitti-marigold")
    assert "reproduced: kmatzen/plumbline" in text and "abs_rel 0.109  delta1 0.8884" in text


def test_compare_prints_only_what_differs() -> None:
    text = run("show", "--compare", "nyu-plumbline", "nyu-plumbline-filled")
    assert "differ in one of their steps" in text
    assert "field 'raw'" in text and "field 'filled'" in text
    assert "rows 45:471" not in text, "the crop is the same"
    text = run("show", "--compare", "diode-dav2-table2", "diode-all")
    assert "325 images of diode, split indoor" in text and "771 images of diode, split all" in text
    rows = json.loads(run("show", "--compare", "nyu-plumbline", "nyu-plumbline-filled", "--json"))
    assert (rows["first"], rows["second"]) == ("nyu-plumbline@1", "nyu-plumbline-filled@1")
    assert [row["title"] for row in rows["differences"]] == ["ground truth"]


def test_compare_of_equal_recipes_says_so() -> None:
    assert "compute the same" in run("show", "--compare", "da-2k@1", "da-2k@1")


@pytest.mark.parametrize("arguments", [[], ["da-2k", "--compare", "da-2k", "pairs"], ["--compare", "da-2k", "da-2kk"]])
def test_a_wrong_call_is_refused(arguments: list[str]) -> None:
    result = runner.invoke(dabench.cli.build_app(), ["show", *arguments])
    assert result.exit_code == 2 or getattr(result.exception, "exit_code", None) == 2


@pytest.mark.parametrize("width", [80, 120])
def test_ls_groups_protocols_by_dataset(width: int) -> None:
    lines = run("ls", "protocols", width=width).splitlines()
    assert max(len(line) for line in lines) <= width
    known = protocols.all_protocols()
    place = {name: next(i for i, line in enumerate(lines) if f"  {name} " in line) for name in known}
    by_dataset: dict[str, list[int]] = {}
    for name, protocol in known.items():
        by_dataset.setdefault(protocol.dataset.name, []).append(place[name])
    spans = sorted((min(rows), max(rows)) for rows in by_dataset.values())
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans)), "one block a dataset"
    for dataset, rows in by_dataset.items():
        assert lines[min(rows) - 1].strip() == dataset
    starred = {name for name in place if f"{name} *" in lines[place[name]]}
    assert starred == {name for name, p in known.items() if p.default}


def test_a_model_shows_the_numbers_it_should_score() -> None:
    text = run("show", "depth-anything-v2-large")
    assert "published: Depth Anything V2, arXiv 2406.09414, Table 3; recipe da2k_pair_accuracy" in text
    (line,) = {line for line in text.splitlines() if line.split()[:3] == ["DA-2K", "da-2k@1", "accuracy"]} - {
        line for line in text.splitlines() if "0.971" not in line
    }
    assert line.split()[3] == "0.971"
    shown = json.loads(run("show", "depth-anything-v2-large", "--json"))[0]
    assert len(shown["numbers"]) == len(numbers_of("depth-anything-v2-large")) > 60
    assert all(number["protocol_label"] in text and number["source"] for number in shown["numbers"])


def test_a_model_shows_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = run("show", "depth-anything-v2-base")
    assert "NON-COMMERCIAL" in text and str(models().get("depth-anything-v2-base").sha256) in text
    row = ModelEntry(
        "a-model",
        Output.DEPTH,
        "a summary",
        factory="nowhere:nothing",
        licence="MIT",
        source="someone/Something",
        file="w.safetensors",
        requires=("no_such_module",),
        extra="zoo",
        settable={"steps": 4, "seed": 0},
    )
    monkeypatch.setitem(models()._items, row.name, row)
    text = run("show", "a-model")
    assert "needs package" in text and "pip install 'dabench[zoo]'" in text
    assert text.count("pinned on first use") == 2, "neither revision nor SHA-256 is known"
    assert "  steps=4  denoising steps" in text
    text = run("show", "zerodepth")
    assert "intrinsics" in text and "dabench eval" not in text, "it cannot run"
    assert "--checkpoint FILE" in run("show", "depth-anything-v2-giant"), "one's own weights can"


def test_every_option_of_a_model_is_explained() -> None:
    settable = {key for name in models() for key in models().get(name).settable}
    assert settable <= set(SETTING_WORDS)


@pytest.mark.parametrize("width", [80, 100])
def test_models_fit_the_terminal(width: int) -> None:
    """All but what cannot break: a command, a checksum, an address."""
    for name in models():
        lines = describe(*find(name)[:1], width)
        long = [line for line in lines if len(line) > width]
        assert all(line.startswith("  dabench ") or len(line.split()) <= 2 for line in long), name
        assert [line for line in lines if line != line.rstrip()] == [], name
