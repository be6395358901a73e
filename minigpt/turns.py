"""What a server does itself goes on in turns: whoever has had least of it comes next, so that short work never waits
for long work, and nobody who asks for much holds up somebody who asks for little.

This is least attained service (Kleinrock, 1976), by visitor first and then by call: how long something will take need
not be known, and those who came last are served at once.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from minigpt import limits

T = TypeVar("T")

HALF_LIFE = 10.0  # seconds in which what a visitor has had counts half
QUANTUM = 0.01  # seconds that somebody goes on even where somebody else should come first
MANY = 1000  # visitors, of whom those are remembered who had something
PART = 1.0  # seconds after which what is written so far is handed over


class Gone(ValueError):
    """Whoever asked is not there any more."""


class Turn:
    """One call's place, from `Turns.turn`. It belongs to one thread."""

    def __init__(self, turns: "Turns", visitor: str, here: Callable[[], bool]) -> None:
        self._turns, self.visitor, self._here = turns, visitor, here
        self.called = threading.Condition(turns.lock)  # told when it may be this call's turn
        self.had = self.since = 0.0  # seconds; on the clock
        self.number = 0  # in the order in which calls came to wait

    def breathe(self) -> None:
        """Let others go first who had less, and come back when it is this call's turn. `Gone` where nobody wants it.

        To be called as often as possible: where nobody else waits it costs next to nothing.
        """
        self.check()
        self._turns.breathe(self)

    def check(self) -> None:
        """`Gone` where nobody waits for this any more."""
        if not self._here():
            raise Gone("The page that asked for this was closed.")

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, with a breath after each."""
        for item in items:
            yield item
            self.breathe()


class Turns:
    """So many places for calls that are being worked on; the others wait."""

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._clock = places, clock
        self.lock = threading.Lock()
        self._waiting: list[Turn] = []
        self._asked: Counter[str] = Counter()
        self._count = 0
        # By visitor, the logarithm of the seconds had, which grows where they would fade: so it compares at any time.
        self._had: dict[str, float] = {}

    @contextmanager
    def turn(self, visitor: str, here: Callable[[], bool] = lambda: True) -> Iterator[Turn]:
        """A place, as soon as nobody who waits has had less. here: whether the one who asked is there still.

        ValueError where the visitor has `limits.CALLS` calls here already.
        """
        with self._counted(visitor), self._placed(Turn(self, visitor, here)) as turn:
            turn.check()
            yield turn

    def parts(self, visitor: str, items: Iterable[T]) -> Iterator[list[T]]:
        """Items in lists, one for each second of work and one for what is left: no place is held between them.

        ValueError at the first, as from `turn`.
        """
        rest, done = iter(items), False
        with self._counted(visitor):
            while not done:
                found: list[T] = []
                with self._placed(Turn(self, visitor, lambda: True)) as turn:
                    began = self._clock()
                    done = True
                    for item in rest:
                        found.append(item)
                        if self._clock() - began > PART:
                            done = False
                            break
                        turn.breathe()
                yield found

    def breathe(self, turn: Turn) -> None:
        """Give the place of a call to whoever should come first, and wait until it is its turn again."""
        if not self._waiting or self._clock() - turn.since < QUANTUM:
            return
        with self.lock:
            self._settle(turn)
            if not self._waiting or min(map(self._rank, self._waiting)) > self._rank(turn):
                return
            self._free += 1
            self._call_next()
        self._take(turn)

    @contextmanager
    def _counted(self, visitor: str) -> Iterator[None]:
        with self.lock:
            limits.CALLS.check(self._asked[visitor] + 1)
            self._asked[visitor] += 1
        try:
            yield
        finally:
            with self.lock:
                self._asked[visitor] -= 1
                if not self._asked[visitor]:
                    del self._asked[visitor]

    @contextmanager
    def _placed(self, turn: Turn) -> Iterator[Turn]:
        self._take(turn)
        try:
            yield turn
        finally:
            self._give(turn)

    def _take(self, turn: Turn) -> None:
        with self.lock:
            self._count += 1
            turn.number = self._count
            self._waiting.append(turn)
            try:
                while not self._free or min(self._waiting, key=self._rank) is not turn:
                    turn.called.wait()
                self._free -= 1
            finally:
                self._waiting.remove(turn)
                self._call_next()  # There may be a place for that one too.
            turn.since = self._clock()

    def _give(self, turn: Turn) -> None:
        with self.lock:
            self._settle(turn)
            self._free += 1
            self._call_next()

    def _call_next(self) -> None:
        """Wake whoever is next, if there is a place, and nobody else: all others would only see that it is not them."""
        if self._free and self._waiting:
            min(self._waiting, key=self._rank).called.notify()

    def _settle(self, turn: Turn) -> None:
        """Count what a call has had since it took its place."""
        now = self._clock()
        seconds, turn.since = now - turn.since, now
        turn.had += seconds
        before = math.exp2(self._had.get(turn.visitor, -math.inf) - now / HALF_LIFE)
        if before + seconds > 0:
            self._had[turn.visitor] = math.log2(before + seconds) + now / HALF_LIFE
        if len(self._had) > MANY:  # Who had next to nothing is as good as new.
            self._had = {name: had for name, had in self._had.items() if had - now / HALF_LIFE > -10}

    def _rank(self, turn: Turn) -> tuple[float, float, int]:
        return self._had.get(turn.visitor, -math.inf), turn.had, turn.number
