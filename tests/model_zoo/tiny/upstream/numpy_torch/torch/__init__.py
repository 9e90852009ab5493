"""The few functions of torch that the adapters call, over NumPy: a worker that imports this starts in a moment."""

import contextlib
import os
import pickle
import shutil
import types
import urllib.request

import numpy as np

__version__ = "0.0"
float32 = np.float32


class Tensor(np.ndarray):
    def permute(self, *axes):
        return self.transpose(*axes)

    def to(self, *_, **__):
        return self

    detach = cpu = to

    def float(self):
        return self.astype(np.float32)

    def numpy(self):
        return np.array(self)

    def clamp(self, lowest, highest):
        return self.clip(lowest, highest)

    def numel(self):
        return self.size


def from_numpy(array):
    assert array.flags.writeable, "torch warns of arrays that are not writable"
    return array.view(Tensor)


def device(name):
    return name


def manual_seed(seed):
    np.random.seed(seed)


def load(path, map_location=None):
    with open(path, "rb") as stream:  # noqa: PTH123
        return pickle.load(stream)


def _download(address, path):
    with urllib.request.urlopen(address) as answer, open(path, "wb") as target:  # noqa: PTH123
        shutil.copyfileobj(answer, target)


inference_mode = contextlib.nullcontext
cuda = types.SimpleNamespace(is_available=lambda: False)
backends = types.SimpleNamespace()
hub = types.SimpleNamespace(get_dir=lambda: os.environ["TORCH_HOME"] + "/hub", download_url_to_file=_download)

from . import nn  # noqa: E402, F401
