"""People and projects, for owners."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from annotation.people import add_person, change_person, list_people, new_token, sign_in_link
from annotation.projects import change_project, create_project, list_projects

from ..allow import Shared, Signed
from ..bodies import NewPerson, NewProject, Nothing, PersonChanges, ProjectChanges
from .work import Project

router = APIRouter()
Alias = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


@router.get("/api/people")
def people(server: Shared, caller: Signed) -> dict[str, Any]:
    return {"people": list_people(server.study)}


@router.post("/api/people")
def add(request: Request, body: NewPerson, server: Shared, caller: Signed) -> dict[str, Any]:
    """A new person and the link to sign in with, which is shown this once."""
    alias = add_person(server.study, body.name, body.role, actor=caller.alias)
    token = new_token(server.study, alias, actor=caller.alias)
    person = next(found for found in list_people(server.study) if found["alias"] == alias)
    return {"person": person, "link": sign_in_link(server.base_url(request), token)}


@router.patch("/api/people/{alias}")
def change(alias: Alias, body: PersonChanges, server: Shared, caller: Signed) -> dict[str, Any]:
    change_person(server.study, alias, body.model_dump(exclude_none=True), actor=caller.alias)
    return {"person": next(found for found in list_people(server.study) if found["alias"] == alias)}


@router.post("/api/people/{alias}/token")
def token(request: Request, alias: Alias, body: Nothing, server: Shared, caller: Signed) -> dict[str, Any]:
    """A new link; the old one and the sessions made with it end."""
    fresh = new_token(server.study, alias, actor=caller.alias)
    return {"link": sign_in_link(server.base_url(request), fresh)}


@router.get("/api/projects")
def projects(server: Shared, caller: Signed) -> dict[str, Any]:
    return {"projects": list_projects(server.study)}


@router.post("/api/projects")
def create(body: NewProject, server: Shared, caller: Signed) -> dict[str, Any]:
    number = create_project(server.study, body.name, body.settings, actor=caller.alias)
    return {"project": next(found for found in list_projects(server.study) if found["id"] == number)}


@router.patch("/api/projects/{project}")
def change_it(project: Project, body: ProjectChanges, server: Shared, caller: Signed) -> dict[str, Any]:
    change_project(server.study, project, state=body.state, settings=body.settings, actor=caller.alias)
    return {"project": next(found for found in list_projects(server.study) if found["id"] == project)}
