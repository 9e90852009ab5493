"""``dabench annotate people`` and ``project``: who takes part, and the settings of projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dabench.errors import UsageError

people_app = typer.Typer(help="Add people to a study, list them, give them sign-in links.", no_args_is_help=True)
project_app = typer.Typer(help="List, make and change the projects of a study.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study.")]
Base = Annotated[str, typer.Option(metavar="URL", help="Start of the link: the address that people use.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = "http://127.0.0.1:8765"


def _base(url: str) -> str:
    if not url.startswith(("http://", "https://")) or "#" in url or "?" in url:
        raise UsageError(f"'{url}' is not the address of a server", hint=f"for example {HERE}")
    return url.rstrip("/")


@people_app.command("add")
def add(
    study: Folder,
    name: Annotated[str, typer.Argument(help="Name; exports show only an alias.")],
    role: Annotated[str, typer.Option(help="owner, adjudicator, annotator or viewer.")] = "annotator",
    url: Base = HERE,
) -> None:
    """Add a person and print the sign-in link. It is shown only now."""
    from annotation.people import add_person, new_token, sign_in_link
    from annotation.study import Study

    base = _base(url)
    with Study.open(study) as opened:
        alias = add_person(opened, name, role)
        typer.echo(f"{alias} {role}: {name}")
        typer.echo(sign_in_link(base, new_token(opened, alias)))


@people_app.command("list")
def show(study: Folder, as_json: Json = False) -> None:
    """List everybody, with alias, role and state."""
    from annotation.people import list_people
    from annotation.study import Study

    with Study.open(study) as opened:
        people = list_people(opened)
    if as_json:
        typer.echo(json.dumps(people, indent=2, ensure_ascii=False))
        return
    for person in people:
        state = ("link" if person["link"] else "no link") if person["active"] else "disabled"
        typer.echo(f"{person['alias']:<6} {person['role']:<12} {state:<9} {person['name']}")


@people_app.command("link")
def link(study: Folder, name: Annotated[str, typer.Argument(help="Name or alias.")], url: Base = HERE) -> None:
    """Print a new sign-in link. Older links of the person, and their sessions, end."""
    from annotation.people import find_person, new_token, sign_in_link
    from annotation.study import Study

    base = _base(url)
    with Study.open(study) as opened:
        typer.echo(sign_in_link(base, new_token(opened, find_person(opened, name)["alias"])))


@people_app.command("disable")
def disable(
    study: Folder,
    name: Annotated[str, typer.Argument(help="Name or alias.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let the person in again; they need a new link.")] = False,
) -> None:
    """End a person's link and sessions. What they answered stays."""
    from annotation.people import change_person, find_person
    from annotation.study import Study

    with Study.open(study) as opened:
        person = find_person(opened, name)
        change_person(opened, person["alias"], {"active": undo})
        typer.echo(f"{person['alias']} is {'active' if undo else 'disabled'}")


@project_app.command("list")
def projects(study: Folder, as_json: Json = False) -> None:
    """List the projects with what differs from the default settings."""
    from annotation.projects import list_projects
    from annotation.settings import ProjectSettings
    from annotation.study import Study

    with Study.open(study) as opened:
        found = list_projects(opened)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    usual = ProjectSettings().to_dict()
    for project in found:
        typer.echo(f"{project['id']:<3} {project['state']:<7} {project['name']}")
        for key, value in project["settings"].items():
            if value != usual[key] or key == "policy":
                typer.echo(f"      {key} = {json.dumps(value, ensure_ascii=False)}")


@project_app.command("create")
def create(
    study: Folder,
    name: Annotated[str, typer.Argument(help="Name of the new project.")],
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings.")] = None,
) -> None:
    """Make an open project."""
    from annotation.projects import create_project
    from annotation.study import Study

    settings = _settings(values or [], {})
    with Study.open(study) as opened:
        typer.echo(f"project {create_project(opened, name, settings)}: {name}")


@project_app.command("set")
def change(
    study: Folder,
    name: Annotated[str, typer.Argument(help="Name of the project.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="policy=majority-3, qualification.pairs=10, skip_reasons=a,b"),
    ] = None,
    state: Annotated[str | None, typer.Option(help="open, paused or closed.")] = None,
) -> None:
    """Change settings or the state of a project; what is not named stays."""
    from annotation.projects import change_project
    from annotation.study import Study

    if not values and state is None:
        raise UsageError("nothing to change", hint="give KEY=VALUE or --state")
    with Study.open(study) as opened:
        number, before = opened.project(name)
        change_project(opened, number, state=state, settings=_settings(values or [], before.to_dict()))
        typer.echo(f"{name}: changed")


def _settings(values: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """``KEY=VALUE`` texts as settings; ``group.KEY`` reaches into a group. A value is JSON, else text, and where a list
    belongs, texts between commas.
    """
    from annotation.settings import ProjectSettings

    usual = ProjectSettings().to_dict()
    found: dict[str, Any] = {}
    for text in values:
        key, sign, raw = text.partition("=")
        if not sign:
            raise UsageError(f"'{text}' is no KEY=VALUE", hint="for example policy=majority-3")
        group, dot, inner = key.strip().partition(".")
        try:
            value: Any = json.loads(raw)
        except ValueError:
            value = raw
        wanted = usual.get(group)
        if dot:
            if not isinstance(wanted, dict):
                raise UsageError(f"setting '{group}' has no parts", hint=f"settings: {', '.join(usual)}")
            base = found.get(group, before.get(group, wanted))
            found[group] = {**base, inner: value}
            continue
        if isinstance(wanted, (list, tuple)) and not isinstance(value, list):
            value = [part.strip() for part in raw.split(",") if part.strip()]
        elif isinstance(wanted, str) and not isinstance(value, str):
            value = raw
        found[group] = value
    return found
