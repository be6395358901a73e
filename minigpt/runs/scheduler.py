"""Many runs on few workers: each gets a slice in turn, so that all curves move together.

Works on any `concurrent.futures.Executor`. A run's state lives in its folder; here are only who is next and how far.
"""

import secrets
import shutil
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

from minigpt.checkpoint import load, save
from minigpt.corpora import drawn
from minigpt.film import Frame
from minigpt.promises import Finding
from minigpt.runs import store
from minigpt.runs.record import ACTIVE, Progress, RunSettings, Status
from minigpt.runs.worker import SliceReport, advance_folder, finding
from minigpt.training import Failure, TrainingState, begin
from minigpt.twins import begun_alike

# Long enough that moving the state costs little, short enough that the page moves more than twice a second.
SLICE_SECONDS = 0.3
MAX_DEATHS = 3
MAX_IN_MEMORY = 64
MAX_ON_DISK = 500


class UnknownRun(ValueError):
    """There is no run of that name here."""

    def __init__(self) -> None:
        super().__init__("This run is not here any more. Press Train to start a new one.")


class _Run:
    """The scheduler's own notes on a run."""

    def __init__(self, progress: Progress, steps_wanted: int) -> None:
        self.progress = progress
        self.steps_wanted = steps_wanted  # How far it may go before it rests: pause and stop make this 0.
        self.flying = False
        self.deaths = 0
        self.step_seconds = SLICE_SECONDS  # What one step took inside the newest slice; sizes the next.
        self.landed_at: float | None = None
        self.rest: Status = "paused"  # What it becomes when nothing is wanted any more.


class Runs:
    """Start, watch and steer runs. Every method may be called from any thread.

    executor: makes the pool of workers, again if it breaks. n_workers: how many slices may be out at once.
    """

    def __init__(self, folder: Path, executor: Callable[[], Executor], n_workers: int) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._new_executor, self._n_workers = executor, n_workers
        self._executor = executor()
        self._lock = threading.RLock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._ready: deque[str] = deque()
        self._flying = 0
        self._snapshots: OrderedDict[tuple[str, int], TrainingState] = OrderedDict()
        self._films: OrderedDict[str, dict[int, Frame]] = OrderedDict()
        self._closed = False

    def start(self, text: str, settings: RunSettings, steps: int | None = None) -> str:
        """Begin a run, to its planned end or for so many steps, and return its id: whoever has it may watch and steer.

        Raises ValueError, in the reader's words, where text or settings cannot work.
        """
        state = _begin(text, settings)
        if settings.without:
            state = begun_alike(state, _begin(text, replace(settings, without="")))
        run_id = secrets.token_urlsafe(16)
        save(state, self.folder / run_id)
        run = _Run(_progress(run_id, settings, state), settings.training.steps if steps is None else steps)
        store.write(self.folder / run_id, settings, run.steps_wanted, run.rest, text)
        with self._lock:
            self._runs[run_id] = run
            self._enqueue(run_id)
            self._forget()
        return run_id

    def resume(self, run_id: str, until: int | None = None) -> None:
        """Go on to the planned end, or until a step."""
        with self._lock:  # No slice may land between the count of what is left and the wish for it.
            run = self._find(run_id)
            end = run.progress.n_steps if until is None else until
            self._want(run, max(0, end - run.progress.step), "paused")

    def step(self, run_id: str) -> None:
        """Take one step, then rest; beyond the planned end too."""
        self._want(self._find(run_id), 1, "paused")

    def pause(self, run_id: str) -> None:
        """Rest after the slice that is out; nothing is lost."""
        self._want(self._find(run_id), 0, "paused")

    def stop(self, run_id: str) -> None:
        """Rest for good; the state is kept."""
        self._want(self._find(run_id), 0, "stopped")

    def progress(self, run_id: str) -> Progress:
        """The run as it stands."""
        with self._lock:
            run = self._find(run_id)
            ahead = self._ready.index(run_id) if run_id in self._ready else 0
            return replace(run.progress, ahead=ahead)

    def state(self, run_id: str) -> TrainingState:
        """A snapshot of the run, to generate from and to hook: never the model that is being trained."""
        step = self.progress(run_id).step
        with self._lock:
            known = self._snapshots.get((run_id, step))
        if known is None:
            known = load(self.folder / run_id)
            with self._lock:
                self._snapshots[(run_id, known.step)] = known
                while len(self._snapshots) > MAX_IN_MEMORY // 8:
                    self._snapshots.popitem(last=False)
        return known

    def film(self, run_id: str) -> dict[int, Frame]:
        """The moments of the run that were kept, by step, in order; a run of an earlier version may have none."""
        self._find(run_id)
        with self._lock:
            known = self._films.get(run_id, {})
        film = store.read_film(self.folder / run_id, known)
        with self._lock:
            self._films[run_id] = film
            self._films.move_to_end(run_id)
            while len(self._films) > MAX_IN_MEMORY // 8:
                self._films.popitem(last=False)
        return film

    def flying(self, run_id: str) -> bool:
        """Whether a slice of the run is out: one that was told to rest may still take its last steps."""
        return self._find(run_id).flying

    def text(self, run_id: str) -> str:
        """The text that the run learns from."""
        self._find(run_id)
        return store.read_text(self.folder / run_id)

    def close(self) -> None:
        """Stop the workers. Runs stay on disk and go on when somebody looks for them again."""
        with self._lock:
            self._closed = True
            self._ready.clear()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, function: Callable[[], float]) -> "Future[float]":
        """Something small for a worker to do beside the runs, such as warming up."""
        return self._executor.submit(function)

    def _find(self, run_id: str) -> _Run:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                run = self._runs[run_id] = self._from_disk(run_id)
                if run.steps_wanted:
                    self._enqueue(run_id)
                self._forget()
            else:
                self._runs.move_to_end(run_id)
            return run

    def _from_disk(self, run_id: str) -> _Run:
        folder = store.folder_of(self.folder, run_id)
        if folder is None:
            raise UnknownRun
        settings, until, rest = store.read(folder)
        state = load(folder)
        run = _Run(_progress(run_id, settings, state), 0 if state.failure else max(0, until - state.step))
        run.rest = rest
        found = finding(folder, state) if state.step else None
        # Since which step the promise is kept is not on disk: nothing is said about it.
        run.progress = replace(run.progress, status=_resting(run), finding=found)
        return run

    def _want(self, run: _Run, steps: int, rest: Status) -> None:
        with self._lock:
            if run.progress.failure:
                return
            run.steps_wanted, run.rest = steps, rest
            run_id = run.progress.run_id
            store.write(self.folder / run_id, run.progress.settings, run.progress.step + steps, rest)
            if steps and not run.flying and run_id not in self._ready:
                self._enqueue(run_id)
            elif not steps:
                if run_id in self._ready:
                    self._ready.remove(run_id)
                self._update(run, status=_resting(run))

    def _enqueue(self, run_id: str) -> None:
        run = self._runs[run_id]
        # Between two slices a run that others share the workers with is still training, not waiting.
        if run.progress.status != "training":
            self._update(run, status="waiting")
        self._ready.append(run_id)
        self._pump()

    def _pump(self) -> None:
        while self._ready and self._flying < self._n_workers and not self._closed:
            run = self._runs[self._ready.popleft()]
            if run.progress.status == "waiting":
                self._update(run, status="training")
            run.flying, self._flying = True, self._flying + 1
            executor, folder = self._executor, self.folder / run.progress.run_id
            # A run that is alone takes the core of a worker that has nothing to do as well.
            threads = 2 if self._n_workers > 1 and self._flying == 1 and not self._ready else 1
            try:
                future = executor.submit(advance_folder, folder, run.progress.step, _slice_steps(run), threads)
            except (BrokenProcessPool, RuntimeError) as error:
                future = Future()
                future.set_exception(error)
            future.add_done_callback(partial(self._landed, run, executor))

    def _landed(self, run: _Run, executor: Executor, future: "Future[SliceReport]") -> None:
        with self._lock:
            run.flying, self._flying = False, self._flying - 1
            if self._closed:
                return
            # Cancelled is a slice that waited in a pool which broke for another one: it goes out again.
            if not future.cancelled():
                error = future.exception()
                if error is None:
                    self._moved(run, future.result())
                else:
                    self._stumbled(run, executor, error)
            if run.steps_wanted:
                self._enqueue(run.progress.run_id)
            self._pump()

    def _moved(self, run: _Run, report: SliceReport) -> None:
        run.deaths = 0
        gained = report.step - run.progress.step
        now, before, pace = time.monotonic(), run.landed_at, run.progress.seconds_per_step
        run.landed_at = now
        if gained > 0:
            run.step_seconds = report.seconds / gained
            newest = (now - before) / gained if before else run.step_seconds
            pace = newest if pace is None else 0.7 * pace + 0.3 * newest
        run.steps_wanted = 0 if report.failure else max(0, run.steps_wanted - gained)
        self._update(
            run,
            step=report.step,
            history=report.history,
            failure=report.failure,
            seconds=run.progress.seconds + report.seconds,
            seconds_per_step=pace,
            finding=report.finding,
            found_at=_found_at(run.progress, report.finding),
        )
        if not run.steps_wanted:
            run.landed_at = None  # A pause is no slow step.
            self._update(run, status=_resting(run))

    def _stumbled(self, run: _Run, executor: Executor, error: BaseException) -> None:
        """A worker died or raised: try the slice again, with a new pool if need be, but not for ever."""
        if isinstance(error, BrokenProcessPool | RuntimeError) and executor is self._executor:
            # The new pool first: what the old one cancels goes out again at once.
            self._executor = self._new_executor()
            executor.shutdown(wait=False, cancel_futures=True)
        run.deaths += 1
        if run.deaths >= MAX_DEATHS:
            run.steps_wanted = 0
            message = f"The training process stopped {MAX_DEATHS} times in a row ({error}). Try a smaller model."
            failure = Failure(run.progress.step, message)
            self._update(run, status="failed", failure=failure)

    @staticmethod
    def _update(run: _Run, **changes: object) -> None:
        run.progress = replace(run.progress, version=run.progress.version + 1, **changes)  # type: ignore[arg-type]

    def _forget(self) -> None:
        """Keep memory and disk bounded: the runs that were longest out of sight go first, never one at work."""
        # Never the newest: whoever asked for it is about to use it.
        older = list(self._runs.items())[:-1]
        idle = [run_id for run_id, run in older if run.progress.status not in ACTIVE and not run.flying]
        for run_id in idle[: max(0, len(self._runs) - MAX_IN_MEMORY)]:
            del self._runs[run_id]
        for folder in store.oldest_first(self.folder)[:-MAX_ON_DISK]:
            if folder.name not in self._runs:
                shutil.rmtree(folder, ignore_errors=True)


def _begin(text: str, settings: RunSettings) -> TrainingState:
    lesson = settings.taught()
    known = drawn(lesson.source).log_probability if lesson else None
    return begin(text, settings.tokenizer, *settings.applied(), settings.bpe_vocab, known)


def _progress(run_id: str, settings: RunSettings, state: TrainingState) -> Progress:
    return Progress(
        run_id=run_id,
        version=0,
        status="waiting",
        step=state.step,
        history=state.history,
        config=state.config,
        settings=settings,
        n_params=state.model.n_params,
        failure=state.failure,
        notes=state.notes,
    )


def _found_at(before: Progress, now: Finding | None) -> int | None:
    """The step at which the promise was first seen kept; a pattern that is lost again is no longer there."""
    if now is None or not now.kept:
        return None
    return now.step if before.found_at is None else before.found_at


def _resting(run: _Run) -> Status:
    if run.progress.failure:
        return "failed"
    return "finished" if run.progress.step >= run.progress.n_steps else run.rest


def _slice_steps(run: _Run) -> int:
    """As many steps as take about SLICE_SECONDS; two at first, so that the curve begins at once."""
    if not run.progress.step:
        return min(2, run.steps_wanted)
    return max(1, min(run.steps_wanted, int(SLICE_SECONDS / run.step_seconds)))
