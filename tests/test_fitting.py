"""The split that fits a text: each lesson's own, and for what people bring what its kind asks for."""

from pathlib import Path

import pytest

import minigpt
from minigpt.corpora import LESSONS
from minigpt.data import encode_text
from minigpt.files import read_file
from minigpt.fitting import fitting
from minigpt.paths import asset
from minigpt.tokenizer import WordTokenizer
from minigpt.ui import door, words

CASES = Path(__file__).parent / "cases"
LETTERS = {"01-names", "02-additions", "03-dna", "04e-chinese", "05-japanese", "06-thai"}
ESSAY = asset("essay.txt").read_text(encoding="utf-8").split()
DNA = (CASES / "03-dna-one-line.txt").read_text(encoding="utf-8")
TOLD = "This text has no spaces: split it into letters or pieces."


@pytest.mark.parametrize("name", [name for name in LESSONS if name != "brackets"])
def test_a_lesson_is_split_as_somebody_chose_by_hand(name):
    assert fitting(LESSONS[name].text).kind == LESSONS[name].tokenizer


@pytest.mark.parametrize("path", sorted(CASES.glob("*.*")), ids=lambda path: path.name)
def test_each_case_gets_the_split_of_its_kind(path):
    kind = "character" if any(path.name.startswith(name) for name in LETTERS) else "word"
    assert fitting(read_file(path.name, path.read_bytes()).text).kind == kind


@pytest.mark.parametrize("n_words", [40, 100, 300, 1000, 3000])
@pytest.mark.parametrize("start", [0, 200, 500])
def test_prose_of_any_length_is_words(n_words, start):
    assert fitting(" ".join(ESSAY[start : start + n_words])).kind == "word"


def test_compound_words_are_no_text_without_spaces():
    assert (
        fitting("die Straßenbahnhaltestelle am Donaudampfschifffahrtsmuseum ist heute gesperrt . " * 5).kind == "word"
    )


@pytest.mark.parametrize("text", ["", " ", "\n", "a b c", "🙂 " * 9])
def test_of_too_little_nothing_is_said(text):
    assert fitting(text) == ("word", "")


def test_a_text_without_spaces_says_so_instead_of_asking_for_more_words():
    with pytest.raises(ValueError, match=f"^{TOLD}$"):
        encode_text(DNA, WordTokenizer.train(DNA))
    with pytest.raises(ValueError, match=f"^{TOLD}$"):
        minigpt.main_train(DNA, steps=1)
    with pytest.raises(ValueError, match="One token is too little"):
        minigpt.main_train("Donaudampfschiff", steps=1)


def test_the_line_says_how_a_text_is_split_and_offers_what_would_fit():
    assert words.split_note("own", "character", DNA) == [
        ["p", {"class": "mg-note"}, "This text has no spaces: it is split into letters."]
    ]
    [line] = words.split_note("own", "word", DNA)
    assert TOLD in str(line)
    assert [node[2] for node in line[2:] if node[0] == "button"] == ["Split into letters", "Split into pieces"]
    assert words.split_note("own", "bpe", DNA) == words.split_note("markov", "word", DNA) == []


@pytest.mark.parametrize(
    ("text", "before", "edited"),
    [("the dog ran", "the dog", True), ("dog ran", "the dog ran", True), ("the cat ran", "the dog ran", True),
     ("a new one", "the old text", False), ("the dog", "", False), ("", "the dog", False)],
)  # fmt: skip
def test_a_text_is_edited_where_a_third_of_it_stays(text, before, edited):
    assert door.is_edited(text, before) is edited


@pytest.mark.parametrize("n", [4, 40, 400])
def test_a_text_that_only_repeats_itself_learns_from_what_it_is_told(n):
    text = "ACGTTGCA" * n
    with pytest.raises(ValueError, match=f"^{TOLD}$"):
        minigpt.main_train(text, steps=1)
    with pytest.raises(ValueError, match=r"hardly a few pieces: split it into letters\.$"):
        minigpt.main_train(text, "bpe", steps=1)
    assert minigpt.main_train(text, "character", steps=1).step == 1
