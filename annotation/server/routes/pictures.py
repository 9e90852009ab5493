"""Pictures, by the digest of the canonical file and never by a name or path."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from ..allow import Shared, Signed

router = APIRouter()
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Start = Annotated[int, Query(ge=0, le=2**24)]
Size = Annotated[int, Query(ge=1, le=512)]
FOREVER = "private, max-age=31536000, immutable"


@router.get("/images/{sha256}/work.jpg", response_model=None)
def work(request: Request, sha256: Sha256, server: Shared, caller: Signed) -> Response:
    """The whole picture, long side at most 2048 pixels."""
    etag = f'"{sha256[:32]}-work"'
    headers = {"ETag": etag, "Cache-Control": FOREVER}
    if etag in request.headers.get("if-none-match", "") and server.pictures.usable(sha256):
        return Response(status_code=304, headers=headers)
    return Response(server.pictures.work(sha256), media_type="image/jpeg", headers=headers)


@router.get("/images/{sha256}/crop.png", response_model=None)
def crop(
    sha256: Sha256, server: Shared, caller: Signed, row: Start, col: Start, rows: Size = 256, cols: Size = 256
) -> Response:
    """Native pixels. ``row``, ``col``: the upper left corner; the window is moved and cut so that it lies inside the
    picture, and the header ``X-Dabench-Crop`` says where it came to lie: row, col, rows, cols.
    """
    content, window = server.pictures.crop(sha256, row, col, rows, cols)
    headers = {"Cache-Control": FOREVER, "X-Dabench-Crop": " ".join(map(str, window))}
    return Response(content, media_type="image/png", headers=headers)


@router.get("/images/{sha256}/expert/{model}.png", response_model=None)
def expert(
    sha256: Sha256,
    model: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9@._+-]{0,99}$")],
    server: Shared,
    caller: Signed,
) -> Response:
    """The depth map that a model voted with, in colours: warm is near."""
    return Response(server.pictures.expert(sha256, model), media_type="image/png")
