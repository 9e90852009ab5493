"""No text of a client leads to a file: odd addresses on every route with a parameter, watched at the file system.

Clients resolve plain ``..`` themselves; test_server_processes.py sends it as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from annotation_live_server import Browsers
from annotation_studies import make_study

from annotation.server.roles import ROLES

CORPUS = [
    "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2e%2e%2fstudy.db", "..%5c..%5cstudy.db", "..\\study.db", "....//study.db",
    "%252e%252e%252fstudy.db", "/etc/passwd", "%2fetc%2fpasswd", "C:%5cWindows%5cwin.ini", "C:/x", "%5c%5chost%5cshare",
    "study.db", "study.db%00.png", "%00", "%0d%0aSet-Cookie:x=1", "a%0ab", "CON", "nul.js", "api.js%2e", "api.js%20",
    "api.js%00", "API.JS", "%2e", "%c0%ae%c0%ae", "%ff", "~", "~root", "file:%2f%2f%2fetc%2fpasswd", "x" * 3000,
    "%F0%9F%98%80", "-1", "0", "1e3", "99999999999999999999", "9007199254740992", "1%20OR%201=1", "1'--", "<script>",
]  # fmt: skip

opened: list[str] = []
watching = False


def watch(event: str, arguments: tuple) -> None:
    if watching and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes | Path):
        opened.append(str(arguments[0]))


sys.addaudithook(watch)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with make_study(tmp_path_factory.mktemp("paths") / "study") as study, Browsers(study) as made:
        yield made("olga")


def addresses(path: str, text: str) -> list[str]:
    """The route with ``text`` in the place of each of its parameters, and something valid in the others."""
    values = {"project": "1", "sha256": "0" * 64, "model": "steady", "alias": "ann", "name": "api.js"}
    names = [name for name in values if "{" + name + "}" in path]
    found = []
    for odd in names:
        address = path
        for name in names:
            address = address.replace("{" + name + "}", text if name == odd else values[name])
        found.append(address)
    return found


PATHS = sorted({path for _, path in ROLES if "{" in path})


@pytest.mark.parametrize("path", PATHS)
def test_odd_addresses_open_no_file(browser, path):
    global watching
    method = next(method for method, known in sorted(ROLES) if known == path)
    options = {} if method == "GET" else {"json": {}}
    browser.get("/api/session")
    opened.clear()
    watching = True
    try:
        first = not any(path.count("{project}") and "{project}" in earlier for earlier in PATHS[: PATHS.index(path)])
        for text in CORPUS if first else CORPUS[::4]:  # numbers of projects are read the same way everywhere
            for address in addresses(path, text):
                reply = browser.request(method, address, **options, follow_redirects=False)
                assert reply.status_code in (400, 404, 405, 422), (address, reply.status_code)
                assert b"SQLite format" not in reply.content and b"root:" not in reply.content
                assert "set-cookie" not in reply.headers
    finally:
        watching = False
    names = [name for name in opened if not name.endswith((".py", ".pyc")) and "site-packages" not in name]
    assert names == [], "nothing was opened"


def test_the_watcher_watches(browser, tmp_path):
    global watching
    opened.clear()
    watching = True
    try:
        (tmp_path / "seen").write_text("x")
    finally:
        watching = False
    assert opened == [str(tmp_path / "seen")]


def test_odd_queries(browser):
    for query in (
        "after=../x",
        "after=" + "0" * 63,
        "after=%00",
        "n=0",
        "n=-1",
        "n=1e9",
        "n=99999999999999999999",
        "n=x",
    ):
        assert browser.get(f"/api/projects/1/images?{query}").status_code == 422, query
    for query in ("state=final%00", "state=a' OR '1", "state=" + "x" * 21):
        assert browser.get(f"/api/projects/1/disputes?{query}").status_code == 422, query
    assert browser.get("/api/projects/1/disputes?state=nothing").status_code == 403


def test_texts_come_back_as_they_were_and_as_json(browser):
    """Pages show them through textContent; the server neither escapes nor interprets them."""
    for number, text in enumerate(
        ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "'; DROP TABLE people; --", "=1+1", "日本 ✓"]
    ):
        reply = browser.post("/api/people", json={"name": text, "role": "viewer"})
        assert reply.status_code == 200 and reply.headers["content-type"] == "application/json"
        assert reply.json()["person"]["name"] == text
        settings = {"instructions": text, "skip_reasons": [text]}
        made = browser.post("/api/projects", json={"name": f"{text} {number}", "settings": settings})
        assert made.json()["project"]["settings"]["instructions"] == text
    assert len(browser.get("/api/people").json()["people"]) == 11
