"""Pages in a real Chromium against a real server. A test fails on any page error, any breach of the content security
policy and any request to another host.

Without Chromium the tests are skipped with a reason; where the environment has ``DABENCH_REQUIRE_BROWSER``, as
``.ci/run`` sets it, they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import annotation
from annotation.study import Study

WEB = Path(annotation.__file__).parent / "web"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str | None:
    return next((found for name in CHROMIUM if (found := shutil.which(name))), None)


def require(reason: str) -> None:
    """Skip, or fail where a browser must be there."""
    if os.environ.get("DABENCH_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}; browser tests may not be skipped here")
    pytest.skip(f"NO BROWSER TEST WAS RUN: {reason}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Playwright browser for the tests of a file; while it runs, no other event loop can in this thread."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        require("playwright is not installed; pip install 'dabench[test]'")
    path = chromium_path()
    if path is None:
        require("there is no Chromium; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def modules(chromium: Any) -> Iterator[Any]:
    """An empty page that can import the scripts of ``annotation/web`` from ``/static``; no server, no study."""
    context = chromium.new_context()

    def answer(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        if name.endswith(".js"):
            route.fulfill(path=WEB / name, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    context.route("http://localhost:9/**", answer)
    page = context.new_page()
    page.goto("http://localhost:9/")
    yield page
    context.close()


@dataclass
class Watch:
    """What went wrong in the pages of one test."""

    url: str
    troubles: list[str] = field(default_factory=list)

    def follow(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)

    def _console(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.troubles.append(f"content security policy: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((f"{self.url}/", f"blob:{self.url}/")):
            self.troubles.append(f"request to another place: {request.url}")


def go(page: Any, url: str) -> None:
    """Opens a page that goes on to another by itself, which the browser may report as an aborted navigation."""
    from playwright.sync_api import Error

    try:
        page.goto(url, wait_until="commit")
    except Error as error:
        if "ERR_ABORTED" not in str(error):
            raise


class Visitor:
    """A browser context of one person: own cookies, own storage."""

    def __init__(self, context: Any, server: Any, watch: Watch) -> None:
        self.context, self.server, self.watch = context, server, watch
        context.set_default_timeout(30000)

    def page(self) -> Any:
        page = self.context.new_page()
        self.watch.follow(page)
        return page

    def sign_in(self, alias: str, path: str = "/", page: Any = None) -> Any:
        """Opens the sign-in link of a person, then ``path`` if the link does not lead there."""
        page = page or self.page()
        go(page, self.server.link_for(alias))
        page.wait_for_url(lambda url: "#t=" not in url and not url.endswith("/login"))
        if path != "/":
            page.goto(self.server.url + path)
        return page

    def signed_in(self, alias: str, path: str = "/") -> Any:
        """Opens a page of somebody who has signed in before."""
        token, origin = {"token": self.server.token_for(alias)}, {"Origin": self.server.url}
        assert self.context.request.post(f"{self.server.url}/api/login", data=token, headers=origin).ok
        page = self.page()
        page.goto(self.server.url + path)
        return page


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """``serve(study)`` -> a live server, until the test ends."""
    from annotation_live_server import live_server

    with ExitStack() as stack:
        yield lambda study, **options: stack.enter_context(live_server(study, **options))


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """``visit(server, **options of a Playwright context)`` -> :class:`Visitor`. Motion is reduced unless asked for."""
    visitors: list[Visitor] = []

    def open_context(server: Any, **options: Any) -> Visitor:
        context = chromium.new_context(
            **{"reduced_motion": "reduce", "viewport": {"width": 1280, "height": 800}} | options
        )
        visitors.append(Visitor(context, server, Watch(server.url)))
        return visitors[-1]

    yield open_context
    troubles = [trouble for visitor in visitors for trouble in visitor.watch.troubles]
    for visitor in visitors:
        visitor.context.close()
    assert not troubles, "\n".join(troubles)


class Labelling:
    """The labelling page of one person, driven by what a person sees."""

    def __init__(self, page: Any, study: Study, server: Any, visitor: Visitor) -> None:
        self.page, self.study, self.server, self.visitor = page, study, server, visitor

    def ready(self) -> str:
        """Waits until a pair can be answered; its id."""
        self.page.wait_for_selector("body[data-ready='true']")
        return self.page.evaluate("document.body.dataset.pair")

    def start(self) -> str:
        """Closes the help of the first visit."""
        self.page.wait_for_selector("#help-dialog[open]")
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#help-dialog", state="hidden")
        return self.ready()

    @property
    def count(self) -> int:
        return int(self.page.evaluate("document.body.dataset.shown ?? '0'"))

    def then(self, act: Callable[[], Any]) -> str:
        """Does something that brings the next question, and waits for it; the id of its pair."""
        before = self.count
        act()
        self.page.wait_for_selector(f"body[data-shown='{before + 1}'][data-ready='true']")
        return self.page.evaluate("document.body.dataset.pair")

    def press(self, key: str) -> str:
        return self.then(lambda: self.page.keyboard.press(key))

    def saved(self, answers: int = 0) -> None:
        """Waits until the page says so, and the server has as many answers."""
        self.page.wait_for_selector("#save[data-state='saved']")
        for _ in range(200):
            if len(self.responses()) >= answers:
                return
            self.page.wait_for_timeout(50)

    def finish(self) -> None:
        """Waits until nothing is left to answer."""
        self.page.wait_for_selector("body[data-waiting]")
        why = self.page.evaluate("[document.body.dataset.waiting, document.getElementById('save-text').textContent]")
        assert why[0] == "finished", (why, self.page.inner_text("#panel"), len(self.responses()))
        self.saved()

    def points(self) -> tuple[dict[str, float], dict[str, float]]:
        """Places of A and B in the window, as drawn."""
        found = self.page.evaluate(
            """() => ['a', 'b'].map((letter) => {
                 const box = document.querySelector(`#markers .ring-${letter}`).getBoundingClientRect();
                 return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })"""
        )
        return found[0], found[1]

    def responses(self) -> list[dict[str, Any]]:
        """All stored answers, oldest first."""
        rows = self.study.store.query("SELECT * FROM responses ORDER BY seq")
        return [dict(row) for row in rows]

    def live(self) -> list[dict[str, Any]]:
        """The answers that count."""
        rows = self.study.store.query("SELECT r.* FROM responses r JOIN live l ON l.uuid = r.uuid ORDER BY r.seq")
        return [dict(row) for row in rows]


@pytest.fixture
def label(serve: Callable[..., Any], visit: Callable[..., Visitor]) -> Callable[..., Labelling]:
    """``label(study, alias="ann", by_link=False, **context options)``: signed in, help closed, first pair in view."""

    def open_label(study: Study, alias: str = "ann", by_link: bool = False, **options: Any) -> Labelling:
        server = serve(study)
        visitor = visit(server, **{"viewport": {"width": 1020, "height": 640}} | options)
        page = visitor.sign_in(alias) if by_link else visitor.signed_in(alias)
        labelling = Labelling(page, study, server, visitor)
        labelling.start()
        return labelling

    return open_label


@pytest.fixture
def server(request: pytest.FixtureRequest, new_study: Callable[..., Study], serve: Callable[..., Any]) -> Any:
    """A server of a small study; its parameter, if there is one, holds options of ``make_study``."""
    return serve(new_study(**getattr(request, "param", {})))


@pytest.fixture
def follow() -> Callable[[Any, str], None]:
    """``follow(page, url)``: :func:`go`."""
    return go


@pytest.fixture
def opened(server: Any, visit: Callable[..., Visitor]) -> Callable[..., Any]:
    """``opened(alias, path)`` -> a page of that person in a browser of their own; alias None: not signed in."""

    def open_page(alias: str | None, path: str, script: str = "", **options: Any) -> Any:
        page = visit(server, **options).page()
        if script:
            page.add_init_script(script)
        if alias is not None:
            token, origin = {"token": server.token_for(alias)}, {"Origin": server.url}
            assert page.request.post(f"{server.url}/api/login", data=token, headers=origin).ok
        page.goto(server.url + path)
        return page

    return open_page
