"""A bounded memory of answers that cost time: the longest unasked go first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

Found = TypeVar("Found")


class Remembered:
    """Answers by what was asked, for any thread; two that ask the same at once may both look for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._answers

    def once(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """The answer that is remembered, else what `find` returns now."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return cast(Found, self._answers[key])
        found = find()
        with self._lock:
            self._answers[key] = found
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return found
