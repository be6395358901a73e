"""The tables of the languages, and the browser's half that looks things up in them."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from test_explorer import exploration
from test_head_words import made

from minigpt.breaks import BREAKS, PARTS
from minigpt.config import GPTConfig
from minigpt.copies import Copies, Span
from minigpt.corpora import LESSONS
from minigpt.figures.births import NO_SCORES, NOTHING_YET
from minigpt.figures.lens import row_names
from minigpt.history import ReferenceLosses
from minigpt.paths import asset
from minigpt.runs import RunSettings, UnknownRun
from minigpt.ui import deeper, head_words, map_tab, rows_tab, switchboard_tab, take_tab, twins_words, words
from minigpt.ui.continuation import novelty
from minigpt.ui.guides import GUIDES
from minigpt.ui.languages import LANGUAGES
from minigpt.ui.lens_tab import HOW, note
from minigpt.ui.twins import Losses

TABLES = {
    code: json.loads(asset(f"words.{code}.json").read_text(encoding="utf-8")) for code in LANGUAGES if code != "en"
}


def holes(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_every_language_says_the_same_sentences():
    first, *others = TABLES.values()
    for other in others:
        assert first.keys() ^ other.keys() == set()


@pytest.mark.parametrize("code", TABLES)
def test_what_a_sentence_leaves_open_its_translation_leaves_open_too(code):
    assert [key for key, said in TABLES[code].items() if holes(key) != holes(said)] == []


@pytest.mark.parametrize("code", TABLES)
def test_no_translation_is_empty_or_far_longer_than_the_english(code):
    assert [key for key, said in TABLES[code].items() if not said.strip() or len(said) > 2 * len(key) + 12] == []


@pytest.fixture(scope="module")
def speaking(browser: Browser) -> Iterator[Page]:
    """An empty page that speaks German."""
    page = browser.new_context().new_page()
    page.set_content("<p id='here'></p>")
    page.evaluate("() => { window.miniGPTLanguages = { de: 'data:application/json,{}' } }")
    where = "data:application/json;charset=utf-8," + json.dumps(TABLES["de"])
    page.evaluate("where => { window.miniGPTLanguages = { de: where } }", where.replace("%", "%25").replace("#", "%23"))
    page.add_script_tag(content=asset("languages.js").read_text(encoding="utf-8"))
    page.evaluate("() => miniGPTWords.speak('de')")
    yield page
    page.context.close()


def said(page: Page, text: str) -> str:
    return page.evaluate("text => miniGPTWords.translate(text)", text)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Prompt", "Anfang"),
        (" of 1,200", " von 1,200"),
        ("about under 1 s on this machine", "etwa unter 1 s auf diesem Rechner"),
        ("Settings: small, Muon, 400 steps, one layer", "Einstellungen: klein, Muon, 400 Schritte, eine Schicht"),
        ("There since step 40. ", "Da seit Schritt 40. "),
        ("71% to the previous token, 9 × chance; partly 30% to the first token, 4 × chance",
         "71% zum vorigen Token, 9 × Zufall; teils 30% zum ersten Token, 4 × Zufall"),
        # Tokens stay what they are, even where they are words of the page.
        ("Words it knows: words, first, text.", "Wörter, die es kennt: words, first, text."),
        ("“Prompt” is not in the training text, so the model reads it as unknown. Words it knows: $&.",
         "“Prompt” kommt im Trainingstext nicht vor; das Modell liest es als unbekannt. Wörter, die es kennt: $&."),
        # What the table lacks stays English, the whole of it.
        ("Press Train first. Nobody has written this down.", "Press Train first. Nobody has written this down."),
        ("0.71", "0.71"),
    ],
)  # fmt: skip
def test_sentences_are_found_whole_in_patterns_and_in_parts(speaking, english, german):
    assert said(speaking, english) == german


@pytest.mark.browser
def test_what_a_lesson_says_is_in_the_table(speaking):
    page, sentences = speaking, [str(UnknownRun())]
    for lesson in LESSONS.values():
        sentences += [lesson.title, lesson.title.partition(":")[0], lesson.look_for, lesson.floor_from]
        sentences += [lesson.promise.where, lesson.promise.knowable]
    for known in BREAKS.values():
        sentences += [known.title, f"{known.title[0].upper()}{known.title[1:]}.", known.why]
    for steps in GUIDES.values():
        for step in steps:
            sentences += [step.says, step.label]
            if step.question:
                sentences += [step.question.asks, *step.question.options, step.question.reveal]
    page.evaluate("() => miniGPTWords.missing.clear()")
    for sentence in sentences:
        said(page, sentence)
    assert page.evaluate("() => [...miniGPTWords.missing]") == []


def texts(nodes: Any) -> Iterator[str]:
    """What a fragment says, piece by piece; tokens, in `code` or as chips, are left out."""
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif node[0] != "code" and not node[1].get("class", "").startswith("t "):
            yield from texts(node[2:])


def rare() -> Iterator[str]:
    """What panel 4 and the heads say only where numbers fall in a certain way."""
    known, config = ReferenceLosses(3.0, 2.5, 2.0, 1.0), GPTConfig(n_layers=2, n_heads=4)
    for without, part in PARTS.items():
        yield part.why
        for twin in (0.5, 1.5, 1.62, 1.7, 2.0, 2.6, 3.2):
            for prefix in (1.6, 2.2):
                losses = Losses(9, 1.6, 1.5, 1.6), Losses(9, twin, None, prefix)
                yield from texts(twins_words.verdict(without, *losses, known))
        yield from texts(twins_words.note(without, RunSettings(breaks=("mask", "layer"))))
    yield from texts(twins_words.table(losses[0], dict.fromkeys(PARTS, losses[1]), "mask", known))
    layer = tuple((1, i) for i in range(4))
    every = *((0, i) for i in range(4)), *layer
    for heads in ((), ((0, 1),), ((0, 1), (1, 2)), layer, ((0, 0), *layer), every):
        for after in (1.0, 1.2, 0.8, math.inf):
            yield from texts(words.message(switchboard_tab.verdict(heads, config, 1.0, after)))
    yield from texts(switchboard_tab.board((), config))
    for names in (("previous",), ("current", "first"), ("duplicate", "induction", "previous")):
        for kind in ("word", "character"):
            named = " and ".join(head_words.name_of(name, kind) for name in names)
            yield f"{named[:1].upper()}{named[1:]}."
        for share in (0.3, 0.9):
            yield f" Only {head_words._shares(made(**dict.fromkeys(names, share)), names)}."
    yield from (f" Without it the validation loss {head_words.change(cost)}." for cost in (0.0, 0.2, -0.002))
    yield from (head_words.READING, head_words.MEASURING, head_words.NO_MASK, head_words.TOO_SMALL)
    yield from (rows_tab.HOW, rows_tab.NOTHING, rows_tab.SLID, take_tab.NOTE, deeper.FILM, HOW, NO_SCORES, NOTHING_YET)
    yield from row_names(3)
    for tied in (True, False):
        yield from texts(note(tied))
        for spread in (1.5, 9.0, 0.1):
            yield from texts(map_tab.note(tied, 9999, map_tab.scaled(1.0, spread)[1]))
    shown = exploration("the old king saw")
    spans = tuple(Span(9 * i, 6, 30 * i) for i in range(5))
    for n_tokens, count in ((3, 0), (60, 0), (60, 1), (60, 5)):
        yield novelty(shown, Copies(spans[:count], n_tokens))
    view = replace(shown.view, pattern=shown.view.pattern[:1, :1])
    yield twins_words.missing(shown.view, view)


@pytest.mark.browser
def test_what_is_said_rarely_is_in_the_table(speaking):
    page, sentences = speaking, [sentence for sentence in rare() if sentence]
    page.evaluate("() => miniGPTWords.missing.clear()")
    page.evaluate("all => all.forEach(one => miniGPTWords.translate(one))", sentences)
    assert page.evaluate("() => [...miniGPTWords.missing]") == []


@pytest.mark.browser
def test_what_people_and_the_model_write_is_never_touched(speaking):
    page = speaking
    page.evaluate(
        """() => { document.querySelector('#here').innerHTML = `<span class="t" title="token 3: 0.12">first</span>
        <code>Prompt</code><p class="mg-sample">Prompt</p><div class="mg-picks"><button title="Text">Text</button></div>
        <b>Prompt</b><input placeholder="Write a beginning." value="Text">` }"""
    )
    page.wait_for_function("() => document.querySelector('#here b').textContent === 'Anfang'")
    read = """() => [...document.querySelectorAll('#here > *, .mg-picks button')].map(
        e => [e.textContent, e.title, e.placeholder, e.value].filter(Boolean).join('|'))"""
    assert page.evaluate(read) == [
        "first|Token 3: 0.12", "Prompt", "Prompt", "Text", "Text|Text", "Anfang", "Schreib einen Anfang.|Text",
    ]  # fmt: skip
    page.evaluate("() => miniGPTWords.speak('en')")
    assert page.evaluate("() => document.querySelector('#here b').textContent") == "Prompt"
    assert page.evaluate("() => document.documentElement.lang") == "en"
    page.evaluate("() => miniGPTWords.speak('de')")
    assert page.evaluate("() => document.documentElement.lang") == "de"
