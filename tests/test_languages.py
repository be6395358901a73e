"""The tables of the languages, and the browser's half that looks things up in them."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from minigpt.breaks import BREAKS
from minigpt.corpora import LESSONS
from minigpt.paths import asset
from minigpt.runs import UnknownRun
from minigpt.ui.guides import GUIDES
from minigpt.ui.languages import LANGUAGES

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
