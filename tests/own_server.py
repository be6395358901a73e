"""A server in a process of its own, as a terminal starts it: it can be asked, killed and started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from minigpt.checkpoint import STATE, header

ROOT = Path(__file__).parent.parent
PATIENCE = 240.0  # seconds; a loaded machine is slow, and a test must say so only when something is wrong


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait(done: Any, what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


class OwnServer:
    """`python -m minigpt serve` on a folder of runs and a port; everything it says is in the file `said`."""

    def __init__(self, folder: Path, beside: Path, **env: str) -> None:
        self.folder, self.said, self.port = folder, beside / "said.txt", free_port()
        self.temporary = beside / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self._env = {**os.environ, "MINIGPT_RUNS": str(folder), "GRADIO_SERVER_PORT": str(self.port),
                     "CPU_CORES": "2", "TMPDIR": str(self.temporary), **env}  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, and wait until it says where it is."""
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "minigpt", "serve"], cwd=ROOT, env=self._env, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

        def there() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.said.read_text()
            return "miniGPT is at http" in self.said.read_text()

        wait(there, "the server starts")

    def workers(self) -> list[psutil.Process]:
        """Its training processes: on Linux those that its fork server has forked, elsewhere those spawned."""
        assert self.process is not None
        server, found = psutil.Process(self.process.pid), []
        for child in server.children(recursive=True):
            try:
                said = " ".join(child.cmdline())
                if "spawn_main" in said or ("multiprocessing.forkserver" in said and child.parent() != server):
                    found.append(child)
            except psutil.Error:  # It is gone already.
                continue
        return found

    def kill(self) -> None:
        """As a machine that has no memory left does it: without a word to anybody."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever is left of it ends now."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def begin(self, name: str, **given: Any) -> str:
        """Ask an endpoint; its answer is told at the address `call/NAME/` and what this returns."""
        body = json.dumps(given).encode()
        at = f"{self.url}gradio_api/call/v2/{name}"
        with urllib.request.urlopen(urllib.request.Request(at, body, {"content-type": "application/json"})) as answer:
            return json.load(answer)["event_id"]


@contextmanager
def own_server(folder: Path, beside: Path, **env: str) -> Iterator[OwnServer]:
    """A server on a folder, which has started; it is gone afterwards."""
    server = OwnServer(folder, beside, **env)
    try:
        server.start()
        yield server
    finally:
        server.end()


def step_on_disk(run: Path) -> int:
    """How far a run is, without asking its server."""
    with (run / STATE).open("rb") as file:
        return int(header(file)[1]["step"])
