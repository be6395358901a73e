"""Lines to copy, to reverse, to close: chances that add up, against lines counted out by hand, and where to look."""

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from minigpt.lines import Brackets, Echo, Reverse

COPIES = [(Echo, lambda drawn: drawn), (Reverse, lambda drawn: drawn[::-1])]
PARTNER = {"(": ")", "[": "]", "{": "}", "<": ">"}


def pointed(source: Echo | Brackets, text: str) -> dict[int, list[int]]:
    """Queries of a text with the keys that they should look at."""
    targets = source.targets(list(text))
    return {int(query): np.flatnonzero(targets[query]).tolist() for query in np.flatnonzero(targets.any(axis=1))}


@pytest.mark.parametrize(("kind", "answer"), COPIES)
def test_every_line_is_different_letters_a_bar_and_their_answer(kind: Any, answer: Any) -> None:
    lengths: Counter[int] = Counter()
    for line in kind(n_lines=2000).text().splitlines():
        drawn, bar, rest = line.partition("|")
        assert bar
        assert rest == answer(drawn)
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set("bcdfghjklmnpqrstvwxz") | (set("234567") if kind is Reverse else set())
        lengths[len(drawn)] += 1
    assert sorted(lengths) == list(range(4, 13))
    assert all(abs(count - 2000 / 9) < 5 * math.sqrt(2000 / 9) for count in lengths.values()), (
        "lengths are drawn evenly"
    )


@pytest.mark.parametrize(("kind", "answer"), COPIES)
def test_the_chance_of_each_token_is_that_of_all_lines_counted_out(kind: Any, answer: Any) -> None:
    source = kind(letters="abcd", shortest=1, longest=3)
    # Every line that there is, with its chance, written out without asking the code.
    whole = {
        f"{''.join(drawn)}|{answer(''.join(drawn))}\n": 1 / 3 / math.perm(4, n)
        for n in (1, 2, 3)
        for drawn in itertools.permutations("abcd", n)
    }
    assert sum(whole.values()) == pytest.approx(1)

    def chance(beginning: str) -> float:
        return sum(p for line, p in whole.items() if line.startswith(beginning))

    for line, p in whole.items():
        known = source.log_probability(line)
        assert np.exp(known.sum()) == pytest.approx(p)
        counted = [chance(line[: i + 1]) / chance(line[:i]) for i in range(len(line))]
        assert np.exp(known) == pytest.approx(counted)
    two = source.log_probability("ab|ab\ncd|cd\n" if kind is Echo else "ab|ba\ncd|dc\n")
    assert two[:6] == pytest.approx(two[6:]), "a line knows nothing of the line before"
    assert source.log_probability("abcd")[3] == -math.inf, "no line has four letters"


def test_after_the_bar_each_letter_of_an_echo_points_behind_its_copy() -> None:
    #                     012345678
    assert pointed(Echo(), "qkzvb|qkzvb\n") == {6: [1], 7: [2], 8: [3], 9: [4]}
    assert pointed(Echo(), "qk|qk\nzv|zv\n") == {3: [1], 9: [7]}, "never from one line into another"
    assert pointed(Echo(), "qkzvb|qkz") == {6: [1], 7: [2], 8: [3]}
    assert pointed(Echo(), "qkz") == pointed(Echo(), "qk|wx") == {}, "a prompt may hold anything"


def test_after_the_bar_each_letter_of_a_reversal_points_at_its_copy_and_before_it() -> None:
    assert pointed(Reverse(), "qkzvb|bvzkq\n") == {6: [3, 4], 7: [2, 3], 8: [1, 2], 9: [0, 1], 10: [0]}
    assert pointed(Reverse(), "qk|kq\nzv|vz\n") == {3: [0, 1], 4: [0], 9: [6, 7], 10: [6]}


def test_every_bracket_is_closed_last_one_first_within_depth_and_length() -> None:
    deepest = longest = 0
    for line in Brackets(n_lines=2000).text().splitlines():
        stack: list[str] = []
        for place, token in enumerate(line):
            if token in PARTNER:
                stack.append(token)
            else:
                assert PARTNER[stack.pop()] == token
            assert stack or place == len(line) - 1, "the line ends as soon as none is open"
            deepest = max(deepest, len(stack))
        longest = max(longest, len(line))
    assert (deepest, longest) == (4, 16), "both limits are reached and kept"


def test_the_chances_of_all_lines_of_brackets_add_up_to_one() -> None:
    source = Brackets(pairs="()[]", depth=2, longest=6)
    total = 0.0
    for n in range(1, 7):
        for tokens in itertools.product("()[]", repeat=n):
            total += math.exp(source.log_probability("".join(tokens) + "\n").sum())
    assert total == pytest.approx(1)


def test_the_chance_of_a_line_of_brackets_is_that_of_its_coins() -> None:
    source = Brackets(pairs="()[]", depth=2, longest=6)
    # One of two kinds, close; a line end is certain.
    assert np.exp(source.log_probability("()\n")) == pytest.approx([1 / 2, 1 / 2, 1])
    # Open inside, one of two kinds; at depth 2 it must close; then a coin again.
    assert np.exp(source.log_probability("([])\n")) == pytest.approx([1 / 2, 1 / 4, 1, 1 / 2, 1])
    # After six of at most six brackets nothing may open, and before that only what can still be closed.
    assert np.exp(source.log_probability("([][])\n")) == pytest.approx([1 / 2, 1 / 4, 1, 1 / 4, 1, 1, 1])
    assert source.log_probability("(]\n")[1] == -math.inf


@pytest.mark.parametrize("source", [Echo(n_lines=6000), Reverse(n_lines=6000), Brackets(n_lines=6000)])
def test_a_long_text_is_as_surprising_as_its_own_letters_are_when_counted(source: Any) -> None:
    text = source.text()
    first = Counter(line[0] for line in text.splitlines())
    known = {line[0]: source.log_probability(line)[0] for line in text.splitlines()}
    for letter, count in first.items():
        p = math.exp(known[letter])
        assert abs(count - 6000 * p) < 5 * math.sqrt(6000 * p)


def test_a_bracket_that_closes_inside_another_points_at_the_next_to_close() -> None:
    assert pointed(Brackets(), "{([]<>") == {3: [1], 5: [1]}
    assert pointed(Brackets(), "{([])}\n(())\n") == {3: [1], 4: [0], 9: [7]}
    assert pointed(Brackets(), "{(") == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Echo(letters="a"), "letters must be at least 2 different signs, not 'a'"),
        (lambda: Echo(letters="aab"), "at least 2 different signs"),
        (lambda: Echo(letters="ab|"), r"any signs of the keyboard except spaces and \|"),
        (lambda: Echo(letters="ab c"), "except spaces"),
        (lambda: Echo(letters="abé"), "any signs of the keyboard"),
        (lambda: Echo(shortest=0), "shortest must be a whole number from 1 to 20, not 0"),
        (lambda: Echo(shortest=5, longest=4), "longest must be a whole number from 5 to 20, not 4"),
        (lambda: Reverse(n_lines=3), "n_lines must be a whole number from 20"),
        (lambda: Echo(seed=-1), "Seed must be a whole number from 0"),
        (lambda: Brackets(pairs="()["), r"pairs must hold an even number of signs, like \(\)\[\]{}"),
        (lambda: Brackets(depth=0), "depth must be a whole number from 1 to 20, not 0"),
        (lambda: Brackets(longest=1), "longest must be a whole number from 2"),
    ],
)
def test_settings_that_no_line_can_have_are_refused_in_plain_words(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
