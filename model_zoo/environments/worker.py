"""The worker's side of the protocol of docs/environments.md, in one file: ``python worker.py ADAPTER``.

It runs in another Python environment, given by path, and so needs nothing but Python 3.8 and NumPy; of dabench it
imports nothing. ``ADAPTER`` is a Python file with one function::

    def load(request: dict) -> tuple[Callable, dict]:   # predict, info

``request`` is the model as the catalogue describes it (name, source, revision, checkpoint, device, precision, settings,
options). ``predict(image)`` takes ``uint8 [H, W, 3]`` RGB and returns real values ``[H, W]``. ``info`` may say
``parameters``, ``source``, ``revision``, ``weights_sha256``, ``device``, ``versions``, ``settings`` and ``notes``.
An adapter finds the functions of this file under the module name ``dabench_worker``.

A frame is a fixed start (magic ``DABW``, header length as uint32, payload length as uint64, little-endian), a JSON
header in UTF-8, and the bytes of at most one array. Frames go over the standard input and output that the process was
started with; whatever else writes to standard output is sent to standard error.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

PROTOCOL = 1
MAGIC = b"DABW"
START = struct.Struct("<4sIQ")
MAX_HEADER = 1 << 22
MAX_PAYLOAD = 1 << 34


class FrameError(Exception):
    """The bytes on the pipe are not frames of this protocol."""


def write_frame(stream: BinaryIO, header: dict[str, Any], payload: Any = b"") -> None:
    """Write one frame: a JSON header, and the payload's bytes (anything with the buffer interface)."""
    view = memoryview(payload)
    if view.nbytes:
        view = view.cast("B")
    text = json.dumps(header).encode("utf-8")
    stream.write(START.pack(MAGIC, len(text), view.nbytes) + text)
    if view.nbytes:
        stream.write(view)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytearray] | None:
    """Read one frame; None at the orderly end of the stream.

    Raises:
        FrameError: what was read is no frame, or it ends inside of one.
    """
    start = _read(stream, START.size)
    if not start:
        return None
    if not MAGIC.startswith(bytes(start[:4])):
        raise FrameError(f"{bytes(start[:16])!r}... is not the start of a frame")
    if len(start) < START.size:
        raise FrameError("the stream ended inside a frame")
    _, header_length, payload_length = START.unpack(start)
    if header_length > MAX_HEADER or payload_length > MAX_PAYLOAD:
        raise FrameError(f"a frame of {header_length} + {payload_length} bytes is too long")
    text, payload = _read(stream, header_length), _read(stream, payload_length)
    if len(text) < header_length or len(payload) < payload_length:
        raise FrameError("the stream ended inside a frame")
    try:
        header = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise FrameError(f"the header of a frame is not JSON: {error}") from error
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise FrameError("the header of a frame has no type")
    return header, payload


def _read(stream: BinaryIO, length: int) -> bytearray:
    """``length`` bytes, fewer only at the end of the stream."""
    content = bytearray(length)
    view, done = memoryview(content), 0
    while done < length:
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return content if done == length else bytearray(view[:done])


def sha256_of(path: Any) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def versions_of(*packages: str) -> dict[str, str]:
    """Installed versions of those of the packages that are installed here."""
    from importlib import metadata

    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hub_weights(repository: str, files: Sequence[str], revision: str | None = None) -> dict[str, Any]:
    """Where a family's package put its weights in the Hugging Face cache, for the record.

    Returns:
        ``source`` (``repository@commit/file``), ``revision`` and ``weights_sha256`` of the first of ``files`` that is
        in the cache; only ``source`` where none is, and for a folder or file given in place of a repository.
    """
    for file in files:
        local = Path(repository) / file
        if local.is_file():
            return {"source": str(local), "weights_sha256": sha256_of(local)}
    if Path(repository).is_file():
        return {"source": repository, "weights_sha256": sha256_of(repository)}
    for file in files:
        path = _cached(repository, file, revision or "main")
        if path is not None:
            commit = path.parts[path.parts.index("snapshots") + 1]
            source = f"{repository}@{commit}/{file}"
            return {"source": source, "revision": commit, "weights_sha256": sha256_of(path)}
    return {"source": repository}


def _cached(repository: str, file: str, revision: str) -> Path | None:
    """A file of a hub repository in the cache that all hub clients share."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    folder = cache / ("models--" + repository.replace("/", "--"))
    branch = folder / "refs" / revision
    commit = branch.read_text().strip() if branch.is_file() else revision
    path = folder / "snapshots" / commit / file
    return path if path.is_file() else None


def download(address: str) -> str:
    """The file of an address in torch's cache of checkpoints, downloaded if it is not there yet."""
    import torch  # type: ignore

    path = Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[-1]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path))
    return str(path)


def torch_device(name: str) -> Any:
    """The torch device of that name: ``auto`` is cuda where there is one, else mps, else cpu."""
    import torch  # type: ignore

    if name == "auto":
        mps = getattr(torch.backends, "mps", None)
        name = "cuda" if torch.cuda.is_available() else "mps" if mps and mps.is_available() else "cpu"
    elif name.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError(f"device '{name}' is not available: torch {torch.__version__} sees no GPU")
    return torch.device(name)


def parameters_of(network: Any) -> int:
    """Number of parameters of a torch module."""
    return sum(parameter.numel() for parameter in network.parameters())


def map_of(tensor: Any) -> np.ndarray:
    """A torch tensor of one map, with any leading dimensions of size one, as ``float32 [H, W]``."""
    values = tensor.detach().float().cpu().numpy()
    return values.reshape(values.shape[-2:])


def checked_map(values: Any, height: int, width: int) -> np.ndarray:
    """``values`` as little-endian ``float32 [height, width]``, or a ValueError that says what they are."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.shape != (height, width):
        raise ValueError(f"predict returned {array.dtype} {list(array.shape)} for an image of {[height, width]}")
    return np.ascontiguousarray(array, dtype="<f4")


class Worker:
    """Answers frames, one after another, until the stream ends or ``close`` is asked for."""

    def __init__(self, source: BinaryIO, target: BinaryIO, adapter: str) -> None:
        self._source, self._target, self._adapter = source, target, adapter
        self._predict: Callable[[np.ndarray], Any] | None = None

    def run(self) -> None:
        write_frame(self._target, hello())
        while True:
            frame = read_frame(self._source)
            if frame is None or frame[0]["type"] == "close":
                return
            header, payload = frame
            try:
                reply, content = self._answer(header, payload)
            except Exception as error:
                text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
                message = f"{type(error).__name__}: {error}"
                reply, content = {"type": "error", "message": message, "traceback": text[-20000:]}, b""
            write_frame(self._target, dict(reply, id=header.get("id")), content)

    def _answer(self, header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Any]:
        if header["type"] == "load":
            self._predict, info = load_adapter(self._adapter)(header["request"])
            return {"type": "ready", "info": info}, b""
        if header["type"] == "predict":
            if self._predict is None:
                raise RuntimeError("asked to predict before a model was loaded")
            height, width = header["shape"][:2]
            image = np.frombuffer(payload, dtype=np.uint8).reshape(height, width, 3)
            values = checked_map(self._predict(image), height, width)
            return {"type": "prediction", "shape": [height, width], "dtype": "float32"}, values
        raise ValueError("a frame of unknown type '{}'".format(header["type"]))


def hello() -> dict[str, Any]:
    """The first frame: which protocol is spoken, and by what."""
    python = "{}.{}.{}".format(*sys.version_info[:3])
    return {"type": "hello", "protocol": PROTOCOL, "python": python, "numpy": np.__version__, "pid": os.getpid()}


def load_adapter(path: str) -> Callable[[dict[str, Any]], tuple[Callable[[np.ndarray], Any], dict[str, Any]]]:
    """The ``load`` function of an adapter file."""
    spec = importlib.util.spec_from_file_location("dabench_adapter", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load  # type: ignore[no-any-return]


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for frames alone: what others print goes to standard error, and they read an empty input."""
    sys.stdout.flush()
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (source, target):
            msvcrt.setmode(descriptor, os.O_BINARY)
    return os.fdopen(source, "rb", buffering=0), os.fdopen(target, "wb")  # type: ignore[return-value]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python worker.py ADAPTER\n")
        return 2
    here = Path(__file__).resolve().parent
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != here]
    sys.modules["dabench_worker"] = sys.modules[__name__]
    source, target = take_streams()
    try:
        Worker(source, target, arguments[0]).run()
    except BrokenPipeError:  # nobody listens any more
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
