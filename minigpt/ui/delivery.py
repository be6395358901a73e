"""How the page and its files reach a browser: early, once, and from this machine alone."""

import gzip
import hashlib
from collections.abc import Sequence
from copy import copy
from functools import partial
from urllib.parse import quote

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minigpt.paths import asset

_FILE = "gradio_api/file="
_FOR_EVER = "public, max-age=31536000, immutable"


def address(name: str) -> str:
    """Where Gradio serves an asset; relative, because the page may live below a path of its host.

    It changes with what is in the file, so that no browser shows yesterday's from its cache, and each may keep it.
    """
    file = asset(name).resolve()
    gr.set_static_paths(file)
    # Quoted, because a header holds no accents, and a folder may have any name.
    return f"{_FILE}{quote(file.as_posix())}?{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"


def by_heart(blocks: gr.Blocks) -> None:
    """Let each component say at once what it is: from now on it does not change.

    Gradio asks all of them, some hundreds, anew for every visitor and in the midst of its event loop, where they look
    through their own signatures. A visitor's own changes are made on copies, which answer for themselves.
    """
    for block in blocks.blocks.values():
        asked = ["get_config"]
        if not block.skip_api:
            asked += ["api_info", "api_info_as_input", "api_info_as_output", "example_inputs"]
        for name in asked:
            if hasattr(block, name):
                said = getattr(block, name)()
                setattr(block, name, said.copy if isinstance(said, dict) else partial(copy, said))


def early(names: Sequence[str]) -> Middleware:
    """For `launch(app_kwargs={"middleware": [...]})`: the page's first line tells a browser which scripts it will need.

    Gradio adds scripts of a page's own when its own have run, and so the largest would come last.
    """
    return Middleware(_Delivery, names=names)


class _Delivery:
    """Adds to the page what it will need, and keeps the scripts packed.

    Gradio would pack a large script anew for each visitor, while the small ones that draw the page wait behind it.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._links = ", ".join(f"<{address(name)}>; rel=preload; as=script" for name in names)
        self._packed = {
            f"/{_FILE}{asset(name).resolve().as_posix()}": gzip.compress(asset(name).read_bytes()) for name in names
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_links(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Link"] = self._links
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in self._packed and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "Cache-Control": _FOR_EVER}
            packed = Response(self._packed[scope["path"]], headers=headers, media_type="text/javascript")
            await packed(scope, receive, send)
        else:
            await self._app(scope, receive, send_with_links)
