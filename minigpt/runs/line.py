"""The runs that wait for a worker, and which of them is next."""

from bisect import insort


class Line:
    """First come, first served, but in each round one run of each owner: a hundred runs get no more than one does.

    That is fair queuing (Nagle, 1985), with slices in place of packets.

    >>> line = Line()
    >>> for run, owner in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
    ...     line.add(run, owner)
    >>> line.place("b1"), [line.take() for _ in range(len(line))]
    (1, ['a1', 'b1', 'a2', 'a3'])
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, str, str]] = []  # round, number, run, owner
        self._round = self._number = 0

    def add(self, run_id: str, owner: str) -> None:
        """Behind the owner's others, which come one a round, and behind all who wait for the same round."""
        last = max((waiting[0] for waiting in self._waiting if waiting[3] == owner), default=0)
        self._number += 1
        insort(self._waiting, (max(last, self._round) + 1, self._number, run_id, owner))

    def first(self) -> str:
        """The run that is next."""
        return self._waiting[0][2]

    def take(self) -> str:
        """The run that is next; it waits no more."""
        self._round, _, run_id, _ = self._waiting.pop(0)
        return run_id

    def place(self, run_id: str) -> int | None:
        """How many come before a run; None where it does not wait."""
        return next((place for place, waiting in enumerate(self._waiting) if waiting[2] == run_id), None)

    def drop(self, run_id: str) -> None:
        """The run waits no more, if it did."""
        self._waiting = [waiting for waiting in self._waiting if waiting[2] != run_id]

    def clear(self) -> None:
        """Nobody waits."""
        self._waiting.clear()

    def __contains__(self, run_id: object) -> bool:
        return any(waiting[2] == run_id for waiting in self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)
