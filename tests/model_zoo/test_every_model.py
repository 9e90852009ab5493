"""One contract for every model of the catalogue: a new row is tested with no new test code.

Rows with weights are built as tiny random networks of the real classes, in the real file formats, by the modules in
``tiny/``, offered on a loopback hub under the row's own repository, and loaded by name. The first row of each family
and factory goes through everything, the others through what differs between them.
"""

from __future__ import annotations

import gc
import json
import math
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import dabench.cli
import model_zoo
from dabench.errors import CheckpointError, DabenchError, DownloadError, ModelError, UsageError
from dabench.registry import models
from dabench.types import MAP_OUTPUTS, DepthModel, ModelEntry, Output, PairModel, Prediction
from model_zoo.catalog import FAMILIES

SIZES = [(48, 64), (37, 200), (200, 37), (1, 1), (5, 3)]
"""Height and width: usual ones, long ones, and ones smaller than a patch."""
HEX64 = re.compile(r"[0-9a-f]{64}")

ROWS = {e.name: e for family in FAMILIES for e in family.entries() if e.status != "published-only"}
MAPS = [name for name, entry in ROWS.items() if entry.output in MAP_OUTPUTS]
DOWNLOADABLE = [name for name in MAPS if ROWS[name].status == "downloadable"]
BY_HUB = [name for name in DOWNLOADABLE if "environment" not in ROWS[name].options]
"""Rows whose files this package downloads itself."""


def _first_of_each() -> list[str]:
    firsts: dict[tuple[str, str], str] = {}
    for family in FAMILIES:
        for entry in family.entries():
            if entry.name in MAPS:
                firsts.setdefault((family.__name__, entry.factory), entry.name)
    return list(firsts.values())


FULL = _first_of_each()
FACTORIES = {ROWS[name].factory: name for name in reversed(FULL)}


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *size]).integers(0, 256, (*size, 3), dtype=np.uint8)


@dataclass
class Subject:
    """A row as published on the loopback hub, and its model."""

    entry: ModelEntry
    model: DepthModel


@pytest.fixture(scope="module")
def published(module_hub: Any, publishers: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A name to its row, whose files are on the hub."""
    rows: dict[str, ModelEntry] = {}

    def publish(name: str) -> ModelEntry:
        if name not in rows:
            entry = ROWS[name]
            if entry.status == "downloadable":
                if entry.factory not in publishers:
                    pytest.skip(f"NO PUBLISHER of tiny weights in tests/model_zoo/tiny for factory {entry.factory}")
                module_hub.files.clear()  # earlier rows are in the cache, and the hub hashes all it has to find one
                entry = publishers[entry.factory](module_hub, entry, tmp_path_factory.mktemp(name))
            rows[name] = entry
        return rows[name]

    return publish


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest, published: Any) -> Iterator[Subject]:
    entry = published(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models()._items, entry.name, entry)
        model = model_zoo.load(entry.name, device="cpu")
        yield Subject(entry, model)
        model.close()


every = pytest.mark.parametrize("subject", MAPS, indirect=True)
in_full = pytest.mark.parametrize("subject", FULL, indirect=True)


def check_prediction(prediction: Prediction, image: np.ndarray, model: DepthModel) -> None:
    """What every prediction has to be."""
    assert isinstance(prediction, Prediction)
    assert prediction.values.shape == image.shape[:2]
    assert prediction.values.dtype == np.float32
    assert np.isfinite(prediction.values).all()
    assert prediction.output is model.info.output
    if prediction.output is Output.METRIC:
        assert (prediction.values >= 0).all()


def test_there_is_something_to_test() -> None:
    assert {"depth-anything-v2-tiny", "location-prior", "constant", "random", "depth-anything-v2-small"} <= set(MAPS)
    assert set(ROWS) - set(MAPS) == {name for name, entry in ROWS.items() if entry.output is Output.ORDER}


def test_every_factory_has_tiny_weights(publishers: dict[str, Any]) -> None:
    """No row goes untested: whoever adds a factory adds a module in ``tiny/``."""
    assert {ROWS[name].factory for name in DOWNLOADABLE} <= set(publishers)


@every
def test_info_says_everything(subject: Subject) -> None:
    entry, info = subject.entry, subject.model.info
    assert (info.name, info.output, info.licence) == (entry.name, entry.output, entry.licence)
    assert entry.parameters is None or info.parameters == entry.parameters
    if entry.status == "baseline":
        assert info.weights_sha256 is None
    elif entry.status == "bundled" or entry.name in BY_HUB:
        assert info.weights_sha256 and HEX64.fullmatch(info.weights_sha256)
        assert entry.sha256 in (None, info.weights_sha256)
    if entry.name in BY_HUB:
        assert info.source and info.source.startswith(f"{entry.source}@")
    assert info.source
    assert json.loads(json.dumps(dict(info.settings))) == dict(info.settings), "records hold it as JSON"
    assert set(entry.settable) <= set(info.settings) or not entry.settable
    assert all(isinstance(note, str) for note in info.notes)
    if entry.non_commercial:
        assert any("non-commercial" in note for note in info.notes)
    if entry.status != "baseline":
        assert info.settings, "the input rule and the precision change the numbers"


@every
def test_an_image_gives_a_map_of_its_size(subject: Subject) -> None:
    image = picture((37, 61))
    check_prediction(subject.model.predict(image), image, subject.model)


KNOWN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "model_zoo.baselines:load_location_prior": lambda image: np.arange(len(image))[:, None] + 0.0 * image[..., 0],
    "model_zoo.environments.factory:load": lambda image: -image[..., 0].astype(float),  # the stand-ins see red as far
}
"""By factory, how near a pixel is to a model that is a known function of the picture."""


@every
def test_a_ramp_comes_out_the_right_way_round(subject: Subject) -> None:
    if subject.entry.status == "bundled":
        _scene_the_right_way_round(subject.model)
        return
    if subject.entry.factory not in KNOWN:
        return  # random weights; the family's own tests compare its maps with the original's
    ramp = np.zeros((48, 64, 3), np.uint8)
    ramp[..., 0] = np.linspace(20, 235, 64).astype(np.uint8)
    said = subject.model.predict(ramp).values.astype(float)
    near = said if subject.entry.output.larger_is_nearer else -said
    known = KNOWN[subject.entry.factory](ramp)
    assert np.corrcoef(near[4:-4, 4:-4].ravel(), known[4:-4, 4:-4].ravel())[0, 1] > 0.98


def _scene_the_right_way_round(model: DepthModel) -> None:
    """Trained weights know rendered scenes well enough for that."""
    from dabench.datasets import open_dataset
    from dabench.types import Sample

    dataset = open_dataset("mini", task="depth")
    sample = dataset.load(next(i for i in dataset.ids if dataset.group(i) == "outdoor"))
    assert isinstance(sample, Sample) and model.info.output is Output.DISPARITY
    said = model.predict(sample.image).values[sample.valid]
    assert np.corrcoef(said, 1.0 / sample.depth[sample.valid])[0, 1] > 0.5


@in_full
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_any_size_and_the_same_map_again(subject: Subject, size: tuple[int, int]) -> None:
    image = picture(size)
    kept = image.copy()
    first = subject.model.predict(image)
    check_prediction(first, image, subject.model)
    if max(size) < 100:
        assert (first.values == subject.model.predict(image).values).all(), "the same image gives the same map"
    assert (image == kept).all(), "the image is not written to"


@in_full
def test_batch_is_the_same_as_one_by_one(subject: Subject) -> None:
    images = [picture((48, 64), 0), picture((48, 64), 1), picture((37, 61))]
    ids = [f"images/any/{number}" for number in range(len(images))]
    together = subject.model.predict_batch(images, ids)
    assert len(together) == len(images)
    for image, prediction in zip(images, together, strict=True):
        check_prediction(prediction, image, subject.model)
        alone = subject.model.predict(image).values
        assert np.abs(prediction.values - alone).max() <= 1e-5 * (float(np.ptp(alone)) or 1.0)
    assert list(subject.model.predict_batch([])) == []


@in_full
def test_views_and_read_only_images(subject: Subject) -> None:
    mirrored = picture((48, 64))[:, ::-1]
    frozen = mirrored.copy()
    frozen.flags.writeable = False
    assert (subject.model.predict(mirrored).values == subject.model.predict(frozen).values).all()


@pytest.fixture
def weights_made_since() -> Iterator[Callable[[], list[weakref.ref[Any]]]]:
    """Networks, and tensors of the size of weights, that exist now and did not when the test began."""
    import torch

    def made() -> list[weakref.ref[Any]]:
        kinds = (torch.nn.Module, torch.Tensor)
        found = [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]
        return [weakref.ref(f) for f in found if not isinstance(f, torch.Tensor) or f.numel() >= 256]

    gc.collect()
    gc.freeze()  # what is there already is not looked at
    yield made
    gc.unfreeze()


@pytest.mark.parametrize("name", FULL)
def test_close_releases_the_weights(
    name: str, published: Any, weights_made_since: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the model itself is still held, as it is by whoever reads its info afterwards."""
    entry = published(name)
    monkeypatch.setitem(models()._items, name, entry)
    model = model_zoo.load(name, device="cpu")
    made = weights_made_since()
    assert made or entry.status == "baseline" or "environment" in entry.options
    model.predict(picture((48, 64)))
    model.close()
    gc.collect()
    assert [weights() for weights in made if weights() is not None] == []
    assert model.info.name == name


@pytest.mark.parametrize("name", FACTORIES.values(), ids=FACTORIES.keys())
def test_eval_by_name(name: str, published: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the command line to a record, on the first image of the bundled set."""
    entry = published(name)
    monkeypatch.setitem(models()._items, name, entry)
    arguments = ["eval", "-m", name, "--limit", "1", "--device", "cpu", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(dabench.cli.build_app(), arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code in (0, 1), result.output
    runs = sorted(path.parent.name for path in tmp_path.rglob("summary.json"))
    assert runs == ["mini-depth@1", "mini-pairs@1"]
    for folder in (tmp_path / name).iterdir():
        record = json.loads((folder / "run.json").read_text())
        summary = json.loads((folder / "summary.json").read_text())
        assert record["model"]["name"] == name and record["model"]["licence"] == entry.licence
        assert summary["counts"]["failed"] == 0 and summary["counts"]["expected"] == 1
        coverage = summary["coverage"]
        assert result.exit_code == 0 or coverage < 1 or entry.output is not Output.DISPARITY
        assert coverage == 1 or not math.isnan(coverage)


def told(output: str, name: str, *, hint: bool = True) -> str:
    """What is said of a model: one sentence, and the way out where there is one."""
    assert "Traceback" not in output
    found = re.findall(rf"^error: [^\n]*\b{re.escape(name)}\b(?![-.\w])[^\n]*\n(?:  [^\n]+\n?)?", output, flags=re.M)
    assert len(found) == 1, (name, output)
    (said,) = found
    assert not hint or said.count("\n") == 2, f"{name}: no way out in: {said}"
    return str(said)


def fail(names: list[str], tmp_path: Path) -> str:
    """Score the models, none of which can be loaded."""
    wanted = [word for name in names for word in ("-m", name)]
    arguments = ["eval", *wanted, "--limit", "1", "--device", "cpu", "--out", str(tmp_path / "runs")]
    result = CliRunner().invoke(dabench.cli.build_app(), arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code != 0 and not (tmp_path / "runs").exists()
    return result.output


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [name for name, entry in ROWS.items() if entry.requires]
    packages = {module for name in names for module in ROWS[name].requires}
    find = dabench.registry.importlib.util.find_spec
    monkeypatch.setattr(
        "dabench.registry.importlib.util.find_spec", lambda name, *more: None if name in packages else find(name, *more)
    )
    output = fail(names, tmp_path) if names else ""
    for name in names:
        said = told(output, name)
        assert "not installed here" in said and "pip install '" in said


def test_no_network(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    output = fail(BY_HUB, tmp_path)
    for name in BY_HUB:
        said = told(output, name)
        assert "could not be downloaded" in said and "--checkpoint" in said


def test_a_licence_that_was_not_accepted(hub: Any, tmp_path: Path) -> None:
    hub.gated |= {ROWS[name].source for name in BY_HUB}
    output = fail(BY_HUB, tmp_path)
    for name in BY_HUB:
        said = told(output, name)
        assert "licence to be accepted" in said and str(ROWS[name].source) in said and "HF_TOKEN" in said
    assert hub.content_requests() == []


def test_a_file_with_other_content(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Refused by its checksum where one is catalogued, and by its reader where none is."""
    names = [name for name in FULL if name in BY_HUB]
    for name in names:
        entry = ROWS[name]
        for file in {*entry.files, str(entry.file)}:
            hub.add(entry.source, entry.revision or "c" * 40, file, f"not {name}".encode() * 10)
        if entry.sha256:
            unknown = replace(entry, name=f"{name}-unpinned", sha256=None)
            monkeypatch.setitem(models()._items, unknown.name, unknown)
            names = [*names, unknown.name]
    output = fail(names, tmp_path)
    for name in names:
        said = told(output, name, hint=False)
        if models().get(name).sha256:
            assert "other bytes than the catalogue knows" in said
        else:
            assert re.search(r"\.(pth|pt|bin|safetensors|json|onnx|txt)\b", said), "names the file"


def test_an_environment_that_is_not_set_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [name for name in DOWNLOADABLE if "environment" in ROWS[name].options]
    monkeypatch.setenv("DABENCH_ENVIRONMENTS", str(tmp_path / "none"))
    output = fail(names, tmp_path) if names else ""
    for name in names:
        assert f"dabench setup {ROWS[name].options['environment']}" in told(output, name)


@pytest.mark.parametrize("name", FULL)
def test_wrong_options_are_found_before_a_download(name: str, hub: Any) -> None:
    wrong: list[dict[str, Any]] = [{"precision": "fp8"}, {"input_size": 3}, {"settings": {"no_such_option": "1"}}]
    if ROWS[name].status == "baseline":
        wrong = wrong[2:]
    for options in wrong:
        with pytest.raises(UsageError):
            model_zoo.load(name, **{"device": "cpu", **options})
    if name in BY_HUB:
        with pytest.raises(UsageError):
            model_zoo.load(name, device="tpu")
    assert hub.log == []


def test_errors_have_the_exit_codes_of_the_contract() -> None:
    assert (ModelError.exit_code, CheckpointError.exit_code, UsageError.exit_code) == (2, 2, 2)
    assert DownloadError.exit_code == 1 and issubclass(DownloadError, DabenchError)


def test_a_model_that_orders_points_says_so() -> None:
    """It gives no map, so that the contract of maps does not hold for it; its own tests ask a server."""
    for name in set(ROWS) - set(MAPS):
        assert ROWS[name].output is Output.ORDER and not issubclass(PairModel, DepthModel)
