"""The routes of the work, as the pages use them."""

from __future__ import annotations

import json
import uuid

import pytest
from annotation_live_server import Browsers
from annotation_studies import make_study, truth

from annotation.errors import StudyError, StudyFullError, StudyLockedError
from annotation.settings import ProjectSettings, Qualification


@pytest.fixture
def browsers(study):
    with Browsers(study) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One study for the tests of what is refused and changes nothing."""
    with make_study(tmp_path_factory.mktemp("routes") / "study") as study, Browsers(study) as made:
        yield made


def tasks_of(browser, n: int = 4) -> list[dict]:
    reply = browser.post("/api/projects/1/tasks", json={"n": n})
    assert reply.status_code == 200, reply.text
    return reply.json()["tasks"]


def answer_to(task: dict, shown: str = "first", **fields) -> dict:
    body = {
        "uuid": str(uuid.uuid4()), "assignment": task["assignment"], "relation": task["relations"][0], "shown": shown,
        "reason": "", "confidence": "", "shown_at": 1000, "answered_at": 4000, "active_ms": 2500, "wall_ms": 3000,
        "client": {
            "viewport": [1280, 720, 1.5], "zoom": 2.5, "key": "Digit1", "input": "keyboard", "blurs": 0,
            "aids": ["loupe"], "build": "abc", "instructions_version": 1,
        },
    }  # fmt: skip
    return body | fields


def test_a_session_says_what_a_page_needs_and_nothing_of_others(browsers, study):
    found = browsers("ann").get("/api/session").json()
    assert set(found) == {"person", "study", "csrf", "build", "projects"}
    assert found["person"] == {"alias": "ann", "name": "Ann", "role": "annotator", "keys": {}}
    assert found["study"] == {"name": "test study"}
    (project,) = found["projects"]
    assert project["id"] == 1 and project["state"] == "open" and project["skip_reasons"]
    assert project["qualification"]["state"] == "none"
    assert not {"policy", "gold_share", "repeat_share", "seed", "members"} & set(project), "blind"
    assert found["csrf"] != browsers("ben").get("/api/session").json()["csrf"]


def test_projects_with_members_are_for_them(new_study):
    browsers = Browsers(new_study(settings=ProjectSettings(members=("ben",))))
    names = {
        alias: [p["name"] for p in browsers(alias).get("/api/session").json()["projects"]]
        for alias in ("ann", "ben", "olga")
    }
    assert names == {"ann": [], "ben": ["main"], "olga": ["main"]}
    reply = browsers("ann").post("/api/projects/1/tasks", json={"n": 1}).json()
    assert reply["tasks"] == [] and reply["waiting"] == "not a member"


def test_from_task_to_stored_answer(browsers, study):
    batch = browsers("ann").post("/api/projects/1/tasks", json={"n": 2}).json()
    assert len(batch["tasks"]) == 2 and batch["done"] == 0 and batch["waiting"] == ""
    task = batch["tasks"][0]
    assert set(task["first"]) == {"row", "col"} and task["mode"] == "blind" and task["proposed"] is None
    pair = study.store.one("SELECT * FROM pairs WHERE id = ?", task["pair"])
    shown = [(task[name]["row"], task[name]["col"]) for name in ("first", "second")]
    assert sorted(shown) == sorted([(pair["a_row"], pair["a_col"]), (pair["b_row"], pair["b_col"])])
    right = "first" if truth(*shown) == "a" else "second"
    body = answer_to(task, right)
    receipt = browsers("ann").post("/api/answers", json=body).json()
    assert receipt["status"] == "saved" and receipt["uuid"] == body["uuid"] and receipt["feedback"] is None
    row = study.store.one("SELECT * FROM responses WHERE uuid = ?", body["uuid"])
    closer = truth((pair["a_row"], pair["a_col"]), (pair["b_row"], pair["b_col"]))
    assert row["answer"] == closer and row["active_ms"] == 2500
    assert json.loads(row["client"]) == body["client"]
    (mine,) = browsers("ann").get("/api/projects/1/history").json()["answers"]
    assert mine["uuid"] == body["uuid"] and mine["shown"] == right
    assert browsers("ben").get("/api/projects/1/history").json()["answers"] == []


def test_an_answer_that_is_sent_again_is_stored_once(browsers, study):
    (task,) = tasks_of(browsers("ann"), 1)
    body = answer_to(task)
    statuses = [browsers("ann").post("/api/answers", json=body).json()["status"] for _ in range(3)]
    upper = body | {"uuid": body["uuid"].upper()}
    statuses.append(browsers("ann").post("/api/answers", json=upper).json()["status"])
    assert statuses == ["saved", "duplicate", "duplicate", "duplicate"]
    assert study.store.one("SELECT count(*) AS n FROM responses")["n"] == 1


def test_a_task_of_somebody_else_cannot_be_answered_or_returned(browsers, study):
    (task,) = tasks_of(browsers("ann"), 1)
    reply = browsers("ben").post("/api/answers", json=answer_to(task))
    assert reply.status_code in (403, 404)
    assert browsers("ben").post("/api/heartbeat", json={"assignments": [task["assignment"]]}).json() == {
        "assignments": {}
    }
    assert browsers("ben").post("/api/return", json={"assignments": [task["assignment"]]}).status_code == 200
    assert study.store.one("SELECT state FROM assignments")["state"] == "open"
    assert study.store.one("SELECT count(*) AS n FROM responses")["n"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"uuid": "not-a-uuid"},
        {"uuid": None},
        {"assignment": "1"},
        {"assignment": 1.0},
        {"assignment": True},
        {"assignment": 0},
        {"assignment": 2**63},
        {"relation": "beside"},
        {"shown": "a"},
        {"shown": "undo"},
        {"reason": "x" * 501},
        {"reason": "\x00"},
        {"reason": "\ud800"},
        {"confidence": "very"},
        {"active_ms": -1},
        {"active_ms": 3001},
        {"active_ms": 1.5},
        {"wall_ms": 10**30},
        {"client": None},
        {"client": {"viewport": [1, 2]}},
        {"client": {"viewport": [1, 2, "3"]}},
        {"client": {"zoom": -1}},
        {"client": {"cookie": "x"}},
        {"client": {"aids": ["x"] * 21}},
        {"person": 3},
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_not_stored(shared, change):
    (task,) = tasks_of(shared("ann"), 1)
    reply = shared("ann").post(
        "/api/answers", content=json.dumps(answer_to(task, **change)), headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 422, reply.text
    name = next(iter(change))
    assert name in reply.json()["error"]
    assert shared.study.store.one("SELECT count(*) AS n FROM responses")["n"] == 0


def test_undo_opens_the_question_again(browsers):
    ann = browsers("ann")
    (task,) = tasks_of(ann, 1)
    body = answer_to(task)
    ann.post("/api/answers", json=body)
    step = str(uuid.uuid4())
    undone = ann.post("/api/undo", json={"uuid": step, "response": None}).json()
    assert undone["response"] == body["uuid"] and undone["task"]["assignment"] == task["assignment"]
    assert undone["task"]["first"] == task["first"], "the same order of points"
    assert ann.post("/api/undo", json={"uuid": step, "response": None}).json()["response"] == body["uuid"]
    assert ann.get("/api/projects/1/history").json()["answers"] == []
    assert ann.post("/api/undo", json={"uuid": str(uuid.uuid4())}).status_code == 404, "nothing left"
    again = answer_to(task, "second")
    assert ann.post("/api/answers", json=again).json()["status"] == "saved"
    reply = browsers("ben").post("/api/undo", json={"uuid": str(uuid.uuid4()), "response": again["uuid"]})
    assert reply.status_code == 403


def test_heartbeat_keeps_and_return_gives_back(browsers, clock, study):
    ann = browsers("ann")
    tasks = tasks_of(ann, 2)
    numbers = [task["assignment"] for task in tasks]
    clock.forward(400)
    kept = ann.post("/api/heartbeat", json={"assignments": numbers}).json()["assignments"]
    assert kept[str(numbers[0])] > tasks[0]["lease_until"]
    assert ann.post("/api/return", json={"assignments": numbers[:1]}).json() == {}
    states = [row["state"] for row in study.store.query("SELECT state FROM assignments ORDER BY id")]
    assert states == ["returned", "open"]
    assert ann.post("/api/heartbeat", json={"assignments": list(range(1, 66))}).status_code == 422


def test_a_qualification_round_gives_feedback(new_study):
    settings = ProjectSettings(qualification=Qualification(pairs=2, pass_at=1, tries=1))
    browsers = Browsers(new_study(settings=settings, qualification=2))
    found = browsers("ann").get("/api/session").json()["projects"][0]["qualification"]
    assert found["state"] == "open" and found["pairs"] == 2
    feedback = []
    for task in tasks_of(browsers("ann"), 4):
        shown = [(task[name]["row"], task[name]["col"]) for name in ("first", "second")]
        body = answer_to(task, "first" if truth(*shown) == "a" else "second")
        feedback.append(browsers("ann").post("/api/answers", json=body).json()["feedback"])
    assert [one["right"] for one in feedback] == [True, True] and feedback[1]["passed"] is True
    assert browsers("ann").get("/api/session").json()["projects"][0]["qualification"]["state"] == "passed"


def test_damaged_pictures_are_not_asked_about(browsers, study):
    ann = browsers("ann")
    before = tasks_of(ann, 1)[0]
    for file in study.images.glob(f"{before['image']}*"):
        file.write_bytes(b"broken")
    tasks = tasks_of(ann, 12)
    assert len(tasks) == 8 and before["image"] not in {task["image"] for task in tasks}
    for file in study.images.iterdir():
        file.unlink()
    reply = browsers("ben").post("/api/projects/1/tasks", json={"n": 4})
    assert reply.status_code == 200 and reply.json()["tasks"] == []
    assert {row["state"] for row in study.store.query("SELECT state FROM images")} == {"bad"}


def test_place_a_pair_by_hand(browsers, study):
    ann = browsers("ann")
    pages, after = [], ""
    while found := ann.get("/api/projects/1/images", params={"after": after, "n": 2}).json()["images"]:
        pages.append(found)
        after = found[-1]["sha256"]
    assert [len(page) for page in pages] == [2, 1] and pages[0][0]["pairs"] == 4
    image = pages[0][0]
    body = {
        "uuid": str(uuid.uuid4()), "image": image["sha256"], "a": {"row": 3, "col": 5}, "b": {"row": 47, "col": 63},
        "reason": "thin part", "layered": False,
    }  # fmt: skip
    assert ann.post("/api/projects/1/pairs", json=body).json() == {"pair": body["uuid"]}
    assert ann.post("/api/projects/1/pairs", json=body).status_code == 200, "sent twice, made once"
    row = study.store.one("SELECT * FROM pairs WHERE id = ?", body["uuid"])
    assert (row["b_row"], row["b_col"], row["route"], row["created_by"]) == (47, 63, "manual", "ann")
    for change in (
        {"b": {"row": 48, "col": 0}},
        {"b": {"row": 3, "col": 5}},
        {"reason": "because"},
        {"image": "0" * 64},
    ):
        other = body | {"uuid": str(uuid.uuid4())} | change
        assert ann.post("/api/projects/1/pairs", json=other).status_code in (404, 422), change
    (mine,) = ann.get("/api/projects/1/placed").json()["pairs"]
    assert mine["pair"] == body["uuid"] and browsers("ben").get("/api/projects/1/placed").json()["pairs"] == []
    assert ann.post("/api/projects/1/pairs", json=body | {"a": {"row": 1.5, "col": 0}}).status_code == 422


def dispute(browsers) -> str:
    """Let two people contradict each other on one pair; its id."""
    (task,) = tasks_of(browsers("ann"), 1)
    browsers("ann").post("/api/answers", json=answer_to(task))
    other = next(found for found in tasks_of(browsers("ben"), 12) if found["pair"] == task["pair"])
    shown = "second" if other["first"] == task["first"] else "first"
    browsers("ben").post("/api/answers", json=answer_to(other, shown))
    return task["pair"]


def test_a_dispute_is_shown_and_decided(browsers, study):
    pair = dispute(browsers)
    (found,) = browsers("adam").get("/api/projects/1/disputes").json()["disputes"]
    assert found["pair"] == pair and len(found["answers"]) == 2 and len(found["votes"]) == 3
    assert set(found["a"]) == {"row", "col"} and {one["alias"] for one in found["answers"]} == {"ann", "ben"}
    assert "Ann" not in json.dumps(found), "aliases only"
    body = {
        "uuid": str(uuid.uuid4()),
        "pair": pair,
        "relation": "closer",
        "result": "a",
        "reason": "the edge is in front",
    }
    assert browsers("adam").post("/api/decisions", json=body | {"reason": ""}).status_code == 422
    assert browsers("ann").post("/api/decisions", json=body).status_code == 403
    assert browsers("adam").post("/api/decisions", json=body).json() == {"pair": pair, "state": "final"}
    assert browsers("adam").post("/api/decisions", json=body).status_code == 200, "sent twice, decided once"
    assert study.store.one("SELECT count(*) AS n FROM decisions WHERE pair = ?", pair)["n"] == 1
    assert browsers("adam").get("/api/projects/1/disputes").json()["disputes"] == []
    assert browsers("adam").get("/api/projects/1/disputes?state=queued").status_code == 403, "not settled: blind"
    queued = study.store.one("SELECT id FROM pairs WHERE state = 'queued'")["id"]
    reply = browsers("adam").post("/api/decisions", json=body | {"pair": queued, "uuid": str(uuid.uuid4())})
    assert reply.status_code == 409


def test_the_dashboard_is_computed_once_for_a_state(browsers, study, monkeypatch):
    import annotation.reporting

    calls = []
    real = annotation.reporting.dashboard
    monkeypatch.setattr(annotation.reporting, "dashboard", lambda *a: (calls.append(a), real(*a, draws=10))[1])
    dashboards = browsers.app.state.server.dashboards
    dashboards.seconds = 0.0
    first = browsers("olga").get("/api/projects/1/dashboard").json()
    told = {**first, "people": [{k: v for k, v in one.items() if k != "name"} for one in first["people"]]}
    assert told != first and browsers("vic").get("/api/projects/1/dashboard").json() == told, "names are for owners"
    assert len(calls) == 1
    dispute(browsers)
    dashboards.seconds = 60.0
    assert browsers("vic").get("/api/projects/1/dashboard").json() == told, "not too often"
    dashboards.seconds = 0.0
    later = browsers("vic").get("/api/projects/1/dashboard").json()
    assert later["progress"]["states"]["disputed"] == 1 and len(calls) == 2
    assert browsers("ann").get("/api/projects/1/dashboard").status_code == 403, "blind"
    assert browsers("vic").get("/api/projects/2/dashboard").status_code == 404


def test_policies_are_told_with_their_errors(browsers):
    from annotation.policy import POLICIES

    found = {one["name"]: one for one in browsers("olga").get("/api/policies").json()}
    assert set(found) == set(POLICIES)
    five = next(one for one in found["two-then-third"]["expected"] if one["error"] == 0.05)
    assert five["wrong"] == pytest.approx(3 * 0.05**2 - 2 * 0.05**3) and set(five) == {
        "error",
        "kept",
        "wrong",
        "answers",
    }


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (StudyLockedError("held"), 503, 2),
        (StudyFullError("full"), 503, 15),
        (StudyError("/secret/path is damaged"), 500, None),
    ],
)
def test_a_study_that_cannot_be_written_keeps_the_client_waiting(browsers, monkeypatch, error, status, wait):
    (task,) = tasks_of(browsers("ann"), 1)
    body = answer_to(task)

    def fails(*arguments):
        raise error

    monkeypatch.setattr("annotation.queue.give_answer", fails)
    reply = browsers("ann").post("/api/answers", json=body)
    assert reply.status_code == status and reply.headers.get("Retry-After") == (str(wait) if wait else None)
    assert "/secret" not in reply.text and reply.json()["error"]
    monkeypatch.undo()
    assert browsers("ann").post("/api/answers", json=body).json()["status"] == "saved"


def test_a_locked_database_is_told_and_reading_goes_on(browsers, study, monkeypatch):
    import sqlite3

    (task,) = tasks_of(browsers("ann"), 1)
    study.store._writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(study.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reply = browsers("ann").post("/api/answers", json=answer_to(task))
    assert reply.status_code == 503 and reply.headers["Retry-After"]
    assert browsers("ann").get("/api/session").status_code == 200
    other.execute("ROLLBACK")
    assert browsers("ann").post("/api/answers", json=answer_to(task)).json()["status"] == "saved"
    other.close()


def test_a_full_disk_is_told_and_the_answer_can_be_sent_again(browsers, study):
    """SQLite's own refusal, provoked by forbidding the database to grow."""
    tasks = tasks_of(browsers("ann"), 12)
    writer = study.store._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
    replies = []
    for task in tasks:
        body = answer_to(task, client={"build": "b" * 64, "aids": ["x" * 40] * 20})
        replies.append((browsers("ann").post("/api/answers", json=body), body))
    refused = [(reply, body) for reply, body in replies if reply.status_code == 503]
    assert refused and all(reply.status_code in (200, 503) for reply, _ in replies)
    reply, body = refused[0]
    assert reply.json()["error"] == "the disk is full" and int(reply.headers["Retry-After"]) >= 1
    assert browsers("ann").get("/api/projects/1/history").status_code == 200, "reading goes on"
    writer.execute("PRAGMA max_page_count = 1000000")
    assert browsers("ann").post("/api/answers", json=body).json()["status"] == "saved"
    stored = {row["uuid"] for row in study.store.query("SELECT uuid FROM responses")}
    assert stored == {body["uuid"] for reply, body in replies if reply.status_code == 200} | {body["uuid"]}


def test_people_and_links(browsers, study):
    olga = browsers("olga")
    made = olga.post("/api/people", json={"name": "  Zoë <b>x</b> ", "role": "annotator"}).json()
    assert made["person"]["alias"] == "p01" and made["person"]["name"] == "Zoë <b>x</b>"
    base, token = made["link"].split("/#t=")
    assert base == "http://127.0.0.1:8765"
    zoe = browsers.stranger().sign_in(token)
    assert olga.post("/api/people", json={"name": "Zoë <b>x</b>", "role": "viewer"}).status_code == 409
    link = olga.post("/api/people/p01/token", json={}).json()["link"]
    assert zoe.get("/api/session").status_code == 401
    zoe = browsers.stranger().sign_in(link.split("#t=")[1])
    changed = olga.patch("/api/people/p01", json={"role": "viewer", "name": "Z"}).json()["person"]
    assert (changed["role"], changed["name"], changed["active"]) == ("viewer", "Z", True)
    assert zoe.post("/api/projects/1/tasks", json={"n": 1}).status_code == 403
    assert olga.patch("/api/people/p01", json={"active": False}).json()["person"]["active"] is False
    assert zoe.get("/api/session").status_code == 401
    assert olga.post("/api/people/p01/token", json={}).status_code == 409
    assert olga.patch("/api/people/olga", json={"active": False}).status_code == 409, "the only owner"
    assert olga.patch("/api/people/olga", json={"role": "viewer"}).status_code == 409
    assert olga.patch("/api/people/nobody", json={"name": "N"}).status_code == 404
    found = {one["alias"]: one for one in olga.get("/api/people").json()["people"]}
    assert found["p01"]["active"] is False and "token" not in json.dumps(found)
    assert token not in "".join(str(event.data) for event in study.store.events())


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb", "a\x00b", "a\u202eb"])
def test_names_that_are_refused(shared, name):
    assert shared("olga").post("/api/people", json={"name": name, "role": "viewer"}).status_code == 422


def test_projects_are_made_and_changed(browsers):
    olga = browsers("olga")
    made = olga.post("/api/projects", json={"name": "glass", "settings": {"layered": True}}).json()["project"]
    assert (
        made["id"] == 2 and made["settings"]["layered"] is True and made["settings"]["policy"] == "first-two-checkers"
    )
    assert olga.post("/api/projects", json={"name": "glass", "settings": {}}).status_code == 409
    body = {"state": "paused", "settings": {"instructions": "Look twice."}}
    changed = olga.patch("/api/projects/2", json=body).json()["project"]
    assert changed["state"] == "paused" and changed["settings"]["layered"] is True
    assert changed["settings"]["instructions_version"] == 2
    again = olga.patch("/api/projects/2", json={"settings": changed["settings"]}).json()["project"]
    assert again["settings"] == changed["settings"], "what is sent back unchanged changes nothing"
    assert olga.patch("/api/projects/9", json={"state": "open"}).status_code == 404
    assert [one["name"] for one in olga.get("/api/projects").json()["projects"]] == ["main", "glass"]


@pytest.mark.parametrize(
    "settings",
    [
        {"polcy": "single"},
        {"policy": "guess"},
        {"check_mode": "half"},
        {"gold_share": 0.6},
        {"gold_share": "0.1"},
        {"gold_share": True},
        {"lease_seconds": 1},
        {"skip_reasons": ["a", "a"]},
        {"skip_reasons": [""]},
        {"skip_reasons": "abc"},
        {"qualification": {"pairs": 2, "pass_at": 3, "tries": 1}},
        {"qualification": {"pairs": 2, "more": 1}},
        {"scene_targets": {"indoor": -1}},
        {"instructions": "x" * 20_001},
        {"seed": 2**60},
    ],
)
def test_settings_that_make_no_sense_are_named_and_not_stored(shared, settings):
    before = shared.study.project(1)
    reply = shared("olga").patch("/api/projects/1", json={"settings": settings})
    assert reply.status_code == 422
    assert next(iter(settings)) in reply.json()["error"]
    assert shared.study.project(1) == before


def test_keys_are_remembered(browsers, study):
    keys = {"first": "KeyQ", "second": "", "undo": "Backspace"}
    assert browsers("ann").put("/api/keys", json={"keys": keys}).json() == {"keys": keys}
    assert browsers("ann").get("/api/session").json()["person"]["keys"] == keys
    assert browsers("ben").get("/api/session").json()["person"]["keys"] == {}


def test_reading_does_not_wait_for_a_writer(browsers, study):
    """A commit takes as long as the disk does; sign-in checks and pictures must not queue behind it."""
    import threading

    browser, image = browsers("ann"), study.store.one("SELECT sha256 FROM images")["sha256"]
    browser.get("/api/session")
    statuses: list[int] = []

    def read() -> None:
        statuses.append(browser.get("/api/session").status_code)
        statuses.append(browser.get(f"/images/{image}/crop.png?row=0&col=0&rows=8&cols=8").status_code)
        statuses.append(browser.get("/api/projects/1/history").status_code)

    reader = threading.Thread(target=read)
    with study.store.write("owner"):
        reader.start()
        reader.join(20)
        assert statuses == [200, 200, 200], "while the write is open"
    reader.join()
