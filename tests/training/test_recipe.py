"""Recipe files: what is read, what is refused, and what a resumed run may change."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import tomllib
from pathlib import Path

import pytest

from dabench.errors import DabenchError, UnknownNameError
from model_zoo.depth_anything_v2.training import datasets
from model_zoo.depth_anything_v2.training import recipe as recipes
from model_zoo.depth_anything_v2.training.recipe import (
    MAY_CHANGE,
    available_recipes,
    changed,
    forbidden_changes,
    load_recipe,
    setting_paths,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(recipes.__file__).parent / "recipes"
DOCS = ROOT / "docs" / "training.md"

SMALLEST = """
title = "t"
stage = "teacher"
[model]
size = "tiny"
start = "random"
[data]
size = [28, 42]
batch = 4
[[data.sets]]
dataset = "rendered"
root = "set"
[loss]
kind = "relative"
[optim]
optimiser = "adamw"
encoder_rate = 1
decoder_rate = 1e-4
[run]
steps = 10
"""


def write(folder: Path, text: str, name: str = "own.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def refused(path: Path | str, *overrides: str) -> str:
    with pytest.raises(DabenchError) as error:
        load_recipe(path, overrides)
    assert error.value.exit_code == 2
    return str(error.value)


def test_the_recipes_of_the_package_are_those_in_its_folder() -> None:
    sizes = ("small", "base", "large")
    metric = {f"metric-{data}-{size}" for data in ("hypersim", "vkitti2", "nyu", "kitti") for size in sizes}
    paper = {"paper-teacher-giant", *(f"paper-student-{size}" for size in sizes)}
    assert metric | paper | {"mini", "mini-gpu", "mini-teacher"} <= set(available_recipes())
    assert available_recipes() == sorted(path.stem for path in FOLDER.glob("*.toml"))


@pytest.mark.parametrize("name", available_recipes())
def test_every_recipe_reads_back_from_its_text(name: str, tmp_path: Path) -> None:
    first = load_recipe(name)
    assert first.name == name and first.title and first.source
    again = load_recipe(write(tmp_path, first.text(), "other-name.toml"))
    assert again == first and again.sha256 == first.sha256
    assert pickle.loads(pickle.dumps(first)) == first
    written = set(flat(tomllib.loads(first.text())))
    assert {path for path in setting_paths() if path.split(".")[0] in ("loss", "optim", "run", "model")} <= written


def flat(table: dict[str, object], prefix: str = "") -> list[str]:
    found = []
    for key, value in table.items():
        found.append(prefix + key)
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{key}.")
    return found


@pytest.mark.parametrize("name", available_recipes())
def test_what_is_not_published_is_a_setting_with_a_reason_and_in_the_docs(name: str) -> None:
    recipe = load_recipe(name)
    known, docs = set(setting_paths()), DOCS.read_text(encoding="utf-8")
    if recipe.stage == "metric" or name.startswith("paper"):
        assert recipe.undisclosed
    for path, reason in recipe.undisclosed.items():
        assert path in known and "." in path, path
        assert len(reason) > 2, path
        assert f"`{path}`" in docs, f"{path} is not in docs/training.md"


def test_the_docs_name_only_settings_and_recipes_that_exist() -> None:
    docs, known = DOCS.read_text(encoding="utf-8"), set(setting_paths())
    named = re.findall(r"`((?:model|data|loss|optim|run)\.[a-z_.]+)(?:=[^`]*)?`", docs)
    assert len(named) > 20
    assert [path for path in named if path not in known and path != "model.safetensors"] == []
    started = re.findall(r"dabench train ([a-z][a-z0-9-]+)", docs)
    assert len(started) > 4 and set(started) <= set(available_recipes())


def test_the_papers_settings() -> None:
    """arXiv 2406.09414, section 7.1 and table 7."""
    teacher = load_recipe("paper-teacher-giant")
    assert (teacher.data.batch, teacher.run.steps, teacher.data.size) == (64, 160_000, (518, 518))
    assert [choice.expected for choice in teacher.data.sets] == [115_000, 60_000, 103_000, 306_000, 20_000]
    for size in ("small", "base", "large"):
        student = load_recipe(f"paper-student-{size}")
        assert (student.data.batch, student.run.steps, student.model.size) == (192, 480_000, size)
        assert len(student.data.sets) == 8 and sum(c.expected or 0 for c in student.data.sets) == 62_300_000
        assert (student.loss.drop_largest, student.loss.feature_margin) == (0.1, 0.85)
        assert (student.data.cutmix > 0) == (size == "large") and (student.data.jitter > 0) == (size == "large")
        assert {choice.dataset for choice in student.data.sets} == {"pseudo-labelled"}
    for recipe in (teacher, student):
        assert (recipe.optim.encoder_rate, recipe.optim.decoder_rate) == (5e-6, 5e-5)
        assert recipe.loss.gradient_weight == 2.0 and recipe.loss.kind == "relative"


def test_the_released_scripts_settings() -> None:
    """Depth-Anything-V2, metric_depth/train.py and dist_train.sh: 8 x 4 images, 120 epochs of whole batches."""
    for data, images, depth in (("hypersim", 59_543, 20.0), ("vkitti2", 19_559, 80.0)):
        recipe = load_recipe(f"metric-{data}-large")
        assert recipe.run.steps == 120 * (images // 32) and recipe.data.batch == 32
        assert recipe.model.max_depth == depth and recipe.model.load == "encoder"
        assert (recipe.optim.schedule, recipe.optim.power, recipe.optim.clip) == ("poly", 0.9, None)
        assert recipe.run.precision == "fp32" and recipe.model.size == "large"


def test_zoedepths_settings() -> None:
    """ZoeDepth config_zoedepth.json and lists of training images; the encoder's rate is 1/50 in Depth Anything."""
    for data, images, depth in (("nyu", 24_231, 10.0), ("kitti", 23_158, 80.0)):
        recipe = load_recipe(f"metric-{data}-base")
        assert recipe.run.steps == 5 * -(-images // 16) and recipe.data.sets[0].expected == images
        assert recipe.model.max_depth == depth and recipe.optim.decoder_rate == 1.61e-4
        assert recipe.optim.encoder_rate == pytest.approx(1.61e-4 / 50)
        assert (recipe.optim.schedule, recipe.optim.pct_start, recipe.optim.clip) == ("onecycle", 0.7, 0.1)
        assert any("not ZoeDepth" in line for line in recipe.differences)


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALLEST))
    assert recipe.name == "own" and recipe.data.sets[0].repeat == 1.0 and recipe.optim.ema is None
    assert isinstance(recipe.optim.encoder_rate, float)


def test_overrides() -> None:
    recipe = load_recipe(
        "mini",
        ["data.batch=8", "data.sets.1.root=elsewhere", "optim.ema=none", "optim.clip=0.5", "data.size=[28, 56]"],
    )
    assert (recipe.data.batch, recipe.data.sets[1].root, recipe.optim.ema) == (8, "elsewhere", None)
    assert (recipe.optim.clip, recipe.data.size) == (0.5, (28, 56))
    assert recipe.sha256 != load_recipe("mini").sha256
    assert load_recipe("mini", ["data.workers=3"]) == load_recipe("mini", ["data.workers = 3"])
    assert load_recipe("mini", ["data.sets.0.options.split=val"]).data.sets[0].options == {"split": "val"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.batc=1", ["data.batc", "did you mean 'data.batch'"]),
        ("data.sets.0.roott=x", ["data.sets.0.roott", "data.sets.0.root"]),
        ("data.sets.9.root=x", ["items 0 to 1"]),
        ("data.sets.x.root=x", ["items 0 to 1"]),
        ("run.steps=many", ["mini.toml", "run.steps", "int"]),
        ("run.steps=1.5", ["run.steps"]),
        ("run.steps=0", ["run.steps", "above 0"]),
        ("run=3", ["run", "table"]),
        ("run.steps", ["key=value"]),
        ("=3", ["key=value"]),
        ("data..batch=3", ["key=value"]),
        ("model.size=hugo", ["model.size", "hugo"]),
        ("data.size=[100, 112]", ["data.size", "14"]),
        ("data.size=[112]", ["data.size"]),
        ("loss.kind=metric", ["loss.kind", "stage 'teacher'"]),
        ("model.max_depth=20", ["model.max_depth"]),
        ("model.start=dinov2", ["model.weights", "needed"]),
        ("loss.feature_weight=1", ["loss.feature_weight", "encoder"]),
        ("run.accumulate=5", ["run.accumulate", "divide"]),
        ("loss.drop_largest=1", ["loss.drop_largest", "below 1"]),
        ("loss.drop_in_gradient=true", ["loss.drop_in_gradient", "no effect"]),
        ("optim.ema=1", ["optim.ema"]),
        ("optim.warmup=2", ["optim.warmup"]),
        ("data.hflip=-0.1", ["data.hflip"]),
        ("data.short_side=56", ["data.short_side"]),
        ("data.sets.0.root=../other", ["data.sets.0.root", "inside"]),
        ("data.sets.0.root=/etc", ["data.sets.0.root", "inside"]),
        ("data.sets=[]", ["data.sets", "empty"]),
        ("undisclosed.nonsense=because", ["nonsense", "no setting"]),
        ("optim.encoder_rate=nan", ["optim.encoder_rate"]),
        ("optim.encoder_rate=inf", ["optim.encoder_rate"]),
    ],
)
def test_a_wrong_setting_is_named(override: str, words: list[str]) -> None:
    message = refused("mini", override)
    for word in words:
        assert word in message


def test_cutmix_needs_whole_groups() -> None:
    message = refused("mini", "data.cutmix=0.5", "data.batch=21")
    assert "data.batch" in message and "cutmix_group" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[run]", "[rum]", ["own.toml", "rum", "run"]),
        ("steps = 10", "", ["own.toml", "run.steps", "missing"]),
        ("batch = 4", 'batch = "4"', ["own.toml", "data.batch"]),
        ("batch = 4", "batch = [4", ["own.toml", "not TOML"]),
        ('stage = "teacher"', "", ["own.toml", "stage", "missing"]),
        ('root = "set"', "root = 3", ["own.toml", "data.sets.0.root"]),
        ("encoder_rate = 1\n", "encoder_rate = true\n", ["own.toml", "optim.encoder_rate"]),
    ],
)
def test_a_wrong_file_is_named(old: str, new: str, words: list[str], tmp_path: Path) -> None:
    assert old in SMALLEST
    message = refused(write(tmp_path, SMALLEST.replace(old, new)))
    for word in words:
        assert word in message


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown recipe 'paper-student-smal'") as error:
        load_recipe("paper-student-smal")
    assert "paper-student-small" in str(error.value)
    assert "does not exist" in refused(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "not TOML" in refused(tmp_path / "binary.toml")


def test_bases_are_merged(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST, "below.toml")
    above = write(tmp_path, 'base = "below.toml"\ntitle = "u"\n[run]\nkeep = 9\n[optim]\nclip = "none"\n', "above.toml")
    recipe, below = load_recipe(above), load_recipe(tmp_path / "below.toml")
    assert changed(below, recipe) == ["title", "optim.clip", "run.keep"]
    assert (recipe.name, recipe.run.steps, recipe.run.keep, recipe.optim.clip) == ("above", 10, 9, None)
    on_mini = load_recipe(write(tmp_path, 'base = "mini"\n[run]\nsteps = 3\n', "x.toml"))
    assert changed(load_recipe("mini"), on_mini) == ["run.steps"] and on_mini.name == "x"


def test_bases_in_a_circle_are_refused(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        write(tmp_path, f'base = "{base}.toml"\n', f"{name}.toml")
    assert "circle: a -> b -> c -> a" in refused(tmp_path / "a.toml")
    write(tmp_path, 'base = "self.toml"\n', "self.toml")
    assert "circle" in refused(tmp_path / "self.toml")
    assert "unknown recipe" in refused(write(tmp_path, 'base = "absent"\n', "y.toml"))
    assert "base" in refused(write(tmp_path, "base = 3\n", "z.toml"))


def test_what_a_resumed_run_may_change() -> None:
    old = load_recipe("mini")
    assert changed(old, old) == [] and forbidden_changes(old, old) == []
    free = load_recipe("mini", ["data.workers=7", "run.log_every=3", "data.sets.1.root=moved", "run.keep=1"])
    assert changed(old, free) == ["data.sets.1.root", "data.workers", "run.log_every", "run.keep"]
    assert forbidden_changes(old, free) == []
    other = load_recipe("mini", ["data.batch=8", "data.sets.1.repeat=2", "optim.ema=none", "data.workers=7"])
    assert forbidden_changes(old, other) == ["data.sets.1.repeat", "data.batch", "optim.ema"]
    fewer = dataclasses.replace(old, data=dataclasses.replace(old.data, sets=old.data.sets[:1]))
    assert forbidden_changes(old, fewer) == ["data.sets"]
    assert set(setting_paths()) >= MAY_CHANGE


def test_the_name_is_no_change(tmp_path: Path) -> None:
    own = load_recipe(write(tmp_path, load_recipe("mini").text().replace('name = "mini"', 'name = "other"')))
    assert own.name == "other" and changed(load_recipe("mini"), own) == []


@pytest.mark.parametrize("name", available_recipes())
def test_every_set_has_a_reader_that_knows_its_options(name: str) -> None:
    data = load_recipe(name).data
    for choice in (*data.sets, *data.validation):
        reader = datasets.registry().get(choice.dataset)
        inspect.signature(reader).bind(Path("root"), **choice.options)
        count = getattr(reader, "paper_count", None)
        if name == "paper-teacher-giant":
            assert choice.expected == count, choice.dataset


def test_one_folder_is_made_in_one_way_and_nothing_held_out_is_trained_on() -> None:
    made: dict[str, object] = {}
    trained, held_out = set(), set()
    for name in available_recipes():
        data = load_recipe(name).data
        for choice in (*data.sets, *data.validation):
            if choice.generate is not None:
                assert made.setdefault(choice.root, choice.generate) == choice.generate, (name, choice.root)
        trained |= {(c.generate.by, c.generate.seed) for c in data.sets if c.generate}
        held_out |= {(c.generate.by, c.generate.seed) for c in data.validation if c.generate}
    assert made and held_out and not trained & held_out
