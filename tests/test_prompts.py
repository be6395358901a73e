"""What is offered as a prompt, and what a film is of, stands in the text as it is."""

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.data import encode_text
from minigpt.excerpts import place_of, prompts_from
from minigpt.film import sentence
from minigpt.tokenizer import Tokenizer, train_tokenizer
from minigpt.ui import door

CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("*.txt") if path.stem[:2] not in ("05", "09"))
KINDS = ("word", "character", "bpe")


@lru_cache(maxsize=64)
def read(path: Path, kind: str) -> tuple[Tokenizer, torch.Tensor]:
    text = path.read_bytes().decode("utf-16-le" if "utf16" in path.name else "utf-8", errors="replace")
    tokenizer = train_tokenizer(kind, text)
    return tokenizer, torch.tensor(tokenizer.encode(text))


def assert_stands_in(tokenizer: Tokenizer, ids: torch.Tensor, prompt: str) -> None:
    assert place_of(ids, tokenizer.encode(prompt)) is not None, repr(prompt)
    assert tokenizer.unknown(prompt) == []
    assert "\ufffd" not in prompt
    assert "<unk>" not in prompt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_prompt_offered_or_filmed_stands_in_the_text_in_whole_signs(path, kind):
    tokenizer, ids = read(path, kind)
    prompts = prompts_from(ids, tokenizer)
    if len(ids) > 20:
        assert prompts
    for prompt in prompts:
        assert_stands_in(tokenizer, ids, prompt)
    if len(ids) < 20:
        return
    filmed = list(sentence(ids, tokenizer, GPTConfig(), TrainingConfig(validation_place="spread")))
    assert_stands_in(tokenizer, ids, tokenizer.decode(filmed))


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(alphabet="ab \n.é한👨‍👩‍👧a\u0301กำ🇩🇪字'", min_size=8, max_size=80))
@settings(max_examples=40, deadline=None)
def test_any_text_offers_only_prompts_that_stand_in_it(kind, text):
    tokenizer = train_tokenizer(kind, text, 256)  # Pieces of one byte: larger ones are whole signs in a short text.
    try:
        ids = encode_text(text, tokenizer)
    except ValueError:
        return
    for prompt in prompts_from(ids, tokenizer):
        assert_stands_in(tokenizer, ids, prompt)


def test_letters_keep_the_line_ends_of_a_prompt():
    path = next(path for path in CASES if path.stem.startswith("01"))
    tokenizer, ids = read(path, "character")
    assert prompts_from(ids, tokenizer)[0] == "luta\neltano\n"


def test_a_lesson_drawn_anew_offers_no_prompt_whose_tokens_its_text_lacks():
    text = door.drawn_text("echo", {"letters": "bcdfgh", "shortest": 2, "longest": 5})
    reading = door.read(text, "character", 512)
    for prompt in door.offered(reading, "echo"):
        assert reading.tokenizer.unknown(prompt) == []


def test_a_film_may_be_of_a_sentence_that_begins_with_a_line_end():
    fields = door.preset_fields("small")._replace(film_of="\nmar")
    assert door.settings_of(fields, "").film_of == "\nmar"
