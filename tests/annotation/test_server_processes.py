"""A server in a process of its own, started as a person starts it: raw requests, signals, a second server, kill -9."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from annotation_studies import make_study

from annotation.people import new_token
from annotation.settings import ProjectSettings
from annotation.study import Study

COMMAND = "import sys; from annotation.cli import app; sys.argv = ['annotate', *sys.argv[1:]]; app()"


class Server:
    """``dabench annotate serve`` in another process."""

    def __init__(self, study: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", str(study), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.said = ""
        assert self.process.stdout is not None
        while not re.search(r"#t=|Sign in with your link", self.said):
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.said}"
            self.said += line
        self.port = int(re.search(r" at https?://[^ ]*:(\d+)", self.said)[1])
        self.host = f"127.0.0.1:{self.port}"

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Send a signal; all it said."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=30)
        return self.said + rest


@contextlib.contextmanager
def serving(study: Path, *options: str) -> Iterator[Server]:
    server = Server(study, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


class Client:
    """One signed-in keep-alive connection."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host
        self.connection = http.client.HTTPConnection(host, timeout=20)
        self.headers = {"Origin": f"http://{host}", "Content-Type": "application/json"}
        status, _, headers = self.send("POST", "/api/login", {"token": token})
        assert status == 200
        self.headers["Cookie"] = headers["set-cookie"].split(";")[0]
        self.headers["X-Dabench"] = self.send("GET", "/api/session")[1]["csrf"]

    def send(self, method: str, path: str, body: object = None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        reply = self.connection.getresponse()
        content = reply.read()
        return reply.status, json.loads(content) if content else None, reply.headers

    def answer(self, task: dict, number: str) -> dict:
        body = {"uuid": number, "assignment": task["assignment"], "relation": "closer", "shown": "first"}
        status, receipt, _ = self.send("POST", "/api/answers", body)
        assert status == 200, receipt
        return receipt


def raw(host: str, request: bytes) -> bytes:
    """What the server answers to these very bytes; empty when it closes the connection."""
    name, port = host.split(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


def status_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1]) if reply else 0


def test_from_the_printed_link_to_a_stopped_server(tmp_path):
    """One process for all of this, because each costs a second."""
    study = tmp_path / "study"
    make_study(study, people={"ann": "annotator"}).close()
    with serving(study, "--port", "0", "--log-requests") as server:
        host = server.host
        assert server.said.startswith(f"Serving {study} at http://127.0.0.1:")
        token = re.search(rf"http://{host}/#t=([\w-]+)", server.said)[1]
        owner = Client(host, token)
        assert owner.send("GET", "/api/session")[1]["person"]["role"] == "owner"
        assert owner.headers["Cookie"].startswith(f"dabench_session_{server.port}="), "two studies on one host"

        line = b"GET /api/session HTTP/1.1\r\n"
        end = b"Connection: close\r\n\r\n"
        for hosts in (
            b"", b"Host: evil.example\r\n", b"Host: 127.0.0.1\r\n", b"Host: [::1]:%d\r\n" % server.port,
            b"Host: LOCALHOST.:%d\r\n" % server.port, b"Host: %s\r\nHost: evil.example\r\n" % host.encode(),
            b"Host: %s\r\nHost: %s\r\n" % (host.encode(), host.encode()),
        ):  # fmt: skip
            assert status_of(raw(host, line + hosts + end)) == 400, hosts
        ours = b"Host: %s\r\n" % host.encode()
        assert status_of(raw(host, line + ours + end)) == 401
        assert status_of(raw(host, line + b"Host: LocalHost:%d\r\n" % server.port + end)) == 401
        assert status_of(raw(host, b"GET /api/session HTTP/1.0\r\n\r\n")) == 400
        absolute = b"GET http://evil.example/api/session HTTP/1.1\r\n"
        assert status_of(raw(host, absolute + ours + end)) in (400, 404)
        for path in (
            b"/static/../server/app.py",
            b"/static/..%2fserver%2fapp.py",
            b"/static/%2e%2e/x",
            b"//etc/passwd",
            b"/\\x",
        ):
            assert status_of(raw(host, b"GET " + path + b" HTTP/1.1\r\n" + ours + end)) == 404, path
        upgrade = b"Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Key: x\r\n\r\n"
        assert status_of(raw(host, b"GET /ws HTTP/1.1\r\n" + ours + upgrade)) in (400, 403, 404)
        head = raw(host, line + ours + end).split(b"\r\n\r\n")[0].lower()
        assert b"server:" not in head and b"content-security-policy:" in head

        other = tmp_path / "other"
        make_study(other).close()
        taken = subprocess.run(
            [sys.executable, "-c", COMMAND, "serve", str(other), "--port", str(server.port)],
            capture_output=True,
            text=True,
        )
        assert taken.returncode != 0 and f"cannot listen at 127.0.0.1 port {server.port}" in taken.stderr

        said = server.stop()
        assert server.process.returncode == 0 and "Stopped." in said
        assert token in server.said and token not in said[len(server.said) :]
        assert owner.headers["Cookie"].split("=")[1] not in said and owner.headers["X-Dabench"] not in said
        assert re.search(r"127.0.0.1 GET /api/session 401 [\d.]+ ms", said)
        assert not (study / "study.db-wal").exists(), "closed and checkpointed"


def test_a_second_server_on_the_same_study_is_refused(tmp_path):
    study = tmp_path / "study"
    make_study(study).close()
    with serving(study, "--port", "0") as first:
        second = subprocess.run(
            [sys.executable, "-c", COMMAND, "serve", str(study), "--port", "0"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert second.returncode != 0 and "Serving" not in second.stdout
        assert re.search(r"another server|already served|is served", second.stderr + second.stdout)
        assert first.process.poll() is None
        with Study.open(study) as opened:  # commands still work beside the server
            token = new_token(opened, "ann")
        assert Client(first.host, token).send("GET", "/api/session")[0] == 200


@pytest.mark.slow
def test_no_acknowledged_answer_is_lost_when_the_server_is_killed(tmp_path):
    study = tmp_path / "study"
    people = {f"w{n}": "annotator" for n in range(4)}
    settings = ProjectSettings(policy="single", gold_share=0.0, repeat_share=0.0)
    with make_study(study, images=4, pairs_per_image=100, people=people, settings=settings) as made:
        tokens = {alias: new_token(made, alias) for alias in people}
    acknowledged: set[str] = set()
    sent: dict[str, tuple[str, dict]] = {}

    def work(host: str, alias: str) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
            client = Client(host, tokens[alias])
            while True:
                for task in client.send("POST", "/api/projects/1/tasks", {"n": 4})[1]["tasks"]:
                    number = str(uuid.uuid4())
                    sent[number] = (alias, task)
                    client.answer(task, number)
                    acknowledged.add(number)

    for round_number in range(2):
        with serving(study, "--port", "0") as server:
            threads = [threading.Thread(target=work, args=(server.host, alias), daemon=True) for alias in people]
            for thread in threads:
                thread.start()
            wanted = 40 * (round_number + 1)
            deadline = time.monotonic() + 40
            while len(acknowledged) < wanted and time.monotonic() < deadline:
                time.sleep(0.005)
            server.stop(signal.SIGKILL)
            for thread in threads:
                thread.join(20)
    assert len(acknowledged) >= 80
    with serving(study, "--port", "0") as server:
        clients = {alias: Client(server.host, tokens[alias]) for alias in people}
        for number, (alias, task) in sent.items():
            status = clients[alias].answer(task, number)["status"]
            assert status == "duplicate" or number not in acknowledged, "it was there already"
        assert "Stopped." in server.stop()
    with contextlib.closing(sqlite3.connect(study / "study.db")) as database:
        stored = [row[0] for row in database.execute("SELECT uuid FROM responses")]
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert sorted(stored) == sorted(sent), "each exactly once"
