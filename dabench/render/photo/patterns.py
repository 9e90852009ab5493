"""Textures that only the photo split uses: weathered, woven and grown surfaces."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from dabench.render.noise import SIZE, grid, spectral_noise


def _cells(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest and second distance [SIZE, SIZE] to random points, tiling, and the nearest one's number."""
    u, v = grid()
    points = rng.random((count, 2))
    dx, dy = np.abs(u[..., None] - points[:, 0]), np.abs(v[..., None] - points[:, 1])
    distance = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy))
    two = np.partition(distance, 1, axis=-1)
    return two[..., 0], two[..., 1], distance.argmin(axis=-1)


def _gravel(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.integers(60, 160))
    first, second, number = _cells(rng, count)
    swell = np.clip((second - first) * np.sqrt(count) * 1.6, 0, 1) ** 0.6
    return swell * (0.35 + 0.65 * rng.random(count)[number]) * (0.8 + 0.2 * spectral_noise(rng, 0.5))


def _concrete(rng: np.random.Generator) -> np.ndarray:
    face = 0.6 + 0.35 * (spectral_noise(rng, 1.5) - 0.5) + 0.2 * (spectral_noise(rng, 0.3) - 0.5)
    stain = np.clip((spectral_noise(rng, 2.0, 0.25) - rng.uniform(0.55, 0.8)) * 2, 0, 0.35)
    pits = spectral_noise(rng, 0.6) < rng.uniform(0.0, 0.05)
    return np.where(pits, 0.15, face - stain)


def _rust(rng: np.random.Generator) -> np.ndarray:
    bloom = spectral_noise(rng, 1.4)
    edge = rng.uniform(0.35, 0.65)
    return np.where(bloom > edge, 0.75 + 0.2 * spectral_noise(rng, 0.8), 0.5 * bloom + 0.2 * spectral_noise(rng, 0.4))


def _brushed(rng: np.random.Generator) -> np.ndarray:
    return 0.5 + 0.5 * (spectral_noise(rng, 0.4, 30.0) - 0.5) + 0.3 * (spectral_noise(rng, 1.8) - 0.5)


def _carpet(rng: np.random.Generator) -> np.ndarray:
    return 0.55 * spectral_noise(rng, 0.1) + 0.45 * spectral_noise(rng, 1.7)


def _terrazzo(rng: np.random.Generator) -> np.ndarray:
    first, _, number = _cells(rng, 110)
    chip = first < 0.045 * rng.random(110)[number] + 0.006 * spectral_noise(rng, 0.8)
    return np.where(chip, rng.random(110)[number], 0.8 - 0.1 * spectral_noise(rng, 0.7))


def _hexagons(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    n = int(rng.integers(2, 5))
    x, y = u * n * 2, v * n * 2
    best, second = np.full(u.shape, 9.0), np.full(u.shape, 9.0)
    tone, draws = np.zeros(u.shape), rng.random((2 * n, 2 * n, 2))
    for i in range(-1, 2 * n + 1):
        for j in range(2):
            cx = i + 0.5 * j
            row = np.rint((y - j) / 2)
            d = np.hypot((x - cx - 0.25) * 1.155, y - j - 2 * row)
            closer = d < best
            second = np.where(closer, best, np.minimum(second, d))
            tone = np.where(closer, draws[i % (2 * n), row.astype(int) % (2 * n), j], tone)
            best = np.minimum(best, d)
    return np.where(second - best < 0.14, rng.choice([0.05, 1.0]), 0.35 + 0.4 * tone + 0.15 * spectral_noise(rng, 1.0))


def _wicker(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    n = int(rng.integers(4, 9)) * 2
    over = (np.floor(u * n) + np.floor(v * n)) % 2 == 0
    strand = np.where(over, np.sin((v * n % 1) * np.pi), np.sin((u * n % 1) * np.pi))
    along = np.where(over, np.sin((u * n % 1) * np.pi), np.sin((v * n % 1) * np.pi))
    return np.clip(strand, 0, 1) ** 0.5 * (0.45 + 0.4 * along) + 0.15 * spectral_noise(rng, 0.5)


def _shingles(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    rows, columns = int(rng.integers(4, 9)) * 2, int(rng.integers(4, 9))
    row = np.floor(v * rows).astype(int)
    x = (u * columns + 0.5 * (row % 2)) % columns
    tone = rng.random((rows, columns))[row % rows, np.floor(x).astype(int)]
    lower = v * rows % 1
    gap = (np.abs(x % 1 - 0.5) > 0.46) & (lower > 0.1)
    return np.where(gap, 0.05, (0.3 + 0.45 * tone) * (0.45 + 0.55 * lower) + 0.2 * spectral_noise(rng, 0.8))


def _corrugated(rng: np.random.Generator) -> np.ndarray:
    u, _ = grid()
    n = int(rng.integers(6, 16))
    wave = 0.55 + 0.4 * np.sin(u * n * 2 * np.pi)
    streak = np.clip(spectral_noise(rng, 1.2, 0.15) - 0.6, 0, 1)
    return wave * (0.85 + 0.15 * spectral_noise(rng, 0.7)) - 0.7 * streak


def _sand_ripples(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    warp = 0.35 * spectral_noise(rng, 2.0)
    wave = np.sin((v * int(rng.integers(5, 12)) + 0.15 * np.sin(2 * np.pi * u) + 3 * warp) * 2 * np.pi)
    return 0.55 + 0.25 * wave + 0.3 * (spectral_noise(rng, 0.3) - 0.5)


def _cracked(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.integers(14, 50))
    first, second, number = _cells(rng, count)
    gap = second - first + 0.02 * (spectral_noise(rng, 0.8) - 0.5)
    plate = 0.6 + 0.15 * rng.random(count)[number] + 0.25 * (spectral_noise(rng, 0.9) - 0.5)
    return np.where(gap < 0.012, 0.04, plate * np.clip(0.75 + gap * 4, 0, 1))


def _lichen(rng: np.random.Generator) -> np.ndarray:
    rock = 0.3 + 0.35 * spectral_noise(rng, 1.1)
    growth = spectral_noise(rng, 1.3) + 0.25 * spectral_noise(rng, 0.3)
    return np.where(growth > rng.uniform(0.65, 0.95), 0.7 + 0.3 * spectral_noise(rng, 0.4), rock)


def _turf(rng: np.random.Generator) -> np.ndarray:
    page = (0.25 * spectral_noise(rng, 1.3)).astype(np.float32)
    for _ in range(900):
        x, y, lean, tall = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.normal(0, 3), rng.uniform(4, 11)
        for dx in (-SIZE, 0, SIZE):
            for dy in (0, SIZE):
                start, end = (round(x + dx), round(y + dy)), (round(x + dx + lean), round(y + dy - tall))
                cv2.line(page, start, end, float(rng.uniform(0.25, 1.0)), 1, cv2.LINE_AA)
    return page


def _leaf_litter(rng: np.random.Generator) -> np.ndarray:
    page = (0.2 * spectral_noise(rng, 1.0)).astype(np.float32)
    for _ in range(260):
        x, y = rng.uniform(0, SIZE, 2)
        axes = (int(rng.integers(3, 8)), int(rng.integers(2, 4)))
        angle, tone = float(rng.uniform(0, 360)), float(rng.uniform(0.15, 1.0))
        for dx in (-SIZE, 0, SIZE):
            for dy in (-SIZE, 0, SIZE):
                cv2.ellipse(page, (int(x + dx), int(y + dy)), axes, angle, 0, 360, tone, -1, cv2.LINE_AA)
    return page


def _knit(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    n = int(rng.integers(6, 14))
    slope = np.abs((u * n) % 1 - 0.5)
    stitch = np.sin((v * n * 1.0 + slope) * 2 * np.pi)
    rib = 0.75 + 0.25 * np.cos(u * n * 2 * np.pi)
    return (0.55 + 0.35 * stitch) * rib + 0.15 * (spectral_noise(rng, 0.4) - 0.5)


def _ashlar(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    rows = int(rng.integers(3, 7))
    heights = np.cumsum(rng.uniform(0.6, 1.5, rows))
    edges = np.concatenate([[0], heights / heights[-1]])
    row = np.clip(np.searchsorted(edges, v, side="right") - 1, 0, rows - 1)
    page = np.zeros(u.shape)
    for k in range(rows):
        cuts = np.sort(rng.random(int(rng.integers(2, 5))))
        inside = row == k
        number = np.searchsorted(cuts, u[inside])
        tone = rng.random(len(cuts) + 1)
        tone[-1] = tone[0]
        joint = np.abs(u[inside][:, None] - cuts).min(axis=1) < 0.012
        joint |= v[inside] - edges[k] < 0.02
        page[inside] = np.where(joint, 0.1, 0.35 + 0.4 * tone[number])
    return page + 0.35 * (spectral_noise(rng, 0.9) - 0.5)


def _damask(rng: np.random.Generator) -> np.ndarray:
    quarter = cv2.resize(spectral_noise(rng, 1.9)[:64, :64], (64, 64))
    half = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    page = np.concatenate([half, half[::-1]], axis=0)
    return np.clip((page - 0.5) * 8, -1, 1) * 0.3 + 0.5 + 0.15 * (spectral_noise(rng, 0.2, 4.0) - 0.5)


def _knotty(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    field = v * rng.uniform(4, 8) + 0.6 * spectral_noise(rng, 2.2, 5.0)
    for _ in range(int(rng.integers(1, 4))):
        cu, cv, r = rng.random(), rng.random(), rng.uniform(0.03, 0.07)
        du, dv = (u - cu + 0.5) % 1 - 0.5, (v - cv + 0.5) % 1 - 0.5
        field = field + 1.6 * np.exp(-((du / 2.2) ** 2 + dv**2) / r**2)
    ring = np.abs((field % 1) - 0.5) * 2
    return 0.75 - 0.45 * ring**3 + 0.3 * (spectral_noise(rng, 0.5, 20.0) - 0.5)


def _furrows(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    n = int(rng.integers(8, 20))
    line = 0.5 + 0.4 * np.sin((v * n + 0.1 * np.sin(u * 2 * np.pi)) * 2 * np.pi)
    return line * (0.55 + 0.45 * spectral_noise(rng, 0.5)) + 0.25 * (spectral_noise(rng, 1.8) - 0.5)


def _glazing(rng: np.random.Generator) -> np.ndarray:
    """A curtain wall: panes that mirror patches of sky, thin mullions."""
    u, v = grid()
    rows, columns = int(rng.integers(4, 9)), int(rng.integers(3, 9))
    tone = rng.random((rows, columns))[np.floor(v * rows).astype(int), np.floor(u * columns).astype(int)]
    bar = (u * columns % 1 < 0.1) | (v * rows % 1 < 0.12)
    return np.where(bar, rng.choice([0.05, 0.95]), 0.15 + 0.35 * tone + 0.3 * spectral_noise(rng, 1.8))


def _arcade(rng: np.random.Generator) -> np.ndarray:
    """Round-headed windows with sills in rough plaster."""
    u, v = grid()
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    x, y = u * columns % 1 - 0.5, v * rows % 1
    half = rng.uniform(0.16, 0.28)
    top = 0.3
    body = (np.abs(x) < half) & (y > top) & (y < 0.82)
    head = np.hypot(x, (y - top) * columns / rows * 0.9) < half
    frame = ((np.abs(x) < half + 0.05) & (y > top) & (y < 0.88)) | (np.hypot(x, (y - top) * 0.9) < half + 0.05)
    wall = 0.65 + 0.3 * (spectral_noise(rng, 1.3) - 0.5)
    open_ = (body | head) & (np.abs(x) > 0.015)
    return np.where(open_, 0.08 + 0.12 * spectral_noise(rng, 1.5), np.where(frame, 0.92, wall))


def _scales(rng: np.random.Generator) -> np.ndarray:
    u, v = grid()
    n = int(rng.integers(5, 11))
    page = np.zeros(u.shape)
    for layer in range(2):
        x, y = (u * n + 0.5 * layer) % 1 - 0.5, (v * n + 0.5 * layer) % 1 - 0.3
        disc = np.hypot(x, y)
        page = np.where(disc < 0.5, np.maximum(page, 0.9 - 1.3 * np.abs(disc - 0.2)), page)
    return page * (0.8 + 0.2 * spectral_noise(rng, 1.0))


def _poster(rng: np.random.Generator) -> np.ndarray:
    """A printed sheet: a big soft figure, bars, lines of text-like dashes."""
    u, v = grid()
    page = 0.85 - 0.4 * (spectral_noise(rng, 2.0) > rng.uniform(0.4, 0.7)) * (v < 0.7)
    for _ in range(int(rng.integers(1, 4))):
        level = rng.uniform(0.05, 0.6)
        page = np.where(np.abs(v - rng.uniform(0.05, 0.95)) < rng.uniform(0.01, 0.06), level, page)
    dashes = (np.abs(v * 30 % 1 - 0.5) < 0.2) & (rng.random((SIZE, SIZE // 4)).repeat(4, axis=1) < 0.75)
    return np.where(dashes & (v > 0.75) & (np.abs(u - 0.5) < 0.4), 0.1, page)


def _vista(rng: np.random.Generator) -> np.ndarray:
    """What a window shows, out of focus: bright sky, dim trees and roofs."""
    _, v = grid()
    skyline = 0.45 + 0.35 * (spectral_noise(rng, 1.5)[7] - 0.5)
    page = np.where(v > skyline[None], 0.35 * spectral_noise(rng, 1.2), 0.9 + 0.1 * spectral_noise(rng, 1.8))
    return cv2.GaussianBlur(page.astype(np.float32), (0, 0), 2.0)


def _tread(rng: np.random.Generator) -> np.ndarray:
    """Chequer plate: raised lozenges that alternate in direction."""
    u, v = grid()
    n = int(rng.integers(5, 10)) * 2
    x, y = u * n % 1 - 0.5, v * n % 1 - 0.5
    lean = np.where((np.floor(u * n) + np.floor(v * n)) % 2 == 0, 1, -1)
    a, b = (x + lean * y) * 0.7, (x - lean * y) * 0.7
    return np.where((a / 0.36) ** 2 + (b / 0.12) ** 2 < 1, 0.9, 0.45) + 0.25 * (spectral_noise(rng, 1.0) - 0.5)


PHOTO_PATTERNS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "gravel": _gravel,
    "concrete": _concrete,
    "rust": _rust,
    "brushed": _brushed,
    "carpet": _carpet,
    "terrazzo": _terrazzo,
    "hexagons": _hexagons,
    "wicker": _wicker,
    "shingles": _shingles,
    "corrugated": _corrugated,
    "sand_ripples": _sand_ripples,
    "cracked": _cracked,
    "lichen": _lichen,
    "turf": _turf,
    "leaf_litter": _leaf_litter,
    "knit": _knit,
    "ashlar": _ashlar,
    "damask": _damask,
    "knotty": _knotty,
    "furrows": _furrows,
    "glazing": _glazing,
    "arcade": _arcade,
    "scales": _scales,
    "poster": _poster,
    "vista": _vista,
    "tread": _tread,
}
