"""Pages, scripts and styles: the files of ``annotation/web``, by name only, from memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
}


@dataclass(frozen=True)
class Asset:
    content: bytes
    kind: str
    etag: str


class Assets:
    """The files, read once. ``build``: 12 hex digits of a digest over all of them, stored with every answer."""

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}
        whole = hashlib.sha256()
        for file in sorted(resources.files("annotation").joinpath("web").iterdir(), key=lambda f: f.name):
            kind = TYPES.get(file.name[file.name.rfind(".") :])
            if kind is None or not file.is_file():
                continue
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            self._assets[file.name] = Asset(content, kind, f'"{digest[:24]}"')
            whole.update(f"{file.name} {digest}\n".encode())
        self.build = whole.hexdigest()[:12]

    def names(self) -> list[str]:
        return sorted(self._assets)

    def reply(self, request: Request, name: str) -> Response | None:
        """The file, ``304`` when the browser has it, or None when there is no such name."""
        asset = self._assets.get(name)
        if asset is None:
            return None
        headers = {"ETag": asset.etag, "Cache-Control": "private, no-cache"}
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.kind, headers=headers)
