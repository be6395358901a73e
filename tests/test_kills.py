"""Workers and servers are killed again and again while nobody looks: each run has the bits of an undisturbed one.

The long form, with 32 workers and 6 servers:

    MINIGPT_LONG=1 python -m pytest -s -o faulthandler_timeout=0 tests/test_kills.py
"""

import os
import random
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import torch
from gate import Gate
from own_server import OwnServer, own_server, wait

from minigpt.checkpoint import STATE, load
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs import Runs, RunSettings
from minigpt.training import TrainingState, advance, begin

TEXT = "the old king saw the small dog . the dog ran to the old king . he fed it .\n" * 30
N_RUNS = 3
NONE = torch.empty(0)
WORKERS, SERVERS = (32, 6) if os.environ.get("MINIGPT_LONG") else (8, 2)


def settings(seed: int) -> RunSettings:
    return RunSettings(
        config=GPTConfig(n_ctx=32, d_model=32, n_heads=2, n_layers=2),
        training=TrainingConfig(steps=100_000, batch_size=8, eval_every=50, sample_tokens=5, seed=seed),
    )


def alone(seed: int, steps: int) -> TrainingState:
    """What nobody disturbs."""
    asked = settings(seed)
    return advance(begin(TEXT, asked.tokenizer, asked.config, asked.training), steps)


def differences(run: TrainingState, other: TrainingState) -> list[str]:
    """What of two states is not the same to the last bit."""
    mine, theirs = run.model.state_dict(), other.model.state_dict()
    found = [name for name in theirs if not torch.equal(mine[name], theirs[name])]
    found += [name for name in other.optimiser if not torch.equal(run.optimiser.get(name, NONE), other.optimiser[name])]
    curves = ("train", "validation", "samples")
    found += [name for name in curves if getattr(run.history, name) != getattr(other.history, name)]
    return found + ["rng"] * (not torch.equal(run.rng, other.rng)) + ["step"] * (run.step != other.step)


class Killer:
    """Kills at odd moments, and waits each time until every run has gone on."""

    def __init__(self, server: OwnServer, ids: list[str]) -> None:
        self.server, self.runs, self.random = server, [server.folder / run_id for run_id in ids], random.Random(0)
        self.workers = self.servers = 0

    def some_workers(self) -> None:
        """All, or now and then only one, in the midst of whatever they do; while they import it counts no less."""
        wait(self.server.workers, "there is a worker")
        alive = self.server.workers()
        most = min(WORKERS - self.workers, self.random.choice((1, 2, 2, 2)))
        time.sleep(0.5 * self.random.random())  # Slices take 0.3 s.
        before = self._saved()
        for victim in self.random.sample(alive, min(len(alive), most)):
            victim.kill()
            self.workers += 1
        # A run survives two deaths in a row, and this test is not about the third.
        self._all_go_on(before)

    def the_server(self) -> None:
        """And with it its workers; then another one is started on the same folder."""
        orphans = self.server.workers()
        time.sleep(0.5 * self.random.random())
        self.server.kill()
        self.servers += 1
        psutil.wait_procs(orphans, timeout=20)
        before = self._saved()
        self.server.start()
        self._all_go_on(before)

    def next(self) -> bool:
        """Kill whoever's turn it is; False once that was all."""
        if self.servers < SERVERS and self.servers / SERVERS <= self.workers / WORKERS - 1 / (SERVERS + 1):
            self.the_server()
        elif self.workers < WORKERS:
            self.some_workers()
        else:
            return False
        return True

    def _saved(self) -> dict[Path, int]:
        return {run: (run / STATE).stat().st_mtime_ns for run in self.runs}

    def _all_go_on(self, before: dict[Path, int]) -> None:
        wait(
            lambda: all((run / STATE).stat().st_mtime_ns > then for run, then in before.items()),
            "every run goes on though nobody looks",
        )


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # What nobody disturbs is trained here, and should take no longer than there.
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_runs_that_nobody_watches_keep_their_bits_whoever_is_killed(tmp_path: Path) -> None:
    folder, began = tmp_path / "runs", time.monotonic()
    runs = Runs(folder, Gate, 1)  # An earlier server, which ended before the first step.
    ids = [runs.start(TEXT, settings(seed)) for seed in range(N_RUNS)]
    runs.close()
    # In a folder with a short name, so that on Linux the workers are forked, as they usually are.
    with own_server(folder, tmp_path, TMPDIR=tempfile.gettempdir()) as server:
        killer = Killer(server, ids)
        while killer.next():
            pass
        orphans = server.workers()
        server.kill()
        psutil.wait_procs(orphans, timeout=20)
    killed = time.monotonic() - began
    found, steps = [], []
    for seed, run_id in enumerate(ids):
        state = load(folder / run_id)
        steps.append(state.step)
        found += [(seed, name) for name in differences(state, alone(seed, state.step))]
    print(
        f"\n{killer.workers} workers and {killer.servers} servers killed in {killed:.0f} s, at steps {steps} "
        f"{len({seed for seed, _ in found})} of {N_RUNS} runs differ from undisturbed ones"
    )
    assert (killer.workers, killer.servers) == (WORKERS, SERVERS)
    assert found == []
    assert [Runs(folder, Gate, 1).progress(run_id).said for run_id in ids] == [""] * N_RUNS
