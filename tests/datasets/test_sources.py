"""What the table of sources says, without a connection."""

from __future__ import annotations

import hashlib

from dataset_builders import eth3d

from dabench.datasets import registry
from dabench.datasets.sources import FETCHABLE


def test_hub_files_with_a_checksum_are_pinned_to_a_commit() -> None:
    for source in FETCHABLE.values():
        for file in source.files:
            if file.url.startswith("/") and file.checksum:
                revision = file.url.split("/resolve/")[1].split("/")[0]
                assert len(revision) == 40 and int(revision, 16)


def test_checksums_and_addresses_are_well_formed() -> None:
    for source in FETCHABLE.values():
        assert source.licence and source.page.startswith("http")
        for file in source.files:
            assert file.url.startswith(("/datasets/", "https://")) and file.brings and file.name
            algorithm, _, digest = (file.checksum or "md5:" + "0" * 32).partition(":")
            assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size
    assert FETCHABLE["diode"].files[0].checksum == "md5:5c895d09201b88973c8fe4552a67dd85"


def test_the_reader_tells_that_its_set_can_be_fetched() -> None:
    telling = {n for n in registry().names() if f"`dabench data fetch {n} " in registry().get(n).info.how_to_get}
    assert telling == set(FETCHABLE)


def test_files_name_splits_that_the_reader_has() -> None:
    for name, source in FETCHABLE.items():
        known = set(registry().get(name).info.splits)
        assert all(set(file.splits) <= known for file in source.files) and set(source.splits) <= known


def test_eth3d_is_thirteen_scenes_of_two_archives() -> None:
    usual = [file for file in FETCHABLE["eth3d"].files if "distorted" in file.splits]
    assert len(usual) == 26 and all(file.url.startswith("https://www.eth3d.net/data/") for file in usual)
    assert {file.brings[0].split("/")[0] for file in usual} == set(eth3d.SCENES)
