"""What every registered reader must keep. A reader needs a builder (builders/__init__.py) and gets all of this."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import dataset_builders
import numpy as np
import pytest
from dataset_builders import dataset_of, rewrite

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.datasets.inventory import faults, inventory
from dabench.errors import DatasetError, ImageError, SampleError, UnknownNameError, UsageError
from dabench.types import PairSample, Sample

LOOKED_AT = 6
"""How many samples of a set are decoded: the readers' own tests look at every kind of content."""


@dataclass(frozen=True)
class Case:
    """One way to open a built set."""

    module: ModuleType
    name: str
    task: str
    split: str
    field: str

    def __str__(self) -> str:
        return "-".join([self.module.__name__.rpartition(".")[2], self.task, self.split, self.field])

    def fact(self, name: str, default: Any = None) -> Any:
        return getattr(self.module, name, default)

    def open(self, data_root: Path, **options: Any) -> Dataset:
        return datasets.open_dataset(
            self.name, data_root, **{"task": self.task, "split": self.split, "field": self.field, **options}
        )


def _cases() -> tuple[list[Case], list[Case]]:
    served, unserved = [], []
    for module in dataset_builders.modules().values():
        name = dataset_of(module)
        if name not in datasets.registry().names():
            continue
        info = datasets.registry().get(name).info
        for task in info.tasks:
            for split in info.splits:
                for field in info.fields if task == "depth" else info.fields[:1]:
                    case = Case(module, name, task, split, field)
                    lacks = {**case.fact("REFUSED", {}), **case.fact("ABSENT", {})} if task == "depth" else {}
                    (unserved if (split, field) in lacks else served).append(case)
    return served, unserved


SERVED, UNSERVED = _cases()
MODULES = list({c.module.__name__: c.module for c in SERVED}.values())
FIRST = list({(c.module.__name__, c.task): c for c in reversed(SERVED)}.values())[::-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Data roots by builder module; each is built once, and a test that changes one puts it back."""
    roots: dict[str, Path] = {}

    def get(module: ModuleType) -> Path:
        if module.__name__ not in roots:
            roots[module.__name__] = module.build(tmp_path_factory.mktemp("set"))
        return roots[module.__name__]

    yield get


@pytest.fixture(params=SERVED, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def root(case: Case, built: Any) -> Path:
    return built(case.module)


def image_file(case: Case, dataset: Dataset, sample_id: str) -> Path | None:
    assert dataset.root is not None
    if case.fact("ONE_FILE"):
        return None
    own = case.fact("image_file")
    if own is not None:
        return own(dataset.root, sample_id)
    path = dataset.root / sample_id
    [found] = [p for p in path.parent.iterdir() if p.name.rpartition(".")[0] == path.name]
    return found


def truth_file(case: Case, dataset: Dataset, sample_id: str) -> Path | None:
    assert dataset.root is not None
    if case.fact("ONE_FILE") or case.task == "pairs":
        return None
    return case.fact("truth_file")(dataset.root, sample_id, case.split, case.field)


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    before = path.read_bytes()
    rewrite(path, content)
    try:
        yield
    finally:
        rewrite(path, before)


def some(ids: tuple[str, ...]) -> list[str]:
    return [ids[i] for i in sorted({round(k) for k in np.linspace(0, len(ids) - 1, LOOKED_AT)})]


def _label(value: Any) -> str:
    return getattr(value, "__name__", str(value))


FILES = [
    (case, which)
    for case in SERVED
    if not case.fact("ONE_FILE")
    for which in (image_file, truth_file)[: 1 + (case.task == "depth")]
]
DECODED = list({(c.module.__name__, c.task, c.field, which): (c, which) for c, which in FILES[::-1]}.values())[::-1]


def test_every_reader_has_a_builder_and_every_builder_a_reader() -> None:
    assert {dataset_of(m) for m in dataset_builders.modules().values()} == set(datasets.registry().names())


@pytest.mark.parametrize("name", datasets.registry().names())
def test_info(name: str) -> None:
    info = datasets.registry().get(name).info
    assert info.name == name and info.tasks and set(info.tasks) <= {"pairs", "depth"}
    for text in (info.title, info.summary, info.licence, info.source, info.layout, info.how_to_get, info.expected):
        assert text.strip() and "\n" not in text
    assert info.splits and info.fields
    assert len(set(info.splits)) == len(info.splits) and len(set(info.fields)) == len(info.fields)
    assert set(info.split_images) <= set(info.splits)


def test_ids_and_counts(case: Case, root: Path) -> None:
    dataset = case.open(root)
    assert (dataset.task, dataset.split, dataset.field) == (case.task, case.split, case.field)
    assert isinstance(dataset.ids, tuple)
    assert len(set(dataset.ids)) == len(dataset.ids) == dataset.total_samples > 1
    for count in (dataset.info.split_images.get(case.split), case.fact("IMAGES")):
        assert count in (None, dataset.total_samples)
    for sample_id in dataset.ids:
        assert not sample_id.startswith("/") and ".." not in sample_id and "\\" not in sample_id
        assert not sample_id.lower().endswith((".png", ".jpg", ".h5"))
    if "GROUPS" in vars(case.module):
        assert {dataset.group(i) for i in dataset.ids} == case.fact("GROUPS")
    assert {bool(dataset.sequence(i)) for i in dataset.ids} == {case.fact("SEQUENCES", False)}
    assert dataset.total_targets == sum(dataset.targets(i) for i in dataset.ids)
    assert (dataset.total_targets > 0) == (case.task == "pairs")
    again = case.open(root)
    assert again.ids == dataset.ids and again.fingerprint == dataset.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", dataset.fingerprint)


def test_an_image_has_one_id_in_all_splits(built: Any) -> None:
    for module in MODULES:
        files: dict[str, Path | None] = {}
        for case in (c for c in SERVED if c.module is module):
            dataset = case.open(built(module))
            for sample_id in some(dataset.ids):
                path = image_file(case, dataset, sample_id)
                assert files.setdefault(sample_id, path) == path
        named = [p for p in files.values() if p is not None]
        assert len(set(named)) == len(named)


def test_samples(case: Case, root: Path) -> None:
    dataset = case.open(root)
    solid = set()
    for sample_id in some(dataset.ids):
        sample, again = dataset.load(sample_id), dataset.load(sample_id)
        assert sample.id == sample_id and sample.group == dataset.group(sample_id)
        assert sample.image.dtype == np.uint8 and sample.image.ndim == 3 and sample.image.shape[2] == 3
        assert sample.image.flags.c_contiguous
        np.testing.assert_array_equal(sample.image, again.image)
        np.testing.assert_array_equal(sample.image, dataset.image(sample_id))
        if case.task == "pairs":
            assert isinstance(sample, PairSample) and len(sample.pairs) == dataset.targets(sample_id) >= 1
            height, width = sample.image.shape[:2]
            for pair in sample.pairs:
                for row, col in (pair.point1, pair.point2):
                    assert 0 <= row < height and 0 <= col < width
            with pytest.raises(UsageError, match="no dense ground truth"):
                dataset.ground_truth(sample_id)
        else:
            assert isinstance(sample, Sample) and dataset.targets(sample_id) == 0
            truth = dataset.ground_truth(sample_id)
            np.testing.assert_array_equal(truth.depth, sample.depth)
            np.testing.assert_array_equal(truth.valid, sample.valid)
            assert sample.depth.dtype == np.float32 and sample.valid.dtype == np.bool_
            assert sample.depth.shape == sample.valid.shape == sample.image.shape[:2]
            assert sample.depth.flags.c_contiguous and sample.valid.flags.c_contiguous
            assert sample.valid.any()
            solid.add(bool(sample.valid.all()))
            assert np.isfinite(sample.depth[sample.valid]).all() and (sample.depth[sample.valid] > 0).all()
    covered = case.fact("SOLID", False)
    assert case.task == "pairs" or solid == {covered if isinstance(covered, bool) else case.field in covered}


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_samples_may_be_read_by_several_threads(case: Case, built: Any) -> None:
    dataset, serial = case.open(built(case.module)), case.open(built(case.module))
    ids = some(dataset.ids) * 3
    expected = {i: serial.load(i) for i in set(ids)}
    with ThreadPoolExecutor(4) as pool:
        for sample in pool.map(dataset.load, ids):
            np.testing.assert_array_equal(sample.image, expected[sample.id].image)
            if isinstance(sample, Sample):
                np.testing.assert_array_equal(sample.depth, expected[sample.id].depth)


def test_the_first_split_and_field_are_the_defaults(built: Any) -> None:
    tested = set()
    for case in SERVED:
        info = datasets.registry().get(case.name).info
        if (case.split, case.field) == (info.splits[0], info.fields[0]):
            dataset = case.open(built(case.module), split=None, field=None)
            assert (dataset.split, dataset.field) == (case.split, case.field)
            tested.add(case.name)
    assert tested == set(datasets.registry().names()), "a dataset's default is served by one of its layouts"


def test_selection(case: Case, root: Path) -> None:
    dataset = case.open(root)
    wanted = (dataset.ids[1], dataset.ids[-1])
    chosen = case.open(root, only=frozenset(wanted))
    assert chosen.ids == wanted and chosen.total_samples == dataset.total_samples
    assert chosen.total_targets == dataset.total_targets and chosen.fingerprint == dataset.fingerprint
    chosen.load(wanted[1])
    with pytest.raises(UsageError, match="4 of the selected ids are not in dataset"):
        case.open(root, only=frozenset({"nowhere", "../nowhere", wanted[0] + "/", wanted[0] + "\0", wanted[1]}))


@pytest.mark.parametrize(("case", "which"), FILES, ids=_label)
def test_a_missing_file_is_named_unless_it_is_not_selected(case: Case, built: Any, which: Any) -> None:
    root = built(case.module)
    dataset = case.open(root)
    victim = which(case, dataset, dataset.ids[1])
    with changed(victim, None):
        with pytest.raises(DatasetError, match=re.escape(victim.name)):
            case.open(root)
        with pytest.raises(DatasetError, match=re.escape(victim.name)):
            case.open(root, only=frozenset(dataset.ids[:2]))
        chosen = case.open(root, only=frozenset({dataset.ids[-1]}))
        assert chosen.ids == dataset.ids[-1:] and chosen.total_samples == dataset.total_samples
        chosen.load(dataset.ids[-1])


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize(("case", "which"), DECODED, ids=_label)
def test_a_truncated_file_fails_its_sample_only(case: Case, built: Any, which: Any, share: float) -> None:
    root = built(case.module)
    dataset = case.open(root)
    victim = which(case, dataset, dataset.ids[1])
    content = victim.read_bytes()
    with changed(victim, content[: int(share * len(content))]):
        dataset = case.open(root)
        with pytest.raises(ImageError if which is image_file else SampleError, match=re.escape(victim.name)):
            dataset.load(dataset.ids[1])
        dataset.load(dataset.ids[0])
        dataset.load(dataset.ids[2 if len(dataset.ids) > 2 else 0])


def test_what_macos_leaves_behind_is_ignored(case: Case, root: Path) -> None:
    dataset = case.open(root)
    left: list[Path] = []
    try:
        for which in (image_file, truth_file):
            path = which(case, dataset, dataset.ids[0])
            if path is not None:
                left += [path.with_name(f"._{path.name}"), path.with_name(".DS_Store")]
                left += [path.parent.with_name(f"._{path.parent.name}")] if path.parent != root else []
        for path in left:
            path.write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
        again = case.open(root)
        assert again.ids == dataset.ids and again.fingerprint == dataset.fingerprint
        again.load(again.ids[0])
    finally:
        for path in left:
            path.unlink(missing_ok=True)


@pytest.mark.parametrize("case", UNSERVED, ids=str)
def test_a_combination_that_cannot_be_served_is_explained(case: Case, built: Any) -> None:
    key = (case.split, case.field)
    kind, words = (UsageError, "REFUSED") if key in case.fact("REFUSED", {}) else (DatasetError, "ABSENT")
    with pytest.raises(kind, match=case.fact(words)[key]):
        case.open(built(case.module))


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_data_check_finds_what_the_layout_serves(module: ModuleType, built: Any) -> None:
    parts = list(inventory(dataset_of(module), built(module), decode=False))
    found = {(p.task, p.split, p.field): p.state for p in parts}
    for cases, states in ((SERVED, {"complete"}), (UNSERVED, {"absent", "undefined"})):
        for case in (c for c in cases if c.module is module):
            assert found.pop((case.task, case.split, case.field)) in states
    assert not found and faults(parts) == []


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_what_does_not_exist_is_refused(case: Case, built: Any) -> None:
    root = built(case.module)
    info = datasets.registry().get(case.name).info
    for task in [*({"pairs", "depth"} - set(info.tasks)), "flow"]:
        with pytest.raises(UsageError, match=f"no ground truth for task '{task}'"):
            case.open(root, task=task)
    for option in ("split", "field"):
        with pytest.raises(UnknownNameError, match="known: "):
            case.open(root, **{option: "nowhere"})
    if not info.bundled:
        with pytest.raises(DatasetError, match="does not exist") as refused:
            case.open(root / "nowhere")
        assert info.root_is_set or "names the folder that holds" in str(refused.value)
        with pytest.raises(UsageError, match="no data root"):
            datasets.open_dataset(case.name)


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_an_empty_folder_is_refused_with_the_layout_and_the_way_to_get_it(case: Case, tmp_path: Path) -> None:
    info = datasets.registry().get(case.name).info
    if info.bundled:
        return
    (tmp_path / case.name).mkdir()
    root = tmp_path / case.name if info.root_is_set else tmp_path
    with pytest.raises(DatasetError) as caught:
        case.open(root)
    assert info.how_to_get in str(caught.value) and info.layout in str(caught.value)


def test_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="da-2k"):
        datasets.open_dataset("da2k", Path("x"))
