"""A page in a process of its own as a visitor sees it over HTTP, for what is measured of it from outside."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

MB = 1_000_000
TEXT = "the old king saw the small dog . the dog ran to the old king .\n" * 40
SMALL = {"text": TEXT, "steps": 5, "layers": 1, "heads": 2, "width": 16, "context": 16, "batch": 4}
PATIENCE = 120.0  # seconds, for one call
# Where the abuse comes from: the page tells visitors apart by their address. Elsewhere than on Linux there is one only.
ELSEWHERE = "127.0.0.2" if sys.platform == "linux" else None


def client_of(address: str, comes_from: str | None = None) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(local_address=comes_from, limits=httpx.Limits(max_connections=None))
    return httpx.AsyncClient(base_url=address, timeout=PATIENCE, transport=transport)


@dataclass
class Server:
    """A page in a process of its own as one visitor sees it, and what was seen of it."""

    address: str
    process: psutil.Process
    client: httpx.AsyncClient
    largest: int = 0  # bytes
    ended: dict[str, int] = field(default_factory=dict)

    def grown(self) -> int:
        """Bytes of the server and its workers together now; the most so far is kept."""
        size = 0
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                size += process.memory_full_info().pss
        self.largest = max(self.largest, size)
        return size

    async def call(self, name: str, **given: Any) -> Any:
        """The last answer of an endpoint; RuntimeError with the sentence of a refusal."""
        began = await self.client.post(f"/gradio_api/call/v2/{name}", json=given)
        if began.status_code != 200:
            raise RuntimeError(f"{began.status_code} {began.text[:200]}")
        answer, event = None, ""
        async with self.client.stream("GET", f"/gradio_api/call/{name}/{began.json()['event_id']}") as stream:
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event in ("complete", "generating"):
                    answer = json.loads(line.removeprefix("data: "))
                elif line.startswith("data: ") and event == "error":
                    raise RuntimeError(line.removeprefix("data: "))
        return answer[0]

    async def attempt(self, name: str, **given: Any) -> str:
        """How a call ended, in a word or by its sentence, counted."""
        try:
            await self.call(name, **given)
            how = "done"
        except (RuntimeError, httpx.HTTPError) as error:
            how = f"{type(error).__name__} {error}"[:90]
        self.ended[how] = self.ended.get(how, 0) + 1
        return how

    async def event(self, name: str) -> int:
        """The number by which a page asks for one of its own handlers."""
        config = (await self.client.get("/config")).json()
        return next(each["id"] for each in config["dependencies"] if each["api_name"] == name)

    async def visit(self, event: int, *given: Any) -> None:
        """What a page that nobody visited before asks for, until its answer has come to an end."""
        session = uuid.uuid4().hex
        asked = {"fn_index": event, "data": given, "session_hash": session, "event_data": None}
        how = "closed"
        try:
            await self.client.post("/gradio_api/queue/join", json=asked)
            async with self.client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
                async for line in stream.aiter_lines():
                    if "process_completed" in line:
                        how = "done"
                        break
        except httpx.HTTPError as error:
            how = f"{type(error).__name__} {error}"[:90]
        self.ended[how] = self.ended.get(how, 0) + 1


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A warm server with its own folder of runs; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        env = os.environ | {"MINIGPT_RUNS": f"{folder}/runs", "PYTHONUNBUFFERED": "1"}
        with (
            said.open("w") as out,
            subprocess.Popen(
                [sys.executable, "-m", "minigpt", "serve"], env=env, stdout=out, stderr=subprocess.STDOUT
            ) as begun,
        ):
            try:
                address = await _address(said, begun)
                async with client_of(address) as client:
                    server = Server(address, psutil.Process(begun.pid), client)
                    run = await server.call("train", **SMALL)
                    await server.call("progress", run_id=run)
                    yield server
            finally:
                begun.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    begun.wait(10)
                begun.kill()


async def _address(said: Path, begun: "subprocess.Popen[bytes]") -> str:
    for _ in range(600):
        if found := re.search(r"miniGPT is at (http://\S+?)/? ", said.read_text()):
            return found[1]
        if begun.poll() is not None:
            break
        await asyncio.sleep(0.1)
    raise RuntimeError(f"The server did not start: {said.read_text()}")
