"""The scheduler's notes on a run, and how its files are kept: on the disk, or in memory while that takes nothing."""

import threading
import time
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from minigpt.checkpoint import FIXED, STATE, fixed_bytes, state_bytes
from minigpt.promises import Finding
from minigpt.runs import store
from minigpt.runs.record import ACTIVE, Progress, Status
from minigpt.runs.store import Folder, Record
from minigpt.runs.worker import SliceReport
from minigpt.training import TrainingState


class Run:
    """A run as the scheduler knows it.

    Its methods are called under the scheduler's `lock`, but for those that touch the disk, which may be slow: they take
    the lock only for what they remember, and must never be called under it.
    """

    def __init__(
        self, progress: Progress, record: Record, folder: Folder, steps_wanted: int, lock: AbstractContextManager[Any]
    ) -> None:
        self.progress, self.record, self.folder = progress, record, folder
        self._lock, self._files = lock, threading.Lock()
        self._kept = record  # The one that was written last, to the disk or into `folder.unsaved`.
        self.steps_wanted = steps_wanted  # How far it may go before it rests: pause and stop make this 0.
        self.flying: Future[Any] | None = None
        self.saving = False  # Its files are being written, here: no worker may have it meanwhile.
        self.lane: int | None = None  # The worker that has it in memory.
        self.deaths = 0  # of its workers, in a row
        self.step_seconds: float | None = None  # What one step took inside the newest slice; sizes the next.
        self.landed_at: float | None = None
        self.text: bytes | None = None  # Known while the run is at work, for a folder that somebody deletes.
        self.saved_step: int | None = progress.step  # Where the state on the disk stands.
        self._failing_since: float | None = None

    @property
    def out(self) -> bool:
        """Whether its files are in other hands."""
        return self.flying is not None or self.saving

    def update(self, **changes: object) -> None:
        """The run as viewers see it has changed."""
        self.progress = replace(self.progress, version=self.progress.version + 1, **changes)  # type: ignore[arg-type]

    @property
    def idle(self) -> bool:
        """Whether nobody works on it."""
        return self.progress.status not in ACTIVE and not self.out

    def read_text(self) -> bytes | None:
        """From the disk: its text; None where that cannot be read."""
        with suppress(OSError):
            return self.folder.read(store.TEXT)
        return None

    @property
    def resting(self) -> Status:
        """What it is while nothing is wanted of it."""
        if self.progress.failure:
            return "failed"
        return "finished" if self.progress.step >= self.progress.n_steps else self.record.rest

    def keep_all(self, state: TrainingState, text: bytes) -> None:
        """To the disk: the files of a run that begins."""
        self._write(store.TEXT, text)
        self._write(FIXED, fixed_bytes(state))
        self._write(STATE, state_bytes(state))
        self.keep_record(again=True)
        with self._lock:
            self.text = text
            self.saved_step = None if self.folder.unsaved else state.step
            self.tell()

    def keep_record(self, again: bool = False) -> None:
        """To the disk: what was asked, unless it is there already. again: even then."""
        with self._files:
            record = self.record  # Not sooner: the newest is what stays.
            if record is not self._kept or again:
                self._kept = record
                self._attempt(store.RECORD, store.record_bytes(record))

    def mend(self) -> bool:
        """To the disk, after a slice: what is the server's own is there, though somebody may have deleted the folder.

        Returns whether the text was gone and is there again.
        """
        self.keep_record(again=store.RECORD in self.folder.unsaved or not self.folder.has(store.RECORD))
        text, unsaved = self.text, self.folder.unsaved.get(store.TEXT)
        gone = text is not None and not self.folder.has(store.TEXT)
        if gone or unsaved is not None:
            self._write(store.TEXT, text or unsaved or b"")
        return gone

    def catch_up(self) -> None:
        """To the disk: what it did not take before. Nobody else may have the files meanwhile: see `saving`."""
        self.mend()
        for name, data in list(self.folder.unsaved.items()):
            if name not in store.OURS:
                self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        with self._files:
            self._attempt(name, data)

    def _attempt(self, name: str, data: bytes) -> None:
        error = self.folder.attempt(name, data)
        with self._lock:
            self.folder.note(name, data, error)
            self.tell()

    def moved(self, report: SliceReport) -> None:
        """A slice is done."""
        self.deaths = 0
        gained = report.step - self.progress.step
        now, before, pace = time.monotonic(), self.landed_at, self.progress.seconds_per_step
        self.landed_at = now
        if gained > 0:
            self.step_seconds = report.seconds / gained
            newest = (now - before) / gained if before else self.step_seconds
            pace = newest if pace is None else 0.7 * pace + 0.3 * newest
        self.steps_wanted = 0 if report.failure else max(0, self.steps_wanted - gained)
        self._merge(report.unsaved, report.error)
        self.update(
            step=report.step,
            history=report.history,
            failure=report.failure,
            seconds=self.progress.seconds + report.seconds,
            seconds_per_step=pace,
            finding=report.finding,
            found_at=_found_at(self.progress, report.finding),
        )
        self.tell()

    def slice_steps(self, seconds: float) -> int:
        """As many steps as take about so long; two at first, so that the curve begins at once."""
        if not self.progress.step:
            return min(2, self.steps_wanted)
        return max(1, min(self.steps_wanted, int(seconds / (self.step_seconds or seconds))))

    def _merge(self, unsaved: dict[str, bytes], error: OSError | None) -> None:
        """What a worker could not save, in place of what it was given."""
        ours = {name: data for name, data in self.folder.unsaved.items() if name in store.OURS}
        self.folder.unsaved, self.folder.error = {**unsaved, **ours}, error or self.folder.error

    def tell(self) -> None:
        """Say since when saving fails and what is at risk, or that it fails no more."""
        if STATE not in self.folder.unsaved and (self.saved_step is not None or not self.folder.unsaved):
            self.saved_step = self.progress.step
        if not self.folder.unsaved:
            self._failing_since, said = None, ""
        else:
            self._failing_since = self._failing_since or time.time()
            clock = time.strftime("%H:%M", time.gmtime(self._failing_since))
            risk = "this run" if self.saved_step is None else f"what came after step {self.saved_step:,}"
            why = store.reason(self.folder.error)
            said = f"Not saved since {clock} UTC, {why}: if the server ended now, {risk} would be lost."
        if said != self.progress.unsaved:
            self.update(unsaved=said)


def _found_at(before: Progress, now: Finding | None) -> int | None:
    """The step at which the promise was first seen kept; a pattern that is lost again is no longer there."""
    if now is None or not now.kept:
        return None
    return now.step if before.found_at is None else before.found_at
