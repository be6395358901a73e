"""Writing, against a slow way of doing the same: one full pass a token, probabilities by hand, choices by counting."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig, SamplingConfig
from minigpt.generation import choose, generate_ids, generate_tokens
from minigpt.model import Transformer
from minigpt.tokenizer import BPETokenizer, CharacterTokenizer

POSITIONS = ["rotary", "sinusoidal", "learned", "none"]
LETTERS = CharacterTokenizer.train("abcdefghijklmnop")
SMALL = GPTConfig(d_vocab=16, n_ctx=8, d_model=16, n_heads=2, n_layers=2)
LOGITS = np.array([2.0, 1.5, 1.0, 0.0, -1.0, 0.5], np.float32)


def random_model(config: GPTConfig = SMALL, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


def full_passes(model: Transformer, prompt: list[int], steps: int) -> list[tuple[int, torch.Tensor]]:
    """Greedy choices and their logits, each from one pass over the newest n_ctx tokens, without any cache."""
    ids, result = list(prompt), []
    for _ in range(steps):
        with torch.no_grad():
            logits = model(torch.tensor(ids[-model.config.n_ctx :]))[-1]
        result.append((max(range(len(logits)), key=logits.tolist().__getitem__), logits))
        ids.append(result[-1][0])
    return result


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_prompt", [1, 3, 8, 11])
def test_greedy_with_a_cache_equals_the_argmax_of_full_passes_also_beyond_the_context(positions, causal, n_prompt):
    model = random_model(replace(SMALL, positions=positions, causal=causal))
    prompt = torch.arange(n_prompt) % 16
    written = list(generate_ids(model, prompt, SamplingConfig(max_new_tokens=14, temperature=0)))
    expected = full_passes(model, prompt.tolist(), 14)
    assert [index for index, _, _ in written] == [index for index, _ in expected]
    for (_, logits, _), (_, whole) in zip(written, expected, strict=True):
        np.testing.assert_allclose(logits, whole, atol=1e-5, rtol=0)
    # Token n + 1 of the text is chosen from a window that has lost its first token once n is more than n_ctx.
    assert [slid for _, _, slid in written] == [n_prompt + count > 8 for count in range(14)]


@torch.no_grad()
@pytest.mark.parametrize("positions", POSITIONS)
def test_reading_through_a_cache_equals_reading_at_once(positions):
    model = random_model(replace(SMALL, positions=positions)).double()
    ids = torch.randint(16, (3, 8), generator=torch.Generator().manual_seed(0))
    cache = model.new_cache(batch=3)
    pieces = [model(ids[:, start:end], cache) for start, end in ((0, 3), (3, 4), (4, 8))]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(ids), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="sees 8 tokens at once, and got 9"):
        model(ids[:, :1], cache)


def test_probability_rank_and_candidates_are_the_models_own():
    model = random_model()
    prompt = torch.tensor([1, 2, 3])
    tokens = list(generate_tokens(model, LETTERS, prompt, SamplingConfig(5, temperature=3.0, top_k=9)))
    assert any(token.rank > 1 for token in tokens)
    ids = prompt.tolist()
    for token in tokens:
        logits = model(torch.tensor(ids))[-1].tolist()
        total = sum(math.exp(logit) for logit in logits)
        chances = {LETTERS.token(index): math.exp(logit) / total for index, logit in enumerate(logits)}
        order = sorted(chances, key=chances.get, reverse=True)
        assert token.token == LETTERS.token(token.index)
        assert token.probability == pytest.approx(chances[token.token], abs=1e-6)
        assert order[token.rank - 1] == token.token
        assert [name for name, _ in token.candidates] == order[:10]
        assert [chance for _, chance in token.candidates] == pytest.approx([chances[x] for x in order[:10]], abs=1e-6)
        assert token.n_others == 6
        ids.append(token.index)


def expected_chances(sampling: SamplingConfig) -> list[float]:
    """The distribution that temperature, then top-k, then top-p leave of LOGITS, in plain Python."""
    powers = {index: math.exp(logit / sampling.temperature) for index, logit in enumerate(LOGITS.tolist())}
    order = sorted(powers, key=powers.get, reverse=True)[: sampling.top_k or len(powers)]
    kept, mass, total = [], 0.0, sum(powers[index] for index in order)
    for index in order:
        kept.append(index)
        mass += powers[index] / total
        if sampling.top_p is not None and mass >= sampling.top_p:
            break
    left = sum(powers[index] for index in kept)
    return [powers[index] / left if index in kept else 0.0 for index in range(len(powers))]


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingConfig(temperature=1.0),
        SamplingConfig(temperature=0.5),
        SamplingConfig(temperature=2.0),
        SamplingConfig(temperature=1.0, top_k=2),
        SamplingConfig(temperature=1.0, top_k=6),
        SamplingConfig(temperature=1.0, top_k=100),
        SamplingConfig(temperature=1.0, top_p=0.5),
        SamplingConfig(temperature=1.0, top_p=0.8),
        SamplingConfig(temperature=0.7, top_k=4, top_p=0.9),
        SamplingConfig(temperature=2.0, top_p=1.0),
    ],
)
def test_choices_come_as_often_as_temperature_top_k_and_top_p_say(sampling):
    rng = np.random.default_rng(0)
    n_draws = 6000
    counts = Counter(choose(LOGITS, sampling, rng) for _ in range(n_draws))
    for index, chance in enumerate(expected_chances(sampling)):
        # Five standard deviations of a count.
        assert abs(counts[index] / n_draws - chance) <= 5 * math.sqrt(chance * (1 - chance) / n_draws)


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingConfig(temperature=0),
        SamplingConfig(temperature=5.0, top_k=1),
        SamplingConfig(temperature=5.0, top_p=0.0),
        SamplingConfig(temperature=5.0, top_p=1e-9),
        SamplingConfig(temperature=1e-6),
        SamplingConfig(temperature=1e-45),
        SamplingConfig(temperature=5e-324),
    ],
)
def test_settings_that_leave_one_token_are_greedy(sampling):
    rng = np.random.default_rng(0)
    assert {choose(LOGITS, sampling, rng) for _ in range(50)} == {0}
    assert choose(LOGITS * 1e30, sampling, rng) == 0


def test_choosing_changes_no_logits():
    logits = LOGITS.copy()
    choose(logits, SamplingConfig(top_k=2, top_p=0.5), np.random.default_rng(0))
    assert np.array_equal(logits, LOGITS)


def text_of(seed: int, **sampling: object) -> str:
    tokens = generate_tokens(random_model(), LETTERS, torch.tensor([1]), SamplingConfig(30, 1.0, seed=seed, **sampling))
    return "".join(token.text for token in tokens)


def test_the_same_seed_writes_the_same_text_whatever_others_draw():
    first, before = text_of(1), torch.get_rng_state()
    text_of(1)
    torch.manual_seed(99)
    assert text_of(1) == first
    assert text_of(2) != first
    torch.set_rng_state(before)


def test_writing_leaves_everybodys_random_numbers_alone():
    model, before = random_model(), torch.get_rng_state()
    list(generate_tokens(model, LETTERS, torch.tensor([1]), SamplingConfig(30)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_shorter_continuation_is_the_beginning_of_a_longer_one():
    model, prompt = random_model(), torch.tensor([1, 2])
    short = [index for index, _, _ in generate_ids(model, prompt, SamplingConfig(5, 1.0))]
    assert [index for index, _, _ in generate_ids(model, prompt, SamplingConfig(20, 1.0))][:5] == short


def test_the_caller_may_stop_at_any_token_and_nothing_is_computed_ahead():
    model, passes = random_model(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    tokens = generate_tokens(model, LETTERS, torch.tensor([1]), SamplingConfig(1000))
    assert passes == []
    next(tokens)
    next(tokens)
    assert len(passes) == 2
    tokens.close()
    assert len(list(generate_tokens(model, LETTERS, torch.tensor([1]), SamplingConfig(3)))) == 3


def test_each_token_costs_one_pass_over_one_token_until_the_window_slides():
    model, sizes = random_model(), []
    model.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[1]))
    list(generate_ids(model, torch.tensor([1, 2, 3]), SamplingConfig(8)))
    assert sizes == [3, 1, 1, 1, 1, 1, 8, 8]


def test_gradients_come_back_after_each_token():
    for _ in generate_ids(random_model(), torch.tensor([1]), SamplingConfig(3)):
        assert torch.is_grad_enabled()


def test_the_text_of_byte_pieces_is_whole_at_the_end():
    tokenizer = BPETokenizer.train("ab€🙂")
    model = random_model(replace(SMALL, d_vocab=tokenizer.d_vocab))
    prompt = torch.tensor(tokenizer.encode("a🙂"))
    for seed in range(8):
        tokens = list(generate_tokens(model, tokenizer, prompt, SamplingConfig(25, 1.5, seed=seed)))
        assert "".join(token.text for token in tokens) == tokenizer.decode(token.index for token in tokens)


def test_a_vocabulary_smaller_than_the_list_of_candidates_is_listed_whole():
    letters, model = CharacterTokenizer.train("abc"), random_model(replace(SMALL, d_vocab=3))
    tokens = list(generate_tokens(model, letters, torch.tensor([1]), SamplingConfig(2)))
    assert all(len(token.candidates) == 3 and token.n_others == 0 for token in tokens)
    assert all(sum(chance for _, chance in token.candidates) == pytest.approx(1, abs=1e-6) for token in tokens)
