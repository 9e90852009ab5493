"""Protocols that fit or average by sequence."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dabench.errors import ProtocolError, RecordError
from dabench.evaluate import evaluate, evaluate_many
from dabench.run import PassProgress, Progress, Run
from dabench.scoring.statistics import cluster_bootstrap_interval

BY_SEQUENCE = 'scope = "sequence"'


def depth_of(image: np.ndarray) -> np.ndarray:
    """The depth that a toy image tells, with an error that differs from frame to frame."""
    codes = image[..., 0].astype(np.float64) + 256.0 * image[..., 1]
    return (1.0 + codes / 1000.0) * (1 + 0.05 * (image[..., 2] % 10) + 0.05 * np.sin(codes))


def disparity(image: np.ndarray) -> np.ndarray:
    return 1.0 / depth_of(image)


def run_of(root: Path, protocol: Any, model: Callable[[np.ndarray], Any] = disparity, **options: Any) -> Run:
    options = {"output": "disparity", "name": "model", "data_root": root, **options}
    return evaluate(model, protocol, **options)


def lines_of(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.samples]


def test_one_fit_for_all_images_of_a_sequence(toy: Any, recipe: Any) -> None:
    root = toy(clips=(3, 4))
    run = run_of(root, recipe(alignment=BY_SEQUENCE))
    fits = {line["sequence"]: line["fit"] for line in run.samples}
    assert [line["sequence"] for line in run.samples] == ["clip0"] * 3 + ["clip1"] * 4
    assert all(line["fit"] == fits[line["sequence"]] for line in run.samples) and fits["clip0"] != fits["clip1"]
    for clip, frames in (("clip0", 3), ("clip1", 4)):
        images = [np.asarray(Image.open(root / f"toy/images/{clip}/{i:02}.png")) for i in range(frames)]
        truths = [np.load(root / f"toy/near/{clip}/{i:02}.npy") for i in range(frames)]
        known = [truth > 0 for truth in truths]
        p = np.concatenate([disparity(i).astype("f4")[k] for i, k in zip(images, known, strict=True)]).astype("f8")
        g = np.concatenate([t[k] for t, k in zip(truths, known, strict=True)]).astype("f8")
        scale, shift = np.polyfit(p, 1 / g, 1)
        assert fits[clip]["scale"] == pytest.approx(scale, rel=1e-6)
        assert fits[clip]["shift"] == pytest.approx(shift, rel=1e-5, abs=1e-8)
        for number, line in enumerate(line for line in run.samples if line["sequence"] == clip):
            values = disparity(images[number]).astype("f4")[known[number]].astype("f8")
            aligned = np.clip(1 / np.maximum(scale * values + shift, 1e-3), 1e-3, 100.0)
            truth = truths[number][known[number]]
            assert line["abs_rel"] == pytest.approx(np.mean(np.abs(aligned - truth) / truth), rel=1e-5)
    alone = run_of(root, recipe())
    assert len({line["fit"]["scale"] for line in alone.samples}) == 7 and "sequence" not in alone.samples[0]


def test_it_shares_a_pass_with_others(toy: Any, recipe: Any) -> None:
    root = toy(clips=(2, 3, 2))
    chosen = [recipe("each"), recipe("even", split="even", alignment=BY_SEQUENCE), recipe("all", alignment=BY_SEQUENCE)]
    calls = 0

    def model(image: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return disparity(image)

    together = evaluate_many(model, chosen, output="disparity", name="model", data_root=root)
    assert calls == 7
    for run, protocol in zip(together, chosen, strict=True):
        assert lines_of(run) == lines_of(run_of(root, protocol))


def test_metric_output_is_not_fitted(toy: Any, recipe: Any) -> None:
    root = toy(clips=(2,))
    by_sequence = run_of(root, recipe(alignment=BY_SEQUENCE), depth_of, output="metric")
    by_image = run_of(root, recipe(), depth_of, output="metric")
    assert [x["abs_rel"] for x in by_sequence.samples] == [x["abs_rel"] for x in by_image.samples]
    assert all(line["fit"] is None for line in by_sequence.samples)


@pytest.mark.parametrize("after", [1, 3, 4, 6])
def test_an_interrupted_sequence_is_fitted_again_as_a_whole(toy: Any, recipe: Any, tmp_path: Path, after: int) -> None:
    root, protocol = toy(clips=(3, 4)), recipe(alignment=BY_SEQUENCE)

    def interrupt(state: Progress) -> None:
        if state.done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of(root, protocol, out=tmp_path, progress=interrupt)
    path = tmp_path / "model" / "toy-a@1" / "samples.jsonl"
    assert path.read_text().count("\n") == after
    shown: list[int] = []

    def model(image: np.ndarray) -> np.ndarray:
        shown.append(int(image[0, 0, 2]))
        return disparity(image)

    resumed = run_of(root, protocol, model, out=tmp_path)
    assert shown == ([10, 11, 12, 13] if after >= 3 else [0, 1, 2, 10, 11, 12, 13])
    assert lines_of(resumed) == lines_of(run_of(root, protocol))
    assert path.read_text().count("\n") == 7


def test_a_mended_image_changes_the_fit_of_its_sequence(toy: Any, recipe: Any, tmp_path: Path) -> None:
    root, protocol = toy(clips=(3, 4)), recipe(alignment=BY_SEQUENCE)
    whole = run_of(root, protocol)
    victim = root / "toy/images/clip1/02.png"
    content = victim.read_bytes()
    victim.write_bytes(content[:100])
    short = run_of(root, protocol, out=tmp_path)
    assert [line["status"] for line in short.samples].count("failed") == 1
    assert short.samples[3]["fit"] != whole.samples[3]["fit"], "fitted without the damaged one"
    victim.write_bytes(content)
    shown: list[int] = []

    def model(image: np.ndarray) -> np.ndarray:
        shown.append(int(image[0, 0, 2]))
        return disparity(image)

    mended = run_of(root, protocol, model, out=tmp_path)
    assert sorted(shown) == [10, 11, 12, 13] and lines_of(mended) == lines_of(whole)


def test_a_failing_model_leaves_the_rest_of_the_sequence(toy: Any, recipe: Any) -> None:
    def model(image: np.ndarray) -> np.ndarray:
        if image[0, 0, 2] == 1:
            raise RuntimeError("out of ideas")
        return disparity(image)

    run = run_of(toy(clips=(3,)), recipe(alignment=BY_SEQUENCE), model)
    assert [line["status"] for line in run.samples] == ["ok", "failed", "ok"]
    assert run.samples[0]["fit"] == run.samples[2]["fit"] is not None and run.samples[1]["delta1"] == 0


def test_another_selection_is_another_run(toy: Any, recipe: Any, tmp_path: Path) -> None:
    """A sequence of which only a part is chosen has another fit."""
    root, protocol = toy(clips=(3,)), recipe(alignment=BY_SEQUENCE)
    ids = [f"images/clip0/{i:02}" for i in range(3)]
    run_of(root, protocol, out=tmp_path, subset=ids[:2])
    with pytest.raises(RecordError, match=r"selection\.samples: 2 there, 3 now"):
        run_of(root, protocol, out=tmp_path)
    with pytest.raises(RecordError, match=r"selection\.ids_sha256"):
        run_of(root, protocol, out=tmp_path, subset=ids[1:])
    assert run_of(root, protocol, out=tmp_path, subset=ids[:2]).ok


def test_a_set_without_sequences_is_refused(recipe: Any) -> None:
    from dabench import protocols

    text = protocols.get("mini-depth").text.replace('scope = "image"', 'scope = "sequence"')
    with pytest.raises(ProtocolError, match="works by sequence, and dataset 'mini'"):
        evaluate(disparity, protocols.parse(text, "x"), output="disparity")


def test_only_one_sequence_is_in_memory(toy: Any, recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dabench import lines

    alive = most = 0

    class Counted(lines.Prepared):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            nonlocal alive, most
            super().__init__(*arguments)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    monkeypatch.setattr(lines, "Prepared", Counted)
    run = run_of(toy(clips=(4,) * 12), recipe(alignment=BY_SEQUENCE), workers=1)
    assert run.summary["counts"]["ok"] == 48 and most <= 4 + 4 and alive == 0


class TestAggregation:
    def test_mean_of_sequences(self, toy: Any, recipe: Any) -> None:
        root = toy(clips=(2, 5, 3))
        run = run_of(root, recipe(total="mean-of-sequences"))
        clips: dict[str, list[float]] = {}
        for line in run.samples:
            clips.setdefault(line["sequence"], []).append(line["abs_rel"])
        means = [statistics.fmean(values) for values in clips.values()]
        assert run.metrics["abs_rel"].value == pytest.approx(statistics.fmean(means), rel=1e-12)
        assert run.metrics["abs_rel"].value != pytest.approx(run_of(root, recipe()).metrics["abs_rel"].value, rel=1e-4)
        assert run.metrics["abs_rel"].ci95 == pytest.approx(cluster_bootstrap_interval(means, [1.0] * 3))
        assert run.summary["interval"] == "bootstrap-by-sequence" and run.summary["counts"]["sequences"] == 3

    def test_valid_weighted_mean(self, toy: Any, recipe: Any) -> None:
        root = toy(clips=(4,))
        path = root / "toy/near/clip0/01.npy"
        depth = np.load(path)
        depth[3:] = 0
        np.save(path, depth)
        seen: list[Progress] = []
        run = run_of(root, recipe(total="valid-weighted-mean"), progress=seen.append)
        weights = [line["n_valid"] for line in run.samples]
        values = [line["abs_rel"] for line in run.samples]
        assert weights[1] < 0.5 * weights[0]
        assert run.metrics["abs_rel"].value == pytest.approx(np.average(values, weights=weights), rel=1e-12)
        assert seen[-1].score == pytest.approx(run.metrics["abs_rel"].value, rel=1e-12)
        low, high = run.metrics["abs_rel"].ci95
        assert low <= run.metrics["abs_rel"].value <= high
        assert run.groups["clip0"]["abs_rel"] == run.metrics["abs_rel"]

    def test_whdr_is_the_share_of_wrong_pairs(self, pair_set: Any, tmp_path: Path) -> None:
        from dabench import protocols

        text = protocols.get("pairs").text.replace('metrics = ["accuracy"]', 'metrics = ["whdr"]')
        protocol = protocols.parse(text.replace('name = "pairs"\nversion', 'name = "wrong"\nversion'), "x")
        root = pair_set(6)

        def model(image: np.ndarray) -> np.ndarray:
            if image.min() // 10 == 2:
                raise RuntimeError("failed")
            return image[..., 0] * (-1.0 if image.min() // 10 == 1 else 1.0)

        seen: list[PassProgress] = []
        both = evaluate_many(
            model, [protocol, "pairs"], output="disparity", name="m", data_root=root, out=tmp_path, progress=seen.append
        )
        whdr, accuracy = (run.metrics for run in both)
        assert whdr["whdr"].value == pytest.approx(6 / 18) == 1 - accuracy["accuracy"].value
        assert whdr["whdr"].ci95 == pytest.approx(tuple(1 - v for v in reversed(accuracy["accuracy"].ci95)))
        assert both[0].groups["indoor"]["whdr"].value == pytest.approx(3 / 9)
        assert seen[-1].runs["wrong@1"].score == pytest.approx(6 / 18)
        assert both[0].samples[2]["whdr"] == 1.0 and "whdr" not in both[1].samples[2]
        assert json.loads((tmp_path / "m/wrong@1/summary.json").read_text())["metrics"].keys() == {"whdr"}
