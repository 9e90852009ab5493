"""For everybody: accessibility scan, focus, spoken state, large text, forced colours; and how time is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation.settings import ProjectSettings

PLAIN = ProjectSettings(gold_share=0, repeat_share=0)

WATCH = (Path(__file__).parent / "stopwatch.js").read_text()


@pytest.fixture
def work(new_study, label):
    return label(new_study(images=2, pairs_per_image=6, settings=PLAIN, size=(320, 240)))


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:120]) for one in found]


def test_no_accessibility_violation_in_any_state_of_the_page(work):
    page = work.page
    work.ready()
    page.wait_for_timeout(500)
    assert violations(page) == []
    for key, dialog in (("?", "#help-dialog"), ("k", "#keys-dialog"), ("s", "#skip-dialog")):
        page.keyboard.press(key)
        page.wait_for_selector(f"{dialog}[open]")
        assert violations(page) == [], dialog
        page.keyboard.press("Escape")
        page.wait_for_selector(dialog, state="hidden")
    page.keyboard.press("l")
    page.wait_for_selector("#lens-a[data-ready='true']")
    assert violations(page) == []


def test_tab_reaches_everything_in_order_and_leaves_the_page(work):
    page, order = work.page, []
    page.evaluate("document.activeElement.blur()")
    for _ in range(16):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        order.append(name)
        if order.count(name) > 1 or name == "live":
            break
    wanted = [
        "save",
        "keys",
        "help",
        "menu-button",
        "zoom",
        "loupe",
        "answer-first",
        "answer-second",
        "answer-equal",
        "answer-skip",
        "undo",
    ]
    assert [name for name in order if name in wanted] == wanted
    assert page.evaluate("document.querySelectorAll('[tabindex]:not([tabindex=\"-1\"])').length") == 0


def test_the_state_is_spoken(work):
    page = work.page
    text = "() => document.getElementById('live').textContent"
    page.wait_for_selector("#live:has-text('Which point')", state="attached")
    assert page.evaluate(text) == "Pair 1 of 12, scene indoor. Which point is closer to the camera?"
    work.press("1")
    page.wait_for_selector("#live:has-text('Pair 2 of 12')", state="attached")
    assert page.get_attribute("#live", "role") == "status"
    assert page.inner_text("#position") == "Pair 2 of 12"
    names = page.evaluate("[...document.querySelectorAll('#answers button')].map((b) => b.textContent)")
    assert [name for name in names if "closer" in name] == ["A is closer1", "B is closer2"]


def test_large_text_forced_colours_and_a_low_window_keep_everything_in_reach(new_study, label):
    study = new_study(images=1, pairs_per_image=3, settings=PLAIN, size=(320, 240))
    work = label(study, viewport={"width": 640, "height": 400}, device_scale_factor=2, forced_colors="active")
    page = work.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in (
        "answer-first",
        "answer-second",
        "answer-equal",
        "answer-skip",
        "undo",
        "zoom",
        "loupe",
        "help",
        "save",
    ):
        page.locator(f"#{name}").scroll_into_view_if_needed()
        assert page.locator(f"#{name}").is_visible(), name
    assert page.locator("#stage").bounding_box()["height"] >= 200
    colours = page.evaluate(
        "['a', 'b'].map((n) => getComputedStyle(document.querySelector(`.ring-${n} .core`)).stroke)"
    )
    assert colours == ["rgb(255, 176, 46)", "rgb(102, 204, 255)"]
    work.then(lambda: page.click("#answer-first"))


def test_active_time_is_a_part_of_wall_time_whatever_happens(modules):
    assert modules.evaluate(WATCH) == []


def test_time_away_from_the_window_does_not_count(work):
    page = work.page
    work.press("1")
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    page.wait_for_timeout(600)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.keyboard.press("?")
    page.wait_for_timeout(300)
    page.keyboard.press("Escape")
    work.press("2")
    work.saved()
    row = work.responses()[1]
    assert row["wall_ms"] >= 900 and row["wall_ms"] - row["active_ms"] >= 850
    assert json.loads(row["client"])["blurs"] == 1
