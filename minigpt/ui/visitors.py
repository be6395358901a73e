"""Who asks: visitors are told apart by the address that they come from, and nothing else is known of them.

What is kept of an address is a keyed hash (RFC 2104), which only this server's folder of runs can make again.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import gradio as gr

KEY = "visitors.key"  # in the folder of runs
N_BYTES = 32


class Visitors:
    """Names for those who ask, the same after a restart.

    A class behind one address of its school is one visitor here: limits by visitor have room for a class.
    """

    def __init__(self, folder: Path | None) -> None:
        self._key = _key(folder) if folder else secrets.token_bytes(N_BYTES)

    def of(self, request: gr.Request | None) -> str:
        """A short name for whoever asks; "" where nobody can be seen, as from a test."""
        address = address_of(request.headers, request.client) if request else ""
        return hmac.digest(self._key, address.encode(), "sha256").hex()[:16] if address else ""


def address_of(headers: Mapping[str, str], client: object) -> str:
    """Where a request comes from, by its headers and the `client` with a `host` that it reached this server from."""
    if os.environ.get("SPACE_HOST"):  # There every visitor comes through the host's own proxy, which says for whom.
        forwarded = headers.get("x-forwarded-for", "").split(",")[0].strip()
        if forwarded:
            return forwarded
    return str(getattr(client, "host", None) or "")


def _key(folder: Path) -> bytes:
    path = folder / KEY
    with suppress(OSError):
        known = path.read_bytes()
        if len(known) == N_BYTES:
            return known
    made = secrets.token_bytes(N_BYTES)
    with suppress(OSError):  # A folder that takes nothing: until the next start then.
        path.touch(mode=0o600)
        path.write_bytes(made)
    return made
