"""Workers on this machine: spawned processes of one thread each."""

import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from minigpt.runs.scheduler import Runs
from minigpt.runs.worker import measure_speed, prepare_process


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


def local_runs(folder: Path | None = None, n_workers: int | None = None) -> Runs:
    """Runs on a pool of spawned processes, one a core, kept under `folder` (default: MINIGPT_RUNS or ~/.cache)."""
    workers = n_workers or n_cores()

    def pool() -> Executor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, mp_context=spawn, initializer=prepare_process)

    return Runs(folder or runs_folder(), pool, workers)


def warm_up(runs: Runs, n_workers: int | None = None) -> float:
    """Start every worker (importing torch takes seconds); returns the floating-point operations a second of a lone run.

    Such a run computes on two workers' cores where there are two.
    """
    workers = n_workers or n_cores()
    for started in [runs.submit(measure_speed) for _ in range(workers)]:
        started.result()
    return runs.submit(partial(measure_speed, min(2, workers))).result()
