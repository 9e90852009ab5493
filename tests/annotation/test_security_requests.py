"""What is refused before a route runs: foreign hosts and sites, other content types, bodies too long or too slow."""

from __future__ import annotations

import asyncio
import json

import pytest
from annotation_live_server import HOST, Browser, Browsers
from annotation_studies import make_study

from annotation.server.limits import Limits
from annotation.server.security import HEADERS, Guard, is_json


@pytest.fixture(scope="module")
def browsers(tmp_path_factory):
    """One study for all: what is refused changes nothing."""
    with make_study(tmp_path_factory.mktemp("requests") / "study") as study, Browsers(study) as made:
        yield made


def error_of(reply) -> str:
    assert set(reply.json()) == {"error", "hint"}
    return reply.json()["error"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:8765.",
        "127.0.0.1.:8765",
        "localhost:8765",
        "[::1]:8765",
        "127.0.0.1:8765@evil.example",
        "",
        "127.1:8765",
        "2130706433:8765",
    ],
)
def test_other_host_names_are_refused(browsers, host):
    for path in ("/", "/api/session", "/static/api.js", "/nowhere"):
        reply = browsers.stranger().get(path, headers={"Host": host})
        assert reply.status_code == 400 and "host name" in error_of(reply), path


def test_the_host_name_is_compared_without_case(study):

    from annotation.server import create_app

    app = create_app(study, allowed_hosts=["Lab-PC:8765"])
    assert Browser(app, "lab-pc:8765").get("/").status_code == 200
    assert Browser(app, "lab-pc:8765").get("/", headers={"Host": "LAB-PC:8765"}).status_code == 200
    assert Browser(app, "lab-pc:8765").get("/", headers={"Host": "lab-pc.:8765"}).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": f"http://{HOST}"}, 200),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"https://{HOST}"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": f"http://{HOST}.evil.example"}, 403),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Referer": f"http://{HOST}/"}, 403),
    ],
)
def test_changes_come_from_our_own_pages(browsers, headers, status):
    browser = browsers("ann")
    ours = browser.headers.pop("Origin")
    try:
        reply = browser.put("/api/keys", json={"keys": {}}, headers=headers)
    finally:
        browser.headers["Origin"] = ours
    assert reply.status_code == status
    if status == 403:
        assert "other sites" in error_of(reply)


def test_the_sign_in_itself_cannot_be_forged(browsers):
    from annotation.people import new_token

    browser = browsers.stranger()
    token = new_token(browsers.study, "cat")
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert browser.post("/api/login", json={"token": token}, headers=headers).status_code == 403
    assert not browser.cookies


@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 10_000, "\xff"])
def test_a_change_needs_the_request_token(browsers, token):
    browser = browsers("ann")
    right = browser.headers["X-Dabench"]
    headers = {"X-Dabench": ""} if token is None else {"X-Dabench": token.encode("latin-1")}
    assert browser.put("/api/keys", json={"keys": {}}, headers=headers).status_code == 403
    other = browsers("ben").headers["X-Dabench"]
    assert browser.put("/api/keys", json={"keys": {}}, headers={"X-Dabench": other}).status_code == 403
    assert browser.put("/api/keys", json={"keys": {}}, headers={"X-Dabench": right}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_reads_by_other_sites_are_refused(browsers, site):
    browser = browsers("ann")
    assert browser.get("/api/session", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert browser.get(f"/images/{'0' * 64}/work.jpg", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert browser.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200, "a link may lead to the page"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/jsonp",
        "application/json; charset=utf-16",
        "text/plain; application/json",
        "application/json, text/plain",
    ],
)
def test_only_json_is_read(browsers, kind):
    reply = browsers("ann").put("/api/keys", content=b'{"keys": {}}', headers={"Content-Type": kind})
    assert reply.status_code == 415 and "application/json" in error_of(reply)
    assert not is_json(kind)


def test_json_may_say_that_it_is_utf8(browsers):
    for kind in (
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
    ):
        reply = browsers("ann").put("/api/keys", content=b'{"keys": {}}', headers={"Content-Type": kind})
        assert reply.status_code == 200, kind


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"keys"',
        b"{}",
        b'{"keys": {}, "more": 1}',
        b'{"keys": []}',
        b'{"keys": {"a": 1}}',
        b'{"keys": {"a b": "KeyA"}}',
        b'{"keys": {"a": "<img src=x onerror=alert(1)>"}}',
        b'\xff\xfe{"keys": {}}',
        b"[" * 30_000,
        b'{"keys": ' * 5_000,
        b'{"keys": NaN}',
        json.dumps({"keys": {f"a{n}": "KeyA" for n in range(41)}}).encode(),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_a_sentence(browsers, body):
    reply = browsers("ann").put("/api/keys", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422) and error_of(reply)
    assert "onerror" not in reply.text, "what was sent is not sent back"


def test_long_bodies_are_refused_whether_or_not_they_say_so(study):
    browser = Browsers(study, Limits(body_bytes=1000))("ann")
    fits = json.dumps({"keys": {"a": "K" * 20}}).encode().ljust(1000)
    kind = {"Content-Type": "application/json"}
    assert browser.put("/api/keys", content=fits, headers=kind).status_code == 200
    assert browser.put("/api/keys", content=fits + b" ", headers=kind).status_code == 413
    pieces = (fits[k : k + 100] for k in range(0, 1000, 100))
    assert browser.put("/api/keys", content=pieces, headers=kind).status_code == 200
    pieces = (b" " * 100 for _ in range(11))
    reply = browser.put("/api/keys", content=pieces, headers=kind)
    assert reply.status_code == 413 and "1000 bytes" in reply.json()["hint"]
    assert browser.put("/api/keys", content=fits, headers={**kind, "Content-Encoding": "gzip"}).status_code == 415


def in_the_guard(messages, limits, app=None, scope=None):
    """Status that the guard sends for a raw exchange; None when it sends nothing."""
    sent = []

    async def receive():
        if not messages:
            await asyncio.sleep(30)
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    headers = [(b"host", HOST.encode()), (b"origin", f"http://{HOST}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "headers": headers,
        "client": ("10.0.0.1", 5),
        **(scope or {}),
    }
    asyncio.run(Guard(app or answer, [HOST], False, limits)(scope, receive, send))
    return next((message.get("status", message["type"]) for message in sent), None)


def test_slow_and_broken_off_bodies():
    part = {"type": "http.request", "body": b"{", "more_body": True}
    end = {"type": "http.request", "body": b"}", "more_body": False}
    assert in_the_guard([part, end], Limits()) == 204
    assert in_the_guard([part], Limits(body_seconds=0.05)) == 408
    assert in_the_guard([part, {"type": "http.disconnect"}], Limits()) is None, "half a body is nothing"


def test_two_hosts_two_origins_and_none():
    for name in (b"host", b"origin", b"content-type"):
        headers = [
            (b"host", HOST.encode()),
            (b"origin", f"http://{HOST}".encode()),
            (b"content-type", b"application/json"),
        ]
        double = headers + [pair for pair in headers if pair[0] == name]
        body = [{"type": "http.request", "body": b"{}", "more_body": False}]
        assert in_the_guard(body, Limits(), scope={"headers": double}) in (400, 403, 415), name
        without = [pair for pair in headers if pair[0] != name]
        assert in_the_guard(body, Limits(), scope={"headers": without}) in (400, 403, 415), name


def test_no_more_requests_at_once_than_allowed():
    async def scenario():
        release, statuses = asyncio.Event(), []

        async def slow(scope, receive, send):
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def receive():
            raise AssertionError("a read has no body")

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append((message["status"], dict(message["headers"]).get(b"retry-after")))

        guard = Guard(slow, [HOST], False, Limits(requests_at_once=3))
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", HOST.encode())]}
        running = [asyncio.create_task(guard(dict(scope), receive, send)) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert statuses == [(503, b"1"), (503, b"1")]
        release.set()
        await asyncio.gather(*running)
        await guard(dict(scope), receive, send)
        return statuses

    statuses = asyncio.run(scenario())
    assert [status for status, _ in statuses] == [503, 503, 200, 200, 200, 200]


def test_websockets_are_closed():
    sent = in_the_guard([], Limits(), scope={"type": "websocket"})
    assert sent == "websocket.close"


def test_a_crash_is_told_in_one_sentence_and_logged(caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("inner detail")

    body = [{"type": "http.request", "body": b"{}", "more_body": False}]
    assert in_the_guard(body, Limits(), app=broken) == 500
    assert "inner detail" in caplog.text


@pytest.mark.parametrize("path", ["/", "/login", "/static/api.js", "/api/session", "/nowhere", "/static/nothing.js"])
def test_every_reply_has_the_headers(browsers, path):
    for browser in (browsers.stranger(), browsers("olga")):
        reply = browser.get(path)
        for name, value in HEADERS.items():
            assert reply.headers.get_list(name) == [value], (path, name)
        assert "private" in reply.headers["Cache-Control"]
        assert "server" not in reply.headers
        assert not [name for name in reply.headers if name.startswith("access-control-")]


def test_the_headers_are_on_refusals_too_and_the_policy_allows_nothing_inline(browsers):
    refusals = [
        browsers.stranger().get("/", headers={"Host": "evil.example"}),
        browsers.stranger().post("/api/login", json={"token": "x" * 20}, headers={"Origin": "null"}),
        browsers.stranger().request("TRACE", "/"),
        browsers.stranger().options("/api/answers"),
    ]
    assert [reply.status_code for reply in refusals] == [400, 403, 405, 405]
    for reply in refusals:
        assert all(reply.headers[name] == value for name, value in HEADERS.items())
        assert "access-control-allow-origin" not in reply.headers
    policy = HEADERS["content-security-policy"]
    for word in ("unsafe", "data:", "*", "http:", "https:"):
        assert word not in policy
    for part in (
        "default-src 'self'",
        "img-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    ):
        assert part in policy.split("; ")


def test_pages_hold_no_inline_script_or_style_and_no_other_host(browsers):
    import re

    pages = {
        path: browsers("olga").get(path)
        for path in ("/", "/login", "/review", "/place", "/dashboard", "/people", "/projects")
    }
    for path, reply in pages.items():
        assert reply.status_code == 200, path
        text = reply.text
        assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)[^>]*>", text), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path
        for address in re.findall(r'(?:src|href)="([^"]+)"', text):
            assert address.startswith(("/", "#")) and not address.startswith("//"), (path, address)
