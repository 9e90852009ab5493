"""``dabench vlm``: questions for a batch interface, and a look at the answers that came back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from dabench.errors import UsageError

app = typer.Typer(
    name="vlm",
    help="Ask a multimodal model through a batch interface: write the questions, look at the answers.",
    no_args_is_help=True,
)
NAME = "vlm"

Options = Annotated[
    list[str] | None,
    typer.Option("-o", "--option", metavar="NAME=VALUE", help="Option of the model vlm; -o model=NAME is needed."),
]


@app.command("questions")
def questions(
    protocol: Annotated[
        str, typer.Option("-d", "--dataset", "-p", "--protocol", help="Pair dataset or pairs protocol.")
    ],
    out: Annotated[Path, typer.Option(help="JSONL file to write; further parts are NAME-2.jsonl and so on.")],
    option: Options = None,
    data_root: Annotated[
        Path | None,
        typer.Option(envvar="DABENCH_DATA", help="Folder with one folder a dataset (the set itself, for pairs)."),
    ] = None,
    subset: Annotated[Path | None, typer.Option(help="File with sample ids, one a line.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write the pictures into this folder instead of sending them along.")
    ] = None,
    picture_url: Annotated[
        str, typer.Option(help="Address of that folder, as the batch interface will see it.", metavar="URL")
    ] = "",
    part_mb: Annotated[int, typer.Option(help="Largest size of a part, in megabytes.")] = 190,
) -> None:
    """Write every question that an evaluation would ask, as a batch. The answers are not in it."""
    import dabench

    from .batch import QuestionWriter
    from .settings import Settings

    if (pictures is not None) != bool(picture_url):
        raise UsageError("--pictures and --picture-url belong together")
    if part_mb < 1:
        raise UsageError(f"--part-mb must be at least 1, got {part_mb}")
    ids = _lines(subset) if subset is not None else None
    settings = Settings.of(_settings(option))
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    with QuestionWriter(
        settings, out, pictures=pictures, address=picture_url, part_bytes=part_mb * 1_000_000
    ) as writer:
        run = dabench.evaluate(writer, protocol, data_root=data_root, subset=ids, limit=limit)
    bad = [line for line in run.samples if line["status"] == "failed"]
    for line in bad:
        typer.echo(f"failed: {line['id']}: {line['error']}", err=True)
    typer.echo(f"{writer.count} questions in {', '.join(map(str, writer.parts))}")
    scored = f"-o model={settings.model} -p {run.summary['protocol']['id']}"
    typer.echo(f"their answers, with the same options: dabench eval -m vlm {scored} --answers FILE")
    raise typer.Exit(1 if bad else 0)


@app.command("answers")
def answers(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Answers of a batch.", show_default=False)],
    questions: Annotated[
        list[Path] | None, typer.Option(help="The questions that were sent; repeat for several parts.")
    ] = None,
    rest: Annotated[
        Path | None, typer.Option(help="Write the questions that have no answer yet, to be sent again.")
    ] = None,
) -> None:
    """Say what came back: answers, refusals, failures, tokens; and write what is to be asked again."""
    from .batch import question_keys, read_answers
    from .parsing import reply_of

    if rest is not None and not questions:
        raise UsageError("--rest needs to know what was asked", hint="pass --questions FILE")
    found = read_answers(files)
    words: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for answer in found.values():
        if answer.response is None:
            words["failed"] += 1
            continue
        words[reply_of(answer.response)[1]] += 1
        usage: Any = answer.response.get("usage")
        for name in ("prompt_tokens", "completion_tokens"):
            count = usage.get(name) if isinstance(usage, dict) else None
            tokens[name] += count if isinstance(count, int) else 0
    said = ", ".join(f"{words[word]} {word}" for word in ("A", "B", "refused", "unparsable", "failed"))
    typer.echo(f"{len(found)} answers: {said}; {tokens['prompt_tokens']} + {tokens['completion_tokens']} tokens")
    missing: dict[str, str] = {}
    if questions:
        asked = question_keys(questions)
        missing = {key: line for key, line in asked.items() if key not in found or found[key].response is None}
        typer.echo(f"{len(asked)} questions, {len(missing)} of them without an answer")
        stray = sum(key not in asked for key in found)
        if stray:
            typer.echo(f"{stray} answers are to other questions")
    if rest is not None and missing:
        rest.write_text("".join(line + "\n" for line in missing.values()), encoding="utf-8")
        typer.echo(f"to be asked again: {rest}")
    raise typer.Exit(1 if missing or words["failed"] else 0)


def _settings(texts: list[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` texts as the catalogue row reads them."""
    from dabench.registry import models, typed_settings

    pairs = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--option {text} is not of the form NAME=VALUE")
        pairs[name] = value
    return typed_settings(models().get(NAME), pairs)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--subset {path} cannot be read: {error}") from error
