"""Answers are looked for once, and no more of them are kept than asked."""

from minigpt.ui.remembered import Remembered


def test_an_answer_is_found_once_even_where_it_is_nothing():
    asked: list[int] = []
    memory = Remembered(2)
    assert [memory.once("a", lambda: asked.append(1)) for _ in range(3)] == [None] * 3
    assert asked == [1]
    assert "a" in memory
    assert "b" not in memory


def test_what_was_longest_unasked_goes_first():
    memory = Remembered(2)
    for key in "abac":
        memory.once(key, lambda key=key: key)
    assert [key in memory for key in "abc"] == [True, False, True]
