"""A model in another environment, as a `DepthModel`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dabench.errors import ImageError, ModelError, SampleError
from dabench.types import DepthModel, Image, ModelInfo, Output, Prediction

from .process import WorkerDied, WorkerProcess

MAX_RESTARTS = 2


class SubprocessModel(DepthModel):
    """Predicts by asking a worker process.

    A worker that dies or hangs at an image costs that image (SampleError); the next one starts it anew, at most
    ``max_restarts`` times, after which every image is a ModelError.

    Args:
        name: of the model.
        output: what its predictions mean.
        start: starts a worker that has greeted.
        request: the model as the worker is told to load it.
        load_timeout: seconds that loading may take, a download of weights included.
        predict_timeout: seconds that an image may take.
        max_restarts: how often a dead worker is replaced.

    Raises:
        ModelError: the worker cannot load the model; the message is the worker's, with its traceback.
    """

    def __init__(
        self,
        name: str,
        output: Output,
        start: Callable[[], WorkerProcess],
        request: Mapping[str, Any],
        *,
        load_timeout: float,
        predict_timeout: float,
        max_restarts: int = MAX_RESTARTS,
    ) -> None:
        self._output = output
        self._start, self._request = start, dict(request)
        self._load_timeout, self._predict_timeout = load_timeout, predict_timeout
        self._restarts_left = max_restarts
        self._asked = 0
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._closed = False
        self.info = ModelInfo(name, output)
        self._worker, self.loaded = self._load()
        self.greeting = self._worker.greeting
        self.device = str(self.loaded.get("device") or self._request.get("device") or "cpu")

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return self._worker.pid if self._worker is not None else None

    def predict(self, image: Image) -> Prediction:
        """Map of one uint8 RGB [H, W, 3] image.

        Raises:
            ImageError: it is not such an image.
            SampleError: the worker failed at this image.
            ModelError: the worker answers with something that is no map, or is gone for good.
        """
        _check_image(image)
        with self._lock:
            worker = self._running()
            self._asked += 1
            header = {"type": "predict", "id": self._asked, "shape": list(image.shape), "dtype": "uint8"}
            try:
                answer, content = worker.ask(header, np.ascontiguousarray(image), timeout=self._predict_timeout)
            except WorkerDied as died:
                self._worker = None
                raise SampleError(
                    f"the worker of model '{self.info.name}' {died}",
                    hint=_hint_for(self._restarts_left),
                ) from died
            except BaseException:
                self._worker = None
                raise
            if answer["type"] == "error":
                raise SampleError(
                    f"model '{self.info.name}' failed in its environment: {answer.get('message')}"
                    f"\n{_indented(answer.get('traceback'))}"
                )
            return Prediction(self._map_of(answer, content, image), self._output)

    def close(self) -> None:
        """End the worker and its children."""
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.close()
                self._worker = None

    def _running(self) -> WorkerProcess:
        if self._closed:
            raise ModelError(f"model '{self.info.name}' was closed", hint="load it again")
        if self._worker is not None and self._worker.alive():
            return self._worker
        if self._restarts_left <= 0:
            raise ModelError(
                f"the worker of model '{self.info.name}' died too often and is not started again",
                hint="the errors of the images before this one say why",
            )
        self._restarts_left -= 1
        if self._worker is not None:
            self._worker.kill()
            self._worker = None
        self._worker, again = self._load()
        if again.get("weights_sha256") != self.loaded.get("weights_sha256"):
            raise ModelError(f"model '{self.info.name}' came back with other weights after its worker died")
        return self._worker

    def _load(self) -> tuple[WorkerProcess, dict[str, Any]]:
        try:
            worker = self._start()
            answer, _ = worker.ask({"type": "load", "request": self._request}, timeout=self._load_timeout)
        except WorkerDied as died:
            raise ModelError(f"the worker of model '{self.info.name}' {died}") from died
        worker.listener = None
        info = answer.get("info")
        if answer["type"] == "ready" and isinstance(info, dict):
            return worker, info
        worker.kill()
        if answer["type"] == "error":
            raise ModelError(
                f"model '{self.info.name}' cannot be loaded in its environment: {answer.get('message')}"
                f"\n{_indented(answer.get('traceback'))}"
            )
        raise ModelError(f"the worker of model '{self.info.name}' answered '{answer['type']}' to 'load'")

    def _map_of(self, answer: dict[str, Any], content: bytearray, image: Image) -> np.ndarray:
        wanted = list(image.shape[:2])
        shape, dtype = answer.get("shape"), answer.get("dtype")
        if answer["type"] != "prediction":
            raise ModelError(f"the worker of model '{self.info.name}' answered '{answer['type']}' to 'predict'")
        if dtype != "float32" or shape != wanted or len(content) != 4 * wanted[0] * wanted[1]:
            raise ModelError(
                f"the worker of model '{self.info.name}' returned {dtype} {shape} in {len(content)} bytes "
                f"for an image of {wanted}",
                hint="a prediction is float32 and has the height and width of the image it was given",
            )
        return np.frombuffer(content, dtype="<f4").reshape(wanted).astype(np.float32, copy=False)


def _check_image(image: object) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"an image must be uint8 [H, W, 3] in RGB order, got {got}")
    if image.size == 0:
        raise ImageError(f"an image must have at least one pixel, got {list(image.shape)}")


def _indented(text: object) -> str:
    return "\n".join(f"    {line}" for line in str(text or "").rstrip().splitlines()[-30:])


def _hint_for(restarts_left: int) -> str:
    if restarts_left <= 0:
        return "it is not started again"
    return "it is started again for the next image"
