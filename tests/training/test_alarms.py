"""Alarms go off where training is lost, and stay quiet where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_zoo.depth_anything_v2.training.alarms import WINDOW, Alarms, TrainingStoppedError
from model_zoo.depth_anything_v2.training.recipe import Run
from model_zoo.depth_anything_v2.training.scaling import GROWTH_INTERVAL, LossScale

HEALTHY: dict[str, Any] = {"ssi": 0.4, "spread": 0.2, "zeros": 0.1, "magnitude": 1.0}


def alarms(**settings: Any) -> Alarms:
    return Alarms(Run(**{"steps": 1000, "alarm_grace": 5, "alarm_patience": 3, "nan_limit": 2, **settings}))


@pytest.mark.parametrize(
    "sick",
    [{"ssi": 1.0}, {"ssi": 1.004}, {"spread": 1e-7}, {"zeros": 0.96}],
    ids=["constant", "nearly constant", "no spread", "dead"],
)
def test_collapse_stops_after_patience_and_not_before_grace(sick: dict[str, float]) -> None:
    watch = alarms()
    for step in range(1, 8):
        watch.update(step, 1.0, **{**HEALTHY, **sick})  # 5 of grace, then 2 of patience
    with pytest.raises(TrainingStoppedError, match=r"step 8: .*collapsed") as caught:
        watch.update(8, 1.0, **{**HEALTHY, **sick})
    assert caught.value.hint


def test_one_good_step_starts_the_patience_again() -> None:
    watch = alarms()
    for step in range(100):
        assert watch.update(step, 1.0, **{**HEALTHY, "ssi": 0.5 if step % 3 == 0 else 1.0}) == []


def test_metric_training_has_no_ssi_but_can_die() -> None:
    watch = alarms()
    for step in range(50):
        watch.update(step, 1.0, **{**HEALTHY, "ssi": None})
    with pytest.raises(TrainingStoppedError):
        for step in range(50):
            watch.update(step, 1.0, **{**HEALTHY, "ssi": None, "spread": 0.0})


def test_divergence_is_a_loss_far_above_its_median_for_long() -> None:
    watch = alarms(alarm_divergence=10.0)
    for step in range(WINDOW):
        watch.update(step, 1.0 + step % 2, **HEALTHY)
    for step in range(2):
        watch.update(step, 1e6, **HEALTHY)
    watch.update(0, 1.0, **HEALTHY)  # a spike of two steps passes
    for step in range(2):
        watch.update(step, 30.0, **HEALTHY)
    with pytest.raises(TrainingStoppedError, match="10 times its usual value"):
        watch.update(2, 30.0, **HEALTHY)


def test_a_high_loss_at_the_start_is_not_divergence() -> None:
    watch = alarms()
    for step in range(WINDOW // 4 - 1):
        assert watch.update(step, 10.0**step, **HEALTHY) == []


def test_skipped_steps_are_counted_to_a_limit() -> None:
    watch = alarms(nan_limit=2)
    assert watch.skip(7, "loss") == {"event": "skipped_step", "step": 7, "what": "loss", "skipped": 1}
    assert watch.skip(8, "gradient")["skipped"] == 2
    with pytest.raises(TrainingStoppedError, match=r"3 steps had a gradient that is not finite, the last one step 9"):
        watch.skip(9, "gradient")


def test_drift_is_reported_once_for_every_factor_of_ten() -> None:
    watch = alarms()
    events = [e for step in range(60) for e in watch.update(step, 1.0, **{**HEALTHY, "magnitude": 2.0 * 1.2**step})]
    assert {event["event"] for event in events} == {"output_drift"}
    assert len(events) == 4  # 1.2 ** 55 is 2e4 above the magnitude after grace
    assert all(event["now"] >= 10 * event["before"] for event in events)


def test_state_goes_through_json_and_goes_on_the_same() -> None:
    first, second = alarms(), alarms()
    for step in range(60):
        first.update(step, 1.0, **HEALTHY)
    first.skip(60, "loss")
    for step in range(2):
        first.update(step, 50.0, **{**HEALTHY, "ssi": 1.0})
    second.restore(json.loads(json.dumps(first.state())))
    assert second.state() == first.state()
    with pytest.raises(TrainingStoppedError):
        second.update(63, 50.0, **{**HEALTHY, "ssi": 1.0})


def test_loss_scale_halves_on_overflow_and_grows_back() -> None:
    scale = LossScale.for_precision("fp16")
    assert scale.value == 65536
    assert scale.overflowed() and scale.value == 32768
    for _ in range(GROWTH_INTERVAL):
        scale.succeeded("fp16")
    assert scale.value == 65536
    while scale.value > 1:
        assert scale.overflowed()
    assert not scale.overflowed()  # a gradient that is not finite at scale 1 is no overflow
    plain = LossScale.for_precision("bf16")
    assert plain.value == 1.0 and not plain.overflowed()
    for _ in range(GROWTH_INTERVAL):
        plain.succeeded("bf16")
    assert plain.value == 1.0
