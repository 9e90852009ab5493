"""What is trained: arms, each a few settings over one recipe, the hypotheses that compare them, and budgets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dabench.errors import UnknownNameError
from model_zoo.depth_anything_v2.training.recipe import Recipe, load_recipe

from . import measure
from .data import Domains, domains

BASE = Path(__file__).with_name("base.toml")

LABELS_VERSION = 1
"""Of how errors are put into pseudo-labels (`label_errors.py`)."""

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
TRIMS = (0.0, 0.1, 0.2)
ERRORS = (0, 5, 20)
"""Percent of a pseudo-label's pixels that are made wrong."""

COARSE_SHARE = 0.05

BUNDLED = ("depth-anything-v2-tiny", "09ccc94f63b3ff4bd3e4b31785d293974e3137479d0b3c83a45b3f836ed9d879")
"""The bundled network that a short study goes on from, and the SHA-256 of its weights."""

BUNDLED_COMMIT = "1776900"
"""Which brought these weights into the package."""

FROM_BUNDLED = ('model.start="file"', 'model.load="all"', f'model.weights="bundled-{BUNDLED[1][:8]}.safetensors"')
"""Settings of a start that is not from random weights."""


@dataclass(frozen=True)
class Budget:
    """How much of everything.

    train, test: images in a training set and in R's test set. size: of all images. steps, batch: of a student. start:
    settings of the run whose network all start from, and teacher: of the teacher's run, beside the base's.
    teacher_size: the teacher's network. teachers: how many; student k learns from teacher k modulo this. at_once:
    trainings at the same time. workers: loading processes of each. seconds: of a start, a teacher and a student, for
    the estimate that `--list` prints before there are results (cpu: a core's time, measured; gpu: guessed).
    """

    name: str
    train: int
    test: int
    size: tuple[int, int]
    steps: int
    batch: int
    start: tuple[str, ...]
    teacher: tuple[str, ...]
    teacher_size: str = "tiny"
    seeds: int = 3
    teachers: int = 1
    device: str = "cpu"
    at_once: int = 2
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    workers: int = 0

    @property
    def overrides(self) -> tuple[str, ...]:
        """Settings of every recipe."""
        return (
            f"data.size={list(self.size)}",
            f"data.batch={self.batch}",
            f"data.workers={self.workers}",
            f"run.steps={self.steps}",
            f"run.checkpoint_every={self.steps}",
            f"run.alarm_grace={self.steps}",
        )

    @property
    def domains(self) -> Domains:
        """Its sets."""
        return domains(self.train, self.test, self.size)


BUDGETS = {
    "smoke": Budget(
        name="smoke", train=12, test=6, size=(28, 42), steps=2, batch=2, start=("run.steps=2",),
        teacher=("run.steps=3",), seeds=1, at_once=1, seconds=(4, 4, 4),
    ),
    "cpu": Budget(
        name="cpu", train=1000, test=150, size=(84, 112), steps=120, batch=16, start=("run.steps=100", *FROM_BUNDLED),
        teacher=("run.steps=800",), seconds=(85, 760, 116),
    ),
    "gpu": Budget(
        name="gpu", train=8000, test=300, size=(112, 154), steps=3000, batch=32, start=("run.steps=8000",),
        teacher=("run.steps=8000",), teacher_size="small", teachers=3, device="cuda", at_once=4,
        seconds=(500, 700, 200), workers=3,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One way to train. sets: of `start`, `S`, `R-noisy`, `R-pseudo`, and `R-noisy-5%` for a twentieth of a pass.

    errors: percent of the pseudo-labels' pixels that are wrong. settings: over the base recipe.
    """

    name: str
    title: str
    sets: tuple[str, ...]
    settings: tuple[str, ...] = ()
    errors: int = 0


def name_with_weight(kind: str, weight: float) -> str:
    return kind if weight == 2.0 else f"{kind}-w{weight:g}"


def name_with_errors(errors: int, trim: float) -> str:
    return "R-pseudo" if (errors, trim) == (0, 0.0) else f"R-pseudo-e{errors:02d}-t{round(100 * trim):02d}"


def _arms() -> dict[str, Arm]:
    found = []
    for kind in ("S", "R-noisy"):
        for weight in WEIGHTS:
            settings = (f"loss.gradient_weight={weight}",)
            found.append(Arm(name_with_weight(kind, weight), f"{kind}, gradient weight {weight:g}", (kind,), settings))
    found += [
        Arm(
            name_with_errors(errors, trim),
            f"R with pseudo-labels, {errors} % of pixels wrong, {100 * trim:g} % of losses left out",
            ("R-pseudo",),
            (f"loss.drop_largest={trim}",),
            errors,
        )
        for errors in ERRORS
        for trim in TRIMS
    ]
    found.append(Arm("S+R-noisy", "S, and 5 % of R with a sensor's labels", ("S", "R-noisy-5%")))
    return {arm.name: arm for arm in found}


ARMS = _arms()
TEACHER = Arm("teacher", "the teacher: trained longer on S, and larger where the budget says so", ("S",))
START_SETTINGS = ("loss.gradient_weight=0.5", "loss.ranking_weight=0.5", "loss.anchor_until=0.5")
"""What takes a network off the ground; no arm has any of it."""


@dataclass(frozen=True)
class Hypothesis:
    """A claim of the paper. arms: those that it compares. source: where it is stated, and what was found there."""

    name: str
    claim: str
    source: str
    arms: tuple[str, ...]


HYPOTHESES = {
    h.name: h
    for h in (
        Hypothesis(
            "H1",
            "Pseudo-labelled images of the target domain help a small student",
            "table 6 and section 5: ViT-S on synthetic images .928 of NYU-D within 1.25, with pseudo-labels .973",
            ("S", "R-pseudo"),
        ),
        Hypothesis(
            "H4",
            "A teacher's pseudo-labels beat a sensor's labels of the same images",
            "table 6 and section 5",
            ("R-noisy", "R-pseudo"),
        ),
        Hypothesis(
            "H5",
            "The weight of the gradient term drives sharpness on clean labels, and not on noisy ones",
            "figure 10 and appendix B.7",
            tuple(name_with_weight(kind, weight) for kind in ("S", "R-noisy") for weight in WEIGHTS),
        ),
        Hypothesis(
            "H6",
            "5 % of coarsely labelled images spoil fine detail",
            "figure 12 and appendix B.9",
            ("S", "S+R-noisy"),
        ),
        Hypothesis(
            "H9",
            "Leaving out the largest losses makes up for wrong labels",
            "section 5.2 uses 10 % and has no comparison",
            tuple(name_with_errors(errors, trim) for errors in ERRORS for trim in TRIMS),
        ),
    )
}


def chosen(only: Sequence[str]) -> list[Hypothesis]:
    """Hypotheses by name, all for none. Raises UnknownNameError."""
    for name in only:
        if name not in HYPOTHESES:
            raise UnknownNameError("hypothesis", name, list(HYPOTHESES))
    return [h for h in HYPOTHESES.values() if not only or h.name in only]


def arms_of(hypotheses: Iterable[Hypothesis]) -> list[Arm]:
    """The arms of some hypotheses, each once; those that several share come first."""
    counts: dict[str, int] = {}
    for hypothesis in hypotheses:
        for name in hypothesis.arms:
            counts[name] = counts.get(name, 0) + 1
    return [ARMS[name] for name in sorted(counts, key=lambda name: -counts[name])]


def start_of(size: str) -> Arm:
    """The training whose network those of a size start from."""
    settings = (f'model.size="{size}"', *START_SETTINGS)
    return Arm(f"start-{size}", "the network that all start from: other drawn scenes", ("start",), settings)


def is_start(arm: Arm) -> bool:
    """Whether it is what the others start from."""
    return arm.sets == ("start",)


def size_of(arm: Arm, budget: Budget) -> str:
    """Size of the network of an arm that is no start."""
    return budget.teacher_size if arm == TEACHER else "tiny"


def start_weights(size: str, budget: Budget) -> str:
    """Where a start's weights lie below the data folder."""
    return f"start-{size}-{recipe_of(start_of(size), 0, budget).sha256[:8]}.safetensors"


def needs_teacher(arm: Arm) -> bool:
    """Whether it learns from pseudo-labels."""
    return "R-pseudo" in arm.sets


def recipe_of(arm: Arm, seed: int, budget: Budget) -> Recipe:
    """The arm's recipe under a seed, whose sets lie below the study's data folder."""
    if is_start(arm):
        own: tuple[str, ...] = ('stage="teacher"', *budget.start)
    else:
        size = size_of(arm, budget)
        start = (
            f'model.size="{size}"',
            'model.start="file"',
            'model.load="all"',
            f'model.weights="{start_weights(size, budget)}"',
        )
        own = (*start, 'stage="teacher"', *budget.teacher) if arm == TEACHER else start
    sets = ", ".join(_set(kind, arm, seed, budget) for kind in arm.sets)
    names = (f'name="{arm.name}"', f"data.seed={seed}", f"data.sets=[{sets}]")
    return load_recipe(BASE, [*budget.overrides, *own, *arm.settings, *names])


def labels_folder(seed: int, errors: int, budget: Budget) -> str:
    """Beside the images of R's pool: the labels of student `seed`'s teacher, with some percent of errors."""
    teacher = seed % budget.teachers
    facts = [LABELS_VERSION, recipe_of(TEACHER, teacher, budget).sha256, errors]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
    return f"labels-{teacher}-e{errors:02d}-{digest}"


def result_key(arm: Arm, seed: int, budget: Budget) -> str:
    """Hash of all that decides an arm's result; one that is on disk under another key is out of date."""
    tests = [asdict(spec) | {"folder": spec.folder} for spec in budget.domains.tests.values()]
    facts = json.dumps([measure.VERSION, recipe_of(arm, seed, budget).sha256, tests])
    return hashlib.sha256(facts.encode()).hexdigest()


def _set(kind: str, arm: Arm, seed: int, budget: Budget) -> str:
    sets = budget.domains
    if kind in ("S", "start"):
        return f'{{dataset="rendered", root="{(sets.s_train if kind == "S" else sets.start).folder}"}}'
    if kind == "R-pseudo":
        labels = labels_folder(seed, arm.errors, budget)
        return f'{{dataset="pseudo-labelled", root="{sets.r_pool.folder}/images", options={{labels="../{labels}"}}}}'
    repeat = COARSE_SHARE / (1 - COARSE_SHARE) if kind == "R-noisy-5%" else 1.0
    return (
        f'{{dataset="rendered", root="{sets.r_noisy.folder}", repeat={repeat}, options={{rule={{zero_is_sky=false}}}}}}'
    )
