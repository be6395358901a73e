"""The workers, each an executor of its own: that one died is held against the run whose slice it had, and no other."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from typing import Any

# A slice takes less, unless the model is large; what it leaves undone is done again after the next start.
PATIENCE_SECONDS = 1.0


class Lanes:
    """So many executors of one worker each, made when first needed and anew once they are broken."""

    def __init__(self, new: Callable[[], Executor], n: int) -> None:
        self._new = new
        self._executors: list[Executor | None] = [None] * n
        self._busy = [False] * n
        self._turn, self._closed = 0, False
        self._lock = threading.Lock()

    def take(self, wished: int | None) -> int | None:
        """A lane that is free, the one wished for if it can be; None where there is none. `give_back` frees it."""
        with self._lock:
            free = [lane for lane, busy in enumerate(self._busy) if not busy]
            if not free:
                return None
            lane = wished if wished in free else free[0]
            self._busy[lane] = True
            return lane

    def give_back(self, lane: int) -> None:
        """The lane is free again."""
        with self._lock:
            self._busy[lane] = False

    def next(self) -> int:
        """All lanes in turn, busy or not."""
        with self._lock:
            self._turn += 1
            return (self._turn - 1) % len(self._executors)

    def submit(self, lane: int, function: Callable[..., Any], *args: Any) -> tuple[Executor | None, "Future[Any]"]:
        """Let the worker of a lane do something. One that died with nothing in hand is replaced without a word."""
        executor, failed = None, BrokenExecutor("no worker could be started")
        for _ in range(2):
            try:
                with self._lock:
                    if self._closed:
                        break
                    executor = self._executors[lane] = self._executors[lane] or self._new()
                return executor, executor.submit(function, *args)
            except (RuntimeError, OSError) as error:  # Broken; or this machine has no process to spare.
                failed.__cause__ = error
                self.replace(lane, executor)
        future: Future[Any] = Future()
        future.set_exception(failed)
        return executor, future

    def replace(self, lane: int, broken: Executor | None) -> None:
        """Forget a broken executor, unless that was done already."""
        with self._lock:
            if broken is None or self._executors[lane] is not broken:
                return
            self._executors[lane] = None
        broken.shutdown(wait=False, cancel_futures=True)

    def close(self, flying: Iterable["Future[Any]"]) -> None:
        """End all workers: after the slices that are out, or in the midst of those that take longer."""
        with self._lock:
            self._closed = True
            executors = [executor for executor in self._executors if executor is not None]
        mortal = [executor for executor in executors if hasattr(executor, "kill")]
        if mortal:
            wait(flying, PATIENCE_SECONDS)
        for executor in mortal:
            executor.kill()
        for executor in executors:
            executor.shutdown(wait=True, cancel_futures=True)
