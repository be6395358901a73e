"""Runs on real, spawned processes: one is killed in the middle of a slice, and nothing is lost."""

import os
import platform
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

import minigpt
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs import Runs, RunSettings, local_runs, warm_up
from minigpt.runs.worker import measure_speed
from minigpt.training import advance, begin

ROOT = Path(__file__).parent.parent
TEXT = "the dog saw the cat . the cat saw the old dog . the old dog ran on .\n" * 10
SETTINGS = RunSettings(
    config=GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=1),
    training=TrainingConfig(steps=400, batch_size=2, eval_every=200, sample_tokens=3),
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_a_worker_killed_in_the_middle_of_a_slice_costs_the_run_nothing(tmp_path):
    runs = local_runs(tmp_path, n_workers=1)
    try:
        assert warm_up(runs, 1) > 1e6
        run_id = runs.start(TEXT, SETTINGS)
        wait(lambda: 0 < runs.progress(run_id).step < 300)
        killed = processes(runs)
        for process in killed:
            os.kill(process, signal.SIGKILL)
        wait(lambda: runs.progress(run_id).status not in ("waiting", "training"))
        assert runs.progress(run_id).status == "finished"
        assert killed.isdisjoint(processes(runs))
        state = runs.state(run_id)
    finally:
        runs.close()
    alone = advance(begin(TEXT, SETTINGS.tokenizer, SETTINGS.config, SETTINGS.training), 400)
    assert runs.progress(run_id).history.train == alone.history.train
    assert state.history.validation == alone.history.validation
    assert torch.equal(state.model.embed.weight, alone.model.embed.weight)


def processes(runs: Runs) -> set[int]:
    return {pid for worker in runs._lanes._executors if worker for pid in worker._processes or ()}


def wait(done, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "never done"
        time.sleep(0.01)


FAULTS = """
import resource
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs.worker import keep_memory
from minigpt.training import advance, begin
state = begin("the dog saw the cat . " * 200, "character", GPTConfig(), TrainingConfig(batch_size=32, sample_tokens=0))
def faults():
    advance(state, 5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    advance(state, 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
keep_memory()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="known to glibc alone")
def test_a_workers_steps_reuse_their_memory():
    done = subprocess.run([sys.executable, "-c", FAULTS], cwd=ROOT, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < before / 4


def test_workers_go_when_their_server_is_killed(tmp_path):
    program = tmp_path / "server.py"
    program.write_text(
        "import os, pathlib, sys, time\n"
        "from minigpt.runs import local_runs\n"
        "if __name__ == '__main__':\n"
        "    runs = local_runs(pathlib.Path(sys.argv[1]), 1)\n"
        "    print(runs.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, str(program), str(tmp_path / "runs")]
    found = {**os.environ, "PYTHONPATH": str(Path(minigpt.__file__).parent.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=found) as server:
        worker = int(server.stdout.readline())
        os.kill(worker, 0)
        server.kill()
        server.wait()
    wait(lambda: not alive(worker), seconds=20)
    assert not alive(worker)


def alive(process: int) -> bool:
    """Whether a process still runs; one that is dead and not yet buried does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")  # Linux only
    return not stat.exists() or " Z " not in stat.read_text()


@pytest.mark.parametrize(("n_workers", "threads"), [(1, 1), (2, 2), (16, 2)])
def test_the_speed_that_is_foretold_is_that_of_a_run_which_is_alone(n_workers, threads):
    asked: list[Any] = []

    def submit(function: Any) -> Future[float]:
        asked.append(function)
        done: Future[float] = Future()
        done.set_result(float(len(asked)))
        return done

    runs = Mock(spec=Runs)
    runs.submit = submit
    assert warm_up(runs, n_workers) == n_workers + 1
    assert asked[:-1] == [measure_speed] * n_workers  # Every worker is started before one is timed.
    assert asked[-1].args == (threads,)
