"""Signing in, what a role may open, people and projects, in a real browser."""

from __future__ import annotations

import json
import re

import pytest

from annotation.settings import ProjectSettings


def rows(study, sql: str, *values):
    return [dict(row) for row in study.store.query(sql, *values)]


# ---- signing in


def test_a_link_signs_in_and_leaves_no_trace_of_the_token(opened, server):
    token = server.token_for("ann")
    page = opened(None, f"/#t={token}")
    page.wait_for_selector("#answer-first")
    assert page.url == server.url + "/"
    assert token not in page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    page.goto(server.url + "/people")
    page.go_back()
    assert "#" not in page.url


def test_a_pasted_link_or_a_reason_why_not(opened, server):
    page = opened(None, "/login")
    for text, complaint in (("", "Paste your link"), ("hello", "not a link"), ("x" * 40, "does not work")):
        page.fill("#token", text)
        page.press("#token", "Enter")
        page.wait_for_function("text => document.querySelector('#message').textContent.includes(text)", arg=complaint)
        assert page.get_attribute("#token", "aria-invalid") == "true"
    page.fill("#token", f"  {server.link_for('vic')} ")
    page.click("#submit")
    page.wait_for_url("**/dashboard")


def test_a_link_that_was_replaced_is_refused(opened, server):
    old = server.link_for("ben")
    server.link_for("ben")
    page = opened(None, old.removeprefix(server.url))
    page.wait_for_selector(".notice-bad")
    assert "does not work" in page.inner_text("#message") and page.url == server.url + "/"


def test_the_way_back_stays_on_this_server(opened, server, follow):
    for back, lands in (("/people", "/people"), ("//evil.example/", "/"), ("https://evil.example", "/")):
        page = opened(None, "/login")
        follow(page, f"{server.url}/login?back={back}#t={server.token_for('olga')}")
        page.wait_for_selector("nav a, #answer-first")
        assert page.url == server.url + lands


def test_the_bar_shows_what_a_role_may_open(opened):
    for alias, titles, forbidden in (
        ("olga", ["Label", "Place", "Review", "Dashboard", "People", "Projects"], None),
        ("adam", ["Label", "Place", "Review", "Dashboard"], "/people"),
        ("ann", ["Label", "Place"], "/review"),
        ("vic", ["Dashboard"], "/place"),
    ):
        page = opened(alias, forbidden or "/projects")
        page.wait_for_selector("#menu a")
        assert page.locator("#menu a").all_inner_texts() == titles
        if forbidden:
            assert "Not for your role" in page.inner_text("#main")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto(page.url.replace("/login", "/dashboard"))
    page.wait_for_url("**/login?back=**")


# ---- people and projects


def test_people_are_added_and_their_links_work_until_replaced(opened, server):
    page = opened("olga", "/people")
    page.fill("#name", "Dora <i>Lind</i>")
    page.select_option("#role", "adjudicator")
    page.focus("#role")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#link")
    first = page.input_value("#link")
    assert re.fullmatch(re.escape(server.url) + r"/#t=[\w-]{22,}", first)
    assert "Dora <i>Lind</i>" in page.inner_text("#people")
    guest = opened(None, first.removeprefix(server.url))
    guest.wait_for_selector("#answer-first")
    alias = guest.evaluate("fetch('/api/session').then((a) => a.json()).then((s) => s.person.alias)")

    page.get_by_role("button", name="Copy link").click()
    page.wait_for_selector("text=Copied")
    page.get_by_role("button", name=f"New link for {alias}").click()
    page.wait_for_function("old => document.querySelector('#link').value !== old", arg=first)
    late = opened(None, first.removeprefix(server.url))
    late.wait_for_selector(".notice-bad")
    page.reload()
    page.wait_for_selector("#people tbody tr")
    assert "#t=" not in page.content(), "a link is shown once"

    page.get_by_role("button", name=f"Disable {alias}").click()
    page.wait_for_selector(".person-off")
    assert rows(server.study, "SELECT active FROM people WHERE alias = ?", alias) == [{"active": 0}]


def test_projects_are_made_changed_and_paused(opened, server):
    study = server.study
    page = opened("olga", "/projects")
    page.wait_for_selector("#new form")
    page.fill("#new-name", "Second")
    page.get_by_role("button", name="Create project").click()
    page.wait_for_selector("#settings-2 form")
    page.locator("#settings-2").get_by_label(re.compile("Two people answer and must agree")).check()
    page.fill("#p2-gold_share", "0.1")
    page.fill("#p2-skip_reasons", "fog\nnight\n\n")
    page.check("#p2-confidence")
    page.get_by_role("button", name="Add a scene").click()
    page.locator("#settings-2").get_by_role("textbox", name="Scene").fill("under = water")
    page.locator("#settings-2").get_by_role("spinbutton", name="Pairs", exact=True).fill("12")
    page.get_by_role("button", name="Save settings").click()
    page.wait_for_selector("text=Settings of Second saved")
    before = ProjectSettings().to_dict()
    (project,) = rows(study, "SELECT * FROM projects WHERE name = 'Second'")
    changed = {"policy": "unanimous-2", "gold_share": 0.1, "skip_reasons": ["fog", "night"], "confidence": True}
    expected = json.loads(json.dumps(before | changed | {"scene_targets": {"under = water": 12}}))
    assert json.loads(project["settings"]) == expected

    page.get_by_role("group", name="State of Second").get_by_role("radio", name="paused").check()
    page.wait_for_function("() => document.querySelector('input[name=state-2][value=paused]').checked")
    for _ in range(50):
        if rows(study, "SELECT state FROM projects WHERE id = 2") == [{"state": "paused"}]:
            break
        page.wait_for_timeout(20)
    else:
        pytest.fail("the project is not paused")

    page.fill("#new-name", "Second")
    page.get_by_role("button", name="Create project").click()
    page.wait_for_selector(".notice-bad")
    assert len(rows(study, "SELECT id FROM projects")) == 2
