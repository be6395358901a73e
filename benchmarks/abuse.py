"""What one visitor can take from all others: each abuse against a server of its own, and what another visitor feels.

python -m benchmarks.abuse [--short] [NAME ...]

For each abuse: how long another visitor's call takes before, during and after it, how large server and workers grow
together, what of others was lost, and how what was asked for ended. All on this machine, and bounded.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
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


def _client(address: str, comes_from: str | None = None) -> httpx.AsyncClient:
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
                async with _client(address) as client:
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


async def felt(server: Server, run: str, times: int) -> list[float]:
    """Seconds of another visitor's calls, one after the other: to a run at rest, for five tokens."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        await server.call("generate", run_id=run, prompt="the old king", max_new_tokens=5)
        seconds.append(time.perf_counter() - began)
        server.grown()
    return seconds


async def trained(server: Server) -> float:
    """Seconds of another visitor's small run, from Train to its end."""
    began = time.perf_counter()
    run = await server.call("train", **(SMALL | {"steps": 100}))
    await server.call("progress", run_id=run)
    return time.perf_counter() - began


# ---- the abuses ----


async def streams(server: Server, size: float) -> None:
    """Pages stay open on a run that rests. They open twenty a second: opening one costs more than keeping it."""
    run = await server.call("train", **SMALL)
    await server.call("progress", run_id=run)
    follow = await server.event("follow")

    async def open_one(after: float) -> None:
        await asyncio.sleep(after)
        await server.visit(follow, run)

    await asyncio.gather(*(open_one(index / 20) for index in range(int(300 * size))))


async def attention(server: Server, size: float) -> None:
    """Pictures of more numbers than a machine holds."""
    given = SMALL | {"layers": 12, "heads": 12, "width": 48, "context": 1024, "batch": 1, "steps": 1}
    run = await server.call("train", **(given | {"text": TEXT * 6}))
    await server.call("progress", run_id=run)
    await asyncio.gather(*(server.attempt("attention", run_id=run, prompt=TEXT * 2) for _ in range(int(8 * size) or 1)))


async def bodies(server: Server, size: float) -> None:
    """Requests of 29 MB of empty lists."""
    body = b'{"data": [' + b"[]," * int(29 * MB * size / 3) + b"[]]}"

    async def send() -> None:
        got = await server.client.post(
            "/gradio_api/call/v2/train", content=body, headers={"content-type": "application/json"}
        )
        server.ended[str(got.status_code)] = server.ended.get(str(got.status_code), 0) + 1

    await asyncio.gather(*(send() for _ in range(8)))


async def sessions(server: Server, size: float) -> None:
    """Visitors who come once and never again, each with something to remember."""
    clear = await server.event("clear_text")
    for _ in range(int(100 * size) or 1):
        await asyncio.gather(*(server.visit(clear, TEXT * 40, None) for _ in range(20)))


async def explorations(server: Server, size: float) -> None:
    """Many prompts to a large model."""
    given = SMALL | {"layers": 8, "heads": 8, "width": 320, "context": 64, "steps": 2}
    run = await server.call("train", **given)
    await server.call("progress", run_id=run)
    for index in range(int(24 * size) or 1):
        await server.attempt("heads", run_id=run) if index % 8 == 7 else await server.attempt(
            "generate", run_id=run, prompt=f"the old king {'saw ' * index}", max_new_tokens=5
        )


async def runs(server: Server, size: float) -> None:
    """Hundreds of tiny runs, one after the other, so that others' might have to leave."""
    for _ in range(int(52 * size) or 1):
        await asyncio.gather(*(server.attempt("train", **(SMALL | {"steps": 1})) for _ in range(10)))


async def work(server: Server, size: float) -> None:
    """Long continuations, long runs, and two million letters to be split into pieces, all at once."""
    run = await server.call("train", **SMALL)
    await server.call("progress", run_id=run)
    letters = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz ", k=int(2 * MB * size)))
    await asyncio.gather(
        *(
            server.attempt("generate", run_id=run, prompt="the", max_new_tokens=10_000)
            for _ in range(int(40 * size) or 1)
        ),
        *(server.attempt("train", **(SMALL | {"steps": 2_000})) for _ in range(int(100 * size) or 1)),
        server.attempt("train", text=letters, tokenizer="pieces", steps=1),
    )


async def sites(server: Server, _size: float) -> None:
    """Another website asks, and a name that leads here."""
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
        got = await server.client.post("/gradio_api/call/v2/train", json=SMALL, headers=headers)
        server.ended[str(got.status_code)] = server.ended.get(str(got.status_code), 0) + 1


ABUSES: dict[str, Callable[[Server, float], Awaitable[None]]] = {
    abuse.__name__: abuse for abuse in (streams, attention, bodies, sessions, explorations, runs, work, sites)
}


@dataclass(frozen=True)
class Seen:
    """Seconds of another's calls: the median before, during and after, and the longest; of a small run alone, and the
    median meanwhile; what became of the rest.
    """

    before: float
    during: float
    after: float
    run_before: float
    run_during: float
    longest: float
    megabytes: float
    lost: int
    ended: dict[str, int]


async def suffer(server: Server, name: str, size: float = 1.0, seconds: float = 60.0) -> Seen:
    """One abuse, for so many seconds at most, while another visitor goes on calling."""
    server.largest = 0
    abuser = replace(server, client=_client(server.address, ELSEWHERE), ended={})
    others = [await server.call("train", **SMALL) for _ in range(3)]
    for run in others:
        await server.call("progress", run_id=run)
    before, run_before = await felt(server, others[0], 5), [await trained(server) for _ in range(3)]
    abuse = asyncio.ensure_future(ABUSES[name](abuser, size))
    during: list[float] = []
    run_during: list[float] = []
    began = time.monotonic()
    await asyncio.sleep(1)
    while not during or (not abuse.done() and time.monotonic() - began < seconds):
        for _ in range(5):
            during += await felt(server, others[0], 1)
            await asyncio.sleep(0.2)
        run_during.append(await trained(server))
    if not abuse.done():
        abuse.cancel()
    with suppress(asyncio.CancelledError):
        await abuse
    ended = dict(abuser.ended)
    await abuser.client.aclose()
    await asyncio.sleep(2)
    after = await felt(server, others[0], 5)
    lost = 0
    for run in others:
        lost += await server.attempt("progress", run_id=run) != "done"
    times = [statistics.median(each) for each in (before, during, after, run_before, run_during)]
    return Seen(*times, max(during), server.largest / MB, lost, ended)


async def suffered(names: Iterable[str], size: float, seconds: float) -> dict[str, Seen]:
    """Several abuses of one server, one after the other."""
    async with serving() as server:
        return {name: await suffer(server, name, size, seconds) for name in names}


def main() -> None:
    """Print a line for each abuse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ABUSES))
    parser.add_argument("--short", action="store_true", help="a tenth of each")
    asked = parser.parse_args()
    for name in asked.names or ABUSES:
        size, seconds = (0.1, 15.0) if asked.short else (1.0, 60.0)
        seen = asyncio.run(suffered([name], size, seconds))[name]  # noqa: TID251
        print(
            f"{name:13} others {seen.before:.3f} s, {seen.during:.3f} s meanwhile ({seen.longest:.2f} at most), "
            f"{seen.after:.3f} s after; a small run {seen.run_before:.2f} s, {seen.run_during:.2f} s meanwhile; "
            f"{seen.megabytes:,.0f} MB; {seen.lost} of 3 runs lost; {seen.ended}",
            flush=True,
        )


if __name__ == "__main__":
    main()
