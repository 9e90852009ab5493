"""Arms differ in what their hypothesis is about and in nothing else, and each is trained once."""

from __future__ import annotations

import dataclasses

import pytest

from dabench.errors import UnknownNameError
from experiments.claims.arms import (
    ARMS,
    BUDGETS,
    HYPOTHESES,
    TEACHER,
    arms_of,
    chosen,
    labels_folder,
    recipe_of,
    result_key,
    start_of,
    start_weights,
)
from model_zoo.depth_anything_v2.training.concatenated import Part
from model_zoo.depth_anything_v2.training.recipe import changed

CPU = BUDGETS["cpu"]


class Counted:
    """As many images as it says."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


def differences(one: str, other: str) -> set[str]:
    return set(changed(recipe_of(ARMS[one], 1, CPU), recipe_of(ARMS[other], 1, CPU)))


def test_the_arms_of_all_hypotheses_are_twenty_each_once() -> None:
    arms = arms_of(chosen([]))
    assert len(arms) == 20 and len({arm.name for arm in arms}) == 20
    assert {name for h in HYPOTHESES.values() for name in h.arms} == {arm.name for arm in arms}
    assert {arm.name for arm in arms_of(chosen(["H4", "H1"]))} == {"S", "R-pseudo", "R-noisy"}
    with pytest.raises(UnknownNameError, match="H10"):
        chosen(["H10"])


def test_arms_differ_in_one_thing() -> None:
    for weight in ("0", "0.5", "1", "4"):
        assert differences("S", f"S-w{weight}") == {"loss.gradient_weight"}
        assert differences("R-noisy", f"R-noisy-w{weight}") == {"loss.gradient_weight"}
    assert differences("R-pseudo", "R-pseudo-e00-t10") == {"loss.drop_largest"}
    assert differences("R-pseudo-e20-t10", "R-pseudo-e20-t20") == {"loss.drop_largest"}
    assert differences("R-pseudo", "R-pseudo-e20-t00") == {"data.sets.0.options.labels"}
    assert differences("R-noisy", "R-pseudo") == {f"data.sets.0.{key}" for key in ("dataset", "root", "options.labels",
                                                                                 "options.rule")}  # fmt: skip
    assert {path.split(".")[1] for path in differences("S", "S+R-noisy")} == {"sets"}


def test_every_student_sees_as_many_images_and_seeds_change_the_seed() -> None:
    for budget in BUDGETS.values():
        seen = {(r.run.steps, r.data.batch, r.model) for r in (recipe_of(arm, 0, budget) for arm in ARMS.values())}
        assert len(seen) == 1
        assert changed(recipe_of(ARMS["S"], 0, budget), recipe_of(ARMS["S"], 1, budget)) == ["data.seed"]


def test_a_twentieth_of_a_pass_is_coarse() -> None:
    sets = recipe_of(ARMS["S+R-noisy"], 0, CPU).data.sets
    counts = [Part(Counted(CPU.train), choice.repeat).count for choice in sets]  # type: ignore[arg-type]
    assert counts[0] == CPU.train
    assert counts[1] / sum(counts) == pytest.approx(0.05, abs=5e-4)


def test_the_teacher_sees_clean_images_only_and_more_of_them() -> None:
    for budget in BUDGETS.values():
        recipe = recipe_of(TEACHER, 0, budget)
        assert [choice.root for choice in recipe.data.sets] == [budget.domains.s_train.folder]
        assert (recipe.model.size, recipe.stage) == (budget.teacher_size, "teacher")
        assert recipe.run.steps > budget.steps


def test_all_start_from_one_network() -> None:
    for budget in BUDGETS.values():
        for arm in (*ARMS.values(), TEACHER):
            model = recipe_of(arm, 1, budget).model
            assert (model.start, model.load) == ("file", "all")
            assert model.weights == start_weights(model.size, budget)
        start = recipe_of(start_of(budget.teacher_size), 0, budget)
        assert (start.model.start, start.model.size) == (
            "file" if budget.name == "cpu" else "random",
            budget.teacher_size,
        )
        assert [choice.root for choice in start.data.sets] == [budget.domains.start.folder]
        assert start.loss.ranking_weight > 0 and recipe_of(ARMS["S"], 0, budget).loss.ranking_weight == 0
    longer = dataclasses.replace(CPU, start=("run.steps=801",))
    assert result_key(ARMS["S"], 0, longer) != result_key(ARMS["S"], 0, CPU)


def test_labels_belong_to_a_teacher_and_its_errors() -> None:
    other = dataclasses.replace(CPU, teacher=("run.steps=801",))
    folders = {labels_folder(0, 0, CPU), labels_folder(0, 5, CPU), labels_folder(0, 0, other)}
    assert len(folders) == 3
    assert labels_folder(0, 0, CPU) == labels_folder(1, 0, CPU)  # one teacher for all seeds
    gpu = BUDGETS["gpu"]
    assert labels_folder(0, 0, gpu) != labels_folder(1, 0, gpu)


def test_a_result_is_known_by_all_that_decides_it() -> None:
    arm = ARMS["R-pseudo"]
    other_teacher = dataclasses.replace(CPU, teacher=("run.steps=801",))
    other_test = dataclasses.replace(CPU, test=CPU.test + 1)
    idle = dataclasses.replace(CPU, at_once=7, seconds=(1.0, 1.0, 1.0))
    keys = [result_key(arm, 0, budget) for budget in (CPU, other_teacher, other_test)] + [result_key(arm, 1, CPU)]
    assert len(set(keys)) == 4
    assert result_key(arm, 0, idle) == keys[0]
    assert result_key(ARMS["S"], 0, other_teacher) == result_key(ARMS["S"], 0, CPU)
