"""The server around the application: connections, certificates, what the framework must not do, load."""

from __future__ import annotations

import functools
import http.client
import inspect
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trustme
from annotation_live_server import live_server
from annotation_studies import make_study
from fastapi import FastAPI

from annotation.people import new_token
from annotation.server import create_app
from annotation.server.addresses import chosen_address
from annotation.server.running import run_server
from dabench.errors import UsageError


@pytest.fixture(scope="module")
def issuer() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(issuer, tmp_path) -> dict[str, Path]:
    """A certificate of 127.0.0.1 and its key."""
    found, issued = {name: tmp_path / name for name in ("cert.pem", "key.pem")}, issuer.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(found["cert.pem"])
    issued.private_key_pem.write_to_path(found["key.pem"])
    return found


def test_a_connection_that_sends_no_head_is_closed(study, monkeypatch):
    monkeypatch.setattr("annotation.server.running.HEAD_SECONDS", 0.4)
    with live_server(study) as live:
        place = ("127.0.0.1", int(live.url.rsplit(":", 1)[1]))
        silent, slow, idle = (socket.create_connection(place, timeout=10) for _ in range(3))
        host = live.url.removeprefix("http://").encode()
        idle.sendall(b"GET /login HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET / HTTP/1.1\r\nHos")
        started = time.monotonic()
        assert silent.recv(100) == b"" and slow.recv(100) == b""
        assert time.monotonic() - started < 9, "closed by the server, before the wait of 10 s here ran out"
        idle.sendall(b"GET /login HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert idle.recv(65536), "a connection that has been used is not cut by this"
        for connection in (silent, slow, idle):
            connection.close()


def test_replies_are_sent_at_once(study, monkeypatch):
    """Nagle's algorithm is off on the server's side of every connection."""
    from annotation.server.running import IPPROTO_TCP, TCP_NODELAY, PatientProtocol

    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY) == (IPPROTO_TCP, TCP_NODELAY)
    found = []
    real = PatientProtocol.connection_made

    def made(self, transport):
        real(self, transport)
        found.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(PatientProtocol, "connection_made", made)
    with live_server(study) as live:
        connection = http.client.HTTPConnection(live.url.removeprefix("http://"))
        connection.request("GET", "/login")
        assert connection.getresponse().status == 200
        connection.close()
    assert found == [1]


def test_a_forwarded_address_is_not_believed(study, caplog):
    caplog.set_level("INFO", "dabench.annotate")
    with live_server(study) as live:
        connection = http.client.HTTPConnection(live.url.removeprefix("http://"))
        connection.request("GET", "/login", headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"})
        assert connection.getresponse().status == 200
        connection.close()
    assert "127.0.0.1 GET /login 200" in caplog.text and "6.6.6.6" not in caplog.text


def test_the_framework_sends_no_traces(study, monkeypatch):
    if "telemetry" not in inspect.signature(FastAPI.__init__).parameters:
        pytest.skip("this FastAPI has none")
    seen = {}
    real = FastAPI.__init__

    @functools.wraps(real)
    def init(self, **options):
        seen.update(options)
        real(self, **options)

    monkeypatch.setattr(FastAPI, "__init__", init)
    create_app(study, allowed_hosts=["a:1"])
    assert seen["telemetry"] and not any(seen["telemetry"].values()) and seen["openapi_url"] is None


@pytest.mark.parametrize("spoilt", ["cert.pem", "key.pem"])
def test_a_certificate_that_cannot_be_read_is_named(study, files, spoilt):
    files[spoilt].write_text("nothing")
    address = chosen_address(port=0, secure=True)
    with pytest.raises(UsageError, match="certificate or key"):
        run_server(study, address, certificate=files["cert.pem"], key=files["key.pem"])
    files[spoilt].unlink()
    with pytest.raises(UsageError, match="certificate or key"):
        run_server(study, address, certificate=files["cert.pem"], key=files["key.pem"])


def test_an_address_of_another_machine_is_refused(study):
    address = chosen_address("203.0.113.7", 0, allow_network=True)
    with pytest.raises(UsageError, match=r"cannot listen at 203\.0\.113\.7"):
        run_server(study, address)


def test_https_and_a_request_that_runs_when_the_server_is_stopped(study, issuer, files, monkeypatch):
    """The signal comes while the body of a change is on its way; the change is still made."""
    token, replies, urls = new_token(study, "ann"), [], []

    def use(url: str) -> None:
        trust = ssl.create_default_context()
        issuer.configure_trust(trust)
        place = url.removeprefix("https://")
        connection = http.client.HTTPSConnection(place, context=trust, timeout=20)
        headers = {"Origin": url, "Content-Type": "application/json", "Host": place}
        connection.request("POST", "/api/login", json.dumps({"token": token}), headers)
        reply = connection.getresponse()
        reply.read()
        headers["Cookie"] = reply.headers["set-cookie"].split(";")[0]
        replies.append((reply.status, "Secure" in reply.headers["set-cookie"]))
        connection.request("GET", "/api/session", headers=headers)
        headers["X-Dabench"] = json.loads(connection.getresponse().read())["csrf"]
        body = json.dumps({"keys": {"first": "KeyQ"}}).encode()
        connection.putrequest("PUT", "/api/keys", skip_host=True)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body[:5])
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        connection.send(body[5:])
        replies.append(connection.getresponse().status)
        connection.close()

    def bound(url: str) -> None:
        urls.append(url)
        threading.Thread(target=use, args=(url,), daemon=True).start()

    address = chosen_address("127.0.0.1", 0, secure=True)
    run_server(study, address, certificate=files["cert.pem"], key=files["key.pem"], on_bound=bound)
    assert urls[0].startswith("https://127.0.0.1:") and replies == [(200, True), 200]
    assert json.loads(study.store.one("SELECT keys FROM people WHERE alias = 'ann'")["keys"]) == {"first": "KeyQ"}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "as it was before"


@pytest.mark.slow
def test_a_crowd_gets_no_pair_twice_and_loses_no_answer():
    script = Path(__file__).parents[2] / "benchmarks" / "annotation.py"
    options = [
        "--people",
        "30",
        "--seconds",
        "3",
        "--think",
        "0.5",
        "--settle",
        "1",
        "--saturate",
        "1",
        "--pairs",
        "300",
        "--json",
    ]
    result = subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True, timeout=200)
    found = json.loads(result.stdout)
    assert result.returncode == 0 and found["problems"] == [], result.stderr
    assert found["acknowledged"] > 30 and set(found["thinking"]["latency_ms"]) >= {"answer", "tasks", "picture"}


def test_the_check_of_the_load_finds_what_it_looks_for(tmp_path):
    """The benchmark's own verdict, on a study where an answer is missing and a pair was given out too often."""
    import importlib.util
    import sqlite3

    spec = importlib.util.spec_from_file_location(
        "annotation_load", Path(__file__).parents[2] / "benchmarks" / "annotation.py"
    )
    assert spec is not None and spec.loader is not None
    load = sys.modules["annotation_load"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    make_study(tmp_path / "study").close()
    file = tmp_path / "study" / "study.db"
    assert load.check(file, load.Tally()) == []
    assert "not stored" in load.check(file, load.Tally(acknowledged=["x"]))[0]
    with sqlite3.connect(file) as database:
        pair = database.execute("SELECT id FROM pairs").fetchone()[0]
        for number, person in enumerate((1, 2, 3, 4, 4)):
            database.execute(
                "INSERT INTO assignments (id, pair, person, round, kind, swap, issued, lease_until, state) "
                "VALUES (?, ?, ?, ?, 'label', 0, 0, 0, 'open')",
                (number + 1, pair, person, number + 1),
            )
    problems = load.check(file, load.Tally())
    assert any("more than 3 people" in text for text in problems) and any("twice" in text for text in problems)
