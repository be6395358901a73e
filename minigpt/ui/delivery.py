"""How the page's files reach a browser: early, once, and from this machine alone."""

import hashlib
from collections.abc import Sequence

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
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
    return f"{_FILE}{file}?{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"


def early(names: Sequence[str]) -> Middleware:
    """For `launch(app_kwargs={"middleware": [...]})`: the page's first line tells a browser which scripts it will need.

    Gradio adds scripts of a page's own when its own have run, and so the largest would come last.
    """
    links = ", ".join(f"<{address(name)}>; rel=preload; as=script" for name in names)
    return Middleware(_Delivery, links=links)


class _Delivery:
    """Adds headers: to the page, what it will need; to files whose address changes with them, that they may be kept."""

    def __init__(self, app: ASGIApp, links: str) -> None:
        self._app, self._links = app, links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Link"] = self._links
                elif f"/{_FILE}" in scope["path"] and scope["query_string"]:
                    headers["Cache-Control"] = _FOR_EVER
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
