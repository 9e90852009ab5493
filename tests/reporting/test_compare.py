"""Comparisons against computations that share no code with them, and refusals that say why."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dabench import protocols
from dabench.errors import RecordError, UsageError
from dabench.protocols import Protocol
from dabench.records import SCHEMA, to_json
from dabench.reporting.compare import COMPARISON_SCHEMA, compare, difference
from dabench.reporting.loaded import Record, load_record
from dabench.reporting.matching import align, match
from dabench.summary import summarise

Line = dict[str, Any]
GROUPS = ("indoor", "outdoor")
MODEL = {"output": "disparity", "notes": []}


def pair_lines(seed: int, share: float, images: int = 40, halves: bool = False) -> list[Line]:
    """The number of pairs of an image depends on its number, so that all runs have the same."""
    rng, lines = np.random.default_rng(seed), []
    for number in range(images):
        count = 1 + number % 4
        correct = [float(c) if halves else int(c) for c in rng.random(count) < share]
        if halves:
            correct = [c / 2 if rng.random() < 0.3 else c for c in correct]
        lines.append(
            {
                "id": f"images/{GROUPS[number % 2]}/{number:03d}", "group": GROUPS[number % 2], "status": "ok",
                "n_valid": count, "n_usable": count, "n_correct": sum(correct), "correct": correct, "seconds": 0.1,
            }
        )  # fmt: skip
    return lines


def dense_lines(protocol: Protocol, seed: int, level: float, images: int = 30) -> list[Line]:
    rng = np.random.default_rng(seed)
    return [
        {
            "id": f"images/{number:03d}", "group": GROUPS[number % 2], "status": "ok", "n_valid": 100 + number,
            "n_usable": 100 + number, "sequence": f"clip {number % 7}", "seconds": 0.1,
            **{name: float(rng.lognormal(np.log(level), 0.3)) for name in protocol.metrics},
        }
        for number in range(images)
    ]  # fmt: skip


Write = Callable[..., Record]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the records of a run as ``dabench eval`` lays them out."""

    def write_run(
        name: str, protocol: Protocol, lines: Sequence[Line], *, partial: bool = False, of: str = "x"
    ) -> Record:
        folder = tmp_path / name / protocol.id
        folder.mkdir(parents=True)
        selection = {"partial": partial, "samples": len(lines)}
        info: Line = {
            "schema": SCHEMA,
            "model": {"name": name, **MODEL},
            "protocol": {"id": protocol.id, "sha256": protocol.sha256, "text": protocol.text},
            "dataset": {"fingerprint": of},
            "selection": selection,
        }
        summary = summarise(protocol, lines, model=info["model"], dataset=selection, partial=partial)
        (folder / "run.json").write_text(json.dumps(info))
        (folder / "summary.json").write_text(json.dumps(to_json(summary)))
        # In another order than the samples': they finish in any.
        (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[::-1]))
        return load_record(folder)

    return write_run


def variant(name: str, total: str) -> Protocol:
    """A shipped protocol whose images are averaged in another way."""
    text = protocols.get(name).text
    (old,) = [line for line in text.splitlines() if line.startswith("total = ")]
    return protocols.parse(text.replace(old, f'total = "{total}"'), name)


PAIRS, DENSE = protocols.get("mini-pairs"), protocols.get("mini-depth")


def test_pairs_against_an_independent_computation(write: Write) -> None:
    lines = pair_lines(1, 0.6), pair_lines(2, 0.75)
    found = compare([write("a", PAIRS, lines[0]), write("b", PAIRS, lines[1])])
    result = found.comparisons[0].metrics["accuracy"]
    first, second = ([c for line in run for c in line["correct"]] for run in lines)
    assert (result.a, result.b) == pytest.approx((np.mean(first), np.mean(second)))
    assert result.difference == pytest.approx(np.mean(second) - np.mean(first))
    counts = [(x, y) for x, y in zip(first, second, strict=True)]
    only_a, only_b = counts.count((1, 0)), counts.count((0, 1))
    assert result.mcnemar is not None and not result.mcnemar.graded
    assert (result.mcnemar.only_a, result.mcnemar.only_b) == (only_a, only_b)
    assert result.mcnemar.p == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
    sums = np.array([y["n_correct"] - x["n_correct"] for x, y in zip(*lines, strict=True)], dtype=float)
    sizes = np.array([line["n_valid"] for line in lines[0]], dtype=float)
    drawn = stats.bootstrap(
        (sums, sizes), lambda s, n, axis=-1: s.sum(axis) / n.sum(axis), paired=True, method="percentile",
        n_resamples=2000, rng=np.random.default_rng(99),
    ).confidence_interval  # fmt: skip
    assert result.ci95 == pytest.approx((drawn.low, drawn.high), abs=0.02)
    swaps = stats.permutation_test(
        (sums, np.zeros(40)), lambda x, y, axis: (x - y).sum(axis), permutation_type="samples", n_resamples=4000,
        rng=np.random.default_rng(98),
    ).pvalue  # fmt: skip
    assert result.p == pytest.approx(swaps, abs=0.02) and result.p_holm == result.p
    assert result.better == ("b" if result.p <= 0.05 else None)


def test_a_run_has_the_values_of_its_summary(write: Write) -> None:
    for protocol in (
        DENSE, variant("mini-depth", "valid-weighted-mean"), variant("mini-depth", "mean-of-sequences"), PAIRS,
    ):  # fmt: skip
        lines = pair_lines(1, 0.6) if protocol is PAIRS else dense_lines(protocol, 3, 0.1)
        summary = summarise(protocol, lines, model=MODEL, dataset={}, partial=False)
        for name in protocol.metrics:
            aligned = align(protocol, name, [lines])
            assert aligned.means[0] == pytest.approx(summary["metrics"][name]["value"], rel=1e-12), protocol.aggregation


def test_dense_depth_swaps_and_draws_images(write: Write) -> None:
    lines = dense_lines(DENSE, 1, 0.10), dense_lines(DENSE, 2, 0.13)
    found = compare([write("a", DENSE, lines[0]), write("b", DENSE, lines[1])])
    (comparison,) = found.comparisons
    assert list(comparison.metrics) == list(DENSE.metrics) and found.unit == "image"
    a, b = (np.array([line["abs_rel"] for line in run]) for run in lines)
    result = comparison.metrics["abs_rel"]
    assert result.difference == pytest.approx((b - a).mean()) and result.mcnemar is None and result.clusters == 30
    assert result.p == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)
    assert result.better == "a" and comparison.metrics["delta1"].better == "b", "an error and a share"
    assert result.minimum_detectable_difference == pytest.approx(2.8016 * stats.sem(b - a), rel=1e-3)
    worst = max(zip(*lines, strict=True), key=lambda both: both[1]["abs_rel"] - both[0]["abs_rel"])
    assert comparison.a_better[0].id == worst[0]["id"] and len(comparison.a_better) <= 5
    assert all(s.difference < 0 for s in comparison.b_better)
    for group in comparison.groups:
        of = [line["group"] == group.group for line in lines[0]]
        assert group.difference == pytest.approx((b - a)[of].mean()) and group.images == 15
        assert group.ci95[0] < group.difference < group.ci95[1]
    sizes = [abs(group.difference) for group in comparison.groups]
    assert len(sizes) == 2 and sizes == sorted(sizes, reverse=True)


def test_sequences_are_the_clusters_where_the_protocol_averages_over_them() -> None:
    protocol = variant("mini-depth", "mean-of-sequences")
    lines = dense_lines(protocol, 1, 0.10), dense_lines(protocol, 2, 0.13)
    result = difference(protocol, "abs_rel", lines)
    clips = [[np.mean([x["abs_rel"] for x in run[n::7]]) for n in range(7)] for run in lines]
    assert result.clusters == 7
    assert (result.a, result.b) == pytest.approx((np.mean(clips[0]), np.mean(clips[1])))
    exact = stats.permutation_test(
        (clips[0], clips[1]), lambda x, y, axis: (y - x).mean(axis), permutation_type="samples"
    ).pvalue  # fmt: skip
    assert result.p == pytest.approx(exact, rel=1e-12)


def test_images_without_a_value_in_one_run_are_left_out_of_both(write: Write) -> None:
    lines = dense_lines(DENSE, 1, 0.1), dense_lines(DENSE, 2, 0.1)
    lines[1][4] |= dict.fromkeys(DENSE.metrics) | {"status": "failed", "n_valid": 0, "n_usable": 0}
    found = compare([write("a", DENSE, lines[0]), write("b", DENSE, lines[1])])
    result = found.comparisons[0].metrics["abs_rel"]
    assert result.missing == 1 and result.clusters == 29
    assert result.a == pytest.approx(np.mean([x["abs_rel"] for n, x in enumerate(lines[0]) if n != 4]))
    assert any("1 samples failed" in note and "images/004" in note for note in found.matched.notes)
    assert "images/004" not in {s.id for c in found.comparisons for s in (*c.a_better, *c.b_better)}


def test_images_without_a_value_in_any_run_are_not_missing(write: Write) -> None:
    lines = dense_lines(DENSE, 1, 0.1), dense_lines(DENSE, 2, 0.1)
    for run in lines:
        run[4] |= dict.fromkeys(DENSE.metrics) | {"status": "empty", "n_valid": 0, "n_usable": 0}
    result = compare([write("a", DENSE, lines[0]), write("b", DENSE, lines[1])]).comparisons[0].metrics["abs_rel"]
    assert result.missing == 0 and result.clusters == 29


@pytest.mark.parametrize("total", ["mean-of-images", "valid-weighted-mean", "mean-of-sequences"])
def test_runs_without_any_value_have_no_verdict(total: str) -> None:
    protocol = variant("mini-depth", total)
    lines = [[line | dict.fromkeys(protocol.metrics) for line in dense_lines(protocol, seed, 0.1)] for seed in (1, 2)]
    result = difference(protocol, "abs_rel", lines)
    assert result.clusters == 0 and result.better is None
    assert all(np.isnan(v) for v in (result.a, result.difference, result.p, *result.ci95))


def test_half_credits_count_as_halves(write: Write) -> None:
    lines = pair_lines(1, 0.6, halves=True), pair_lines(2, 0.8, halves=True)
    result = compare([write("a", PAIRS, lines[0]), write("b", PAIRS, lines[1])]).comparisons[0].metrics["accuracy"]
    first, second = (np.array([c for line in run for c in line["correct"]]) for run in lines)
    assert 0.5 in first and result.b == pytest.approx(second.mean())
    assert result.mcnemar is not None and result.mcnemar.graded
    assert (result.mcnemar.only_a, result.mcnemar.only_b) == ((first > second).sum(), (second > first).sum())


def test_whdr_is_an_error(write: Write) -> None:
    text = PAIRS.text.replace('metrics = ["accuracy"]', 'metrics = ["whdr"]')
    whdr = protocols.parse(text, "test")
    lines = pair_lines(1, 0.3), pair_lines(2, 0.9)
    found = compare([write("a", whdr, lines[0]), write("b", whdr, lines[1])]).comparisons[0]
    result = found.metrics["whdr"]
    assert result.a > result.b and result.difference < 0 and result.better == "b"
    assert result.mcnemar is not None and result.mcnemar.only_b > result.mcnemar.only_a
    assert found.b_better[0].difference > 0, "samples are numbers of correct pairs"


def test_holm_over_several_models(write: Write) -> None:
    runs = [write(name, PAIRS, pair_lines(seed, 0.6 + seed / 20)) for seed, name in enumerate("abcd")]
    first = compare(runs)
    assert [(c.a, c.b) for c in first.comparisons] == [(0, 1), (0, 2), (0, 3)]
    p = [c.metrics["accuracy"].p for c in first.comparisons]
    order = np.argsort(p)
    by_hand = np.minimum(1, np.maximum.accumulate(np.array(p)[order] * [3, 2, 1]))
    assert [first.comparisons[i].metrics["accuracy"].p_holm for i in order] == pytest.approx(list(by_hand))
    everyone = compare(runs, all_pairs=True)
    assert len(everyone.comparisons) == 6
    assert all(c.metrics["accuracy"].p_holm >= c.metrics["accuracy"].p for c in everyone.comparisons)


def test_the_json_is_stable_and_has_no_nan(write: Write) -> None:
    found = compare([write("a", PAIRS, pair_lines(1, 0.5, 1)), write("b", PAIRS, pair_lines(2, 0.5, 1))]).to_json()
    text = json.dumps(found, allow_nan=False)
    assert found["comparisons"][0]["metrics"]["accuracy"]["ci95"] == [None, None], "one image says nothing"
    assert json.loads(text) == found and found["schema"] == COMPARISON_SCHEMA == 1
    page = (Path(__file__).resolve().parents[2] / "docs" / "compare.md").read_text()

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {k for inner in value.values() for k in keys(inner)}
        return {k for inner in value for k in keys(inner)} if isinstance(value, list) else set()

    unnamed = {key for key in keys(found) - {"accuracy"} if f"`{key}`" not in page}
    assert not unnamed, "docs/compare.md describes every key"


def refusal(*records: Record, common: bool = False) -> str:
    with pytest.raises(RecordError) as caught:
        match(records, common=common)
    assert caught.value.exit_code == 2 and caught.value.hint
    return str(caught.value)


def test_unlike_protocols_are_refused(write: Write) -> None:
    a, b = write("a", PAIRS, pair_lines(1, 0.5)), write("b", DENSE, dense_lines(DENSE, 1, 0.1))
    text = refusal(a, b)
    assert "different protocols" in text and "dabench show --compare mini-pairs@1 mini-depth@1" in text
    changed = protocols.parse(PAIRS.text + "\n# another text\n", "test")
    text = refusal(a, write("c", changed, pair_lines(2, 0.5)))
    assert "texts are not the same" in text and PAIRS.sha256 in text and changed.sha256 in text


def test_incomplete_runs_are_refused(write: Write) -> None:
    a, b = (write(name, PAIRS, pair_lines(1, 0.5)) for name in "ab")
    samples = b.path / "samples.jsonl"
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:7]))
    assert "damaged" in refusal(a, b)
    (b.path / "summary.json").unlink()
    text = refusal(a, load_record(b.path))
    assert "not complete: 7 of 40" in text and str(b.path) in text


def test_other_samples_are_refused_and_the_common_ones_compared(write: Write) -> None:
    lines = pair_lines(1, 0.6)
    a, b = write("a", PAIRS, lines), write("b", PAIRS, pair_lines(2, 0.8)[:25], partial=True)
    text = refusal(a, b)
    assert "they share 25" in text and "40 samples" in text and "--common" in text
    found = compare([a, b], common=True)
    assert found.matched.partial and "25 samples" in found.matched.notes[0]
    content = found.to_json()
    shared = np.mean([c for line in lines[:25] for c in line["correct"]])
    assert content["partial"] is True and content["samples"] == 25
    assert content["runs"][0]["metrics"]["accuracy"]["value"] == pytest.approx(shared)
    assert content["comparisons"][0]["metrics"]["accuracy"]["a"] == pytest.approx(shared)
    low, high = content["runs"][0]["metrics"]["accuracy"]["ci95"]
    assert low < shared < high
    other = write("c", PAIRS, pair_lines(2, 0.8)[25:], partial=True)
    assert "they share 0" in refusal(b, other) and "they share 0" in refusal(b, other, common=True)


def test_parts_of_a_split_that_are_the_same_can_be_compared(write: Write) -> None:
    a, b = (write(name, PAIRS, pair_lines(seed, 0.6)[:25], partial=True) for seed, name in enumerate("ab"))
    found = compare([a, b])
    assert found.matched.partial and not found.matched.reduced and "part of the split" in found.matched.notes[0]


def test_other_labels_are_refused(write: Write) -> None:
    a, b = write("a", PAIRS, pair_lines(1, 0.6)), write("b", PAIRS, pair_lines(2, 0.6), of="y")
    assert "fingerprint y" in refusal(a, b)
    lines = pair_lines(2, 0.6)
    lines[3] |= {"n_valid": 9, "correct": [1] * 9, "n_correct": 9}
    assert "'images/outdoor/003'" in refusal(a, write("c", PAIRS, lines))


def test_a_comparison_needs_two_runs(write: Write) -> None:
    a = write("a", PAIRS, pair_lines(1, 0.6))
    for runs, reason in (([a], "at least two"), ([a, a], "with itself")):
        with pytest.raises(UsageError, match=reason):
            compare(runs)
