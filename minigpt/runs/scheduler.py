"""Many runs on few workers: each gets a slice in turn, so that all curves move together.

Works on any `concurrent.futures.Executor`. A run's state lives in its folder; here are only who is next and how far.
"""

import shutil
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from minigpt import limits
from minigpt.film import Frame
from minigpt.runs import recovery, room, store
from minigpt.runs.keeping import Run
from minigpt.runs.lanes import Lanes
from minigpt.runs.line import Line
from minigpt.runs.record import DIED, MAX_DEATHS, NO_ROOM, RAISED, Progress, RunSettings, Status, UnknownRun
from minigpt.runs.seen import Seen
from minigpt.runs.store import Folder, Record
from minigpt.runs.worker import Lost, SliceReport, advance_folder, begun
from minigpt.training import Failure, TrainingState

# Long enough that moving the state costs little, short enough that the page moves more than twice a second.
SLICE_SECONDS = 0.3
MAX_IN_MEMORY = 64
MB = 1_000_000
SAVE_AGAIN_SECONDS = 2.0
STALE_SECONDS = 60.0  # what is still being written is younger
N_READING = 4  # runs that are read from the disk at once
MAX_UNSAVED = 256_000_000  # bytes in memory alone, of all runs


class Runs:
    """Start, watch and steer runs. Every method may be called from any thread.

    executor: makes an executor of one worker, again if that breaks. n_workers: how many there are.
    """

    def __init__(self, folder: Path, executor: Callable[[], Executor], n_workers: int) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._n_workers, self._lanes = n_workers, Lanes(executor, n_workers)
        self._lock = threading.RLock()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._reading = threading.Semaphore(N_READING)
        self._beginning: list[str] = []  # whose, of those that are not yet among the runs
        self._ready = Line()
        self._flying = 0
        self._seen = Seen(MAX_IN_MEMORY // 8, limits.SEEN_MB.most * MB)
        self._owners: dict[str, str] = {}
        self._saver: threading.Thread | None = None
        self._closed = threading.Event()

    def start(self, text: str, settings: RunSettings, steps: int | None = None, owner: str = "") -> str:
        """Begin a run, to its planned end or for so many steps, and return its id: whoever has it may watch and steer.

        owner: whose run it is; where there is too little room, the oldest runs of whoever takes most of it leave.
        Raises ValueError, in the reader's words, where text or settings cannot work, or the owner has many at work.
        """
        with self._lock:
            if sum(len(data) for run in self._runs.values() for data in run.folder.unsaved.values()) > MAX_UNSAVED:
                raise ValueError(NO_ROOM)
            if owner:
                at_work = sum(run.record.owner == owner for run in self._runs.values() if run.steps_wanted)
                limits.AT_WORK.check(at_work + self._beginning.count(owner) + 1)
            self._beginning.append(owner)
        try:
            return self._begin(text, settings, steps, owner)
        finally:
            with self._lock:
                self._beginning.remove(owner)

    def _begin(self, text: str, settings: RunSettings, steps: int | None, owner: str) -> str:
        state, run_id = begun(text, settings), store.new_id()
        data, wanted = store.text_bytes(text), settings.training.steps if steps is None else steps
        record = Record(settings, wanted, owner=owner, text_hash=store.hash_of(data))
        folder = Folder(self.folder / run_id)
        run = Run(recovery.progress_of(run_id, settings, state), record, folder, wanted, self._lock)
        run.keep_all(state, data)
        with self._lock:
            self._runs[run_id] = run
            self._enqueue(run)
            self._save_later(run)
            self._forget()
        self._make_room(run_id)
        return run_id

    def wake(self) -> None:
        """Let those runs go on that were at work when an earlier server ended."""
        store.sweep(self.folder, time.time() - STALE_SECONDS)
        for path in store.oldest_first(self.folder):
            if self._closed.is_set():
                return
            if recovery.at_work(path):
                with suppress(UnknownRun):
                    self._find(path.name)

    def resume(self, run_id: str, until: int | None = None) -> None:
        """Go on to the planned end, or until a step."""

        def left(progress: Progress) -> int:
            return max(0, (progress.n_steps if until is None else until) - progress.step)

        self._want(run_id, left, "paused")

    def step(self, run_id: str) -> None:
        """Take one step, then rest; beyond the planned end too."""
        self._want(run_id, lambda _: 1, "paused")

    def pause(self, run_id: str) -> None:
        """Rest after the slice that is out; nothing is lost."""
        self._want(run_id, lambda _: 0, "paused")

    def stop(self, run_id: str) -> None:
        """Rest for good; the state is kept."""
        self._want(run_id, lambda _: 0, "stopped")

    def progress(self, run_id: str) -> Progress:
        """The run as it stands."""
        self._find(run_id)
        return self.at_hand(run_id) or self.progress(run_id)

    def at_hand(self, run_id: str) -> Progress | None:
        """As `progress` for a run in memory, None for any other: nothing is asked of a disk, and nobody waits."""
        with self._lock:
            run = self._runs.get(run_id)
            return replace(run.progress, ahead=self._ready.place(run_id) or 0) if run else None

    def state(self, run_id: str) -> TrainingState:
        """A snapshot of the run, to generate from and to hook: never the model that is being trained.

        `Damaged`, a ValueError, where what is kept of it cannot be used.
        """
        run = self._find(run_id)
        return self._seen.state(self._copy(run), run.progress.step)

    def any_state(self, run_id: str) -> TrainingState:
        """A snapshot at whatever step, for what no step changes: the tokenizer, and the shape of the model."""
        return self._seen.state(self._copy(self._find(run_id)), None)

    def film(self, run_id: str) -> dict[int, Frame]:
        """The moments of the run that were kept, by step, in order; a run of an earlier version may have none."""
        run = self._find(run_id)
        film, damaged = self._seen.film(self._copy(run))
        with self._lock:
            note = recovery.damaged_moments(damaged)
            if damaged and note not in run.progress.notes:
                run.update(notes=(*run.progress.notes, note))
        return film

    def flying(self, run_id: str) -> bool:
        """Whether a slice of the run is out: one that was told to rest may still take its last steps."""
        return self._find(run_id).flying is not None

    def text(self, run_id: str) -> str:
        """The text that the run learns from; `Damaged`, a ValueError, where it cannot be read."""
        return store.read_text(self._find(run_id).folder)

    def close(self) -> None:
        """Stop the workers, in the midst of long slices. Runs stay on disk; those at work go on with `wake`."""
        with self._lock:
            self._closed.set()
            self._ready.clear()
            flying = [run.flying for run in self._runs.values() if run.flying]
        self._lanes.close(flying)
        self.save_again()
        store.sweep(self.folder, time.time())

    def submit(self, function: Callable[[], float]) -> "Future[float]":
        """Something small for the workers to do beside the runs, such as warming up: for each of them in turn."""
        return self._lanes.submit(self._lanes.next(), function)[1]

    def save_again(self) -> None:
        """Write what the disk did not take of runs that rest; those at work try at every slice, and at the end."""
        with self._lock:
            unsaved = [run for run in self._runs.values() if run.folder.unsaved and not run.out]
            runs = [run for run in unsaved if self._closed.is_set() or not run.steps_wanted]
            for run in runs:
                run.saving = True
        for run in runs:
            run.catch_up()
            with self._lock:
                run.saving = False
                if run.steps_wanted and not self._closed.is_set() and run.progress.run_id not in self._ready:
                    self._enqueue(run)

    def _copy(self, run: Run) -> Folder:
        with self._lock:  # While a slice lands its files change.
            return Folder(run.folder.path, run.folder.unsaved)

    def _known(self, run_id: str) -> Run | None:
        with self._lock:
            known = self._runs.get(run_id)
            if known is not None:
                self._runs.move_to_end(run_id)
            return known

    def _find(self, run_id: str) -> Run:
        known = self._known(run_id)
        if known is not None:
            return known
        path = store.folder_of(self.folder, run_id)
        if path is None:
            raise UnknownRun
        # Not under the lock: a disk may be slow. A few at a time: what is read is also looked into, and a whole class
        # that comes back at once would leave nothing of the processor to all others.
        with self._reading:
            known = self._known(run_id)  # Another page of the same run was quicker.
            if known is not None:
                return known
            found = recovery.found(path, run_id)
            run = Run(found.progress, found.record, Folder(path), found.steps_wanted, self._lock)
            run.update(status=run.resting)
            if run.steps_wanted:
                run.text = run.read_text()
        with self._lock:
            run = self._runs.setdefault(run_id, run)
            if run.steps_wanted and not run.out and run_id not in self._ready:
                self._enqueue(run)
            self._forget()
            return run

    def _want(self, run_id: str, steps_of: Callable[[Progress], int], rest: Status) -> None:
        """Let a run go on for so many steps from where it then stands."""
        run = self._find(run_id)
        text = run.text or run.read_text()
        with self._lock:  # No slice may land between the count of what is left and the wish for it.
            run = self._runs.setdefault(run_id, run)  # One that was put out of sight meanwhile is there again.
            steps = steps_of(run.progress)
            if run.progress.failure:
                return
            run.steps_wanted, run.deaths = steps, 0
            if run.progress.trouble:
                run.update(trouble="")
            run.record = replace(run.record, until=run.progress.step + steps, rest=rest, trouble="")
            if steps:
                run.text = run.text or text
                if not run.out and run_id not in self._ready:
                    self._enqueue(run)
            else:
                self._ready.drop(run_id)
                run.update(status=run.resting)
        run.keep_record()
        self._save_later(run)

    def _enqueue(self, run: Run) -> None:
        # Between two slices a run that others share the workers with is still training, not waiting.
        if run.progress.status != "training":
            run.update(status="waiting")
        self._ready.add(run.progress.run_id, run.record.owner)
        self._pump()

    def _pump(self) -> None:
        while self._ready and not self._closed.is_set():
            run = self._runs[self._ready.first()]
            lane = self._lanes.take(run.lane)
            if lane is None:
                return
            self._ready.take()
            if run.progress.status == "waiting":
                run.update(status="training")
            self._flying, run.lane = self._flying + 1, lane
            # A run that is alone takes the core of a worker that has nothing to do as well.
            threads = 2 if self._n_workers > 1 and self._flying == 1 and not self._ready else 1
            folder = Folder(run.folder.path, run.folder.unsaved)
            asked = (folder, run.record, run.progress.step, run.slice_steps(SLICE_SECONDS), threads)
            executor, run.flying = self._lanes.submit(lane, advance_folder, *asked)
            run.flying.add_done_callback(partial(self._landed, run, lane, executor))

    def _landed(self, run: Run, lane: int, executor: Executor | None, future: "Future[SliceReport]") -> None:
        mended = not future.cancelled() and run.mend()  # It still counts as out, so no other worker has its files.
        with self._lock:
            run.flying, self._flying = None, self._flying - 1
            self._lanes.give_back(lane)
            # Cancelled is a slice that waited for a worker who died of something else: it goes out again.
            if not future.cancelled():
                error = future.exception()
                if error is None:
                    self._moved(run, future.result())
                elif not self._closed.is_set():
                    self._stumbled(run, lane, executor, error, mended)
            if self._closed.is_set():
                return
            if run.steps_wanted:
                self._enqueue(run)
            self._pump()
        run.keep_record()

    def _moved(self, run: Run, report: SliceReport) -> None:
        run.moved(report)
        if not run.steps_wanted:
            run.landed_at = run.text = None  # A pause is no slow step.
            run.update(status=run.resting)
        self._save_later(run)

    def _stumbled(self, run: Run, lane: int, executor: Executor | None, error: BaseException, mended: bool) -> None:
        """A worker died or raised: try the slice again, with a new worker if need be, but not for ever.

        mended: its folder was deleted, and now the text is there again.
        """
        dead = isinstance(error, BrokenExecutor)
        if isinstance(error, Lost) and mended:
            return
        if isinstance(error, Lost):
            run.steps_wanted, run.text = 0, None
            failure = Failure(run.progress.step, f"{error} {recovery.ANEW}")
            run.update(status="failed", failure=failure, damaged=True)
            return
        if dead:
            self._lanes.replace(lane, executor)
        else:
            traceback.print_exception(error, file=sys.stderr)
        run.deaths += 1
        if run.deaths >= MAX_DEATHS:
            run.steps_wanted, run.text = 0, None
            trouble = DIED if dead else RAISED
            run.record = replace(run.record, until=run.progress.step, rest="paused", trouble=trouble)
            run.update(status=run.resting, trouble=trouble)

    def _save_later(self, run: Run) -> None:
        if run.folder.unsaved and self._saver is None:
            self._saver = threading.Thread(target=self._keep_saving, daemon=True)
            self._saver.start()

    def _keep_saving(self) -> None:
        while not self._closed.wait(SAVE_AGAIN_SECONDS):
            self.save_again()

    def _forget(self) -> None:
        """Keep memory bounded: the runs that were longest out of sight go first, never one at work."""
        # Never the newest: whoever asked for it is about to use it. What is in memory alone stays there.
        older = list(self._runs.items())[:-1]
        idle = [run_id for run_id, run in older if run.idle and not run.folder.unsaved]
        for run_id in idle[: max(0, len(self._runs) - MAX_IN_MEMORY)]:
            del self._runs[run_id]

    def _make_room(self, newest: str) -> None:
        """Keep the disk bounded: the oldest runs of whoever takes most of it leave, never one at work."""
        runs = room.held(self.folder, self._owners)
        with self._lock:
            staying = {newest} | {run_id for run_id, run in self._runs.items() if not run.idle}
            leaving = room.leaving(runs, limits.RUNS_MB.most * MB, limits.RUNS.most, staying)
            for run_id in leaving:
                self._runs.pop(run_id, None)
                self._owners.pop(run_id, None)
        for run_id in leaving:
            shutil.rmtree(self.folder / run_id, ignore_errors=True)
