"""What is copied word for word is found whole, at its first place, and nothing else is called a copy."""

import math
import time

import numpy as np
import pytest
from browsing import slower

from minigpt import copies
from minigpt.copies import Copies, Span, copied


def naive(ids: list[int], training: list[int], at_least: int) -> Copies:
    """Every start against every place, token by token."""
    spans, start = [], 0
    while start < len(ids):
        longest, first = 0, 0
        for place in range(len(training)):
            length = 0
            while start + length < len(ids) and place + length < len(training):
                if ids[start + length] != training[place + length]:
                    break
                length += 1
            if length > longest:
                longest, first = length, place
        if longest >= at_least:
            spans.append(Span(start, longest, first))
            start += longest
        else:
            start += 1
    return Copies(tuple(spans), len(ids))


def random_case(seed: int) -> tuple[list[int], np.ndarray, int]:
    """Few different tokens and stretches of the training text, so that much is copied and much nearly so."""
    rng = np.random.default_rng(seed)
    d_vocab = int(rng.integers(1, 6))
    training = rng.integers(0, d_vocab, rng.integers(0, 60))
    ids: list[int] = []
    for _ in range(rng.integers(0, 6)):
        start, length = rng.integers(0, len(training) + 1), rng.integers(0, 12)
        ids += training[start : start + length].tolist() + rng.integers(0, d_vocab + 1, rng.integers(0, 3)).tolist()
    return ids, training, int(rng.integers(1, 9))


@pytest.mark.parametrize("seed", range(300))
def test_the_spans_are_those_of_comparing_everything_with_everything(seed):
    ids, training, at_least = random_case(seed)
    assert copied(ids, training, at_least) == naive(ids, training.tolist(), at_least)


@pytest.mark.parametrize("seed", range(30))
def test_rows_that_share_a_number_are_told_apart_all_the_same(seed, monkeypatch):
    monkeypatch.setattr(copies, "FACTOR", np.uint32(0))
    ids, training, at_least = random_case(seed)
    assert copied(ids, training, at_least) == naive(ids, training.tolist(), at_least)


def test_a_span_is_the_longest_and_its_place_the_first_that_has_it_whole():
    training = np.array([1, 2, 3, 9, 1, 2, 3, 4, 9, 1, 2, 3, 4])
    assert copied([7, 1, 2, 3, 4, 7], training, at_least=3).spans == (Span(1, 4, 4),)
    assert copied([7, 1, 2, 3, 7], training, at_least=3).spans == (Span(1, 3, 0),)


def test_spans_stand_apart_and_the_first_takes_what_it_can():
    training = np.array([1, 2, 3, 4, 0, 3, 4, 5, 6])
    found = copied([1, 2, 3, 4, 5, 6], training, at_least=3)
    assert found.spans == (Span(0, 4, 0),), "5, 6 alone are too short, and 3, 4 are taken"
    assert copied([1, 2, 3, 4, 5, 6], training, at_least=2).spans == (Span(0, 4, 0), Span(4, 2, 7))


def test_novelty_is_the_share_of_tokens_in_no_span():
    training = np.arange(100)
    assert copied(list(range(20, 40)), training).novelty == 0
    assert copied([7] * 20, training).novelty == 1
    half = copied([*range(20, 30), *[7] * 10], training)
    assert half.spans == (Span(0, 10, 20),)
    assert half.novelty == 0.5


@pytest.mark.parametrize(("ids", "training"), [([], [1, 2, 3]), ([1, 2, 3], []), ([], [])])
def test_nothing_is_copied_from_or_into_nothing(ids, training):
    found = copied(ids, np.array(training, dtype=np.int64), at_least=1)
    assert found.spans == ()
    assert found.n_tokens == len(ids)
    assert found.novelty == 1 if ids else math.isnan(found.novelty)


def test_a_continuation_or_a_text_shorter_than_a_span_has_none():
    assert copied([1, 2, 3, 4], np.arange(10)).spans == ()
    assert copied(list(range(10)), np.array([1, 2, 3, 4])).spans == ()
    assert copied([1, 2, 3, 4, 5], np.array([1, 2, 3, 4, 5])).spans == (Span(0, 5, 0),)


def test_ids_whose_bytes_line_up_between_two_tokens_are_no_copy():
    # As bytes, 1 and 0 lie inside 256 and 256, shifted by one.
    for kind in (np.int32, np.int64):
        assert copied([1, 1, 1], np.array([256, 256, 256, 256], dtype=kind), at_least=2).spans == ()
    assert copied([2**32 + 1] * 5, np.array([1] * 5)).spans == ()


def test_a_copy_ends_where_the_training_text_ends():
    training = np.array([0, 1, 2, 3, 4, 5])
    assert copied([3, 4, 5, 0, 1, 2], training, at_least=3).spans == (Span(0, 3, 3), Span(3, 3, 0))
    assert copied([4, 4, 4, 4], np.array([4, 4, 4]), at_least=2).spans == (Span(0, 3, 0),)


@pytest.mark.parametrize("at_least", [0, -1, True])
def test_a_span_of_nothing_cannot_be_asked_for(at_least):
    with pytest.raises(ValueError, match="at_least must be a whole number from 1"):
        copied([1], np.array([1]), at_least)


@pytest.mark.parametrize(
    ("d_vocab", "at_least", "n_new"),
    [(8000, 5, 200), (8000, 5, 2000), (30, 5, 200), (6, 3, 200), (1, 5, 200)],
    ids=["words", "many words", "letters", "six letters", "always the same"],
)
def test_a_million_tokens_are_searched_while_nobody_waits(d_vocab, at_least, n_new):
    rng = np.random.default_rng(0)
    training, ids = rng.integers(0, d_vocab, 1_000_000), rng.integers(0, d_vocab, n_new)
    ids[40:100] = training[-60:]
    ids[-1] = d_vocab  # a token that the training text lacks, behind a row that it may have in many places
    seconds = []
    for _ in range(5):
        began = time.process_time()
        found = copied(ids, training, at_least)
        seconds.append(time.process_time() - began)
    assert any(span.length >= 50 and span.start + span.length >= 100 for span in found.spans)
    assert min(seconds) < 0.025 * slower()  # promised: 25 ms
