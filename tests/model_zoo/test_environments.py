"""Workers that live elsewhere: what they are told, what they answer, and every way in which they can fail."""

from __future__ import annotations

import ast
import gc
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dabench.errors import CheckpointError, ImageError, ModelError, SampleError, UsageError
from dabench.types import ModelEntry, Output
from model_zoo.environments import factory
from model_zoo.environments.worker import MAGIC, START, FrameError, read_frame, write_frame

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
FACTORY = "model_zoo.environments.factory:load"
WORKER_FILES = [factory.WORKER, *sorted(factory.ADAPTERS.glob("[!_]*.py"))]

ADAPTER = """
import os, subprocess, sys, time
import numpy as np

print("printed at import")

def load(request):
    print("printed by load")
    settings = {"told": sorted(request), "group": os.getpgrp() if hasattr(os, "getpgrp") else 0}

    def predict(image):
        if image[0, 0, 0] == 255:
            act()
        return image[..., 0] * 2.0

    return predict, {"parameters": 3, "settings": settings, "device": "cpu"}
"""
"""Doubles the red channel, but does something special at an image that starts with 255."""

RAW = """
import struct, sys, json, time
def send(header, payload=b""):
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack("<4sIQ", b"DABW", len(text), len(payload)) + text + payload)
    sys.stdout.buffer.flush()
def receive():
    _, header, payload = struct.unpack("<4sIQ", sys.stdin.buffer.read(16))
    return json.loads(sys.stdin.buffer.read(header)), sys.stdin.buffer.read(payload)
"""
"""The protocol without worker.py."""


@pytest.fixture
def entry(tmp_path: Path) -> Callable[..., ModelEntry]:
    def make(action: str = "pass", **options: Any) -> ModelEntry:
        fields = {key: options.pop(key) for key in ("licence", "sha256", "settable") if key in options}
        path = tmp_path / "adapter.py"
        path.write_text(ADAPTER + "def act():\n" + textwrap.indent(textwrap.dedent(action), "    "))
        where = {"environment": sys.executable, "worker": str(path)}
        return ModelEntry("elsewhere", Output.DEPTH, "", FACTORY, options={**where, **options}, **fields)

    return make


@pytest.fixture
def load() -> Iterator[Callable[..., Any]]:
    models: list[Any] = []

    def start(entry: ModelEntry, **options: Any) -> Any:
        models.append(factory.load(entry, notify=lambda _: None, **options))
        return models[-1]

    yield start
    for model in models:
        model.close()


def raw(tmp_path: Path, script: str, **options: Any) -> ModelEntry:
    path = tmp_path / "raw.py"
    path.write_text(RAW + textwrap.dedent(script))
    options = {"command": [sys.executable, str(path)], **options}
    return ModelEntry("raw", Output.DEPTH, "", factory=FACTORY, options=options)


def special(size: tuple[int, int] = (6, 5)) -> np.ndarray:
    return np.full((*size, 3), 255, np.uint8)


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that waits for another parent than this one."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_image_in_map_out_whatever_is_printed(entry: Any, load: Any) -> None:
    model = load(entry('os.write(1, b"raw bytes"); print("more"); subprocess.run([sys.executable, "-c", "print(1)"])'))
    for image in (IMAGE, special(), IMAGE[:, ::-1], special((1, 1))):
        prediction = model.predict(image)
        assert prediction.values.dtype == np.float32 and prediction.output is Output.DEPTH
        assert (prediction.values == image[..., 0] * np.float32(2)).all()
    assert (model.device, model.info.parameters) == ("cpu", 3)
    assert model.info.settings["versions"]["numpy"] == np.__version__
    assert model.info.settings["told"] == sorted(
        ("name", "source", "revision", "file", "checkpoint", "device", "precision", "settings", "options")
    )


def test_large_images_and_a_flood_of_messages_do_not_block(entry: Any, load: Any) -> None:
    model = load(entry('sys.stderr.write("x" * 2_000_000 + "\\n"); print("y" * 2_000_000)', predict_timeout=60))
    image = special((2000, 1500))
    assert (model.predict(image).values == 510).all()


def test_an_error_of_the_model_costs_one_image(entry: Any, load: Any) -> None:
    model = load(entry('raise ZeroDivisionError("the lens is dirty")'))
    pid = model.worker_pid
    with pytest.raises(SampleError, match="ZeroDivisionError: the lens is dirty") as caught:
        model.predict(special())
    assert "adapter.py" in str(caught.value) and "line" in str(caught.value), "the traceback is shown"
    assert (model.predict(IMAGE).values == IMAGE[..., 0] * 2.0).all() and model.worker_pid == pid


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("sys.stderr.write('the card fell off\\n'); sys.stderr.flush(); os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
        ("time.sleep(60)", "gave no answer within 2 s"),
        ("if os.fork(): os._exit(4)\ntime.sleep(60)", "ended with exit code 4"),
    ],
    ids=["exit", "killed", "hangs", "leaves a child that holds the pipe"],
)
def test_a_dead_worker_costs_one_image_and_is_replaced(entry: Any, load: Any, action: str, said: str) -> None:
    model = load(entry(action, predict_timeout=2, max_restarts=1))
    pids = [model.worker_pid]
    started = time.monotonic()
    with pytest.raises(SampleError, match=said) as caught:
        model.predict(special())
    assert time.monotonic() - started < 10 and ended(pids[0])
    assert "printed by load" in str(caught.value), "its last lines are shown"
    assert "card fell off" in str(caught.value) or "fell" not in action
    assert (model.predict(IMAGE).values == IMAGE[..., 0] * 2.0).all()
    pids.append(model.worker_pid)
    assert pids[0] != pids[1]
    with pytest.raises(SampleError, match="it is not started again"):
        model.predict(special())
    with pytest.raises(ModelError, match="died too often"):
        model.predict(IMAGE)
    assert model.worker_pid is None and ended(pids[1])


def test_a_worker_that_died_between_images_is_replaced(entry: Any, load: Any) -> None:
    model = load(entry())
    os.kill(model.worker_pid, signal.SIGKILL)
    time.sleep(0.1)
    assert (model.predict(IMAGE).values == IMAGE[..., 0] * 2.0).all()


def test_other_weights_after_a_restart_are_an_error(entry: Any, load: Any, tmp_path: Path) -> None:
    row = entry("os._exit(1)")
    path = Path(row.options["worker"])
    path.write_text(path.read_text().replace('"parameters": 3', '"weights_sha256": open(__file__ + ".w").read()'))
    weights = tmp_path / "adapter.py.w"
    weights.write_text("a" * 64)
    model = load(row)
    weights.write_text("b" * 64)
    with pytest.raises(SampleError):
        model.predict(special())
    with pytest.raises(ModelError, match="came back with other weights"):
        model.predict(IMAGE)


@pytest.mark.parametrize("values", ["image", "image[..., 0].astype(complex)", "None", "image[:1, :, 0]", "[['a']]"])
def test_what_is_no_map_is_named(entry: Any, load: Any, values: str) -> None:
    row = entry()
    path = Path(row.options["worker"])
    path.write_text(path.read_text().replace("image[..., 0] * 2.0", values))
    with pytest.raises(SampleError, match=r"predict returned .* for an image of \[6, 5\]"):
        load(row).predict(IMAGE)


MAP = 'send({"type": "prediction", "id": 1, "shape": %s, "dtype": "%s"}, bytes(%d))'
READY = """
send({"type": "hello", "protocol": 1})
receive()
send({"type": "ready", "id": None, "info": {}})
"""


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (MAP % ("[6, 5]", "float64", 240), ModelError, "float64"),
        (MAP % ("[5, 6]", "float32", 120), ModelError, r"\[5, 6\]"),
        (MAP % ("[6, 5]", "float32", 8), ModelError, "8 bytes"),
        ('send({"type": "thanks", "id": 1})', ModelError, "answered 'thanks' to 'predict'"),
        ('send({"type": "prediction", "id": 7, "shape": [6, 5], "dtype": "float32"})', SampleError, "question 7"),
        ("print('Epoch 1/10')", SampleError, "something else than frames.*Epoch 1/10"),
        ("sys.stdout.write('DABW'); sys.stdout.flush()", SampleError, "ended inside a frame"),
        ("time.sleep(30)", SampleError, "gave no answer within 2 s"),
    ],
)
def test_scripts_that_speak_the_protocol_wrongly(load: Any, tmp_path: Path, reply: str, kind: Any, said: str) -> None:
    model = load(raw(tmp_path, READY + "receive()\n" + reply, predict_timeout=2))
    with pytest.raises(kind, match=f"(?s){said}"):
        model.predict(IMAGE)


def test_a_script_that_stops_reading_does_not_block_the_caller(load: Any, tmp_path: Path) -> None:
    model = load(raw(tmp_path, READY + "time.sleep(60)", predict_timeout=2, max_restarts=0))
    started = time.monotonic()
    with pytest.raises(SampleError, match="gave no answer within 2 s"):
        model.predict(special((2000, 2000)))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print('Welcome to conda!')", "something else than frames.*Welcome to conda"),
        ("raise SystemExit('no licence server')", "ended with exit code 1.*no licence server"),
        ('send({"type": "hello", "protocol": 99})', "version 99 of the protocol, this dabench version 1"),
        ("time.sleep(60)", "gave no answer within 1 s"),
        ('send({"type": "hello", "protocol": 1}); time.sleep(60)', "gave no answer within 2 s"),
        ('send({"type": "hello", "protocol": 1}); send({"type": "prediction", "id": None})', "'prediction' to 'load'"),
    ],
)
def test_what_cannot_start(load: Any, tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(ModelError, match=f"(?s){said}"):
        load(raw(tmp_path, script, start_timeout=1 if script.startswith("time") else 30, load_timeout=2))


def test_a_load_that_fails_shows_why_and_leaves_nothing(entry: Any, load: Any) -> None:
    row = entry()
    path = Path(row.options["worker"])
    path.write_text("import os\nPID = os.getpid()\ndef load(request):\n    raise KeyError(f'no weights, {PID}')\n")
    with pytest.raises(ModelError, match="cannot be loaded in its environment: KeyError: 'no weights") as caught:
        load(row)
    assert ended(int(str(caught.value).split("no weights, ")[1].split("'")[0]))
    path.write_text("import a_package_of_another_world\n")
    with pytest.raises(ModelError, match="No module named 'a_package_of_another_world'"):
        load(row)
    with pytest.raises(ModelError, match="cannot be started: No such file"):
        load(ModelEntry("x", Output.DEPTH, "", factory=FACTORY, options={"command": ["no-such-program-anywhere"]}))


def test_interrupt_ends_the_worker_at_once(entry: Any, load: Any) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals arrive in the main thread")
    model = load(entry("time.sleep(60)"))
    pid = model.worker_pid
    assert model.info.settings["group"] != os.getpgrp(), "a Ctrl-C of the terminal goes to the caller alone"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    try:
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            model.predict(special())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended(pid)


def test_close_ends_the_process_and_its_children(entry: Any, load: Any) -> None:
    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    model = load(entry(f"{child}\nraise ValueError(f'child {{child.pid}}')"))
    with pytest.raises(SampleError) as caught:
        model.predict(special())
    pids = [model.worker_pid, int(caught.value.message.split("child ")[1].split()[0])]
    model.close()
    model.close()
    assert [ended(pid) for pid in pids] == [True, True]
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)  # it was waited for: no zombie
    with pytest.raises(ModelError, match="was closed"):
        model.predict(IMAGE)


def test_a_forgotten_model_leaves_no_process(entry: Any) -> None:
    model = factory.load(entry(), notify=lambda _: None)
    pid = model.worker_pid
    del model
    gc.collect()
    assert pid is not None and ended(pid)


def test_a_worker_ends_with_its_caller(entry: Any) -> None:
    command = [sys.executable, str(factory.WORKER), entry().options["worker"]]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60)
    assert done.returncode == 0 and read_frame(io.BytesIO(done.stdout))[0]["type"] == "hello"  # type: ignore[index]
    assert subprocess.run(command[:2], capture_output=True, timeout=60).returncode == 2


def test_packages_of_this_environment_do_not_leak(entry: Any, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/this/environment")
    look = "raise ValueError(os.environ.get('PYTHONPATH'), str(sys.path[:2]))"
    for extra, said in (({}, r"\(None, "), ({"env": {"PYTHONPATH": "/of/theirs"}}, r"\('/of/theirs', .*/of/theirs")):
        with pytest.raises(SampleError, match=said) as caught:
            load(entry(look, **extra)).predict(special())
        assert "/of/this/environment" not in str(caught.value)
        assert str(factory.WORKER.parent) not in caught.value.message.split("\n")[0]


def test_options_are_checked_before_anything_starts(entry: Any, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = entry(settable={"steps": 4}, precisions=("fp32", "fp16"))
    for options, said in (
        ({"precision": "bf16"}, "fp32 or fp16"),
        ({"input_size": 518}, "its options: steps"),
        ({"compile": "on"}, "not compiled"),
    ):
        with pytest.raises(UsageError, match=said):
            load(row, **options)
    with pytest.raises(CheckpointError, match="does not exist"):
        load(row, checkpoint=Path("nowhere.pt"))
    with pytest.raises(UsageError, match="name no 'worker'"):
        load(ModelEntry("x", Output.DEPTH, "", factory=FACTORY, options={"environment": "moge"}))
    with pytest.raises(ModelError, match=r"its worker nothing\.py does not exist"):
        load(entry(worker="nothing.py"))
    monkeypatch.setenv("DABENCH_WORKER_TIMEOUT", "soon")
    with pytest.raises(UsageError, match="DABENCH_WORKER_TIMEOUT=soon"):
        load(row)


def test_weights_that_are_not_the_catalogued_ones(entry: Any, load: Any, tmp_path: Path) -> None:
    row = entry(sha256="0" * 64, licence="CC-BY-NC-4.0")
    path = Path(row.options["worker"])
    path.write_text(path.read_text().replace('"parameters": 3', f'"weights_sha256": "{"1" * 64}", "source": "w.pt"'))
    with pytest.raises(CheckpointError, match=f"SHA-256 {'1' * 64}, expected {'0' * 64}"):
        load(row)
    given = tmp_path / "own.pt"
    given.touch()
    model = load(row, checkpoint=given)
    assert model.info.licence is None and any("given by the user (own.pt)" in note for note in model.info.notes)


def test_images_are_checked(entry: Any, load: Any) -> None:
    model = load(entry())
    for wrong in (IMAGE[..., 0], IMAGE.astype(float), IMAGE[:0], [1]):
        with pytest.raises(ImageError):
            model.predict(wrong)


def test_frames() -> None:
    stream = io.BytesIO()
    write_frame(stream, {"type": "a", "name": "ü"}, np.arange(6, dtype="<f4").reshape(2, 3))
    write_frame(stream, {"type": "b"})
    whole = stream.getvalue()
    stream.seek(0)
    header, payload = read_frame(stream) or ({}, b"")
    assert header == {"type": "a", "name": "ü"} and np.frombuffer(payload, "<f4").tolist() == [0, 1, 2, 3, 4, 5]
    assert read_frame(stream) == ({"type": "b"}, bytearray()) and read_frame(stream) is None
    first = START.size + len('{"type": "a", "name": "\\u00fc"}') + 24
    for end in range(1, first):
        with pytest.raises(FrameError, match="ended inside a frame"):
            read_frame(io.BytesIO(whole[:end]))
    for wrong, said in (
        (b"hello, world, here I am", "not the start of a frame"),
        (START.pack(MAGIC, 1 << 30, 0), "too long"),
        (START.pack(MAGIC, 0, 1 << 60), "too long"),
        (START.pack(MAGIC, 2, 0) + b"{]", "not JSON"),
        (START.pack(MAGIC, 2, 0) + b"{}", "no type"),
    ):
        with pytest.raises(FrameError, match=said):
            read_frame(io.BytesIO(wrong))


@pytest.mark.parametrize("path", WORKER_FILES, ids=lambda path: path.stem)
def test_what_runs_elsewhere_needs_little(path: Path) -> None:
    """Python 3.8 reads it, and the worker itself needs NumPy alone."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "removesuffix"]
    if path == factory.WORKER:
        imported = [n.module for n in tree.body if isinstance(n, ast.ImportFrom)]
        imported += [n.names[0].name for n in tree.body if isinstance(n, ast.Import)]
        assert {str(name).split(".")[0] for name in imported} - set(sys.stdlib_module_names) == {"numpy"}
    else:
        assert len(text.splitlines()) < 80 and "@" in (ast.get_docstring(tree) or ""), "it names its source"
