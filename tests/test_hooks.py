"""Hooks are borrowed, and what they hear comes from the very pass that makes the logits."""

import threading

import numpy as np
import pytest
import torch

from minigpt.api import attention, attention_of_ids
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.hooks import attention_patterns, listening, patterns_and_logits
from minigpt.model import Transformer
from minigpt.training import TrainingState, advance, begin

CONFIG = GPTConfig(d_vocab=11, n_ctx=9, d_model=16, n_heads=4, n_layers=3)


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    made = Transformer(CONFIG).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.4)
    return made


def hooks_left(model: Transformer) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_hooks_go_when_the_body_ends(model):
    with listening(model):
        assert hooks_left(model) == 3
    assert hooks_left(model) == 0


def test_hooks_go_when_the_body_raises(model):
    with pytest.raises(KeyError), listening(model):
        raise KeyError
    assert hooks_left(model) == 0


def test_hooks_go_when_the_forward_pass_raises(model):
    with pytest.raises(ValueError, match="sees 9 tokens"):
        attention_patterns(model, torch.zeros(10, dtype=torch.int64))
    with pytest.raises(IndexError):
        attention_patterns(model, torch.tensor([11]))
    assert hooks_left(model) == 0


def test_other_peoples_hooks_stay(model):
    model.blocks[1].attention.hook_pattern.register_forward_hook(lambda *_: None)
    attention_patterns(model, torch.arange(5))
    assert hooks_left(model) == 1


def test_two_listeners_both_hear(model):
    with listening(model) as one, listening(model) as other:
        model(torch.arange(5))
    assert len(one) == len(other) == 3


def test_each_layers_pattern_stands_at_its_place(model):
    patterns = attention_patterns(model, torch.arange(9))
    with listening(model) as heard:
        model(torch.arange(9))
        model(torch.arange(4))
    assert patterns.shape == (3, 4, 9, 9)
    assert [tuple(pattern.shape) for pattern in heard] == [(1, 4, 9, 9)] * 3 + [(1, 4, 4, 4)] * 3
    for layer in range(3):
        assert torch.equal(patterns[layer], heard[layer][0])
    assert not torch.allclose(patterns[0], patterns[1])


def test_patterns_and_logits_come_from_one_pass(model):
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    # A head that is muted shows as muted in the pattern, and its silence is in the logits.
    mute = model.blocks[0].attention.hook_pattern.register_forward_hook(lambda _, __, output: output * 0)
    pattern, logits = patterns_and_logits(model, torch.arange(5))
    assert len(passes) == 1
    assert not pattern[0].any()
    assert pattern[1].any()
    muted = model(torch.arange(5))
    mute.remove()
    assert torch.equal(logits, muted)
    assert not torch.allclose(logits, model(torch.arange(5)))


def test_a_model_in_training_mode_still_gives_patterns(model):
    expected, _ = patterns_and_logits(model, torch.arange(5))
    pattern, logits = patterns_and_logits(model.train(), torch.arange(5))
    assert torch.equal(pattern, expected)
    torch.testing.assert_close(logits, model(torch.arange(5)), atol=1e-5, rtol=0)
    assert model.training


def test_patterns_carry_no_gradients(model):
    assert not attention_patterns(model, torch.arange(5)).requires_grad


@pytest.fixture(scope="module")
def state() -> TrainingState:
    text = "the dog saw the cat and the cat saw the old dog run to the old cat . " * 5
    return advance(begin(text, config=GPTConfig(n_ctx=8, n_layers=1), training=TrainingConfig(sample_tokens=0)), 3)


def test_a_view_shows_the_tokens_as_the_model_read_them(state):
    view = attention(state, "the fish saw the dog")
    assert view.tokens == ("the", "<unk>", "saw", "the", "dog")
    assert view.ids == tuple(state.tokenizer.encode("the fish saw the dog"))
    assert view.dropped == 0
    assert view.causal
    assert view.pattern.shape == (1, 4, 5, 5)
    assert view.logits.shape == (5, state.config.d_vocab)
    with torch.no_grad():
        np.testing.assert_array_equal(view.logits, state.model(torch.tensor(view.ids)).numpy())


def test_of_a_long_prompt_the_newest_tokens_are_read_and_the_rest_is_counted(state):
    words = ["the", "dog", "saw", "the", "cat", "and", "the", "cat", "saw", "the", "old", "dog"]
    view = attention(state, " ".join(words))
    assert view.tokens == tuple(words[4:])
    assert view.dropped == 4
    np.testing.assert_array_equal(view.pattern, attention(state, " ".join(words[4:])).pattern)
    assert attention_of_ids(state, list(view.ids)).dropped == 0


def test_a_prompt_of_nothing_is_refused_with_an_example(state):
    with pytest.raises(ValueError, match=r"The prompt is empty\. .* for example: the"):
        attention(state, " ")


def test_only_the_listening_threads_own_passes_are_heard(model):
    ids = torch.arange(5)
    expected = attention_patterns(model, ids)
    stop = threading.Event()

    def others() -> None:
        while not stop.is_set():
            attention_patterns(model, torch.arange(3))

    busy = threading.Thread(target=others)
    busy.start()
    try:
        for _ in range(200):
            assert torch.equal(attention_patterns(model, ids), expected)
    finally:
        stop.set()
        busy.join()
    assert hooks_left(model) == 0
