"""A multimodal model at the command line: asked at an endpoint, or through a batch, whose answers are read back."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import dabench.cli
from dabench.errors import DabenchError
from model_zoo.vlm.cli import app

runner = CliRunner()
MODEL = ("-m", "vlm", "-o", "model=seer", "-o", "side=96", "-o", "backoff=0.01", "-o", "attempts=2")
QUESTIONS = ("-p", "pairs", "-o", "model=seer", "-o", "side=96")


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("vlm_server", Path(__file__).parents[1] / "vlm_server.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["vlm_server"] = module
    spec.loader.exec_module(module)
    return module


vlm_server = _module()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    with vlm_server.VlmServer() as running:
        yield running


@pytest.fixture
def pair_set(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    annotations = {}
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        key = f"images/indoor/{number}.png"
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / key)
        annotations[key] = [{"point1": [10, 12], "point2": [30, 50], "closer_point": "point1"}]
    (root / "annotations.json").write_text(json.dumps(annotations))
    return root


def run(*arguments: str | Path, code: int = 0, command: Any = None) -> str:
    result = runner.invoke(command or dabench.cli.build_app(), [str(a) for a in arguments])
    if isinstance(result.exception, DabenchError):
        assert result.exception.exit_code == code, str(result.exception)
        return f"error: {result.exception}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def evaluate(root: Path, *arguments: str | Path, code: int = 0) -> str:
    return run("eval", *MODEL, "-d", "pairs", "--data-root", root, *arguments, code=code)


def test_eval_shows_the_score_and_what_it_took(server: Any, pair_set: Path, tmp_path: Path) -> None:
    arguments = ("--endpoint", server.url, "--out", tmp_path / "runs")
    said = evaluate(pair_set, *arguments, "-o", "price_in=1000", "-o", "price_out=1000")
    assert "vlm-seer" in said and "50.0 %" in said and "consistency" in said and "0.0 %" in said
    assert "600 + 60" in said and "0.6600" in said
    assert len(server.log) == 6
    again = json.loads(evaluate(pair_set, *arguments, "--json").split("records:")[0])
    assert again[0]["metrics"]["accuracy"]["value"] == 0.5 and again[0]["answers"]["inconsistent"] == 3
    assert len(server.log) == 6, "the second identical call asks nothing"


def test_exit_codes_tell_wrong_from_failed(server: Any, pair_set: Path, tmp_path: Path) -> None:
    server.reply = lambda body: "I'm sorry, I can't."
    said = evaluate(pair_set, "--endpoint", server.url, "--out", tmp_path / "refusing", code=1)
    assert "of 6 questions 6 were refused and 0 answered in no readable way" in said and "failed" not in said
    server.always = 500
    said = evaluate(pair_set, "--endpoint", server.url, "--out", tmp_path / "down", code=1)
    assert "3 of 3 samples failed" in said and "gave no answer after 2 attempts: 500" in said
    server.always, server.key = None, "another"
    said = evaluate(pair_set, "--endpoint", server.url, "--out", tmp_path / "shut", code=2)
    assert "answers 401" in said and "key_variable" in said


def test_options_that_do_not_fit(server: Any, pair_set: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "runs")
    url = ("--endpoint", server.url)
    assert "such as: vlm" in run("eval", "-m", "constant", *url, *out, code=2)
    assert "such as: vlm" in run("eval", *url, *out, code=2)
    assert "say the same" in evaluate(pair_set, *url, "-o", f"endpoint={server.url}", *out, code=2)
    assert "nobody to ask" in evaluate(pair_set, *out, code=2)
    assert "no map that could be kept" in evaluate(pair_set, *url, "--keep-predictions", *out, code=2)
    said = run("eval", *MODEL, *url, "-p", "mini-depth", *out, code=2)
    assert "gives no map, only which of two points is closer; mini-depth@1 scores depth maps" in said
    picture = pair_set / "images" / "indoor" / "0.png"
    assert "gives no map" in run("predict", picture, "-m", "vlm", "--out", tmp_path / "maps", code=2)
    assert server.log == []


def test_of_the_default_protocols_those_of_pairs_are_scored(server: Any, tmp_path: Path) -> None:
    said = run("eval", *MODEL, "--endpoint", server.url, "--limit", "2", "--out", tmp_path)
    assert "mini-pairs@1" in said and "left out: mini-depth@1" in said


def answered(questions: Path, answers: Path, reply: Any, spoil: int | None = None) -> Path:
    """What a batch interface makes of a file of questions."""
    lines = []
    for number, line in enumerate(questions.read_text().splitlines()):
        question = json.loads(line)
        assert (question["method"], question["url"]) == ("POST", "/v1/chat/completions")
        message = {"role": "assistant", "content": reply(question["body"])}
        body = {"model": "seer", "choices": [{"message": message}]}
        usage = {"prompt_tokens": 7, "completion_tokens": 2}
        response: Any = {"status_code": 200, "body": {**body, "usage": usage}}
        error = None
        if number == spoil:
            response, error = None, {"code": "batch_expired", "message": "not in time"}
        lines.append({"id": f"r{number}", "custom_id": question["custom_id"], "response": response, "error": error})
    lines.reverse()  # a batch comes back in any order
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return answers


def test_a_batch_takes_the_place_of_the_endpoint(server: Any, pair_set: Path, tmp_path: Path) -> None:
    questions, out = tmp_path / "questions.jsonl", tmp_path / "runs"
    said = run("questions", *QUESTIONS, "--data-root", pair_set, "--out", questions, command=app)
    assert "6 questions" in said and "-p pairs@1 --answers FILE" in said.replace("\n", " ")
    assert "closer_point" not in questions.read_text() and "point1" not in questions.read_text()

    def brightness(body: Any) -> str:
        return "Answer: A" if vlm_server.picture_of(body)[0, 0, 0] % 2 else "Answer: B"

    answers = answered(questions, tmp_path / "answers.jsonl", brightness, spoil=2)
    rest = tmp_path / "rest.jsonl"
    arguments = (answers, "--questions", questions, "--rest", rest)
    said = run("answers", *arguments, command=app, code=1)
    assert "6 answers" in said and "1 failed; 35 + 10 tokens" in said and "1 of them without an answer" in said
    said = evaluate(pair_set, "--answers", answers, "--out", out, code=1)
    assert "1 of 3 samples failed" in said and "batch_expired" in said
    more = answered(rest, tmp_path / "more.jsonl", brightness)
    run("answers", answers, more, "--questions", questions, command=app)
    both = ("--answers", answers, "--answers", more)
    batch = json.loads(evaluate(pair_set, *both, "--out", out, "--json").split("records:")[0])[0]
    assert server.log == [], "nobody was asked"
    server.reply, server.tokens = brightness, (7, 2)
    asked = evaluate(pair_set, "--endpoint", server.url, "--out", tmp_path / "asked", "--json")
    direct = json.loads(asked.split("records:")[0])[0]
    for told in (batch, direct):
        del told["timing"], told["model"]
    assert batch == direct, "a batch and an endpoint that say the same score the same"


def test_questions_in_parts_and_with_pictures_as_files(pair_set: Path, tmp_path: Path) -> None:
    from model_zoo.vlm.batch import QuestionWriter
    from model_zoo.vlm.settings import Settings

    plain = tmp_path / "plain.jsonl"
    run("questions", *QUESTIONS, "--data-root", pair_set, "--out", plain, command=app)
    folder, linked = tmp_path / "pictures", tmp_path / "linked.jsonl"
    where = ("--pictures", folder, "--picture-url", "https://example.org/p/")
    run("questions", *QUESTIONS, "--data-root", pair_set, "--out", linked, *where, command=app)
    [one, two] = ([json.loads(line) for line in path.read_text().splitlines()] for path in (plain, linked))
    assert [q["custom_id"] for q in one] == [q["custom_id"] for q in two], "the key is of the picture, not of its place"
    assert {q["body"]["messages"][0]["content"][1]["image_url"]["url"] for q in two} == {
        f"https://example.org/p/{path.name}" for path in folder.iterdir()
    }
    largest = max(len(line) for line in plain.read_text().splitlines()) + 1
    settings = Settings(model="seer", side=96)
    with QuestionWriter(settings, tmp_path / "part.jsonl", pictures=None, address="", part_bytes=2 * largest) as writer:
        dabench.evaluate(writer, "pairs", data_root=pair_set)
    parts = [tmp_path / name for name in ("part.jsonl", "part-2.jsonl", "part-3.jsonl")]
    assert writer.parts == parts and b"".join(p.read_bytes() for p in parts) == plain.read_bytes()


def test_files_that_are_no_answers_are_told(server: Any, pair_set: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    out = ("--out", tmp_path / "runs")
    assert "cannot be read" in evaluate(pair_set, "--answers", tmp_path / "none.jsonl", *out, code=2)
    wrong.write_text('{"custom_id": "a", "response": {"body": {"choices": []}}}\nnonsense\n')
    assert "wrong.jsonl line 2 is no answer of a batch" in evaluate(pair_set, "--answers", wrong, *out, code=2)
    wrong.write_text('{"custom_id": "a", "method": "POST", "body": {}}\n')
    assert "holds questions, not answers" in evaluate(pair_set, "--answers", wrong, *out, code=2)
    wrong.write_text("")
    said = evaluate(pair_set, "--answers", wrong, *out, code=1)
    assert "3 of 3 samples failed" in said and "no answer to question" in said
    assert "which model to ask" in run("questions", "-p", "pairs", "--out", wrong, command=app, code=2)
    assert "belong together" in run(
        "questions", *QUESTIONS, "--out", wrong, "--pictures", tmp_path, command=app, code=2
    )
    assert "has no option 'size'" in run(
        "questions", "-p", "pairs", "-o", "size=2", "--out", wrong, command=app, code=2
    )
