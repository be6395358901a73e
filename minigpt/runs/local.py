"""Workers on this machine: processes of one thread each."""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import lock_descriptor

from minigpt.runs.scheduler import Runs
from minigpt.runs.worker import measure_speed, prepare_process

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # Not on Windows.


def n_cores() -> int:
    """Cores that this process may use; a Hugging Face Space says so in CPU_CORES."""
    said = os.environ.get("CPU_CORES", "")
    if said.isdigit() and int(said):
        return int(said)
    affinity = getattr(os, "sched_getaffinity", None)  # Not on macOS or Windows.
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def runs_folder() -> Path:
    """Where runs are kept: MINIGPT_RUNS or ~/.cache/minigpt/runs."""
    return Path(os.environ.get("MINIGPT_RUNS") or Path.home() / ".cache" / "minigpt" / "runs")


LOCK = "server.lock"


def hold(folder: Path) -> bool:
    """Keep a folder of runs to this server until its process ends, however that ends; False where another has it.

    Two would train the same runs, and delete what the other one writes. True as well where nobody can tell, in a
    bucket without locks for example, or where the folder may only be read.
    """
    descriptor = None
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if lock_descriptor(descriptor, blocking=False):
            return True  # The file stays open: with its process the lock goes.
        held = False
    except OSError:
        held = True
    if descriptor is not None:
        os.close(descriptor)
    return held


def _processes() -> "SpawnContext | ForkServerContext":
    """How workers are started.

    On Linux all are forked from one process that has done nothing but import torch: each is there at once, and what was
    imported is in memory once. Elsewhere that is not safe, or there is no fork; nor can that process be reached where
    the folder for temporary files has a long name.
    """
    short = len(os.fsencode(tempfile.gettempdir())) < 70  # With what comes below, a socket's address has 107 bytes.
    if not (sys.platform == "linux" and hasattr(os, "fork") and short):
        return multiprocessing.get_context("spawn")
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(["minigpt.runs.worker", "torch._dynamo"])  # The latter comes with every optimiser.
    return forked


class Worker(ProcessPoolExecutor):
    """One process, begun with its first task. A pool of more would break for all when one of them dies."""

    def __init__(self) -> None:
        super().__init__(1, mp_context=_processes(), initializer=prepare_process)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As every executor."""
        with _deaf():
            return super().submit(fn, *args, **kwargs)

    def kill(self) -> None:
        """End the process in the midst of whatever it does."""
        # From Python 3.14 on `kill_workers` does it.
        for process in list((getattr(self, "_processes", None) or {}).values()):
            process.kill()


@contextmanager
def _deaf() -> Iterator[None]:
    """A process begun meanwhile does not hear Ctrl+C, from its first moment on: its server ends it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def local_runs(folder: Path | None = None, n_workers: int | None = None) -> Runs:
    """Runs on spawned processes, one a core, kept under `folder` (default: MINIGPT_RUNS or ~/.cache).

    OSError where there is no such folder and none can be made.
    """
    return Runs(folder or runs_folder(), Worker, n_workers or n_cores())


def warm_up(runs: Runs, n_workers: int | None = None) -> float:
    """Start every worker (importing torch takes seconds); returns the floating-point operations a second of a lone run.

    Such a run computes on two workers' cores where there are two.
    """
    workers = n_workers or n_cores()
    for started in [runs.submit(measure_speed) for _ in range(workers)]:
        started.result()
    return runs.submit(partial(measure_speed, min(2, workers))).result()
