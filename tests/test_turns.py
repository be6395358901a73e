"""The server's own work in turns: little before much, by visitor first, and nothing for those who have gone."""

import threading
import time
from itertools import count

import pytest

from minigpt.turns import Gone, Turns

LONG = 20.0  # seconds, on a busy machine


def started(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_for(true) -> None:
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


class Endless:
    """A call that goes on for as long as it may."""

    def __init__(self, turns: Turns, visitor: str) -> None:
        self.n, self.ended = 0, False
        self._turns, self._visitor = turns, visitor
        self.thread = started(self._go_on)
        wait_for(lambda: self.n)

    def _go_on(self) -> None:
        with self._turns.turn(self._visitor) as turn:
            for self.n in turn.each(count(1)):
                time.sleep(0.001)
                if self.ended:
                    return

    def end(self) -> None:
        self.ended = True
        self.thread.join(LONG)


def test_a_short_call_is_served_in_the_midst_of_a_long_one_and_the_long_one_goes_on():
    turns = Turns(1)
    long = Endless(turns, "one")
    with turns.turn("two"):
        at = long.n
        time.sleep(0.05)
        assert long.n == at, "one place, and somebody else has it"
    wait_for(lambda: long.n > at)
    long.end()


def test_the_short_call_of_the_same_visitor_comes_before_the_rest_of_a_long_one():
    turns = Turns(1)
    long = Endless(turns, "one")
    wait_for(lambda: long.n > 40)
    with turns.turn("one"):
        at = long.n
        time.sleep(0.05)
        assert long.n == at, "it has the place before the long one is done"
    wait_for(lambda: long.n > at)
    long.end()


def test_of_two_who_ask_for_ever_both_get_half_however_many_calls_one_of_them_has():
    turns = Turns(1)
    many, one = [Endless(turns, "many") for _ in range(8)], Endless(turns, "one")
    before = sum(each.n for each in many), one.n
    time.sleep(2)
    had = [now - then for now, then in zip((sum(each.n for each in many), one.n), before, strict=True)]
    for each in (*many, one):
        each.ended = True
    for each in (*many, one):
        each.end()
    assert 0.35 < had[1] / sum(had) < 0.75, had  # What they had before the two seconds makes up for itself.


def test_whoever_had_most_comes_last():
    turns, order = Turns(1), []

    def ask(visitor: str) -> None:
        with turns.turn(visitor):
            order.append(visitor)

    for visitor, seconds in (("much", 0.2), ("some", 0.05)):
        with turns.turn(visitor):
            time.sleep(seconds)
    with turns.turn("nobody"):
        threads = []
        for visitor in ("much", "some", "new", "new"):
            threads.append(started(lambda visitor=visitor: ask(visitor)))
            wait_for(lambda: len(turns._waiting) == len(threads))
    for thread in threads:
        thread.join(LONG)
    assert order == ["new", "new", "some", "much"]


def test_what_was_had_fades():
    now = [0.0]
    turns = Turns(1, lambda: now[0])
    for visitor, seconds, later in (("long ago", 8.0, 60.0), ("just now", 1.0, 0.0)):
        with turns.turn(visitor):
            now[0] += seconds
        now[0] += later
    assert turns._had["long ago"] < turns._had["just now"]


def test_as_many_calls_as_fit_and_a_sentence_for_more(monkeypatch):
    monkeypatch.setenv("MINIGPT_CALLS", "2")
    turns = Turns(1)
    long = Endless(turns, "one")
    with turns.turn("one"):
        with pytest.raises(ValueError, match=r"3 calls of yours .* and 2 fit"), turns.turn("one"):
            pass
        with pytest.raises(ValueError, match="3 calls"), turns.turn("one"):
            pass
    long.end()
    for _ in range(3):
        with turns.turn("one"):
            pass


def test_a_call_ends_when_nobody_waits_for_it_and_gives_its_place_back():
    turns, here = Turns(1), [True]
    done = []

    def work() -> None:
        with turns.turn("one", lambda: here[0]) as turn:
            for n in turn.each(count()):
                done.append(n)
                here[0] = n < 5

    with pytest.raises(Gone):
        work()
    assert done == [0, 1, 2, 3, 4, 5]
    with pytest.raises(Gone), turns.turn("one", lambda: False):
        pytest.fail("nothing is done for it")
    with turns.turn("two"):
        pass


def test_parts_are_handed_over_while_nobody_has_the_place():
    now = [0.0]

    def items():
        for n in range(5):
            now[0] += 0.6
            yield n

    turns = Turns(1, lambda: now[0])
    parts = []
    for part in turns.parts("one", items()):
        parts.append(part)
        with turns.turn("two"):
            pass
    assert parts == [[0, 1], [2, 3], [4]]
    assert not turns._asked
    assert list(turns.parts("one", [])) == [[]]


def test_what_is_told_in_parts_is_one_call_from_its_first_part_to_its_last(monkeypatch):
    monkeypatch.setenv("MINIGPT_CALLS", "2")
    monkeypatch.setattr("minigpt.turns.PART", -1)
    turns = Turns(1)
    parts = turns.parts("one", range(3))
    assert next(parts) == [0]
    with turns.turn("one"):
        pass
    monkeypatch.setenv("MINIGPT_CALLS", "1")
    with pytest.raises(ValueError, match="2 calls of yours"), turns.turn("one"):
        pass
    assert [*parts] == [[1], [2], []], "once begun it is not refused in the middle"
    abandoned = turns.parts("one", range(3))
    next(abandoned)
    abandoned.close()
    assert not turns._asked
