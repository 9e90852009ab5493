"""No answer is lost or doubled: offline, lost replies, refusals, ended sessions, crashes, two tabs, no storage."""

from __future__ import annotations

import json

import pytest

from annotation.settings import ProjectSettings

PLAIN = ProjectSettings(gold_share=0, repeat_share=0)
SAVE = "#save[data-state='{}'][data-pending='{}']"


@pytest.fixture
def study(new_study):
    return new_study(images=2, pairs_per_image=6, settings=PLAIN, size=(320, 240))


def answers(work):
    """Pair and answer of all that is stored; fails on a doubled one."""
    rows = work.responses()
    assert len({row["uuid"] for row in rows}) == len(rows) and len({row["pair"] for row in rows}) == len(rows)
    return [(row["pair"], row["shown"]) for row in rows]


def sent_uuid(request):
    """The UUID of the answer that a request carries, or None."""
    return json.loads(request.post_data)["uuid"] if request.url.endswith("/api/answers") else None


def test_offline_and_back_delivers_once_and_in_order(study, label):
    work = label(study)
    page, context = work.page, work.visitor.context
    pairs = [work.ready()]
    page.wait_for_load_state("networkidle")
    context.set_offline(True)
    pairs.append(work.press("1"))
    pairs.append(work.press("2"))
    work.press("1")
    page.wait_for_selector(SAVE.format("offline", 3))
    assert page.inner_text("#save-text") == "Offline · 3 waiting"
    assert work.responses() == []
    # Leaving now would be asked about.
    assert page.evaluate("!window.dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    page.wait_for_selector("#live-save:has-text('Offline')", state="attached")
    context.set_offline(False)
    work.saved()
    assert answers(work) == list(zip(pairs, ["first", "second", "first"], strict=True))
    assert page.evaluate("window.dispatchEvent(new Event('beforeunload', {cancelable: true}))")


def test_a_lost_reply_and_a_crash_leave_one_answer_each(study, label):
    work = label(study)
    page, pairs, lost = work.page, [work.ready()], []

    def lose(route):
        route.fetch()  # the server has it; the browser never hears of it
        lost.append(json.loads(route.request.post_data)["uuid"])
        route.abort("connectionreset")

    page.route("**/api/answers", lose)
    pairs.append(work.press("1"))
    work.press("2")
    page.wait_for_selector(SAVE.format("offline", 2))
    kept = [row["uuid"] for row in work.responses()]
    assert kept == [lost[0]]
    with pytest.raises(Exception, match="crash"):
        page.goto("chrome://crash")
    again = work.visitor.page()
    posted = []
    again.on("request", lambda request: posted.append(sent_uuid(request)))
    again.goto(work.server.url)
    again.wait_for_selector("body[data-ready='true']")
    again.wait_for_selector(SAVE.format("saved", 0))
    assert answers(work) == list(zip(pairs, ["first", "second"], strict=True))
    posted = [uuid for uuid in posted if uuid]
    assert posted[0] == lost[0] and len(posted) == 2


def test_a_busy_server_is_tried_again_and_a_refusal_holds_nothing_up(study, label):
    work = label(study)
    page, calls = work.page, []

    def trouble(route):
        calls.append(json.loads(route.request.post_data)["shown"])
        if len(calls) == 1:
            route.fulfill(
                status=503, content_type="application/json", body='{"error": "The disk is full.", "hint": ""}'
            )
        elif calls[-1] == "second":
            route.fulfill(
                status=409,
                content_type="application/json",
                body='{"error": "<i>This pair is closed.</i>", "hint": "Go on."}',
            )
        else:
            route.continue_()

    page.route("**/api/answers", trouble)
    work.ready()
    work.press("1")
    page.wait_for_selector(SAVE.format("busy", 1))
    work.press("2")
    work.press("1")
    page.wait_for_selector(SAVE.format("refused", 0))
    assert calls == ["first", "first", "second", "first"]
    assert [shown for _, shown in answers(work)] == ["first", "first"]
    page.click("#save")
    assert "<i>This pair is closed.</i> Go on." in page.inner_text("#save-dialog")
    page.unroute("**/api/answers")
    page.click("#save-dialog button:has-text('Try again')")
    work.saved()
    assert sorted(shown for _, shown in answers(work)) == ["first", "first", "second"]


def test_an_ended_session_keeps_the_answers_for_the_same_person_only(study, label):
    work = label(study)
    page, pair = work.page, work.ready()
    page.wait_for_load_state("networkidle")
    work.server.link_for("ann")  # a fresh link ends the sessions of its person
    work.press("2")
    page.wait_for_selector(SAVE.format("signed-out", 1))
    assert page.inner_text("#save-text") == "Signed out · 1 kept"
    # Somebody else signs in on this machine: nothing of it is sent under the other name.
    work.visitor.sign_in("ben", page=page)
    work.start()
    page.click("#save")
    assert "1 answer of another person" in page.inner_text("#save-dialog")
    assert work.responses() == []
    work.visitor.sign_in("ann", page=page)
    work.ready()
    work.saved()
    assert answers(work) == [(pair, "second")]
    assert work.study.store.one("SELECT alias FROM people p JOIN responses r ON r.person = p.id")["alias"] == "ann"


def test_two_tabs_of_one_person_answer_each_pair_once(study, label):
    work = label(study)
    one, two = work.page, work.visitor.page()
    two.goto(work.server.url)
    two.wait_for_selector("body[data-ready='true']")
    arrived = []
    for page in (one, two):
        page.on("response", lambda response: arrived.append(sent_uuid(response.request)))
    assert two.evaluate("document.body.dataset.pair") == work.ready()
    work.press("1")
    # The other tab moves on by itself, and says why.
    two.wait_for_selector("body[data-shown='2'][data-ready='true']")
    two.wait_for_selector("#note-elsewhere")
    work.visitor.context.set_offline(True)
    work.press("2")
    two.keyboard.press("1")
    two.wait_for_selector("body[data-shown='3'][data-ready='true']")
    work.visitor.context.set_offline(False)
    for page in (one, two):
        page.bring_to_front()
        page.wait_for_selector(SAVE.format("saved", 0))
    live = work.live()
    assert len({row["pair"] for row in live}) == len(live)
    arrived = [uuid for uuid in arrived if uuid]
    assert len(arrived) == len(set(arrived)) == len(work.responses()) == 3


def test_two_people_get_the_same_pair_and_neither_sees_the_other(study, label, visit):
    work = label(study)
    pair = work.ready()
    work.press("1")
    work.saved()
    other = visit(work.server)
    page = other.page()
    heard = []
    page.on("response", lambda response: heard.append(response.text()) if "/api/projects/" in response.url else None)
    other.sign_in("ben", page=page)
    page.wait_for_selector("#help-dialog[open]")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready='true']")
    task = next(task for task in json.loads(heard[0])["tasks"] if task["pair"] == pair)
    assert task["answered"] == {} and task["proposed"] is None
    given = work.responses()[0]["uuid"]
    assert not any(given in text or '"votes"' in text for text in heard)


@pytest.mark.parametrize(
    ("blocked", "unkept"),
    [
        (
            # Also what a page over plain HTTP on a local network lacks.
            "Object.defineProperty(window, 'indexedDB', {value: undefined});"
            "delete Navigator.prototype.locks; delete Crypto.prototype.randomUUID;",
            "false",
        ),
        (
            "Object.defineProperty(window, 'indexedDB', {value: {open() { throw new Error('blocked'); }}});"
            "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }});",
            "true",
        ),
    ],
    ids=["no-indexeddb", "no-storage"],
)
def test_without_storage_the_page_works_and_says_what_it_means(study, serve, visit, blocked, unkept):
    server = serve(study)
    visitor = visit(server)
    visitor.context.add_init_script(blocked)
    page = visitor.sign_in("ann")
    if unkept == "false":
        page.wait_for_selector("#help-dialog[open]")
        page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready='true']")
    assert page.get_attribute("#save", "data-unkept") == unkept
    page.wait_for_load_state("networkidle")
    visitor.context.set_offline(True)
    page.keyboard.press("1")
    page.wait_for_selector(SAVE.format("offline", 1))
    if unkept == "true":
        assert "leave it open" in page.get_attribute("#save", "title")
    else:
        assert page.evaluate("JSON.parse(localStorage.getItem('dabench-outbox')).length") == 1
    visitor.context.set_offline(False)
    page.wait_for_selector(SAVE.format("saved", 0))
    assert study.store.one("SELECT count(*) AS n FROM responses")["n"] == 1


def test_a_closed_page_gives_its_tasks_back(study, label):
    work = label(study)
    work.ready()
    work.press("1")
    work.saved()
    held = "SELECT count(*) AS n FROM assignments WHERE state = 'open'"
    assert work.study.store.one(held)["n"] >= 4
    work.page.close(run_before_unload=True)
    other = work.visitor.page()
    other.goto(f"{work.server.url}/login")
    for _ in range(50):
        if work.study.store.one(held)["n"] == 0:
            break
        other.wait_for_timeout(40)
    assert work.study.store.one(held)["n"] == 0


SLOW_STORE = """async () => {
  const {Outbox} = await import('/static/outbox.js');
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let items = [];
  let last = 0;
  const store = {
    kind: 'slow',
    all: async () => { const before = [...items]; await wait(40); return before; },
    add: async (item) => { await wait(10); items.push({...item, seq: last += 1}); return items.at(-1); },
    put: async () => {},
    remove: async (seq) => { items = items.filter((item) => item.seq !== seq); },
  };
  const outbox = new Outbox(store, 'zoe', () => {});
  outbox.channel = null;
  const seen = new Set();
  outbox.wake();
  await wait(5);   // the store is being read while the answer comes
  outbox.add({uuid: 'x', path: '/api/answers', body: {}});
  for (let k = 0; k < 40; k += 1) { seen.add(outbox.pending.length); await wait(4); }
  return [...seen];
}"""


def test_an_answer_never_leaves_the_list_while_the_store_is_slow(modules):
    modules.context.set_offline(True)
    try:
        assert modules.evaluate(SLOW_STORE) == [1]
    finally:
        modules.context.set_offline(False)
