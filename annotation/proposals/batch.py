"""One draw over the new images of a study: quotas of the scenes, the drawn pairs, and the order in which to ask."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .drawing import draw, generator_for
from .population import Candidates, Stratum, strata, stratum_numbers
from .settings import ProposalSettings
from .voting import VOTES, disagreement, vote

NAMESPACE = uuid.UUID("6b0a1d1e-6d1f-5f0a-9a55-0d4b2f6f7a31")


@dataclass(frozen=True)
class StratumCount:
    """What a stratum held and gave.

    Attributes:
        scene, stratum, route: which; a candidate belongs to one of them.
        images: images with a candidate in it.
        candidates: its population.
        wanted, expected: pairs asked of it, and their expected number after the limits.
        drawn: pairs.
    """

    scene: str
    stratum: str
    route: str
    images: int
    candidates: int
    wanted: float
    expected: float
    drawn: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def draw_batch(
    candidates: Sequence[Candidates],
    experts: Sequence[Mapping[str, Any]],
    settings: ProposalSettings,
    words: Sequence[object],
    already: Mapping[str, int],
) -> tuple[list[dict[str, Any]], list[StratumCount]]:
    """Draw pairs of images that nothing was drawn from before.

    Args:
        candidates: of each image.
        experts: ``name``, ``output``, ``weights_sha256`` and ``baseline`` of each.
        settings: of the proposal.
        words: what the draw depends on besides: seed, project, number of the batch.
        already: scene -> pairs that earlier batches drew; they count towards the quotas.

    Returns:
        Data of ``pair.proposed`` without project and position but with ``keypoints`` and ``candidate``, the numbers of
        its key points and of the candidate of its image, in the order of asking; and all strata.
    """
    columns = strata(
        settings, len(experts), sum(not about["baseline"] for about in experts)
    )  # a candidate of no column is outside of the population
    scenes: dict[str, list[Candidates]] = {}
    for item in sorted(candidates, key=lambda c: c.image.sha256):
        scenes.setdefault(item.image.scene, []).append(item)
    numbers = {scene: [stratum_numbers(item, columns) for item in items] for scene, items in scenes.items()}
    capacity = {
        scene: sum(min(int((n >= 0).sum()), settings.pairs_per_image) for n in all_n)
        for scene, all_n in numbers.items()
    }
    quotas = scene_quotas(capacity, already, settings)
    pairs: list[tuple[Candidates, dict[str, Any]]] = []
    counts: list[StratumCount] = []
    for scene, items in sorted(scenes.items()):
        sizes = np.array([np.bincount(n[n >= 0], minlength=len(columns)) for n in numbers[scene]], np.int64)
        wanted = wanted_of(columns, sizes.sum(axis=0), quotas[scene], settings)
        routes = list(dict.fromkeys(column.route for column in columns))
        weights = [_weights(item, n, columns, settings) for item, n in zip(items, numbers[scene], strict=True)]
        drawn, expected = draw(
            numbers[scene],
            weights,
            wanted,
            [routes.index(column.route) for column in columns],
            settings.pairs_per_image,
            generator_for("draw", *words, scene),
        )
        given = np.zeros(len(columns), np.int64)
        for one in drawn:
            item, column = items[one.image], numbers[scene][one.image][one.candidate]
            given[column] += 1
            data = _pair(item, one.candidate, columns[column], one.probability, experts, settings, words)
            pairs.append((item, data))
        counts += [
            StratumCount(
                scene, column.name(scene), column.route, int((sizes[:, k] > 0).sum()), int(sizes[:, k].sum()),
                round(float(wanted[k]), 6), round(float(expected[k]), 6), int(given[k]),
            )
            for k, column in enumerate(columns)
        ]  # fmt: skip
    return in_order(pairs, words), counts


def scene_quotas(capacity: Mapping[str, int], already: Mapping[str, int], settings: ProposalSettings) -> dict[str, int]:
    """Pairs to draw from each scene now.

    A scene with a quota of its own gets what it lacks. The others share ``pairs`` so that they end as equal as their
    images allow; without ``pairs`` they give all they can.

    Args:
        capacity: scene -> pairs that its new images can give.
        already: scene -> pairs drawn before.
    """
    quotas = {
        scene: max(0, min(capacity[scene], settings.scene_pairs.get(scene, capacity[scene]) - already.get(scene, 0)))
        if scene in settings.scene_pairs
        else capacity[scene]
        for scene in capacity
    }
    if settings.pairs is None:
        return quotas
    sharing = sorted(scene for scene in capacity if scene not in settings.scene_pairs)
    before = sum(count for scene, count in already.items() if scene not in settings.scene_pairs)
    left = max(0, settings.pairs - sum(settings.scene_pairs.values()) - before)
    given = dict.fromkeys(sharing, 0)
    heap = [(already.get(scene, 0), scene) for scene in sharing if capacity[scene]]
    heapq.heapify(heap)
    while heap and left:
        level, scene = heapq.heappop(heap)
        given[scene] += 1
        left -= 1
        if given[scene] < capacity[scene]:
            heapq.heappush(heap, (level + 1, scene))
    return {**quotas, **given}


def wanted_of(
    columns: Sequence[Stratum], candidates: NDArray[np.int64], total: int, settings: ProposalSettings
) -> list[float]:
    """Pairs wanted of each column: the control share of them unanimous; in a route, each band of the gap alike; in a
    band, each side alike. Columns without a candidate want none.
    """
    share = {"control": settings.control_share, "disagreement": 1 - settings.control_share, "uniform": 1.0}
    present = [column for column, count in zip(columns, candidates, strict=True) if count]
    wanted = []
    for column, count in zip(columns, candidates, strict=True):
        bands = {c.band for c in present if c.route == column.route}
        sides = {c.side for c in present if (c.route, c.band) == (column.route, column.band)}
        wanted.append(total * share[column.route] / (len(bands) * len(sides)) if count else 0.0)
    return wanted


def _weights(
    item: Candidates, numbers: NDArray[np.int64], columns: Sequence[Stratum], settings: ProposalSettings
) -> NDArray[np.float64]:
    disputed = np.array([column.route == "disagreement" for column in columns])[numbers]
    return np.where(disputed, np.maximum(item.score, 1e-3) ** settings.score_power, 1.0)


def _pair(
    item: Candidates,
    candidate: int,
    stratum: Stratum,
    probability: float,
    experts: Sequence[Mapping[str, Any]],
    settings: ProposalSettings,
    words: Sequence[object],
) -> dict[str, Any]:
    i, j = sorted((int(item.first[candidate]), int(item.second[candidate])), key=lambda n: item.points[n].tolist())
    points = [item.points[n].tolist() for n in (i, j)]
    number = uuid.uuid5(NAMESPACE, "/".join(map(str, (*words[:2], item.image.sha256, *points))))
    if number.int & 1:  # which point is called a must not tell anything
        i, j = j, i
    one, other = np.array([i]), np.array([j])
    ballots = vote(item.readings, one, other, settings.tie)
    votes = []
    for k, (about, reading) in enumerate(zip(experts, item.readings, strict=True)):
        votes.append(
            {
                "model": about["name"],
                "output": about["output"],
                **{f"value_{p}": _finite(reading.values[n]) for p, n in (("a", i), ("b", j))},
                **{f"median_{p}": _finite(reading.medians[n]) for p, n in (("a", i), ("b", j))},
                "vote": VOTES[int(ballots.votes[k, 0])],
                "more": {
                    "weights_sha256": about.get("weights_sha256"),
                    "spread": _finite(reading.spread),
                    "rank_a": _finite(reading.ranks[i]),
                    "rank_b": _finite(reading.ranks[j]),
                },
            }
        )
    return {
        "id": str(number),
        "image": item.image.sha256,
        **dict(zip(("a_row", "a_col"), item.points[i].tolist(), strict=True)),
        **dict(zip(("b_row", "b_col"), item.points[j].tolist(), strict=True)),
        "keypoints": (i, j),
        "candidate": candidate,
        "route": stratum.route,
        "stratum": stratum.name(item.image.scene),
        "probability": probability,
        "gap": _finite(item.gap[candidate]),
        "score": _finite(disagreement(ballots, settings.margin_weight)[0]) if votes else None,
        "votes": votes,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def in_order(pairs: Sequence[tuple[Candidates, dict[str, Any]]], words: Sequence[object]) -> list[dict[str, Any]]:
    """Order of asking: the pairs of an image together, images at random, scenes interleaved in proportion."""
    images = {item.image.sha256: item.image.scene for item, _ in pairs}
    places: dict[str, tuple[float, str, str]] = {}
    for scene in sorted(set(images.values())):
        members = sorted(sha for sha, s in images.items() if s == scene)
        order = np.argsort(generator_for("order", *words, scene).random(len(members)), kind="stable")
        for place, k in enumerate(order):
            places[members[k]] = ((place + 0.5) / len(members), scene, members[k])
    data = [pair for _, pair in pairs]
    return sorted(data, key=lambda pair: (places[pair["image"]], pair["id"]))
