"""Review, placing and the dashboard, used as people use them, and the database looked at afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from annotation_studies import answer_to, person, right_answer
from PIL import Image

from annotation.queue import give_answer, next_tasks, place_pair
from annotation.settings import ProjectSettings

THIN = "\u202f"
TWO = ProjectSettings(policy="unanimous-2", gold_share=0, repeat_share=0)
READ = "for (const who of ['ann', 'ben']) localStorage.setItem(`dabench.read.${who}.1`, '1');"
MIDDLE = """wanted => {
    const canvas = document.querySelector('.picture-canvas');
    const pixel = canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    return wanted.every((value, index) => value === pixel[index]);
}"""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2}


def of(**options: Any) -> pytest.MarkDecorator:
    """The study of a test: options of ``make_study``."""
    return pytest.mark.parametrize("server", [options], indirect=True, ids=["study"])


def answer_all(study, how: dict[str, str], most: int = 99) -> None:
    """People answer through the queue: always point ``a`` or ``b``, or the ``right`` one."""
    for alias, way in how.items():
        for _ in range(most):
            batch = next_tasks(study, 1, person(study, alias), 1)
            if not batch.tasks:
                break
            (task,) = batch.tasks
            for relation in task.relations:
                shown = right_answer(task)
                if way != "right":
                    stored = study.store.one("SELECT a_row, a_col FROM pairs WHERE id = ?", task.pair)
                    is_first = tuple(task.first) == tuple(stored)
                    shown = "first" if is_first == (way == "a") else "second"
                give_answer(study, person(study, alias), answer_to(task, shown, relation=relation))


def rows(study, sql: str, *values):
    return [dict(row) for row in study.store.query(sql, *values)]


def shown_key(study, alias: str, answer: str) -> str:
    """The key that says ``answer`` (a or b) for the open task of a person: 1 is the point shown first."""
    task = study.store.one("SELECT swap FROM assignments WHERE person = ? AND state = 'open'", person(study, alias))
    assert task is not None
    return "1" if (answer == "a") != bool(task["swap"]) else "2"


# ---- two people, one dispute


@of(images=1, pairs_per_image=1, settings=TWO)
def test_two_people_disagree_and_a_third_decides(opened, server):
    study = server.study
    for alias, answer in (("ann", "a"), ("ben", "b")):
        page = opened(alias, "/", script=READ)
        page.wait_for_selector("#answer-first:not([aria-disabled='true'])")
        with page.expect_response("**/api/answers") as given:
            page.keyboard.press(shown_key(study, alias, answer))
        assert given.value.ok
        others = {"ann": "ben", "ben": "ann"}[alias]
        assert others not in page.content()
    (pair,) = rows(study, "SELECT * FROM pairs")
    assert pair["state"] == "disputed"
    kept = study.cache / "experts" / "contrarian"
    kept.mkdir(parents=True)
    Image.new("RGB", (16, 12), (200, 40, 60)).save(kept / f"{pair['image']}.png")

    page = opened("adam", "/review")
    page.wait_for_selector("#answers tbody tr")
    assert [row.split()[:2] for row in page.locator("#answers tbody tr").all_inner_texts()] == [
        ["ann", "A"],
        ["ben", "B"],
    ]
    assert "near-sighted" not in page.content(), "votes are there only when they are asked for"
    page.keyboard.press("m")
    page.wait_for_selector("#expert-votes tbody tr")
    assert page.locator("#expert-votes tbody tr").count() == 3
    assert "flips the first answer" in page.inner_text("[data-result=b]")
    page.get_by_role("button", name="Map of steady").click()
    page.wait_for_selector("text=no map kept")
    page.get_by_role("button", name="Map of contrarian").click()
    page.wait_for_function(MIDDLE, arg=[200, 40, 60])
    page.keyboard.press("m")  # closed: the picture again
    page.wait_for_function(f"wanted => !({MIDDLE})(wanted)", arg=[200, 40, 60])
    page.keyboard.press("1")  # a reason without a decision does nothing
    page.keyboard.press("f")
    page.keyboard.press("2")
    page.wait_for_selector("#nothing:not([hidden])")
    assert "B is closer, one answer was a slip" in page.inner_text("#last")
    decisions = rows(study, "SELECT * FROM decisions WHERE by_person = 'adam'")
    assert [(d["result"], d["reason"], d["pair"]) for d in decisions] == [("b", "one answer was a slip", pair["id"])]
    assert rows(study, "SELECT state FROM pairs") == [{"state": "final"}]

    page.get_by_role("radio", name="adjudicated").check()
    page.wait_for_selector("#list[data-state='adjudicated']")
    assert "one answer was a slip" in page.inner_text("#decisions")
    page.keyboard.press("d")
    page.fill("#reason", "the point lies on an <b>edge</b>")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#last').textContent.includes('dropped')")
    (dropped,) = rows(study, "SELECT result, reason FROM decisions WHERE by_person = 'adam' AND result = 'drop'")
    assert dropped["reason"] == "the point lies on an <b>edge</b>"
    assert rows(study, "SELECT state FROM pairs") == [{"state": "dropped"}]
    assert len(rows(study, "SELECT uuid FROM responses")) == 2, "nothing is deleted"

    page.get_by_role("radio", name="dropped").check()
    page.wait_for_selector("#list[data-state='dropped']")
    page.keyboard.press("r")
    page.keyboard.press("2")
    page.wait_for_selector("#nothing:not([hidden])")
    assert rows(study, "SELECT state FROM pairs") == [{"state": "queued"}]


@of(images=1, pairs_per_image=1, settings=TWO, layered=True)
def test_a_layered_pair_is_decided_layer_by_layer(opened, server):
    study = server.study
    answer_all(study, {"ann": "a", "ben": "b"})
    page = opened("adam", "/review")
    page.wait_for_selector("#layers input")
    for layer, key in (("front surface", "a"), ("behind it", "b")):
        page.wait_for_function(
            "layer => document.querySelector('#layers input:checked + span').textContent === layer", arg=layer
        )
        page.keyboard.press(key)
        page.keyboard.press("1")
    page.wait_for_selector("#nothing:not([hidden])")
    made = rows(study, "SELECT relation, result FROM decisions WHERE by_person = 'adam' ORDER BY id")
    assert made == [{"relation": "front", "result": "a"}, {"relation": "back", "result": "b"}]
    assert rows(study, "SELECT state FROM pairs") == [{"state": "final"}]


# ---- placing pairs


@of(settings=ProjectSettings(layered=True), size=(96, 64))
def test_a_pair_is_placed_by_keys_alone_to_the_pixel(opened, server):
    study = server.study
    page = opened("ann", "/place")
    page.wait_for_selector(".tile")
    page.focus(".tile")
    page.keyboard.press("Enter")
    page.wait_for_selector("canvas[data-painted]:not([data-painted=''])")
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_selector(".place-lens[data-ready='true'][data-row='30'][data-col='47']")
    image = page.get_attribute("canvas[data-painted]", "data-painted")
    under_the_cross = page.evaluate(
        """() => { const c = document.querySelector('.place-lens');
        return [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data].slice(0, 3); }"""
    )
    (file,) = rows(study, "SELECT file FROM images WHERE sha256 = ?", image)
    stored = np.asarray(Image.open(study.images / file["file"]).convert("RGB"))
    assert under_the_cross == stored[30, 47].tolist()

    page.keyboard.press("Enter")  # A at (30, 47)
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")  # B at (40, 47)
    page.keyboard.press("u")
    assert page.inner_text("#where-b") == "not set"
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")  # B at (40, 57)
    page.keyboard.press("s")
    assert "Say why" in page.inner_text("#place-status")
    page.keyboard.press("Space")  # the focus is on the reasons
    page.focus("#layered")
    page.keyboard.press("Space")
    page.focus("#stage")
    page.keyboard.press("s")
    page.wait_for_selector("#placed tbody tr")
    (pair,) = rows(study, "SELECT * FROM pairs WHERE route = 'manual'")
    assert (pair["a_row"], pair["a_col"], pair["b_row"], pair["b_col"]) == (30, 47, 40, 57)
    assert (pair["image"], pair["reason"], pair["layered"], pair["created_by"]) == (image, "reflection", 1, "ann")
    assert page.inner_text("#where-a") == "not set"


@of(size=(96, 64))
def test_a_pair_is_placed_by_touch_on_a_small_screen(opened, server):
    page = opened("cat", "/place", **PHONE)
    page.tap(".tile")
    page.wait_for_selector("canvas[data-painted]:not([data-painted=''])")
    page.tap(".picture-canvas", position={"x": 120, "y": 150})
    page.tap(".picture-canvas", position={"x": 260, "y": 200})
    before = page.inner_text("#where-b")
    page.tap(".nudge-right")
    page.tap(".nudge-down")
    row, col = (int(value) + 1 for value in before.split(", "))
    assert page.inner_text("#where-b") == f"{row}, {col}"
    page.get_by_role("radio", name="thin part").tap()
    page.get_by_role("button", name="Save pair").tap()
    page.wait_for_selector("#placed tbody tr")
    (pair,) = rows(server.study, "SELECT * FROM pairs WHERE route = 'manual'")
    assert (pair["b_row"], pair["b_col"], pair["reason"]) == (row, col, "thin part")
    for size in page.locator(".button:visible").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().height)"
    ):
        assert size >= 44


def test_the_list_holds_only_own_pairs(opened, server):
    study = server.study
    image = rows(study, "SELECT sha256 FROM images")[0]["sha256"]
    for n, alias in enumerate(("ann", "ben", "ben")):
        number = f"00000000-0000-4000-8000-00000000000{n}"
        place_pair(study, person(study, alias), number, 1, image, (n, 1), (9, n), "illusion")
    page = opened("ben", "/place")
    page.wait_for_selector("#placed tbody tr")
    assert page.locator("#placed tbody tr").count() == 2
    page.get_by_role("radio", name="outdoor").check()
    assert page.locator(".tile").count() == 1


# ---- the dashboard


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}{THIN}%"


@of(images=6, pairs_per_image=5, settings=TWO)
def test_the_dashboard_says_what_the_server_counts(opened, server):
    study = server.study
    answer_all(study, {"ann": "a"}, most=6)
    answer_all(study, {"ann": "right", "ben": "right"}, most=25)
    page = opened("olga", "/dashboard")
    page.wait_for_selector("#headline-body .figure")
    data = page.request.get(f"{server.url}/api/projects/1/dashboard").json()
    figures = page.locator(".figure").all_inner_texts()
    assert figures[0] == str(data["progress"]["done"]) and data["progress"]["done"] > 0
    assert figures[1] == percent(data["agreement"]["views"][0]["raw"]["value"])
    scene = page.locator("#scenes-body tbody tr").first
    assert scene.locator("td").nth(1).inner_text() == str(data["scenes"][0]["done"])
    assert page.locator("#people-body tbody tr").count() == len(data["people"])
    for one in data["people"]:
        row = page.locator("#people-body tbody tr", has_text=one["alias"]).inner_text()
        assert one["name"] in row
        assert one["answers"] == 0 or f"{one['seconds']['median']:.1f}{THIN}s" in row
    for cue in data["shortcuts"]["groups"][0]["cues"]:
        row = page.locator("#shortcuts-body tbody tr", has_text=cue["title"]).first.inner_text()
        assert cue["accuracy"]["value"] is None or percent(cue["accuracy"]["value"]) in row
        assert ("Warning" in row) == cue["warn"]
    chosen = next(one for one in data["forecast"]["policies"] if one["chosen"])
    assert percent(chosen["kept"]) in page.locator("#policies-body tr.policy-chosen").inner_text()

    # An answer more: figures change, and what did not change is not drawn again.
    page.evaluate("document.querySelector('#policies-body').firstChild.kept = true; window.kept = true")
    answer_all(study, {"ann": "right", "ben": "right"}, most=3)
    for _ in range(40):  # the server counts again every five seconds at most
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(250)
        if int(page.get_attribute("#main", "data-event")) > data["event"]:
            break
    assert page.evaluate("window.kept"), "the page was not loaded again"
    fresh = page.request.get(f"{server.url}/api/projects/1/dashboard").json()
    assert page.locator(".figure").all_inner_texts()[0] == str(fresh["progress"]["done"])


@of(images=1, pairs_per_image=2)
def test_names_are_for_owners_and_an_empty_project_has_a_dashboard(opened, server):
    page = opened("vic", "/dashboard")
    page.wait_for_selector("#headline-body .figure")
    assert "Ben" not in page.inner_text("#main")
    assert "Ben" not in page.request.get(f"{server.url}/api/projects/1/dashboard").text()
    assert page.locator(".figure").all_inner_texts()[1:3] == ["–", "–"]
