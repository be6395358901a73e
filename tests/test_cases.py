"""Small texts as people bring them, each of a kind that once went wrong: read, trained on, prompted and looked into.

In Python and over HTTP here, on the page in test_page_cases.py. What a file's bytes become, which prompts are offered
and how words are cut is held by the tests of those modules.
"""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from served import Served

import minigpt
from minigpt.checkpoint import TrainingState
from minigpt.diagnosis import diagnose
from minigpt.files import read_file
from minigpt.heads import probe
from minigpt.hooks import head_scores
from minigpt.splitting import clean
from minigpt.training import SPREAD, UNLIKE
from minigpt.ui import head_words

CASES = Path(__file__).parent / "cases"
TINY = minigpt.GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=1)
BRIEF = minigpt.TrainingConfig(steps=2, batch_size=2, sample_tokens=3)
SMALL = {"layers": 1, "heads": 2, "width": 16, "context": 16, "batch": 2, "steps": 2}
SPLITS = {"words": "word", "letters": "character", "pieces": "bpe"}
LIMIT = 120  # s; a loaded machine is slow, and a test must say so only when something is wrong
BY_HEART = "The model learns the text by heart"
NO_SPACES = "This text has no spaces: split it into letters or pieces."
# The text, how it is split, a prompt as a person types it, and the tokens that the first picture shows for it.
PROMPTS = [
    ("01-names-one-a-line.txt", "letters", "\nluta", [*"\nluta"]),
    ("02-additions.txt", "letters", "80+92=", [*"80+92="]),
    ("03-dna-one-line.txt", "letters", "TGACATCA", [*"TGACATCA"]),
    ("06-thai.txt", "words", "ครูกินน้ำตอนเช้า หมากินข้าวที่บ้าน", ["ครูกินน้ำตอนเช้า", "หมากินข้าวที่บ้าน"]),
    ("07b-bengali.txt", "words", "শিক্ষক ফল খেয়েছে ।", clean("শিক্ষক ফল খেয়েছে ।").split()),
    ("08-persian-zwnj.txt", "words", "بچه‌ها خانه را می‌بینند", ["بچه‌ها", "خانه", "را", "می‌بینند"]),
    ("17b-spanish.txt", "words", "¿Dónde está", ["¿", "Dónde", "está"]),
    ("19-curly.txt", "words", "I don’t say “why”", ["I", "don’t", "say", "“", "why", "”"]),
    ("19b-nfd.txt", "words", "le caf\u00e9", ["le", "caf\u00e9"]),
    ("19b-nfd.txt", "letters", "cafe\u0301", ["c", "a", "f", "\u00e9"]),
    ("20b-soft-hyphens.txt", "words", "the exam\u00adple of hyphenation", ["the", "example", "of", "hyphenation"]),
    ("20b-soft-hyphens.txt", "letters", "exam\u00adple", [*"example"]),
]
NAMED = [f"{name[:3].strip('-')}-{split}" for name, split, *_ in PROMPTS]


@lru_cache
def text_of(name: str) -> str:
    """A case as its file is opened."""
    return read_file(name, (CASES / name).read_bytes()).text


@lru_cache
def brief(name: str, split: str) -> TrainingState:
    """A case after two steps."""
    return minigpt.advance(minigpt.begin(text_of(name), SPLITS[split], TINY, BRIEF), 2)


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[Client]:
    client = Client(server.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def trained(client: Client, text: str, **asked: Any) -> tuple[str, dict[str, Any]]:
    """A run of a text over HTTP, and how it ended."""
    run = client.predict(text, **(SMALL | asked), api_name="/train")
    job = client.submit(run, api_name="/progress")
    job.result(timeout=LIMIT)
    return run, job.outputs()[-1]


# ---- what is read of a text and a prompt ----


@pytest.mark.parametrize(("name", "split", "prompt", "tokens"), PROMPTS, ids=NAMED)
def test_a_prompt_is_read_in_whole_tokens_of_its_text(name, split, prompt, tokens):
    state = brief(name, split)
    view = minigpt.attention(state, prompt)
    assert list(view.tokens) == tokens
    assert np.isin(view.ids, state.ids.numpy()).all()
    written = list(minigpt.generate(state, prompt, 20, temperature=5))
    assert len(written) == 20
    assert {token.token for token in written} <= {state.tokenizer.token(index) for index in state.ids.unique().tolist()}


@pytest.mark.parametrize(("name", "split", "prompt", "tokens"), PROMPTS, ids=NAMED)
def test_a_program_is_shown_the_tokens_that_a_notebook_is(client, name, split, prompt, tokens):
    run, last = trained(client, text_of(name), tokenizer=split)
    assert last["state"] == "finished"
    assert client.predict(run, prompt, api_name="/attention")["tokens"] == tokens
    got = client.predict(run, prompt, max_new_tokens=9, api_name="/generate")
    assert (got["unknown"], got["message"]) == ([], "")


@pytest.mark.parametrize(("typed", "hint"), [("don't", "“don’t”"), ("don’t", "")])
def test_a_program_is_told_of_the_other_apostrophe(client, typed, hint):
    run, _ = trained(client, text_of("19-curly.txt"))
    got = client.predict(run, f"I {typed} say", max_new_tokens=1, api_name="/generate")
    assert got["unknown"] == [typed] * bool(hint)
    assert got["message"].endswith(f"The text writes it with another apostrophe: {hint}." if hint else "")
    assert client.predict(run, f"I {typed} say", api_name="/attention")["tokens"][1] == ("<unk>" if hint else typed)


def test_signs_of_several_bytes_are_whole_in_what_is_filmed_of_pieces(client, server):
    text = text_of("04e-chinese-varied.txt")
    run, _ = trained(client, text, tokenizer="pieces")
    tokenizer, filmed = server.runs.state(run).tokenizer, next(iter(server.runs.film(run).values())).ids.tolist()
    whole = tokenizer.decode(filmed)
    assert whole in text
    assert client.predict(run, api_name="/film")["tokens"] == [tokenizer.token(index) for index in filmed]
    assert client.predict(run, whole, api_name="/attention")["tokens"] == [tokenizer.token(index) for index in filmed]
    assert client.predict(run, whole, max_new_tokens=4, api_name="/generate")["unknown"] == []


def test_signs_and_words_are_written_with_the_spaces_of_the_text(client):
    name = "17b-spanish.txt"
    run, last = trained(client, text_of(name), steps=40, width=32, batch=8)
    got = client.predict(run, "¿Quién vio", max_new_tokens=60, api_name="/generate")["text"]
    here = "".join(token.text for token in minigpt.generate(brief(name, "words"), "¿Quién vio", 60))
    for written in (last["sample"], got, here):
        assert re.search(r"[¿¡!?.]", written)
        assert not re.search(r"[¿¡„(] \w|\w [!?.,:]|\d[.:] \d", written), written


# ---- how a text is split ----


def test_a_text_without_spaces_is_refused_as_words_and_taken_as_letters_and_pieces(client):
    dna = text_of("03-dna-one-line.txt")
    with pytest.raises(AppError, match=f"^{re.escape(NO_SPACES)}$"):
        client.predict(dna, **SMALL, api_name="/train")
    for split, kind in (("letters", "character"), ("pieces", "bpe")):
        _, last = trained(client, dna, tokenizer=split)
        assert (last["state"], last["message"]) == ("finished", "")
        state = minigpt.main_train(dna, kind, config=TINY, training=BRIEF)
        assert (state.step, state.notes) == (2, ())
    letters = brief("03-dna-one-line.txt", "letters")
    assert (letters.config.d_vocab, f"{letters.history.references.uniform:.2f}") == (4, "1.39")


# ---- a validation loss that rises ----


@pytest.mark.slow
@pytest.mark.parametrize(("place", "told"), [("end", UNLIKE), ("spread", SPREAD)])
def test_a_program_is_told_in_one_sentence_that_the_end_is_unlike_the_rest(client, place, told):
    asked = dict.fromkeys(SMALL) | {"steps": 200, "held_place": place}  # Else as the page has it.
    _, last = trained(client, text_of("24-two-languages.txt"), **asked)
    assert (last["state"], last["step"]) == ("finished", 200)
    assert last["message"].startswith(told)
    assert "learning rate" not in last["message"]
    assert (BY_HEART in last["message"]) == (place == "spread")


def test_a_program_is_told_once_that_a_short_text_is_learnt_by_heart(client):
    _, last = trained(client, text_of("22-tiny.txt"), steps=200, width=32, batch=8)
    assert (last["state"], last["step"]) == ("finished", 200)
    assert last["message"].count(BY_HEART) == 1
    assert "learning rate" not in last["message"]


# ---- what heads do ----


def test_heads_of_pieces_are_scored_on_pieces_that_were_trained_on(client, server):
    run, _ = trained(client, text_of("15-page.html"), tokenizer="pieces", steps=60, width=32, heads=4, context=64)
    state = server.runs.state(run)
    known = np.unique(state.ids[: round(0.9 * len(state.ids))].numpy())
    assert len(known) < state.config.d_vocab
    scores = head_scores(state.model, known[probe(len(known), state.config.n_ctx)])
    told = [each["says"] for each in client.predict(run, False, api_name="/heads")["heads"]]
    assert told == [" ".join(head_words.said(scored, "bpe")) for row in scores for scored in row]
    found = diagnose(state)
    assert found is not None
    assert np.isin(found.ids, state.ids.numpy()).all()
