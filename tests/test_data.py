"""What training sees of a text: every transition, shifted by one, and never the validation part."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.data import (
    counted,
    encode_text,
    entropy,
    even_windows,
    fit,
    fitting_context,
    held_out,
    line_end,
    random_batch,
    reference_losses,
    split,
    window_starts,
)
from minigpt.tokenizer import CharacterTokenizer, WordTokenizer, train_tokenizer


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(ids: torch.Tensor, n_ctx: int, size: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    return random_batch(ids, window_starts(ids, n_ctx), n_ctx, size, rng)


@pytest.mark.parametrize("n_ctx", [1, 4, 11])
def test_every_transition_of_the_training_part_can_be_drawn(n_ctx):
    ids = torch.arange(12)
    seen = set()
    for seed in range(40):
        inputs, targets = batch(ids, n_ctx, 8, rng(seed))
        seen |= set(zip(inputs.flatten().tolist(), targets.flatten().tolist(), strict=True))
    assert seen == {(index, index + 1) for index in range(11)}


def test_windows_start_everywhere_equally_often():
    starts = Counter(batch(torch.arange(12), 5, 7000, rng())[0][:, 0].tolist())
    assert sorted(starts) == list(range(7))
    assert all(abs(count - 1000) < 5 * math.sqrt(1000) for count in starts.values())


def test_targets_are_the_inputs_one_token_later():
    ids = torch.randint(50, (100,), generator=rng())
    inputs, targets = batch(ids, 6, 10, rng())
    assert inputs.shape == targets.shape == (10, 6)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    windows = ids.unfold(0, 7, 1).tolist()
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert [*row, target[-1]] in windows


def test_a_batch_depends_on_the_generator_alone():
    ids = torch.arange(100)
    torch.manual_seed(1)
    one = batch(ids, 6, 10, rng(3))[0]
    torch.manual_seed(2)
    assert torch.equal(batch(ids, 6, 10, rng(3))[0], one)
    assert not torch.equal(batch(ids, 6, 10, rng(4))[0], one)


@pytest.mark.parametrize("n_tokens", [4, 5, 7, 20, 101])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_validation_is_the_end_of_the_text_and_never_trained_on(n_tokens, fraction):
    ids = torch.arange(n_tokens)
    parts = split(ids, fraction)
    assert torch.equal(torch.cat([parts.train, parts.validation]), ids)
    assert len(parts.train) >= 2
    assert len(parts.validation) == max(2, round(n_tokens * fraction))
    n_ctx = fitting_context(64, ids, TrainingConfig(validation_fraction=fraction))
    inputs, targets = batch(parts.train, n_ctx, 50, rng())
    assert max(inputs.max(), targets.max()) < parts.validation.min()


def test_the_context_shrinks_until_a_window_and_its_next_token_fit():
    assert fitting_context(64, torch.arange(1000)) == 64
    assert fitting_context(64, torch.arange(50)) == 44
    assert fitting_context(64, torch.arange(4)) == 1
    assert fitting_context(1, torch.arange(50)) == 1
    for n_tokens in range(4, 90):
        parts = split(torch.arange(n_tokens))
        n_ctx = fitting_context(64, torch.arange(n_tokens))
        assert batch(parts.train, n_ctx, 2, rng())[0].shape == (2, n_ctx)
        assert even_windows(parts.validation, n_ctx).shape[1] <= n_ctx + 1


@pytest.mark.parametrize("n_tokens", [2, 5, 64, 65, 66, 1000])
def test_validation_windows_are_always_the_same_from_first_to_last_token(n_tokens):
    ids = torch.arange(n_tokens)
    windows = ids[even_windows(ids, 16)]
    inputs, targets = windows[:, :-1], windows[:, 1:]
    assert torch.equal(inputs + 1, targets)
    assert torch.equal(windows, even_windows(ids, 16))
    assert inputs.min() == 0
    assert len(inputs) <= 96
    if len(inputs) > 1 or n_tokens <= 17:
        assert targets.max() == n_tokens - 1
    assert len(set(inputs[:, 0].tolist())) == len(inputs)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no text to learn from. Paste at least 20 words"),
        (" \t ", "There is no text to learn from"),
        ("word", "One token is too little"),
        ("two words", "Two tokens are too little"),
        ("now three words", "Three tokens are too little"),
    ],
)
def test_a_text_too_short_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        encode_text(text, WordTokenizer.train(text))
    assert encode_text("four words will do", WordTokenizer.train("four words will do")).tolist() == [0, 1, 2, 3]


def slow_losses(tokens: list[int]) -> tuple[float, float]:
    """Mean surprise of each token under the counts of the text itself, one token after the other."""
    counts = Counter(tokens)
    unigram = -sum(math.log(counts[token] / len(tokens)) for token in tokens) / len(tokens)
    followers = defaultdict(Counter)
    pairs = list(pairwise(tokens))
    for first, second in pairs:
        followers[first][second] += 1
    bigram = -sum(math.log(followers[a][b] / followers[a].total()) for a, b in pairs) / len(pairs)
    return unigram, bigram


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_reference_losses_equal_a_slow_count(kind):
    text = "the dog saw the cat and the cat saw the old dog run to the old cat .\n" * 3 + "a dog ran ."
    tokenizer = train_tokenizer(kind, text, 270)
    ids = encode_text(text, tokenizer)
    references = reference_losses(ids, tokenizer.d_vocab, floor=0.5)
    unigram, bigram = slow_losses(ids.tolist())
    assert references.uniform == pytest.approx(math.log(tokenizer.d_vocab), abs=1e-12)
    assert references.unigram == pytest.approx(unigram, abs=1e-9)
    assert references.bigram == pytest.approx(bigram, abs=1e-9)
    assert references.floor == 0.5
    assert references.uniform > references.unigram > references.bigram > 0


def test_one_word_repeated_holds_no_surprise():
    ids = encode_text("go " * 50, WordTokenizer.train("go " * 50))
    references = reference_losses(ids, 2)
    assert references.uniform == pytest.approx(math.log(2))
    assert references.unigram == 0
    assert references.bigram == 0


def test_entropy_of_an_even_count_is_the_log_of_its_size():
    assert entropy(torch.tensor([5, 5, 0, 5, 5]).numpy()) == pytest.approx(math.log(4))


# ---- lines ----

LINES = "ab|ab\ncde|cde\nf|f\ngh|gh\nijk|ijk\nlm|lm\n"
BY_LINE = TrainingConfig(windows="single lines", validation_fraction=0.3)


def characters(text: str) -> tuple[CharacterTokenizer, torch.Tensor]:
    tokenizer = CharacterTokenizer.train(text)
    return tokenizer, encode_text(text, tokenizer)


def test_windows_at_line_starts_begin_there_and_nowhere_else():
    tokenizer, ids = characters(LINES)
    starts = window_starts(ids, 4, "line starts", line_end(tokenizer, BY_LINE))
    text = tokenizer.decode(ids.tolist())
    assert [text[start : start + 2] for start in starts] == ["ab", "cd", "f|", "gh", "ij", "lm"]
    # None that would run past the end of the text.
    assert window_starts(ids, len(ids) - 1, "line starts", line_end(tokenizer, BY_LINE)).tolist() == [0]


def test_chunks_neither_overlap_nor_touch_so_a_fifth_of_all_steps_is_never_seen():
    ids = torch.arange(50)
    starts = window_starts(ids, 4, "chunks")
    assert starts.tolist() == [*range(0, 46, 5)]
    seen = {(first, first + 1) for start in starts.tolist() for first in range(start, start + 4)}
    assert {(index, index + 1) for index in range(49)} - seen == {(index, index + 1) for index in range(4, 49, 5)}


def test_of_a_single_line_all_counts_up_to_its_end_and_nothing_after_it():
    tokenizer, ids = characters(LINES)
    newline = line_end(tokenizer, BY_LINE)
    windows = ids[window_starts(ids, 12, "single lines", newline)[:, None] + torch.arange(13)]
    for window, kept in zip(windows, counted(windows[:, 1:], "single lines", newline), strict=True):
        line = tokenizer.decode(window.tolist()).partition("\n")[0]
        assert tokenizer.decode(window[1:][kept].tolist()) == f"{line[1:]}\n"
    assert counted(windows[:, 1:], "line starts", newline).all()
    assert counted(windows[:, 1:], "anywhere", None).all()


def test_a_text_of_lines_is_cut_between_two_of_them():
    tokenizer, ids = characters(LINES)
    newline = line_end(tokenizer, BY_LINE)
    for fraction in (0.05, 0.1, 0.3, 0.5):
        parts = split(ids, fraction, newline)
        assert torch.equal(torch.cat([parts.train, parts.validation]), ids)
        assert parts.train[-1] == newline
        assert len(parts.validation) >= len(ids) * fraction
        places = held_out(ids, 3, TrainingConfig(windows="line starts", validation_fraction=fraction), newline)
        assert places.min() >= len(parts.train), "validation is never trained on"
        assert all(ids[start - 1] == newline for start in places[:, 0])


def test_a_text_without_line_ends_is_refused_where_windows_need_them():
    tokenizer = WordTokenizer.train("no line ends here at all")
    assert line_end(tokenizer, TrainingConfig()) is None
    with pytest.raises(ValueError, match="no line end, and windows at line starts need one"):
        line_end(tokenizer, BY_LINE)


def test_lines_alone_count_no_step_from_one_line_to_the_next():
    tokenizer, ids = characters("ab\nac\nab\nac\nad\nab\n" * 4)
    config, training = GPTConfig(n_ctx=3), replace(BY_LINE, validation_fraction=0.1)
    _, alone = fit(ids, tokenizer, config, training)
    _, together = fit(ids, tokenizer, config, replace(training, windows="line starts"))
    # After "a" one of three, then a line end for certain: half of all tokens hold all the surprise.
    train = tokenizer.decode(split(ids, 0.1, line_end(tokenizer, training)).train.tolist())
    counts = Counter(line[1] for line in train.splitlines())
    surprise = -sum(n * math.log(n / counts.total()) for n in counts.values()) / counts.total()
    assert alone.bigram == pytest.approx(surprise / 2)
    assert together.bigram < alone.bigram


def test_the_floor_is_measured_where_validation_is():
    tokenizer, ids = characters(LINES)
    known = -torch.arange(len(ids)).double().numpy()
    newline = line_end(tokenizer, BY_LINE)
    _, references = fit(ids, tokenizer, GPTConfig(n_ctx=6), BY_LINE, known)
    start = len(split(ids, 0.3, newline).train)
    # Two lines are held out, and a window of 6 fits only into the first: its places 1 to 6 count, or to its end.
    places = [place for place in range(start + 1, start + 7) if newline not in ids[start:place]]
    assert references.floor == pytest.approx(sum(places) / len(places))
