"""What was read of runs last: their newest states and their films, so that a click costs no reading."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from minigpt.checkpoint import GONE, Damaged, load
from minigpt.film import Frame
from minigpt.runs import store
from minigpt.runs.store import Folder
from minigpt.training import TrainingState


def n_bytes(states: Iterable[TrainingState]) -> int:
    """What states take in memory without their optimisers: models, each once, and the texts that these learned from."""
    own = {id(state.model): state for state in states}.values()
    return sum(tensor.nbytes for state in own for tensor in (*state.model.parameters(), state.ids))


class Seen:
    """The newest `most` states and films that somebody looked at, and of states no more than fit into so many bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes, self._lock = most, most_bytes, threading.Lock()
        self._states: OrderedDict[tuple[str, int], TrainingState] = OrderedDict()
        self._films: OrderedDict[str, dict[int, Frame]] = OrderedDict()

    def state(self, folder: Folder, step: int | None) -> TrainingState:
        """The state of a run at a step or later, to look at: without what only training needs, which is twice the model
        again. Without a step the one at hand, for what no step changes. `Damaged` where it cannot be used.
        """
        with self._lock:
            at_hand = [key for key in self._states if key[0] == folder.path.name and step in (None, key[1])]
            known = self._states[at_hand[-1]] if at_hand else None
            for key in at_hand:
                self._states.move_to_end(key)
        if known is None:
            try:
                known = load(folder.path, folder.unsaved, optimiser=False)
            except FileNotFoundError:
                raise Damaged(GONE) from None
            with self._lock:
                self._states[(folder.path.name, known.step)] = known
                while len(self._states) > 1 and self._too_much():
                    self._states.popitem(last=False)
        return known

    def _too_much(self) -> bool:
        return len(self._states) > self._most or n_bytes(self._states.values()) > self._most_bytes

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
