"""A run's life: record, scheduler, workers, store."""

from minigpt.runs.local import hold, local_runs, runs_folder, warm_up
from minigpt.runs.record import ACTIVE, Progress, RunSettings, UnknownRun
from minigpt.runs.scheduler import Runs
from minigpt.runs.worker import NICE, work

__all__ = [
    "ACTIVE",
    "NICE",
    "Progress",
    "RunSettings",
    "Runs",
    "UnknownRun",
    "hold",
    "local_runs",
    "runs_folder",
    "warm_up",
    "work",
]
