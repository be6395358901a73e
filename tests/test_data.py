"""What training sees of a text: every transition, shifted by one, and never the validation part."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
import torch

from minigpt.data import (
    encode_text,
    entropy,
    even_windows,
    fitting_context,
    random_batch,
    reference_losses,
    split,
)
from minigpt.tokenizer import WordTokenizer, train_tokenizer


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_ctx", [1, 4, 11])
def test_every_transition_of_the_training_part_can_be_drawn(n_ctx):
    ids = torch.arange(12)
    seen = set()
    for seed in range(40):
        inputs, targets = random_batch(ids, n_ctx, 8, rng(seed))
        seen |= set(zip(inputs.flatten().tolist(), targets.flatten().tolist(), strict=True))
    assert seen == {(index, index + 1) for index in range(11)}


def test_windows_start_everywhere_equally_often():
    starts = Counter(random_batch(torch.arange(12), 5, 7000, rng())[0][:, 0].tolist())
    assert sorted(starts) == list(range(7))
    assert all(abs(count - 1000) < 5 * math.sqrt(1000) for count in starts.values())


def test_targets_are_the_inputs_one_token_later():
    ids = torch.randint(50, (100,), generator=rng())
    inputs, targets = random_batch(ids, 6, 10, rng())
    assert inputs.shape == targets.shape == (10, 6)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    windows = ids.unfold(0, 7, 1).tolist()
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert [*row, target[-1]] in windows


def test_a_batch_depends_on_the_generator_alone():
    ids = torch.arange(100)
    torch.manual_seed(1)
    one = random_batch(ids, 6, 10, rng(3))[0]
    torch.manual_seed(2)
    assert torch.equal(random_batch(ids, 6, 10, rng(3))[0], one)
    assert not torch.equal(random_batch(ids, 6, 10, rng(4))[0], one)


@pytest.mark.parametrize("n_tokens", [4, 5, 7, 20, 101])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_validation_is_the_end_of_the_text_and_never_trained_on(n_tokens, fraction):
    ids = torch.arange(n_tokens)
    parts = split(ids, fraction)
    assert torch.equal(torch.cat([parts.train, parts.validation]), ids)
    assert len(parts.train) >= 2
    assert len(parts.validation) == max(2, round(n_tokens * fraction))
    n_ctx = fitting_context(64, ids, fraction)
    inputs, targets = random_batch(parts.train, n_ctx, 50, rng())
    assert max(inputs.max(), targets.max()) < parts.validation.min()


def test_the_context_shrinks_until_a_window_and_its_next_token_fit():
    assert fitting_context(64, torch.arange(1000)) == 64
    assert fitting_context(64, torch.arange(50)) == 44
    assert fitting_context(64, torch.arange(4)) == 1
    assert fitting_context(1, torch.arange(50)) == 1
    for n_tokens in range(4, 90):
        parts = split(torch.arange(n_tokens))
        n_ctx = fitting_context(64, torch.arange(n_tokens))
        assert random_batch(parts.train, n_ctx, 2, rng())[0].shape == (2, n_ctx)
        assert even_windows(parts.validation, n_ctx)[0].shape[1] <= n_ctx


@pytest.mark.parametrize("n_tokens", [2, 5, 64, 65, 66, 1000])
def test_validation_windows_are_always_the_same_from_first_to_last_token(n_tokens):
    ids = torch.arange(n_tokens)
    inputs, targets = even_windows(ids, 16)
    assert torch.equal(inputs + 1, targets)
    assert torch.equal(inputs, even_windows(ids, 16)[0])
    assert inputs.min() == 0
    assert len(inputs) <= 24
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
    assert encode_text("four words will do", WordTokenizer.train("four words will do")).tolist() == [1, 2, 3, 4]


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
