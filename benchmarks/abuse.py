"""What one visitor can take from all others: each abuse against a server of its own, and what another visitor feels.

python -m benchmarks.abuse [--short] [NAME ...]

For each abuse: how long another visitor's call takes before, during and after it, how large server and workers grow
together, what of others was lost, and how what was asked for ended. All on this machine, and bounded.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from benchmarks.visited import ELSEWHERE, MB, SMALL, TEXT, Server, client_of, serving


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
    abuser = replace(server, client=client_of(server.address, ELSEWHERE), ended={})
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
