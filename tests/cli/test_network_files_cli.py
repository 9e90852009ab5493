"""Network files and `dabench export` on the command line, and the page that tells of them."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import typer.main
from PIL import Image

import dabench.cli
from dabench.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "network-files.md"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


class RowIndex(torch.nn.Module):
    """Disparity that grows downwards, as that of the ground does."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(images.shape[2], dtype=images.dtype)
        return rows[None, :, None].expand(1, images.shape[2], images.shape[3]).contiguous()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command as the console script does, in a folder of its own; a traceback fails the test."""
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["dabench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        code = ended.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.pt"
    torch.jit.script(RowIndex()).save(str(path))
    return path


SHARED = ("-p", "mini-pairs", "--limit", "4", "--input-size", "56", "--json")


def accuracy(answer: Answer) -> float:
    assert answer.code == 0, answer.err
    (summary,) = json.loads(answer.out)
    return float(summary["metrics"]["accuracy"]["value"])


def test_the_sign_is_what_output_kind_says(command: Command, rows: Path) -> None:
    near = accuracy(command("eval", "-m", rows, "--output-kind", "disparity", *SHARED))
    prior = accuracy(command("eval", "-m", "location-prior", "-p", "mini-pairs", "--limit", "4", "--json"))
    assert near == prior
    far = accuracy(command("eval", "-m", rows, "--output-kind", "depth", "--out", "other", *SHARED))
    assert far == pytest.approx(1 - near)
    told = json.loads((rows.parent / "runs" / "rows-torchscript" / "mini-pairs@1" / "run.json").read_text())
    assert "mean_std" in told["model"]["settings"]["assumed"]


def test_kept_predictions_of_a_file_are_found_again(command: Command, rows: Path, monkeypatch: Any) -> None:
    arguments = ("eval", "-m", "rows.pt", "--output-kind", "disparity", *SHARED)
    first = accuracy(command(*arguments, "--keep-predictions"))
    again = command(*arguments, "-p", "mini-depth")
    assert "the model was not loaded" in again.err and again.code == 0
    other = command(*arguments[:4], "depth", *SHARED)
    assert other.code != 0 and "keeps predictions of something else" in other.err
    torch.jit.script(torch.nn.Identity()).save(str(rows))
    assert "the model was not loaded" not in command(*arguments).err
    assert 0 <= first <= 1


def test_predict_writes_maps(command: Command, rows: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "photo.png")
    shared = ("predict", "photo.png", "-m", "rows.pt", "--input-size", "56")
    assert command(*shared, "--output-kind", "disparity").code == 0
    values = np.load(tmp_path / "predictions" / "photo.npy")
    assert values.shape == (30, 40) and (np.diff(values[:, 5]) > 0).all()
    refused = command(*shared)
    assert refused.code == 2 and "rows.pt does not say" in refused.err and "--output-kind" in refused.err
    refused = command("predict", "photo.png", "--output-kind", "depth")
    assert refused.code == 2 and "-m FILE" in refused.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "rows.pt"), "--output-kind is needed"),
        (("-m", "rows.pt", "--output-kind", "nearness"), "'nearness' is not one of disparity, depth, metric"),
        (("-m", "none.onnx", "--output-kind", "depth"), "none.onnx does not exist"),
        (("-m", "constant", "--output-kind", "depth"), "-m FILE"),
        (("-m", "rows.pt", "--output-kind", "depth", "--checkpoint", "rows.pt"), "holds its own weights"),
        (("-m", "rows.pt", "--output-kind", "depth", "-o", "steps=3"), "has no option 'steps'"),
        (("-m", "rows.pt", "--output-kind", "depth", "--endpoint", "http://localhost"), "--endpoint"),
        (("-m", "nosuch-model"), "unknown model 'nosuch-model'"),
        (("-m", "photo.txt", "--output-kind", "depth"), "--checkpoint photo.txt"),
    ],
)
def test_wrong_calls_say_the_way_out(command: Command, rows: Path, arguments: tuple[str, ...], says: str) -> None:
    (rows.parent / "photo.txt").write_text("hello")
    answer = command("eval", "-p", "mini-pairs", "--limit", "1", *arguments)
    assert answer.code == 2 and says in answer.err and not answer.out.strip()
    assert not (rows.parent / "runs").exists()


def test_a_network_that_fails_leaves_the_other_models_their_scores(command: Command, rows: Path) -> None:
    torch.jit.script(torch.nn.Identity()).save(str(rows))
    shared = ("-p", "mini-pairs", "--limit", "2", "--output-kind", "disparity")
    answer = command("eval", "-m", "rows.pt", "-m", "constant", *shared)
    assert answer.code == 1 and "rows.pt has no output that is a map" in answer.err and "constant" in answer.out


@pytest.mark.slow
def test_export_then_eval_is_the_native_accuracy(command: Command, tmp_path: Path) -> None:
    name = "depth-anything-v2-tiny"
    done = command("export", name, "--to", "torchscript", "--out", "tiny.pt")
    assert done.code == 0 and re.search(r"tiny\.pt: largest difference \d\.\de-\d\d of", done.out)
    assert "168x168" in done.err
    shared = ("-p", "mini-pairs", "--limit", "2", "--json")
    assert accuracy(command("eval", "-m", "tiny.pt", *shared)) == accuracy(command("eval", "-m", name, *shared))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("constant", "--to", "onnx"), "cannot be exported"),
        (("depth-anything-v2-tiny", "--to", "onnx", "--size", "518"), "HEIGHTxWIDTH"),
        (("depth-anything-v2-tiny", "--to", "onnx", "--size", "100x140"), "98x140"),
        (("depth-anything-v2-tiny", "--to", "onnx", "--size", "28x28", "--dynamic"), "pass one"),
        (("depth-anything-v2-tiny", "--to", "coreml"), "onnx, openvino, torchscript"),
        (("depth-anything-v2-tiny", "--to", "onnx", "--checkpoint", "none.pth"), "none.pth does not exist"),
        (("nosuch", "--to", "onnx"), "unknown model"),
    ],
)
def test_export_refuses(command: Command, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    answer = command("export", *arguments)
    assert answer.code == 2 and says in answer.err
    assert list(tmp_path.iterdir()) == []


def commands_of_the_page() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines() if line]
    return [line[1:] for line in lines if line[0] == "dabench"]


@pytest.mark.parametrize("line", commands_of_the_page(), ids=" ".join)
def test_commands_of_the_page_parse(line: list[str]) -> None:
    group: Any = typer.main.get_command(dabench.cli.build_app())
    verb = group.commands[line[0]]
    context = verb.make_context(line[0], list(line[1:]))
    assert not context.args and context.params["model"]


def test_the_page_names_every_option_and_choice() -> None:
    from model_zoo.network_files import RUNTIMES, SETTABLE
    from model_zoo.network_files.input_rule import CHOICES

    page = PAGE.read_text(encoding="utf-8")
    assert len(commands_of_the_page()) >= 8
    assert all(f"-o {name}=" in page for name in SETTABLE)
    assert all(f"`{value}`" in page for values in CHOICES.values() for value in values)
    assert all(f"`{suffix}`" in page for suffix in RUNTIMES)
