"""``dabench annotate stats`` and the dashboard of a study on disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotation.errors import NotFoundError
from annotation.reporting import dashboard
from annotation.settings import ProjectSettings
from annotation.study import Study
from dabench.cli import main
from dabench.errors import UnknownNameError


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run ``dabench annotate stats`` as the console script does: exit code, standard output and error."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dabench", "annotate", "stats", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def numbers(value: Any) -> Iterator[Any]:
    """Every leaf of a JSON value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    else:
        yield value


def test_every_field_is_described(study: Study) -> None:
    described = sys.modules["annotation.reporting.dashboard"].__doc__ or ""
    found = dashboard(study)
    for name in found:
        assert name in described, name
    for part in ("scenes", "people"):
        for name in found[part][0]:
            assert name in described, name
    for part in ("progress", "project", "agreement", "times", "shortcuts", "forecast", "skips", "control"):
        for name in found[part]:
            assert name in described, name


def test_a_study_without_answers(study: Study) -> None:
    found = dashboard(study)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["study"] == "test study" and found["project"]["name"] == "main"
    assert found["progress"]["states"]["queued"] == 12 and found["progress"]["answers_left"] == 36
    assert [scene["scene"] for scene in found["scenes"]] == ["indoor", "outdoor", "underwater"]
    assert [person["alias"] for person in found["people"]] == ["ann", "ben", "cat"]
    assert found["shortcuts"]["groups"][0]["pairs"] == 0 and found["shortcuts"]["groups"][0]["experts"] == []
    assert found["forecast"]["policies"] == [] and found["warnings"] == []
    assert found["control"]["pairs"] == 6 and found["control"]["wrong"]["n"] == 0


def test_which_project(study: Study) -> None:
    assert dashboard(study, "main") == dashboard(study, 1) == dashboard(study)
    with pytest.raises(NotFoundError, match="other"):
        dashboard(study, "other")


def test_a_policy_that_does_not_exist_is_named(new_study: Callable[..., Study]) -> None:
    with pytest.raises(UnknownNameError, match="unanimous-33") as caught:
        dashboard(new_study(settings=ProjectSettings(policy="unanimous-33")))
    assert "unanimous-3" in str(caught.value)


def test_tables_for_people_and_json_for_programs(study: Study, command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = command(study.path)
    assert code == 0 and "test study · main (open, first-two-checkers): 0 pairs final, 36 answers to go" in out
    assert "underwater" in out and "policy at" not in out
    code, out, _ = command(study.path, "--json", "--project", "main")
    shown = json.loads(out)
    assert code == 0 and shown["progress"]["pairs"] == 12
    assert all(value == value for value in numbers(shown))


def test_wrong_calls_exit_with_two(study: Study, tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    for arguments, said in (
        ((tmp_path / "nowhere",), "does not exist"),
        ((study.path, "--project", "other"), "projects: main"),
        ((study.path, "--draws", "0"), "draws"),
    ):
        code, out, err = command(*arguments)
        assert code == 2 and said in err and not out and "Traceback" not in err


def test_names_are_shown_as_they_are(
    new_study: Callable[..., Study], command: Callable[..., tuple[int, str, str]]
) -> None:
    study = new_study(people={"[red]eve": "annotator", "a\x1b[2Jb": "annotator"})
    code, out, _ = command(study.path)
    assert code == 0 and "[red]eve" in out and "a[2Jb" in out and "\x1b[2J" not in out
