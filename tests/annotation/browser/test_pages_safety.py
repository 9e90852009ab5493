"""Every page with markup in every text: nothing is run, everything is readable, nothing is wider than a phone."""

from __future__ import annotations

import uuid

import pytest
from annotation_live_server import live_server
from annotation_studies import answer_to, make_study, person
from axe_playwright_python.sync_playwright import Axe

from annotation.queue import decide, give_answer, next_tasks, place_pair
from annotation.settings import ProjectSettings

XSS = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
PLAIN = ProjectSettings(
    policy="unanimous-2", gold_share=0, repeat_share=0, layered=True, instructions=XSS, manual_reasons=(XSS, "other"),
    drop_reasons=(XSS,), skip_reasons=(XSS,), scene_targets={XSS: 5},
)  # fmt: skip
PAGES = [
    ("login", None),
    ("review", "adam"),
    ("place", "ann"),
    ("dashboard", "olga"),
    ("people", "olga"),
    ("projects", "olga"),
]
READY = {
    "login": "#token", "review": "#answers tbody tr", "place": ".tile", "dashboard": "#headline-body .figure",
    "people": "#people tbody tr", "projects": "#projects .button",
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A study whose names, scenes and reasons are markup; one pair is disputed, one dropped, one placed by hand."""
    study = make_study(tmp_path_factory.mktemp("hostile") / "study", pairs_per_image=2, settings=PLAIN, size=(96, 64))
    with study.store.write("owner") as write:
        write.append("study.set", {"name": f"study {XSS}"})
        write.append("project.changed", {"id": 1, "name": f"project {XSS}"})
        for row in study.store.query("SELECT sha256 FROM images"):
            write.append("image.changed", {"sha256": row["sha256"], "scene": f"scene {XSS}"})
        for alias in ("ann", "ben", "olga"):
            write.append("person.changed", {"alias": alias, "name": f"{alias} {XSS}"})
    for alias, side in (("ann", 0), ("ben", 1)):
        for _ in range(2):
            (task,) = next_tasks(study, 1, person(study, alias), 1).tasks
            row = study.store.one("SELECT a_row, a_col FROM pairs WHERE id = ?", task.pair)
            is_first = tuple(task.first) == tuple(row)
            answer = answer_to(task, "first" if is_first == (side == 0) else "second")
            give_answer(study, person(study, alias), answer)
    (first, second) = study.store.query("SELECT id, image FROM pairs WHERE state = 'disputed' ORDER BY position")
    decide(study, person(study, "adam"), str(uuid.uuid4()), second["id"], "drop", f"reason {XSS}")
    place_pair(study, person(study, "ann"), str(uuid.uuid4()), 1, first["image"], (1, 1), (5, 5), XSS)
    yield study
    study.close()


@pytest.fixture(scope="module")
def server(hostile):
    with live_server(hostile) as running:
        yield running


@pytest.fixture
def show(server, visit):
    def open_page(name: str, alias: str | None, **options):
        page = visit(server, **options).page()
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
        if alias:
            token, origin = {"token": server.token_for(alias)}, {"Origin": server.url}
            assert page.request.post(f"{server.url}/api/login", data=token, headers=origin).ok
        page.goto(f"{server.url}/{name}")
        page.wait_for_selector(READY[name])
        return page

    return open_page


def open_everything(page, name: str) -> None:
    """What a page keeps behind a button."""
    if name == "projects":
        page.get_by_role("button", name="Settings").click()
        page.wait_for_selector("#settings-1 form")
    if name == "people":
        page.get_by_role("button", name="New link for vic").click()
        page.wait_for_selector("#link")
    if name == "review":
        page.locator("#experts summary").click()
        page.wait_for_selector("#expert-votes tbody tr")
        page.keyboard.press("d")
    if name == "place":
        page.wait_for_selector("#placed tbody tr")
        page.locator(".tile").first.click()
        page.wait_for_selector("canvas[data-painted]:not([data-painted=''])")
        page.keyboard.press("Enter")
    if name == "dashboard":
        page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")


@pytest.mark.parametrize(("name", "alias"), PAGES, ids=[name for name, _ in PAGES])
def test_nobody_is_shut_out(show, name, alias):
    page = show(name, alias, bypass_csp=True)  # axe styles elements while it looks
    open_everything(page, name)
    found = Axe().run(page).response["violations"]
    told = [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in found]
    assert not told, told


@pytest.mark.parametrize(("name", "alias"), PAGES, ids=[name for name, _ in PAGES])
def test_markup_stays_text_and_a_phone_is_wide_enough(show, name, alias):
    """The texts are shown as they are and never run. ``visit`` counts breaches of the content security policy, errors
    of the page and requests to other places."""
    page = show(name, alias, viewport={"width": 390, "height": 844}, has_touch=True)
    open_everything(page, name)
    wide, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room == 390
    assert page.locator("img[src='x'], #main script").count() == 0
    assert page.title() != "run"
    if alias:
        assert XSS in page.inner_text("body")
    if alias:
        page.get_by_role("button", name="Menu").tap()
        assert page.locator("#menu a:visible").count() > 1


def test_keys_reach_everything_and_nothing_holds_them(show):
    """Tab goes through the review page and comes out again; a key typed into a text is no decision."""
    page = show("review", "adam")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, words = page.evaluate(
            "(({tagName, id, innerText}) => [tagName, id || innerText])(document.activeElement)"
        )
        if name == "BODY":
            break
        seen.append(words)
    assert seen[0] == "To the content" and seen.index("Sign out") < seen.index("reason") < len(seen) < 60
    page.focus("#reason")
    page.keyboard.type("bad")
    assert page.locator(".way-armed").count() == 0
    page.get_by_role("checkbox").uncheck()
    page.locator("#title").focus()
    page.keyboard.press("b")
    assert page.locator(".way-armed").count() == 0, "keys can be switched off"
