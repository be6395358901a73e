"""What a notebook calls, under the names it has always had."""

import inspect

import numpy as np
import pytest

import minigpt
from minigpt.api import mistaken_ids
from minigpt.config import LABELS

TEXT = "the old king saw the small dog . the dog ran to the old king .\n" * 8
SMALL = minigpt.GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=2)


@pytest.fixture(scope="module")
def state() -> minigpt.TrainingState:
    return minigpt.main_train(TEXT, tokenizer="word", steps=40, seed=0, config=SMALL)


def test_main_train_returns_all_that_was_learned(state):
    assert state.step == 40
    assert state.config.d_vocab == state.tokenizer.d_vocab == 10
    assert state.model.config is state.config
    assert len(state.history.train) == 40
    assert state.history.train[-1][1] < 1 < state.history.train[0][1]
    assert minigpt.advance(state, 5).step == 45


def test_the_seed_decides_all(state):
    again = minigpt.main_train(TEXT, tokenizer="word", steps=40, seed=0, config=SMALL)
    other = minigpt.main_train(TEXT, tokenizer="word", steps=40, seed=1, config=SMALL)
    assert again.history.train == state.history.train
    assert other.history.train != state.history.train


def test_the_texts_of_the_generated_tokens_join_to_the_continuation(state):
    tokens = list(minigpt.generate(state, "the old", max_new_tokens=30, temperature=0))
    assert all(isinstance(token, minigpt.GeneratedToken) for token in tokens)
    prompt = state.tokenizer.encode("the old")
    whole = state.tokenizer.decode([*prompt, *(token.index for token in tokens)])
    assert "the old" + "".join(token.text for token in tokens) == whole
    assert whole.startswith("the old king")


def test_generating_twice_gives_the_same_and_another_seed_something_else(state):
    def write(seed: int) -> str:
        return "".join(token.text for token in minigpt.generate(state, "the", 40, temperature=2.0, seed=seed))

    assert write(1) == write(1) != write(2)


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_is_refused_at_once_and_not_at_the_first_token(state, prompt):
    with pytest.raises(ValueError, match=r"The prompt is empty\. .* for example: the, old, king\."):
        minigpt.generate(state, prompt)


@pytest.mark.parametrize(
    "setting", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 2.0}, {"max_new_tokens": 0}, {"seed": -1}]
)
def test_sampling_that_cannot_be_is_refused_at_once(state, setting):
    with pytest.raises(ValueError, match=f"{LABELS[next(iter(setting))]} must be"):
        minigpt.generate(state, "the", **setting)


def test_attention_has_tokens_patterns_and_logits(state):
    view = minigpt.attention(state, "the old king saw the dog")
    assert isinstance(view, minigpt.AttentionView)
    assert view.tokens == ("the", "old", "king", "saw", "the", "dog")
    assert view.pattern.shape == (2, 2, 6, 6)
    assert view.logits.shape == (6, 10)
    np.testing.assert_allclose(view.pattern.sum(-1), 1, atol=1e-6)
    assert view.dropped == 0


def test_the_notebooks_names_stand():
    names = [
        "GPTConfig",
        "AttentionHead",
        "MultiHeadedAttention",
        "MLP",
        "TransformerBlock",
        "Transformer",
        "create_word_index",
    ]
    for name in [*names, "text_to_tensor", "train", "main_train"]:
        assert name in minigpt.__all__
        assert hasattr(minigpt, name)
    index = minigpt.create_word_index("the dog saw the cat")
    assert minigpt.text_to_tensor("the cat", index).tolist() == [index["the"], index["cat"]]


def test_everything_public_is_there_and_says_what_it_is():
    for name in minigpt.__all__:
        assert inspect.getdoc(getattr(minigpt, name)), name


# ---- lines, and a vocabulary made from the prompt ----

LINES = "".join(f"{word}|{word}\n" for word in ("ab", "cd", "acd", "bd", "cab", "dc", "abcd", "db")) * 12


@pytest.fixture(scope="module")
def of_lines() -> minigpt.TrainingState:
    config = minigpt.GPTConfig(n_ctx=12, d_model=32, n_heads=2)
    training = minigpt.TrainingConfig(steps=60, windows="single lines", sample_tokens=0)
    return minigpt.main_train(LINES, "character", config=config, training=training)


def test_a_model_of_single_lines_writes_to_the_end_of_its_line_and_no_further(of_lines):
    texts = ["".join(token.text for token in minigpt.generate(of_lines, "ab|", 40, seed=seed)) for seed in range(5)]
    assert any(len(text) < 40 for text in texts)
    for text in texts:
        assert "\n" not in text[:-1]
        assert text.endswith("\n") or len(text) == 40


def test_a_vocabulary_made_from_the_prompt_gives_its_ids_another_meaning(of_lines):
    right = of_lines.tokenizer.encode("cd|")
    mistaken = mistaken_ids(of_lines, "cd|").tolist()
    assert len(mistaken) == len(right)
    assert mistaken == [0, 1, 2], "in the order of their code points, from 0"
    assert mistaken != right
    assert of_lines.tokenizer.decode(mistaken) == "\nab", "this is what the model reads"
    with pytest.raises(ValueError, match="more different tokens than the model knows"):
        mistaken_ids(of_lines, "abcdefghijk")
    with pytest.raises(ValueError, match="The prompt is empty"):
        mistaken_ids(of_lines, "")
