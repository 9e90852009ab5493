"""Every route has a role, and every role meets every route."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from annotation_live_server import Browsers
from annotation_studies import make_study
from fastapi import FastAPI
from starlette.routing import BaseRoute

from annotation.people import ROLES as PEOPLE_ROLES
from annotation.server.roles import ANYBODY, LOOK, OWNER, PUBLIC, REVIEW, ROLES, WORK

WHO = {"owner": "olga", "adjudicator": "adam", "annotator": "ann", "viewer": "vic"}
VALUES = {"project": "1", "sha256": "0" * 64, "model": "steady", "alias": "nobody", "name": "api.js"}


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of everything the application answers to, found without our table."""

    def walk(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
        for route in routes:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None)
            if getattr(inner, "routes", None) and not getattr(route, "methods", None):
                yield from walk(inner.routes, prefix + getattr(route, "path", ""))
            else:
                for method in getattr(route, "methods", None) or {"ANY"}:
                    yield method, prefix + route.path

    return {(method, path) for method, path in walk(app.routes) if method != "HEAD"}


def filled(path: str) -> str:
    for name, value in VALUES.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One study for the tests that change nothing in it."""
    with make_study(tmp_path_factory.mktemp("roles") / "study") as study, Browsers(study) as made:
        yield made


@pytest.fixture
def browsers(study):
    with Browsers(study) as made:
        yield made


def test_every_route_is_classified_and_every_class_is_a_route(shared):
    assert routes_of(shared.app) == set(ROLES)


def test_the_table_is_what_the_roles_mean():
    assert PUBLIC < OWNER < REVIEW < WORK < ANYBODY and ANYBODY == set(PEOPLE_ROLES) == set(WHO)
    assert {"viewer"} == LOOK - REVIEW
    public = {path for (method, path), roles in ROLES.items() if not roles}
    assert public == {
        "/",
        "/login",
        "/review",
        "/place",
        "/dashboard",
        "/people",
        "/projects",
        "/static/{name}",
        "/api/login",
    }
    assert all(roles == OWNER for (method, path), roles in ROLES.items() if path.startswith("/api/people"))


def test_a_new_route_answers_nobody_until_it_is_classified(browsers):
    @browsers.app.get("/api/new")
    def new() -> dict[str, str]:
        return {"secret": "shown"}

    for client in (browsers.stranger(), browsers("olga")):
        reply = client.get("/api/new")
        assert reply.status_code == 403 and "shown" not in reply.text
    assert routes_of(browsers.app) - set(ROLES) == {("GET", "/api/new")}


@pytest.mark.parametrize(("method", "path"), sorted(ROLES), ids=lambda value: value)
def test_every_role_meets_every_route(shared, method, path):
    """403 for the roles that are not named, 401 without a session, and no such thing for those that are."""
    options = {"json": {}} if method != "GET" else {}
    roles = ROLES[method, path]
    stranger = shared.stranger().request(method, filled(path), **options)
    assert (stranger.status_code == 401) == bool(roles)
    if not roles:
        return
    for role, alias in WHO.items():
        if path == "/api/logout":  # everybody may, and it would end the shared session
            continue
        reply = shared(alias).request(method, filled(path), **options)
        if role in roles:
            assert reply.status_code not in (401, 405), role
            assert reply.status_code != 403 or "role" not in reply.json()["error"], role
        else:
            assert reply.status_code == 403 and role in reply.json()["error"], role


def test_a_role_that_is_taken_away_is_gone_at_once(browsers, study):
    from annotation.people import change_person

    adam = browsers("adam")
    assert adam.get("/api/policies").status_code == 200
    change_person(study, "adam", {"role": "annotator"})
    assert adam.get("/api/policies").status_code == 403


def test_other_methods_are_not_answered(shared):
    browser = shared("olga")
    for path in sorted({path for _, path in ROLES}):
        for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {m for m, p in ROLES if p == path}:
            options = {"json": {}} if other != "GET" else {}
            assert browser.request(other, filled(path), **options).status_code in (404, 405), (other, path)


def test_there_is_no_page_about_the_interface(shared):
    for path in (
        "/docs",
        "/redoc",
        "/openapi.json",
        "/api",
        "/api/",
        "/static/",
        "/static",
        "/metrics",
        "/favicon.ico",
    ):
        assert shared("olga").get(path).status_code == 404, path
