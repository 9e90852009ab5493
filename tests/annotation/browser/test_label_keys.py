"""Keys: what counts as a press, layouts, and a person's own keys."""

from __future__ import annotations

import pytest

from annotation.settings import ProjectSettings

PLAIN = ProjectSettings(gold_share=0, repeat_share=0)


@pytest.fixture
def work(new_study, label):
    return label(new_study(images=2, pairs_per_image=6, settings=PLAIN, size=(320, 240)))


def test_a_held_key_answers_once(work):
    page = work.page
    work.then(lambda: page.keyboard.down("1"))
    for _ in range(5):
        page.keyboard.down("1")  # Playwright marks these as repeats, as a browser does
    page.keyboard.up("1")
    page.wait_for_timeout(150)
    work.saved()
    assert len(work.responses()) == 1 and work.count == 2


def test_chords_and_input_methods_are_left_to_the_browser(work):
    page, pair = work.page, work.ready()
    page.evaluate(
        """() => { window.kept = [];
             window.addEventListener('keydown', (e) => window.kept.push([e.key, e.defaultPrevented])); }"""
    )
    for chord in ("Control+1", "Alt+1", "Meta+1", "Control+Shift+e", "Alt+s"):
        page.keyboard.press(chord)
    for extra in ("isComposing: true, key: 'e'", "key: 'Process'", "key: 'e', keyCode: 229", "key: 'Dead'"):
        options = f"{{code: 'KeyE', bubbles: true, cancelable: true, {extra}}}"
        page.evaluate(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {options}))")
    page.wait_for_timeout(100)
    assert work.ready() == pair and work.count == 1 and work.responses() == []
    kept = page.evaluate("window.kept")
    assert len(kept) > 10 and not any(prevented for _, prevented in kept)


def test_the_letter_on_the_cap_counts_and_the_place_is_the_second_try(modules):
    cases = [
        ("Digit1", "1", "first"), ("Digit1", "&", "first"), ("Numpad2", "2", "second"),  # AZERTY types & there
        ("KeyQ", "a", "first"), ("KeyW", "z", "zoom"), ("KeyD", "e", "equal"), ("Semicolon", "s", "skip"),  # and Dvorak
        ("KeyS", "ы", "skip"), ("KeyE", "у", "equal"), ("KeyU", "U", "undo"), ("Slash", "?", "help"),  # Cyrillic
        ("ArrowLeft", "ArrowLeft", "left"), ("KeyX", "x", None), ("Enter", "Enter", None), ("Tab", "Tab", None),
        ("F5", "F5", None), ("", "1", "first"),
    ]  # fmt: skip
    found = modules.evaluate(
        "async (cases) => { const {actionOf} = await import('/static/keyboard.js');"
        " return cases.map(([code, key]) => actionOf({code, key, shiftKey: key === '?'}, {})); }",
        cases,
    )
    assert found == [action for _, _, action in cases]
    own = modules.evaluate(
        """async () => { const {actionOf, conflicts, cleaned} = await import('/static/keyboard.js');
             const keys = {skip: 'KeyX', equal: '', first: 'KeyS', nonsense: 'KeyQ', zoom: '<img src=x>'};
             return [actionOf({code: 'KeyX', key: 'x'}, keys), actionOf({code: 'KeyE', key: 'e'}, keys),
                     actionOf({code: 'KeyS', key: 's'}, keys), actionOf({code: 'Digit1', key: '1'}, keys),
                     conflicts({skip: 'KeyE'}), conflicts({skip: 'KeyX'}), cleaned(keys)]; }"""
    )
    assert own == [
        "skip", None, "first", None, [["KeyE", ["equal", "skip"]]], [], {"skip": "KeyX", "equal": "", "first": "KeyS"},
    ]  # fmt: skip


def test_own_keys_are_checked_stored_and_can_be_turned_off(work):
    page = work.page
    page.keyboard.press("k")
    page.wait_for_selector("#keys-dialog[open]")
    page.click("[data-change='skip']")
    page.keyboard.press("e")
    assert "two meanings" in page.inner_text("#keys-message")
    assert page.locator("#keys-dialog tr.clash").count() == 2 and page.is_disabled("#keys-save")
    page.click("[data-change='skip']")
    page.keyboard.press("Enter")
    assert "needed by the browser" in page.inner_text("#keys-message")
    page.click("[data-change='skip']")
    page.keyboard.press("x")
    assert page.inner_text("#keys-message") == ""
    page.click("#keys-save")
    page.wait_for_selector("#keys-dialog", state="hidden")
    assert work.study.store.one("SELECT keys FROM people WHERE alias = 'ann'")["keys"] == '{"skip":"KeyX"}'
    page.reload()
    work.ready()
    assert page.inner_text("#answer-skip kbd") == "X"
    page.keyboard.press("s")
    page.keyboard.press("x")
    page.wait_for_selector("#skip-dialog[open]")
    work.press("1")
    page.keyboard.press("k")
    page.uncheck("#keys-on")
    page.click("#keys-save")
    page.wait_for_selector("#keys-dialog", state="hidden")
    for key in ("1", "2", "e", "x", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_timeout(100)
    assert work.count == 2 and page.locator("[data-action] kbd:visible").count() == 0
    page.focus("#answer-second")
    work.press("Enter")  # the buttons work without any single key, and keep the focus
    assert page.evaluate("document.activeElement.id") == "answer-second"
    work.saved()
    assert [row["shown"] for row in work.responses()] == ["skip", "second"]


def test_keys_wait_while_a_dialog_is_open(work):
    page, pair = work.page, work.ready()
    page.keyboard.press("?")
    page.wait_for_selector("#help-dialog[open]")
    for key in ("1", "2", "e", "s", "u"):
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    page.wait_for_selector("#help-dialog", state="hidden")
    assert work.ready() == pair and work.responses() == []
    assert page.locator("#help-dialog svg").count() == 4
