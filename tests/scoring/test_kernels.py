"""The compiled loops: when they are imported, what happens to a broken cache, and how exact their logarithm is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from dabench.scoring import kernels
from dabench.scoring.kernels import Kernel
from dabench.scoring.metrics import pixel_sums
from dabench.scoring.pixels import Pixels, Workers


def double(values, out):  # type: ignore[no-untyped-def]
    for i in range(values.size):
        out[i] = 2.0 * values[i]


def doubled(kernel: Kernel) -> list[float]:
    out = np.zeros(3)
    kernel(np.array([1.0, np.nan, np.inf]), out)
    return [float(v) for v in out]


@pytest.mark.parametrize(
    "code", ["import dabench.scoring.dense", "import dabench.evaluate", "import dabench.protocols.rule"]
)
def test_numba_is_imported_by_the_first_score_only(code: str) -> None:
    script = f"{code}\nimport sys\nassert 'numba' not in sys.modules and 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_cache_is_used_and_survives_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert doubled(Kernel(double))[0] == 2.0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    again = Kernel(double)
    assert doubled(again)[0] == 2.0 and sum(again._compiled.stats.cache_hits.values()) == 1
    for suffix in (".nbc", ".nbi"):
        for content in (b"", b"not a cache", files[0].read_bytes()[:40]):
            for path in files:
                if path.suffix == suffix:
                    path.write_bytes(content)
            out = doubled(Kernel(double))
            assert out[0] == 2.0 and np.isnan(out[1]) and out[2] == np.inf


def test_no_folder_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    for kind in (caching.CacheImpl, caching.CompileResultCacheImpl):
        monkeypatch.setattr(kind, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(double)
    assert doubled(Kernel(double))[0] == 2.0


def test_an_error_of_its_own_is_not_hidden() -> None:
    with pytest.raises(numba.TypingError):
        Kernel(double)("text", np.zeros(3))


def test_logarithm() -> None:
    rng = np.random.default_rng(0)
    for x in (np.exp(rng.uniform(-200, 200, 4000)), 1 + rng.normal(0, 1e-6, 4000), np.array([1.0, 0.5, 2.0, 2**0.5])):
        found = np.array([kernels._log(v) for v in x])
        np.testing.assert_allclose(found, np.log(x), rtol=4e-15, atol=0)


@pytest.mark.parametrize("spread", [1e-6, 1e-3, 0.1, 1.0, 6.0])
@pytest.mark.parametrize("offset", [0.0, 0.02, -1.0])
def test_sums_of_logarithms(spread: float, offset: float) -> None:
    """Near ratios take a series and far ones the logarithm itself; both are exact enough for every metric."""
    rng = np.random.default_rng(0)
    g = np.exp(rng.normal(0.0, 1.0, 3000)).astype(np.float32)
    p = (g * np.exp(rng.normal(offset, spread, g.size))).astype(np.float32)
    pixels = Pixels.of(p, g, Workers())
    found = pixels.sums(
        invert=False, in_disparity=False, on_disparity=False, scale=1.0, shift=0.0, low=1e-30, high=1e30
    )
    np.testing.assert_allclose(found, pixel_sums(p, g), rtol=3e-10, atol=1e-12)
