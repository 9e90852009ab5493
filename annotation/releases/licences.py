"""Under which terms the images of a release may be passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dabench.errors import UsageError

COLUMNS = (
    "image", "sha256", "original_name", "original_sha256", "licence", "author", "source", "retrieved", "keyword",
    "scene", "width", "height", "orientation",
)  # fmt: skip
LISTED = 20


class UnlicensedError(UsageError):
    """Images without a stated licence were to be released."""


def licence_rows(images: Sequence[Mapping[str, Any]], keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row an image, with the columns of ``COLUMNS``. ``keys``: SHA-256 -> path in the release."""
    rows = [{**{name: image[name] for name in COLUMNS[1:]}, "image": keys[image["sha256"]]} for image in images]
    return sorted(rows, key=lambda row: str(row["image"]))


def unlicensed(images: Sequence[Mapping[str, Any]]) -> list[str]:
    """Original names of the images without a licence."""
    return sorted(image["original_name"] for image in images if not image["licence"].strip())


def refuse_unlicensed(images: Sequence[Mapping[str, Any]]) -> None:
    """Raise UnlicensedError that lists the images without a licence, if there are any."""
    names = unlicensed(images)
    if names:
        shown = "".join(f"\n    - {name}" for name in names[:LISTED])
        more = f"\n    ... and {len(names) - LISTED} more" if len(names) > LISTED else ""
        raise UnlicensedError(
            f"{len(names)} of {len(images)} images have no licence, so that nobody may pass them on:{shown}{more}",
            hint="state it in the image list (column licence) and propose again, or release them all the same with "
            "--allow-unlicensed",
        )
