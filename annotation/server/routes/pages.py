"""Pages and their files. A page is an empty shell without data of the study."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..allow import Shared, caller_of
from ..replies import Refused
from ..roles import PAGES

router = APIRouter()


def page(request: Request, server: Shared) -> Response:
    """The page of this path. The start page asks those who are not signed in to sign in, at the same address, so that
    the token in the fragment of their link stays where only the browser sees it.
    """
    path = request.scope["route"].path
    name = "login.html" if path == "/" and caller_of(request) is None else PAGES[path]
    reply = server.assets.reply(request, name)
    if reply is None:
        raise Refused(404, "this page is not part of the installed package", "reinstall dabench")
    if path == "/":
        reply.headers["Vary"] = "Cookie"
    return reply


for path in PAGES:
    router.add_api_route(path, page, methods=["GET"], response_model=None)


@router.get("/static/{name}", response_model=None)
def static(request: Request, name: str, server: Shared) -> Response:
    reply = server.assets.reply(request, name)
    if reply is None:
        raise Refused(404, "there is no such file")
    return reply
