"""A disk that takes half a second for everything: whoever has a run in memory is never kept waiting for it."""

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

SLOW = 0.5  # seconds for each access
WITHIN = 0.3  # seconds in which a page moves on
N_RUNS = 64


@pytest.fixture(autouse=True)
def short_slices(monkeypatch) -> None:
    monkeypatch.setattr(scheduler, "SLICE_SECONDS", 1e-9)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def slow(monkeypatch, *places: tuple[Any, str]) -> None:
    """What reads from the disk or writes to it takes long from now on."""

    def slowed(access: Callable[..., Any]) -> Callable[..., Any]:
        def late(*given: Any) -> Any:
            time.sleep(SLOW)
            return access(*given)

        return late

    for place, name in places:
        monkeypatch.setattr(place, name, slowed(getattr(place, name)))


def test_after_a_restart_a_page_moves_on_while_the_runs_of_a_class_are_read(tmp_path: Path, gate, monkeypatch, apart):
    first = Runs(tmp_path, lambda: gate, 1)
    old = first.start(TEXT, SETTINGS)
    until(gate, lambda: first.progress(old).status == "finished")
    theirs = [store.new_id() for _ in range(N_RUNS)]
    for run in theirs:
        shutil.copytree(tmp_path / old, tmp_path / run)
    runs = Runs(tmp_path, lambda: gate, 1)
    page, mine = Page(runs), runs.start(TEXT, SETTINGS)
    slow(monkeypatch, (recovery, "found"))

    async def restart() -> tuple[float, float]:
        async def opened(run: str) -> None:
            async for _ in page.follow(run, SimpleNamespace(session_hash=run)):
                return

        class_ = [asyncio.create_task(opened(run)) for run in theirs]
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
    runs.close()


@pytest.mark.parametrize("press", ["pause", "stop", "resume", "step"])
def test_nobody_waits_for_what_another_presses_to_be_written(tmp_path: Path, gate, monkeypatch, press):
    runs = Runs(tmp_path, lambda: gate, 1)
    mine, theirs = runs.start(TEXT, SETTINGS), runs.start(TEXT, SETTINGS)
    runs.pause(theirs)
    slow(monkeypatch, (store, "replace_file"), (store.Folder, "read"), (store.Folder, "has"))
    pressed = threading.Thread(target=getattr(runs, press), args=[theirs])
    pressed.start()
    longest = 0.0
    while pressed.is_alive():
        began = time.monotonic()
        assert runs.progress(mine).status == "training"
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.005)
    assert longest <= WITHIN * BUSY
    # A slice that comes back is put in order before the lock is taken, too.
    landing = threading.Thread(target=gate.let_through)
    landing.start()
    while landing.is_alive():
        began = time.monotonic()
        runs.progress(theirs)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.005)
    assert longest <= WITHIN * BUSY
    assert runs.progress(mine).step
    assert store.read(store.Folder(tmp_path / theirs)).rest == ("stopped" if press == "stop" else "paused")
    monkeypatch.undo()
    runs.close()
