"""A labelling server under load: annotators who think, then as many answers as it takes.

    python benchmarks/annotation.py [--people 200] [--seconds 60] [--settle 10] [--think 3.0] [--saturate 8] [--json]

The server is a process of its own, started with ``dabench annotate serve``; the annotators are coroutines of this one,
each with a keep-alive connection of its own. Both share the machine, and latencies are measured here, from the first
byte sent to the last byte read, so that they are upper bounds of what the server takes.

An annotator signs in, asks for four tasks, loads a picture that was not seen before, thinks, answers, and asks for more
when one is left. Thinking times are log-normal with the median ``--think`` seconds (sigma 0.5). One answer in a hundred
loses its reply: the connection is cut after sending, and the same answer is sent again. One in fifty is taken back.

The first ``--settle`` seconds are told apart: everybody starts within a median of thought, which no team does.

The last part, ``--saturate`` seconds, has nobody think and load no picture: answers a second at full load.

It fails when an acknowledged answer is not stored exactly once, when a pair was given to more people than its policy
asks, when a person got a pair twice, or when the server refused anything but for being busy, or ten times for that.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]  # our own name

from annotation.people import add_person, new_token  # noqa: E402
from annotation.settings import ProjectSettings  # noqa: E402
from annotation.study import Study  # noqa: E402

PER_PAIR = 3  # first-two-checkers
LOST, TAKEN_BACK = 0.01, 0.02
TRIES = 10
SIZE = (768, 1024)


def picture(rng: np.random.Generator) -> bytes:
    """A JPEG with structure at all scales, of the size of a photograph."""
    height, width = SIZE
    total = np.zeros((height, width, 3))
    for scale in (4, 16, 64, 256):
        small = rng.uniform(0, 255, (height // scale + 2, width // scale + 2, 3)).astype(np.uint8)
        total += np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray((total / 4).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def build(folder: Path, people: int, pairs: int, per_image: int) -> list[str]:
    """A study with ``pairs`` pairs; the tokens of its annotators. Pictures differ in a comment only."""
    rng = np.random.default_rng(0)
    base = picture(rng)
    with Study.open(folder, create=True) as study:
        study.images.mkdir()
        settings = ProjectSettings(policy="first-two-checkers", gold_share=0.0, repeat_share=0.0)
        with study.store.write("owner") as write:
            write.append("project.created", {"name": "load", "settings": settings.to_dict(), "state": "open"})
            for number in range(pairs):
                if number % per_image == 0:
                    comment = f"picture {number}".encode()
                    content = base[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + base[2:]
                    sha256 = hashlib.sha256(content).hexdigest()
                    (study.images / f"{sha256}.jpg").write_bytes(content)
                    values = {"sha256": sha256, "file": f"{sha256}.jpg", "height": SIZE[0], "width": SIZE[1]}
                    values |= {"original_name": f"{number}.jpg", "original_sha256": sha256, "scene": "s"}
                    write.append("image.added", values)
                row, col = (int(v) for v in rng.integers(0, SIZE[0] // 2, 2))
                values = {"id": str(uuid.UUID(int=number + 1)), "project": 1, "image": sha256, "position": number}
                values |= {"a_row": row, "a_col": col, "b_row": row + 100, "b_col": col + 50, "route": "uniform"}
                write.append("pair.proposed", values)
        return [new_token(study, add_person(study, f"Person {n}", "annotator")) for n in range(people)]


@dataclass
class Tally:
    latencies: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    acknowledged: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Person:
    """One annotator with one connection."""

    def __init__(self, port: int, token: str, tally: Tally, seed: int) -> None:
        self.port, self.token, self.tally = port, token, tally
        self.random = random.Random(seed)
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.headers = f"Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        self.seen: set[str] = set()
        self.tasks: list[dict[str, Any]] = []
        self.finished = False

    async def request(self, method: str, path: str, body: object = None, kind: str = "", lose: bool = False) -> Any:
        """The reply, or None. What the server is too busy for is asked again after a second, as the page does."""
        for _ in range(TRIES):
            status, reply = await self.once(method, path, body, kind or path, lose)
            if status not in (429, 503):
                break
            await asyncio.sleep(1)
        if status not in (0, 200):
            self.tally.problems.append(f"{method} {path}: {status} {reply!r}")
            return None
        return reply

    async def once(self, method: str, path: str, body: object, kind: str, lose: bool) -> tuple[int, Any]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self.headers}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        started = time.perf_counter()
        self.writer.write(head.encode() + b"\r\n" + content)
        if lose:
            await self.writer.drain()
            await self.close()
            return 0, None
        raw = await self.reader.readuntil(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        received = await self.reader.readexactly(int(found.get("content-length", 0)))
        self.tally.latencies[kind].append(time.perf_counter() - started)
        self.tally.statuses[f"{kind} {status}"] += 1
        if "set-cookie" in found:
            self.headers += f"Cookie: {found['set-cookie'].split(';')[0]}\r\n"
        return status, json.loads(received) if found["content-type"] == "application/json" else received

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()
        self.reader = self.writer = None

    async def sign_in(self) -> None:
        await self.request("POST", "/api/login", {"token": self.token}, "login")
        session = await self.request("GET", "/api/session", kind="session")
        self.headers += f"X-Dabench: {session['csrf']}\r\n"

    async def work(self, until: float, think: float, pictures: bool) -> None:
        """Answer until the time is over. ``think``: median seconds; 0: none."""
        if think:
            await asyncio.sleep(self.random.random() * think)  # people do not start together
        while time.monotonic() < until and not self.finished:
            if len(self.tasks) <= 1:
                await self.fetch()
                if not self.tasks:
                    await asyncio.sleep(0.5)
                    continue
            task = self.tasks.pop(0)
            if pictures and task["image"] not in self.seen:
                self.seen.add(task["image"])
                await self.request("GET", f"/images/{task['image']}/work.jpg", kind="picture")
            if think:
                await asyncio.sleep(think * self.random.lognormvariate(0, 0.5))
            await self.answer(task)

    async def fetch(self) -> None:
        batch = await self.request("POST", "/api/projects/1/tasks", {"n": 4}, "tasks")
        known = {task["assignment"] for task in self.tasks}
        self.tasks += [task for task in batch["tasks"] if task["assignment"] not in known] if batch else []
        self.finished = bool(batch) and batch["waiting"] == "finished"

    async def answer(self, task: dict[str, Any]) -> None:
        body = {
            "uuid": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), "assignment": task["assignment"],
            "relation": "closer", "shown": "first" if task["first"]["row"] > task["second"]["row"] else "second",
            "active_ms": 2000, "wall_ms": 3000,
            "client": {"viewport": [1280, 720, 1.0], "key": "Digit1", "input": "keyboard", "build": "load"},
        }  # fmt: skip
        if self.random.random() < LOST:
            await self.request("POST", "/api/answers", body, lose=True)
        receipt = await self.request("POST", "/api/answers", body, "answer")
        if receipt is None:
            return
        self.tally.statuses[f"receipt {receipt['status']}"] += 1
        self.tally.acknowledged.append(body["uuid"])
        if self.random.random() < TAKEN_BACK:
            undone = await self.request(
                "POST", "/api/undo", {"uuid": str(uuid.uuid4()), "response": body["uuid"]}, "undo"
            )
            if undone is not None:
                self.tasks.insert(0, undone["task"])


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def summary(tally: Tally, seconds: float) -> dict[str, Any]:
    everything = [
        value for kind, values in tally.latencies.items() if kind not in ("login", "session") for value in values
    ]
    rows = {**dict(sorted(tally.latencies.items())), "all but sign-in": everything}
    return {
        "requests_per_second": len(everything) / seconds,
        "answers_per_second": len(tally.latencies["answer"]) / seconds,
        "latency_ms": {
            kind: {"n": len(values)} | {f"p{p}": 1000 * percentile(values, p / 100) for p in (50, 95, 99)}
            for kind, values in rows.items()
            if values
        },
        "statuses": dict(sorted(tally.statuses.items())),
    }


def check(database: Path, tally: Tally) -> list[str]:
    """What is wrong with what was stored; empty when all is well."""
    problems = list(tally.problems[:10])
    with contextlib.closing(sqlite3.connect(database)) as connection:
        stored = collections.Counter(row[0] for row in connection.execute("SELECT uuid FROM responses"))
        lost = [number for number in tally.acknowledged if stored[number] != 1]
        if lost:
            problems.append(f"{len(lost)} acknowledged answers are not stored exactly once")
        held = connection.execute(
            "SELECT pair, count(*), count(DISTINCT person) FROM assignments "
            "WHERE state IN ('open', 'done') GROUP BY pair"
        ).fetchall()
        if any(count > PER_PAIR for _, count, _ in held):
            problems.append(f"a pair was given to more than {PER_PAIR} people")
        if any(count != distinct for _, count, distinct in held):
            problems.append("a person was given a pair twice")
        if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            problems.append("the database is damaged")
    return problems


async def part(people: list[Person], tally: Tally, seconds: float, think: float, pictures: bool) -> dict[str, Any]:
    for person in people:
        person.tally = tally
    started = time.monotonic()
    await asyncio.gather(*(person.work(started + seconds, think, pictures) for person in people))
    return summary(tally, time.monotonic() - started)


async def load(port: int, tokens: list[str], arguments: argparse.Namespace, whole: Tally) -> dict[str, Any]:
    people = [Person(port, token, whole, seed) for seed, token in enumerate(tokens)]
    for person in people:
        await person.sign_in()
    starting, thinking, saturated = Tally(), Tally(), Tally()
    found = {}
    if arguments.settle:
        found["starting"] = await part(people, starting, arguments.settle, arguments.think, True)
    found["thinking"] = await part(people, thinking, arguments.seconds, arguments.think, True)
    if arguments.saturate:
        found["saturated"] = await part(people[: arguments.at_once], saturated, arguments.saturate, 0.0, False)
    for tally in (starting, thinking, saturated):
        whole.acknowledged += tally.acknowledged
        whole.problems += tally.problems
    for person in people:
        await person.close()
    return found


def serve(study: Path) -> tuple[subprocess.Popen[str], int]:
    command = [
        sys.executable,
        "-c",
        "from dabench.cli import main; main()",
        "annotate",
        "serve",
        str(study),
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    match = re.search(r" at http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert match is not None, "the server did not start"
    return process, int(match[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=10.0, help="seconds at the start that are told apart; 0: none")
    parser.add_argument("--think", type=float, default=3.0, help="median seconds before an answer")
    parser.add_argument("--saturate", type=float, default=8.0, help="seconds of full load; 0: none")
    parser.add_argument("--at-once", type=int, default=16, help="people of the part at full load")
    parser.add_argument("--pairs", type=int, default=8000)
    parser.add_argument("--per-image", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="annotation-load-"))
    try:
        tokens = build(folder / "study", arguments.people, arguments.pairs, arguments.per_image)
        process, port = serve(folder / "study")
        whole = Tally()
        before = os.times()
        try:
            found = asyncio.run(load(port, tokens, arguments, whole))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        after = os.times()
        found["server_cpu_seconds"] = after.children_user + after.children_system - before.children_user
        problems = check(folder / "study" / "study.db", whole)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found |= {"acknowledged": len(whole.acknowledged), "problems": problems, "cores": os.cpu_count()}
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        show(found, arguments)
    return 1 if problems else 0


def show(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    titles = {
        "starting": f"the first {arguments.settle:g} s, when all ask for their first tasks and no picture was seen yet",
        "thinking": f"{arguments.people} annotators, median {arguments.think:g} s of thought, {arguments.seconds:g} s",
        "saturated": f"{arguments.at_once} annotators without thought or pictures, {arguments.saturate:g} s",
    }
    for name, title in titles.items():
        if name not in found:
            continue
        part = found[name]
        print(f"{title}: {part['requests_per_second']:.0f} requests/s, {part['answers_per_second']:.0f} answers/s")
        for kind, row in part["latency_ms"].items():
            levels = "   ".join(f"{level} {row[level]:>7.1f}" for level in ("p50", "p95", "p99"))
            print(f"  {kind:<16} {row['n']:>7}   {levels} ms")
        print("  " + ", ".join(f"{key}: {count}" for key, count in part["statuses"].items()))
    print(f"{found['cores']} cores; the server used {found['server_cpu_seconds']:.1f} s of them")
    print(
        f"{found['acknowledged']} answers acknowledged; "
        + ("; ".join(found["problems"]) or "all stored once, no pair twice")
    )


if __name__ == "__main__":
    sys.exit(main())
