"""Words in every script, spaces as written, and counts that hold only what a text holds."""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import json
import math
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import regex
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt import GPTConfig, TrainingConfig, advance, attention, begin, generate
from minigpt.diagnosis import scoring_ids
from minigpt.lens import guesses, logit_lens
from minigpt.splitting import clean, split_words
from minigpt.tokenizer import CharacterTokenizer, WordTokenizer, from_json, train_tokenizer
from minigpt.ui import door

CASES = Path(__file__).parent / "cases"
SCRIPTS = {
    "Latin": "The well-known “king” of Zürich (aged 3.14) said: it's 12:30, isn't it? U.S.A.!",
    "Spanish": "¿Qué hora es? ¡Son las 12:30! Dijo „Hallo“ y «adiós», 1,000 veces.",
    "Greek": "Ο βασιλιάς είπε: «Καλημέρα» — και έφυγε.",
    "Cyrillic": "Король сказал: «Поздно!» Было 12:30.",
    "Arabic": "السَّلَامُ عَلَيْكُمْ، يا عالم! كيف حالك؟",
    "Persian": "بچه‌ها خانه را می‌بینند.",
    "Hebrew": "שָׁלוֹם עוֹלָם! צה״ל, ז׳בוטינסקי.",
    "Devanagari": "नमस्ते दुनिया। क्षत्रिय कैसे हैं?",
    "Bengali": "শিক্ষক ফল খেয়েছে।",
    "Thai": "ครูกินน้ำตอนเช้า หมากินข้าวที่บ้าน",
    "Chinese": "你好,世界。他说:“再见!”",
    "Japanese": "「こんにちは」と言った。パーティーは12:30です。",
    "Korean": "안녕하세요, 세계! “좋아요.”",
    "emoji": "👩‍👩‍👧‍👦 went to 🇩🇪 and 🏴󠁧󠁢󠁷󠁬󠁳󠁿 ❤️ 👍🏽!",
}
TINY = GPTConfig(n_ctx=8, d_model=8, n_heads=2, n_layers=1)
BRIEF = TrainingConfig(steps=2, batch_size=2, sample_tokens=3)


def case(name: str) -> str:
    return (CASES / name).read_bytes().decode()


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_of_every_script_come_back_as_written(script):
    text = SCRIPTS[script]
    tokenizer = WordTokenizer.train(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == clean(text)
    assert tokenizer.encode(tokenizer.decode(ids)) == ids


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_decomposed_text_and_prompt_are_read_like_the_composed_ones(script):
    text = unicodedata.normalize("NFC", SCRIPTS[script])
    apart = unicodedata.normalize("NFD", text)
    for kind in ("word", "character", "bpe"):
        tokenizer = train_tokenizer(kind, apart)
        assert tokenizer.encode(text) == tokenizer.encode(apart)
        assert tokenizer.unknown(text) == []


def test_words_are_those_of_unicode():
    assert split_words(clean("👩‍👩‍👧‍👦🇩🇪❤️ it's 3.14, at 12:30 o’clock; co\u00adop U.S.A. col·lega")) == [
        "👩‍👩‍👧‍👦", "🇩🇪", "❤️", "it's", "3.14", ",", "at", "12:30", "o’clock", ";", "coop", "U.S.A", ".", "col·lega",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["06-thai.txt", "07b-bengali.txt", "08-persian-zwnj.txt"])
def test_marks_and_joiners_stay_inside_their_words(name):
    text = case(name)
    words = split_words(clean(text))
    assert set(words) <= set(text.split()) | {"."}
    assert not any(regex.fullmatch(r"[\p{M}\u200c\u200d]+", word) for word in words)


def test_what_is_never_seen_is_dropped_before_anything_counts():
    assert split_words(clean(case("20b-soft-hyphens.txt")))[:4] == ["the", "example", "of", "hyphenation"]
    assert clean("\ufeffa\u200eb\u2067c\u00ad") == "abc"
    for kind in ("word", "character"):
        assert train_tokenizer(kind, "a\u00adb").to_json() == train_tokenizer(kind, "\ufeffab").to_json()


@pytest.mark.parametrize("name", ["17b-spanish.txt", "19-curly.txt"])
def test_quotes_and_marks_of_a_text_come_back_as_written(name):
    text = clean(case(name))
    tokenizer = WordTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)).split() == text.split()


def test_straight_quotes_open_and_close_in_turns():
    text = 'He said "why" and "how". "Go!" she said.\n"No," (said "he").'
    tokenizer = WordTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    again = from_json(tokenizer.to_json())
    assert again.decode(again.encode(text)) == text


def test_a_prompt_typed_composed_is_found_in_a_decomposed_text():
    tokenizer = WordTokenizer.train(case("19b-nfd.txt"))
    assert tokenizer.unknown("café") == []


def test_unknown_counts_only_where_something_is_unknown():
    dna = begin(case("03-dna-one-line.txt").strip(), "character", TINY, BRIEF)
    assert dna.config.d_vocab == dna.tokenizer.d_vocab == 4
    assert dna.history.references.uniform == pytest.approx(math.log(4))
    rare = WordTokenizer.train("a a b b c", max_words=2)
    assert rare.d_vocab == 3
    assert rare.encode("a c zebra") == [0, 2, 2]
    assert rare.token(2) == "<unk>"


def test_a_tokenizer_at_hand_counts_what_the_new_text_lacks():
    at_hand = WordTokenizer.train("the dog ran home")
    state = advance(begin("the dog ran and ran and ran home", at_hand, TINY, BRIEF), 2)
    assert (at_hand.d_vocab, state.config.d_vocab) == (4, 5)
    assert state.tokenizer.token(4) == "<unk>"
    assert state.notes[-1] == "2 of 8 tokens are rare words that the model reads as <unk>."


def test_an_unknown_token_of_a_prompt_is_read_as_nothing_and_never_written():
    state = advance(begin("the dog ran home and the cat ran after the dog", "word", TINY, BRIEF), 2)
    view = attention(state, "the zebra ran")
    assert view.tokens == ("the", "<unk>", "ran")
    assert view.logits.shape == (3, state.config.d_vocab)
    with torch.no_grad():
        assert not state.model(torch.tensor([-1])).any(), "alone it says nothing at all: every answer is as good"
    assert all(token.token != "<unk>" for token in generate(state, "zebra", 30, temperature=5))
    found = guesses(logit_lens(state.model, torch.tensor(view.ids)), torch.tensor(view.ids[1:]))
    assert found.p_came[:, 0].tolist() == [0, 0]


def test_heads_are_probed_with_ids_of_the_text():
    state = begin(case("15-page.html"), "bpe", replace(TINY, n_ctx=64), BRIEF)
    assert state.config.d_vocab > len(set(state.ids.tolist()))
    ids, scored_on = scoring_ids(state)
    assert scored_on == "random tokens"
    assert np.isin(ids, state.ids.numpy()).all()


def test_tokenizers_saved_before_read_as_they_were_trained_to():
    words = from_json(json.dumps({"kind": "word", "tokens": ["<unk>", "at", "3", ".", "14", "cafe\u0301"]}))
    assert words.d_vocab == 6
    assert words.encode("at 3.14 zebra") == [1, 2, 3, 4, 0]
    assert words.encode("cafe\u0301") == [5]
    assert words.token(0) == "<unk>"
    letters = from_json(json.dumps({"kind": "character", "tokens": ["<unk>", "e", "\u00ad", "\u0301"]}))
    assert letters.encode("e\u0301\u00adx") == [1, 3, 2, 0]
    for tokenizer in (words, letters):
        assert from_json(tokenizer.to_json()).encode("at 3.14 e\u0301") == tokenizer.encode("at 3.14 e\u0301")


NASTY = "ab .,\n'\"-\u0301\u200c\u200d\u200b\u00ad\u09be👩🇩🇪12:\r"
LETTERS = st.text(st.one_of(st.characters(), st.sampled_from(NASTY)))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(LETTERS)
def test_any_text_is_cleaned_once_and_its_words_come_back(text):
    once = clean(text)
    assert clean(once) == once == unicodedata.normalize("NFC", once)
    tokenizer = WordTokenizer.train(text)
    ids = tokenizer.encode(text)
    back = tokenizer.decode(ids)
    assert squeezed(back) == squeezed(once)
    assert tokenizer.encode(back) == ids
    letters = CharacterTokenizer.train(text)
    assert letters.decode(letters.encode(text)) == once


def _random_texts(n: int) -> list[str]:
    """Texts of signs of all of Unicode, and of a few that are hard, in stretches like words, over and over."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(n):
        signs = [chr(code) for code in rng.integers(1, 0x11_0000, 20) if not 0xD800 <= code < 0xE000]
        signs += rng.choice(list(NASTY), 10).tolist()
        stretches = ["".join(rng.choice(signs, rng.integers(1, 7))) for _ in range(rng.integers(8, 30))]
        texts.append(" ".join(rng.choice(stretches, 80)))
    return texts


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_any_text_is_trained_on_prompted_and_looked_into(kind):
    for text in _random_texts(100):
        reading = door.read(door.text_of(text), kind, 300)
        state = advance(begin(reading.text, reading.tokenizer, TINY, BRIEF), 2)
        prompts = [*door.offered(reading, ""), text[:40], text[-9:] + " zebra\u4e00\U0001f642"]
        for prompt in filter(str.strip, prompts):
            view = attention(state, prompt)
            assert np.allclose(view.pattern.sum(-1), 1, atol=1e-5)
            assert list(generate(state, prompt, 3))
            assert scoring_ids(state)[0].min() >= 0
