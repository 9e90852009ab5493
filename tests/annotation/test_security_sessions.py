"""Tokens and sessions: what is stored, what ends them, what limits them, and what the log says."""

from __future__ import annotations

import logging
import re

import pytest
from annotation_live_server import HOST, Browser, Browsers

from annotation.people import TOKEN_BYTES, change_person, digest, new_token, sign_in_link
from annotation.server import create_app
from annotation.server.limits import Buckets, Limits
from annotation.server.sessions import SESSION_MS, SESSIONS_PER_PERSON


@pytest.fixture
def browsers(study):
    with Browsers(study) as made:
        yield made


def database_bytes(study) -> bytes:
    study.store.query("SELECT 1")
    return b"".join(file.read_bytes() for file in study.path.glob("study.db*"))


def test_a_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_cannot_use(browsers, study):
    token = new_token(study, "ann")
    reply = browsers.stranger().post("/api/login", json={"token": token})
    assert reply.json()["person"] == {"alias": "ann", "name": "Ann", "role": "annotator", "keys": {}}
    cookie = reply.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_MS // 1000}"):
        assert part in cookie
    assert "Secure" not in cookie and "Domain" not in cookie
    secure = Browser(create_app(study, allowed_hosts=[HOST], secure=True, cookie="other"))
    secure.headers["Origin"] = f"https://{HOST}"
    cookie = secure.post("/api/login", json={"token": token}).headers["set-cookie"]
    assert cookie.startswith("other=") and "Secure" in cookie


def test_only_digests_are_stored(browsers, study):
    token = new_token(study, "ann")
    browser = browsers.stranger().sign_in(token)
    session = browser.cookies["dabench_session"]
    stored = database_bytes(study)
    assert digest(token).encode() in stored and digest(session).encode() in stored
    assert token.encode() not in stored and session.encode() not in stored
    log = "".join(f"{event.kind} {event.data}" for event in study.store.events())
    assert token not in log and digest(token) not in log and digest(session) not in log


def test_tokens_are_long_random_and_in_the_fragment(study):
    tokens = {new_token(study, "ann") for _ in range(20)}
    assert len(tokens) == 20 and TOKEN_BYTES * 8 >= 128
    assert all(re.fullmatch(r"[\w-]{32}", token) for token in tokens)
    assert sign_in_link("http://a:1", "T") == "http://a:1/#t=T", "a browser sends no fragment to anybody"


@pytest.mark.parametrize("token", ["x" * 32, "x" * 8, "' OR 1=1 --", "../../etc/passwd"])
def test_a_wrong_token_is_refused(browsers, token):
    reply = browsers.stranger().post("/api/login", json={"token": token})
    assert reply.status_code == 401 and "set-cookie" not in reply.headers
    assert token not in reply.text


def test_a_digest_is_no_token(browsers, study):
    token = new_token(study, "ann")
    assert browsers.stranger().post("/api/login", json={"token": digest(token)}).status_code == 401


def test_a_new_link_ends_the_old_one_and_its_sessions(browsers, study):
    old = new_token(study, "ann")
    browser = browsers.stranger().sign_in(old)
    other = browsers("ben")
    new = new_token(study, "ann")
    assert browser.get("/api/session").status_code == 401
    assert browsers.stranger().post("/api/login", json={"token": old}).status_code == 401
    assert browsers.stranger().post("/api/login", json={"token": new}).status_code == 200
    assert other.get("/api/session").status_code == 200


def test_a_disabled_person_is_out_at_once(browsers, study):
    token = new_token(study, "ann")
    browser = browsers.stranger().sign_in(token)
    change_person(study, "ann", {"active": False})
    assert browser.get("/api/session").status_code == 401
    assert browsers.stranger().post("/api/login", json={"token": token}).status_code == 401
    change_person(study, "ann", {"active": True})
    assert browser.get("/api/session").status_code == 401, "nothing comes back by itself"


def test_signing_out_ends_this_session_only(browsers, study):
    token = new_token(study, "ann")
    here, there = (browsers.stranger().sign_in(token) for _ in range(2))
    kept = here.cookies["dabench_session"]
    assert here.post("/api/logout", json={}).status_code == 200
    assert "dabench_session" not in here.cookies
    here.cookies["dabench_session"] = kept
    assert here.get("/api/session").status_code == 401, "the server forgot it too"
    assert there.get("/api/session").status_code == 200


def test_sessions_end_and_are_prolonged_by_use(browsers, study, clock):
    browser = browsers("ann")
    clock.forward(SESSION_MS / 1000 * 0.4)
    assert "set-cookie" not in browser.get("/api/session").headers
    clock.forward(SESSION_MS / 1000 * 0.2)
    assert "Max-Age" in browser.get("/api/session").headers["set-cookie"]
    clock.forward(SESSION_MS / 1000 * 0.9)
    assert browser.get("/api/session").status_code == 200
    clock.forward(SESSION_MS / 1000 + 1)
    reply = browser.get("/api/session")
    assert reply.status_code == 401 and "link" in reply.json()["hint"]


def test_the_oldest_sessions_of_a_person_make_way(browsers, study, clock):
    token = new_token(study, "ann")
    first = browsers.stranger().sign_in(token)
    for _ in range(SESSIONS_PER_PERSON):
        clock.forward(1)
        browsers.stranger().sign_in(token)
    assert first.get("/api/session").status_code == 401
    assert study.store.one("SELECT count(*) AS n FROM sessions")["n"] == SESSIONS_PER_PERSON


@pytest.mark.parametrize("cookie", ["", "x", "x" * 300, "a; b", '"', "%00", "ü".encode().decode("latin-1")])
def test_odd_cookies_are_no_session(browsers, cookie):
    stranger = browsers.stranger()
    header = f"dabench_session={cookie}".encode("latin-1")
    assert stranger.get("/api/session", headers={"Cookie": header}).status_code == 401


def test_failed_sign_ins_are_limited_and_good_ones_are_not(study):
    browsers = Browsers(study, Limits(failed_logins_burst=3))
    stranger, token = browsers.stranger(), new_token(study, "ann")
    for _ in range(10):
        assert stranger.post("/api/login", json={"token": token}).status_code == 200
    statuses = [stranger.post("/api/login", json={"token": "wrong" * 5}).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    reply = stranger.post("/api/login", json={"token": token})
    assert reply.status_code == 429 and int(reply.headers["Retry-After"]) >= 1


def test_writes_are_limited_by_session(study):
    browsers = Browsers(study, Limits(writes_burst=4, writes_per_second=0.01))
    ann, ben = browsers("ann"), browsers("ben")
    statuses = [ann.put("/api/keys", json={"keys": {}}).status_code for _ in range(6)]
    assert statuses == [200, 200, 200, 200, 429, 429]
    assert int(ann.put("/api/keys", json={"keys": {}}).headers["Retry-After"]) > 50
    assert ann.get("/api/session").status_code == 200
    assert ben.put("/api/keys", json={"keys": {}}).status_code == 200


def test_buckets_fill_again_and_forget_the_oldest():
    now = 0.0
    buckets = Buckets(0.5, 2, keys=3, clock=lambda: now)
    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, 2.0]
    assert buckets.wait("a") == 2.0 and buckets.wait("b") == 0.0
    now = 1.0
    assert buckets.take("a") == pytest.approx(1.0)
    now = 2.0
    assert buckets.take("a") == 0.0
    now = 1000.0
    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, 2.0], "never more than the burst"
    for key in "bcd":
        buckets.take(key)
    assert buckets.take("a") == 0.0, "a made way for d"


def test_log_lines_hold_no_secret(browsers, study, caplog):
    caplog.set_level(logging.DEBUG, "dabench.annotate")
    token = new_token(study, "ann")
    browser = browsers.stranger()
    browser.sign_in(token)
    browser.get(f"/api/session?t={token}")
    browser.get("/nowhere/%0d%0aPOST forged 200")
    browser.post("/api/login", json={"token": token + "x"})
    secrets = (token, browser.cookies["dabench_session"], browser.headers["X-Dabench"])
    lines = [record.getMessage() for record in caplog.records if record.name == "dabench.annotate"]
    assert len(lines) >= 5 and any(re.match(r"testclient POST /api/login 200 [\d.]+ ms$", line) for line in lines)
    assert not any(secret in line for line in lines for secret in secrets)
    assert all("\n" not in line and "\r" not in line for line in lines)


def test_secrets_are_compared_in_constant_time(study, browsers, monkeypatch):
    """Both look-ups end in ``compare_digest``, and so does the request token."""
    import hmac

    seen = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: (seen.append((a, b)), real(a, b))[1])
    browser = browsers.stranger().sign_in(new_token(study, "ann"))
    seen.clear()
    browser.put("/api/keys", json={"keys": {}})
    csrf = browser.headers["X-Dabench"].encode()
    assert (csrf, csrf) in seen and len(seen) == 2
