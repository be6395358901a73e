"""A disk that takes long for everything: whoever has a run in memory is never kept waiting for it."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from browsing import BUSY
from gate import SETTINGS, TEXT, Gate, until

from minigpt.runs import Runs, recovery, scheduler, store
from minigpt.ui.handlers import Page

WITHIN = 0.3  # seconds in which a page moves on
N_RUNS = 64


@pytest.fixture(autouse=True)
def short_slices(monkeypatch) -> None:
    monkeypatch.setattr(scheduler, "SLICE_SECONDS", 1e-9)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def slow(monkeypatch, seconds: float, *places: tuple[Any, str]) -> list[int]:
    """What reads from the disk or writes to it takes so long from now on; returns how many were at it, each time."""
    together: list[int] = []
    lock, at_it = threading.Lock(), 0

    def slowed(access: Callable[..., Any]) -> Callable[..., Any]:
        def late(*given: Any) -> Any:
            nonlocal at_it
            with lock:
                at_it += 1
                together.append(at_it)
            time.sleep(seconds)
            try:
                return access(*given)
            finally:
                with lock:
                    at_it -= 1

        return late

    for place, name in places:
        monkeypatch.setattr(place, name, slowed(getattr(place, name)))
    return together


def test_after_a_restart_a_page_moves_on_while_the_runs_of_a_class_are_read(tmp_path: Path, gate, monkeypatch, apart):
    first = Runs(tmp_path, lambda: gate, 1)
    old = first.start(TEXT, SETTINGS)
    until(gate, lambda: first.progress(old).status == "finished")
    theirs = [store.new_id() for _ in range(N_RUNS)]
    for run in theirs:
        shutil.copytree(tmp_path / old, tmp_path / run)
    runs = Runs(tmp_path, lambda: gate, 1)
    page, mine = Page(runs), runs.start(TEXT, SETTINGS)
    together = slow(monkeypatch, 0.5, (recovery, "found"))

    async def restart() -> tuple[float, float]:
        async def opened(run: str) -> None:
            async for _ in page.follow(run, SimpleNamespace(session_hash=run)):
                return

        # The last page is on a run that was read for an earlier one while it waited: it is not read again.
        class_ = [asyncio.create_task(opened(run)) for run in (*theirs, theirs[N_RUNS // 2])]
        longest, began = 0.0, time.monotonic()
        while not all(task.done() for task in class_):
            looked = time.monotonic()
            await asyncio.sleep(0.01)
            answer = page.follow(mine, SimpleNamespace(session_hash="me"))
            await anext(answer)
            longest = max(longest, time.monotonic() - looked)
        return longest, time.monotonic() - began

    longest, seconds = apart(restart())
    print(f"\n{N_RUNS} runs were read in {seconds:.1f} s, and another page waited {longest:.2f} s at most")
    assert sum(runs.at_hand(run) is not None for run in theirs) >= N_RUNS - 1, "more than fit in memory"
    assert longest <= WITHIN * BUSY
    assert (len(together), max(together)) == (N_RUNS, scheduler.N_READING)
    runs.close()


@pytest.mark.parametrize("press", ["stop", "resume"])
def test_nobody_waits_for_what_another_presses_to_be_written(tmp_path: Path, gate, monkeypatch, press):
    runs = Runs(tmp_path, lambda: gate, 1)
    mine, theirs = runs.start(TEXT, SETTINGS), runs.start(TEXT, SETTINGS)
    runs.pause(theirs)
    slow(monkeypatch, 1.0, (store, "replace_file"), (store.Folder, "read"), (store.Folder, "has"))
    pressed = threading.Thread(target=getattr(runs, press), args=[theirs])
    pressed.start()
    longest = 0.0
    while pressed.is_alive():
        began = time.monotonic()
        assert runs.progress(mine).status == "training"
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.005)
    assert longest <= 2 * WITHIN
    # A slice that comes back is put in order before the lock is taken, too.
    landing = threading.Thread(target=gate.let_through)
    landing.start()
    while landing.is_alive():
        began = time.monotonic()
        runs.progress(theirs)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.005)
    assert longest <= 2 * WITHIN
    assert runs.progress(mine).step
    assert store.read(store.Folder(tmp_path / theirs)).rest == ("stopped" if press == "stop" else "paused")
    monkeypatch.undo()
    runs.close()
