"""What was read of runs last: their newest states and their films, so that a click costs no reading."""

import threading
from collections import OrderedDict

from minigpt.checkpoint import GONE, Damaged, load
from minigpt.film import Frame
from minigpt.runs import store
from minigpt.runs.store import Folder
from minigpt.training import TrainingState


class Seen:
    """The newest `most` states and films that somebody looked at."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._states: OrderedDict[tuple[str, int], TrainingState] = OrderedDict()
        self._films: OrderedDict[str, dict[int, Frame]] = OrderedDict()

    def state(self, folder: Folder, step: int) -> TrainingState:
        """The state of a run at a step or later; `Damaged` where it cannot be used."""
        with self._lock:
            known = self._states.get((folder.path.name, step))
        if known is None:
            try:
                known = load(folder.path, folder.unsaved)
            except FileNotFoundError:
                raise Damaged(GONE) from None
            with self._lock:
                self._states[(folder.path.name, known.step)] = known
                while len(self._states) > self._most:
                    self._states.popitem(last=False)
        return known

    def film(self, folder: Folder) -> tuple[dict[int, Frame], int]:
        """The film of a run, and how many moments of it are damaged."""
        name = folder.path.name
        with self._lock:
            known = self._films.get(name, {})
        film, damaged = store.read_film(folder, known)
        with self._lock:
            self._films[name] = film
            self._films.move_to_end(name)
            while len(self._films) > self._most:
                self._films.popitem(last=False)
        return film, damaged
