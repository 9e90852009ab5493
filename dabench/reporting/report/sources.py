"""Where a report's pictures come from: the dataset that was scored, and the maps that a run kept or somebody saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol as Interface

from dabench import datasets
from dabench.datasets.base import Dataset
from dabench.errors import DabenchError, DatasetError
from dabench.kept import FOLDER, MANIFEST, PredictionStore, Shelf
from dabench.records import differences
from dabench.reporting.loaded import Record
from dabench.scoring.crops import KB_SIZE, kb_window
from dabench.types import GroundTruth, Image, Pair, PairSample, Prediction


class SavedMaps(Interface):
    """Maps that were saved to files, found by sample id."""

    def saved(self, sample_id: str) -> Prediction:
        """The map in the size it was saved in. Raises ModelError."""
        ...

    def predict_batch(self, images: Sequence[Image], sample_ids: Sequence[str] | None = None) -> list[Prediction]:
        """The maps in the size of their images. Raises ModelError."""
        ...


class Source:
    """What the pictures of one run are made of.

    Args:
        record: the run.
        data_root: as `dabench eval` takes it; None for the bundled set.
        saved: maps from elsewhere; None looks for those that the run kept.

    Attributes:
        missing_data, missing_maps: why there is no dataset, or no map, in one sentence; empty where there is.
    """

    def __init__(self, record: Record, data_root: Path | None = None, saved: SavedMaps | None = None) -> None:
        self.record = record
        self._saved = saved
        self._shelf: Shelf | None = None
        self._dataset: Dataset | None = None
        self.missing_data = self.missing_maps = ""
        try:
            self._dataset = self._open(data_root)
        except DabenchError as error:
            self.missing_data = error.message
        if saved is None:
            self._shelf, self.missing_maps = self._kept()

    @property
    def has_data(self) -> bool:
        return self._dataset is not None

    @property
    def has_maps(self) -> bool:
        return self.has_data and (self._saved is not None or self._shelf is not None)

    def _open(self, data_root: Path | None) -> Dataset:
        recipe, about = self.record.protocol, self.record.info["dataset"]
        field = recipe.valid.field if recipe.valid is not None else None
        only = frozenset(line["id"] for line in self.record.samples()) if self.record.partial else None
        chosen = {"task": recipe.task, "split": recipe.dataset.split, "field": field}
        name = recipe.dataset.name
        opened = datasets.open_dataset(name, data_root, **chosen, only=only)
        if opened.fingerprint != about.get("fingerprint"):
            raise DatasetError(
                f"dataset '{name}' at {opened.root} is not the one that was scored: its fingerprint differs from the "
                "record's"
            )
        return opened

    def _kept(self) -> tuple[Shelf | None, str]:
        """The kept maps of this run's dataset and inference setting, or why there are none."""
        store = PredictionStore(self.record.path.parent / FOLDER)
        try:
            manifest = store.manifest()
        except DabenchError as error:
            return None, error.message
        if manifest is None:
            return None, "This run kept no predictions."
        if differences(manifest.get("model"), self.record.info["model"]):
            return None, f"{store.folder / MANIFEST} is of another model than the record."
        recipe = self.record.protocol
        setting = ("kb" if recipe.crop.image == "kb" else "full") + ("-flip" if recipe.inference.flip else "")
        batch = self.record.info.get("settings", {}).get("batch_size", 1)
        pattern = setting if batch == 1 else f"{setting}-batch{batch}-*"
        for folder in sorted((store.folder / recipe.dataset.name).glob(pattern)):
            shelf = Shelf(folder, self.record.info["model"]["output"])
            if any(line["id"] in shelf for line in self.record.samples()[:1]):
                return shelf, ""
        return None, f"{store.folder} holds no prediction of this run."

    def image(self, sample_id: str) -> Image:
        """``uint8 [H, W, 3]``. Raises DabenchError."""
        assert self._dataset is not None
        return self._dataset.image(sample_id)

    def truth(self, sample_id: str) -> GroundTruth:
        """Dense ground truth, for depth protocols. Raises DabenchError."""
        assert self._dataset is not None
        return self._dataset.ground_truth(sample_id)

    def pairs(self, sample_id: str) -> tuple[Image, tuple[Pair, ...]]:
        """The image and its labelled pairs, for pair protocols. Raises DabenchError."""
        assert self._dataset is not None
        sample = self._dataset.load(sample_id)
        assert isinstance(sample, PairSample)
        return sample.image, sample.pairs

    def prediction(self, sample_id: str, image: Image) -> Prediction | None:
        """The map of a sample, of the size of the image (or of its KB crop); None where it is lost.

        Args:
            image: the whole image; a kept map counts only for the pixels it was made of.
        """
        if self._saved is not None:
            if self.record.protocol.task == "pairs":
                return self._saved.predict_batch([image], [sample_id])[0]
            return self._saved.saved(sample_id)
        if self._shelf is None:
            return None
        if self.record.protocol.crop.image == "kb":
            top, left = kb_window(*image.shape[:2])
            image = image[top : top + KB_SIZE[0], left : left + KB_SIZE[1]]
        kept = self._shelf.read(sample_id, image)
        return kept.prediction if kept is not None else None
