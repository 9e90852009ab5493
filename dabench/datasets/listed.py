"""Dense sets whose images an official list names: every file of every listed image has to be there."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Sequence
from pathlib import Path

from dabench.datasets.base import Dataset, check_selection
from dabench.datasets.layouts import AbsentError, IncompleteError

LISTED_FAULTS = 20


class ListedDataset(Dataset):
    """A subclass says which files an image needs (`files`) and hands its list to `_adopt` when it is opened."""

    _all: tuple[str, ...] = ()
    _ids: tuple[str, ...] = ()
    _fingerprint = ""

    @abc.abstractmethod
    def files(self, sample_id: str) -> tuple[str, ...]:
        """Paths below the root that a sample needs."""

    def advice(self, missing: Sequence[str]) -> str:
        """What is known about why these samples lack files; ``""`` for nothing."""
        return ""

    def _adopt(self, listed: Sequence[str]) -> None:
        """Take a split's list, narrow it to the selection and check that its files are there.

        The fingerprint is that of the list, the split and the field: the files of official sets do not change, and the
        files outside a selection need not be on disk.

        Raises:
            IncompleteError: files are missing (an AbsentError if no image has all of them); the message has their
                number, the first of them and the way to get them.
        """
        name = self.info.name
        self._all = tuple(listed)
        check_selection(self.only, frozenset(self._all), name)
        self._ids = tuple(i for i in self._all if self.only is None or i in self.only)
        facts = "\n".join((name, self.split, self.field, *self._all))
        self._fingerprint = hashlib.sha256(facts.encode()).hexdigest()
        root = self.folder
        missing: list[str] = []
        without: list[str] = []
        for sample_id in self._ids:
            absent = [path for path in self.files(sample_id) if not (root / path).is_file()]
            if absent:
                without.append(sample_id)
                missing += absent
        if without:
            there = len(self._ids) - len(without)
            wanted = f"the {len(self._ids)} images of split '{self.split}'"
            if self.only is not None:
                wanted = f"the {len(self._ids)} selected images"
            advice = self.advice(without)
            faults = [f"missing {path}" for path in dict.fromkeys(missing)]
            raise (IncompleteError if there else AbsentError)(
                f"dataset '{name}': {root} holds {there} of {wanted}:{fault_list(faults)}",
                hint="\n  ".join(line for line in (advice, self.info.how_to_get, self.info.layout) if line),
                missing=missing,
                present=frozenset(self._ids) - frozenset(without),
            )

    @property
    def folder(self) -> Path:
        """The root; readers of listed sets always have one."""
        assert self.root is not None
        return self.root

    @property
    def ids(self) -> tuple[str, ...]:
        return self._ids

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def total_samples(self) -> int:
        return len(self._all)


def fault_list(faults: Sequence[str]) -> str:
    """The first faults as indented lines, and how many more there are."""
    lines = "".join(f"\n    - {fault}" for fault in faults[:LISTED_FAULTS])
    more = len(faults) - LISTED_FAULTS
    return lines + (f"\n    ... and {more} more" if more > 0 else "")
