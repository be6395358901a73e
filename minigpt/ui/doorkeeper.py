"""Who may ask this server at all, and how much may be sent to it: looked at before Gradio reads a byte.

A server on a laptop or in a class is reached by every website that a visitor has open: the browser sends what such a
site asks for. So a request that names the site it comes from must come from this page's own, or from one that
MINIGPT_ORIGINS allows by name; and the name by which the server was asked must be one of its own, because a site may
have its own name lead here ("DNS rebinding"). Programs name no site, and are let in.

Whoever asks many things at once is let in at a pace: each request costs Gradio's one event loop some milliseconds, and
all others would wait behind them.
"""

import asyncio
import ipaddress
import os
import re
import socket
import time
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minigpt import limits
from minigpt.ui.visitors import address_of

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_SMALL = 1_000_000  # bytes; what so few can hold in parts does no harm
# Whoever opens a link, or has a frame of the page, only reads: the page that comes then asks for itself.
_READS = frozenset({"GET", "HEAD"})
_AT_ONCE = 20  # requests of one visitor that nobody holds up: what opening a page or two asks for
_PATIENCE = 10.0  # seconds; whoever would be held up for longer is told so


def doorkeeper() -> Middleware:
    """For `launch(app_kwargs={"middleware": [...]})`."""
    return Middleware(_Doorkeeper)


def allowed_origins() -> frozenset[str]:
    """The sites beside the page's own that may drive this server: MINIGPT_ORIGINS, such as "https://school.example"."""
    named = os.environ.get("MINIGPT_ORIGINS", "").replace(",", " ").split()
    return frozenset(origin.rstrip("/").lower() for origin in named)


def own_names() -> frozenset[str]:
    """Names by which this server may be asked; numbers and names without a dot are its own by themselves."""
    named = {urlsplit(origin).hostname or origin for origin in allowed_origins()}
    return frozenset({"localhost", socket.gethostname().lower(), *_space_hosts(), *named} - {""})


def _space_hosts() -> list[str]:
    return os.environ.get("SPACE_HOST", "").lower().replace(",", " ").split()


def is_own(host: str) -> bool:
    """Whether a Host names this server: by number, by a name of one word or of this network, or by one of its own.

    Whoever owns a name on the internet can have it lead to any machine, but not a number and not `classroom.local`.

    >>> [is_own(host) for host in ("127.0.0.1:7860", "[::1]:7860", "teacher.local", "abc.gradio.live", "evil.example")]
    [True, True, True, True, False]
    """
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        local = "." not in name or name.endswith((".local", ".localhost", ".lan", ".home.arpa"))
        return bool(name) and (local or name.endswith(".gradio.live") or name in own_names())
    return True


class _Doorkeeper:
    def __init__(self, app: ASGIApp) -> None:
        self._app, self._pace = app, Pace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = _refused(scope["method"], headers)
        if refusal is None and scope["method"] == "POST":
            refusal = await self._held_up(scope, headers)
        if refusal is None and scope["method"] == "POST" and not scope["path"].endswith("/upload"):
            body, refusal = await _body(headers, receive)
            receive = _again(body, receive)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refusal(scope, receive, send)

    async def _held_up(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        seconds = self._pace.wait(address_of(headers, HTTPConnection(scope).client), time.monotonic())
        if seconds > _PATIENCE:
            return _no(429, limits.CALLS_A_SECOND.says.format(most=limits.CALLS_A_SECOND.most))
        await asyncio.sleep(seconds)
        return None


class Pace:
    """How long each request of a visitor has to wait, so that no more begin in a second than the limit says.

    The "generic cell rate algorithm" (ITU-T I.371): a visitor is one number, the time at which all that was let in
    would have been let in one by one.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def wait(self, visitor: str, now: float) -> float:
        """Seconds from `now` on; a request that would wait longer than anybody should is not counted."""
        every = 1 / limits.CALLS_A_SECOND.most
        until = max(self._until.get(visitor, now), now) + every
        seconds = max(0.0, until - now - _AT_ONCE * every)
        if seconds <= _PATIENCE:
            self._until[visitor] = until
        if len(self._until) > limits.SESSIONS.most:
            self._until = {other: then for other, then in self._until.items() if then > now}
        return seconds


def _refused(method: str, headers: Headers) -> PlainTextResponse | None:
    # A proxy on the way asks by a name of its own and passes on the one it was asked by. A browser's page cannot set
    # the header across sites, so it is believed for comparing with the origin, and never for the server's own name.
    host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
    if not is_own(host):
        return _no(
            403,
            f"This server is not known as {host[:80]!r}. MINIGPT_ORIGINS=https://{host[:80]} at its start allows it.",
        )
    if not origin or origin in allowed_origins():
        return None
    asked_as = {
        host,
        *_space_hosts(),
        *(each.strip().lower() for each in headers.get("x-forwarded-host", "").split(",")),
    }
    if urlsplit(origin).netloc in asked_as and urlsplit(origin).netloc:
        return None
    if method in _READS and headers.get("sec-fetch-mode") == "navigate":
        return None
    return _no(403, f"The site {origin[:80]!r} may not use this server. MINIGPT_ORIGINS={origin[:80]} allows it.")


async def _body(headers: Headers, receive: Receive) -> tuple[bytes, PlainTextResponse | None]:
    """All that is sent, or why it is not taken; of what is too large no more is read than fits."""
    most, told = limits.body_bytes(), headers.get("content-length", "")
    too_large = _no(413, f"At most {most:,} bytes fit into one request: a text of {limits.LETTERS.most:,} letters.")
    if told.isdigit() and int(told) > most:
        return b"", too_large
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return b"", too_large
        if not message.get("more_body"):
            break
    body = b"".join(parts)
    if len(body) > _SMALL:
        try:
            limits.BODY_PARTS.check(await run_in_threadpool(n_parts, body))
        except ValueError as error:
            return b"", _no(413, str(error))
    return body, None


def n_parts(body: bytes) -> int:
    """How many values a JSON text has, about: each costs some fifty bytes of memory or more, however short it is.

    >>> n_parts(b'{"data": ["one, [text]", [], [[]], 7]}')
    9
    """
    bare = _STRINGS.sub(b"", body)
    return 1 + sum(bare.count(sign) for sign in (b",", b"[", b"{"))


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read already, for whoever reads it now; then what still comes, such as the end of the connection."""
    told = False

    async def read() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


def _no(status: int, sentence: str) -> PlainTextResponse:
    return PlainTextResponse(sentence, status_code=status)
