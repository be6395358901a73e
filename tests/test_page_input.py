"""Text that would like to be more than text, and input that cannot work: shown literally, refused in a sentence."""

import random

import pytest
from browsing import LONG, bare, hovered, paste, run_of, set_number, train, wait_status
from playwright.sync_api import Page, Route, expect
from served import Served

from minigpt.corpora import LESSONS
from minigpt.figures.labels import for_page
from minigpt.ui import door

pytestmark = pytest.mark.browser
HOSTILE = ("<b>", "<script>alert(1)</script>", "%{z}", "$x^2$", "${alert(1)}", "&amp;", "{{7*7}}", "2024-01-01")
# Split as words it begins with "https://": each address is one stretch, and comes only once.
LINKS = "".join(f"https://wiki.example/{name}/{n * n}\n" for n, name in enumerate(["owl", "fox", "elk", "cat"] * 40))
SAW = for_page("the old king saw", 200)


def test_hostile_tokens_are_shown_literally_everywhere(page: Page, server: Served) -> None:
    # A label that mixes everything: words for the word tokenizer would split it, so each letter is a token instead.
    page.click("#tokenizer label:has-text('letters')")
    train(page, ("".join(HOSTILE) + " \u202eabc\u202c עברית 🙂\n") * 12, steps=20, context=32)
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    for prompt in (HOSTILE[1], "".join(HOSTILE[2:5]), "עברית 🙂"):
        page.fill("#prompt textarea, #prompt input", prompt)
        page.click("#generate")
        expect(page.locator("#continuation .t.in")).to_have_count(len(prompt))
        shown = page.locator("#continuation .t.in").all_text_contents()
        literal = [char if char.isprintable() and char != " " else None for char in prompt]
        assert [s for s, c in zip(shown, literal, strict=True) if c] == [c for c in literal if c]
        labels = page.evaluate("() => document.querySelector('#head .js-plotly-plot').layout.yaxis.ticktext.length")
        assert labels >= len(prompt)
    assert page.locator("#p-explore script, #p-text script").count() == 0


def test_hostile_words_as_pieces_reach_axis_bars_and_hover(page: Page, server: Served) -> None:
    page.click("#tokenizer label:has-text('pieces')")
    expect(page.locator("#pieces")).to_be_visible()
    train(page, ("".join(HOSTILE) + "\n") * 40, steps=60)
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    prompt = "".join(HOSTILE)
    page.fill("#prompt textarea, #prompt input", prompt)
    page.click("#generate")
    state = server.runs.state(run_of(page))
    tokens = [state.tokenizer.token(index) for index in state.tokenizer.encode(prompt)]
    expect(page.locator("#continuation .t.in")).to_have_text([for_page(token, 40) for token in tokens])
    # Prompts offered and samples are whole stretches of the text: as HTML they would be elements.
    expect(page.locator("#examples button").first).to_contain_text("<b><script>alert")
    assert page.locator("#examples button *, #sample .mg-sample *, #continuation .t *").count() == 0
    bites = [row for row, token in enumerate(tokens) if set("<>&$%{") & set(token)]
    assert len(bites) >= 8, tokens
    labels = page.locator("#head .ytick text").all_text_contents()
    assert labels
    assert set(labels) <= set(page.locator("#continuation .t").all_text_contents())
    for row in bites:
        said = bare(hovered(page, "#head", row, row))
        assert said.startswith(f"“{for_page(tokens[row])}” ({row + 1}) → “{for_page(tokens[row])}” ({row + 1}): "), said


def test_a_prompt_takes_line_ends_and_enter_generates(page: Page) -> None:
    box, chips = page.locator("#prompt textarea"), page.locator("#continuation .t.in")
    page.click("#tokenizer label:has-text('letters')")
    train(page, "anna\nbela\nclara\ndora\n" * 80, steps=30)
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)

    box.fill("")
    box.focus()
    for keys in ("Shift+Enter", "a", "n", "Shift+Enter", "b"):
        page.keyboard.press(keys)
    expect(box).to_have_value("\nan\nb")
    page.keyboard.press("Enter")
    expect(chips).to_have_text(["↵", "a", "n", "↵", "b"], timeout=LONG)
    assert box.input_value() == "\nan\nb"

    box.fill("")
    box.focus()
    page.keyboard.insert_text("la\ndo")  # as pasting does
    page.keyboard.press("Enter")
    expect(chips).to_have_text(["l", "a", "↵", "d", "o"], timeout=LONG)
    assert box.input_value() == "la\ndo"


def test_a_pasted_text_is_split_as_fits_it_and_one_press_splits_it_otherwise(page: Page) -> None:
    dna = "".join(random.Random(0).choices("ACGT", k=4000))
    note, picked = page.locator("#split-note"), page.locator("#tokenizer label:has(input:checked)")
    expect(note.locator("p")).to_have_count(0)  # A lesson says how it is split, not why.
    paste(page, dna)
    expect(picked).to_have_text("letters", timeout=LONG)
    expect(note).to_have_text("This text has no spaces: it is split into letters.", timeout=LONG)
    page.click("#tokenizer label:has-text('words')")
    told = "This text has no spaces: split it into letters or pieces."
    expect(note).to_contain_text(told, timeout=LONG)
    expect(page.locator("#text-message")).to_contain_text(told)
    note.get_by_role("button", name="Split into pieces").click()
    expect(picked).to_have_text("pieces", timeout=LONG)
    expect(page.locator("#text-message .mg-msg")).to_have_count(0, timeout=LONG)


def test_the_prompt_follows_the_text_until_somebody_types_one(page: Page) -> None:
    box, picked = page.locator("#prompt textarea"), page.locator("#tokenizer label:has(input:checked)")
    first = page.locator("#examples button").first
    for text, split in ((LINKS, "letters"), ("the old king saw the small dog . the dog ran .\n" * 30, "words")):
        page.wait_for_timeout(300)  # The page is at rest.
        paste(page, text)
        expect(picked).to_have_text(split, timeout=LONG)
        # Tokens of the new split, not of the one that the box named while the text came.
        expect(first).to_have_text(LINKS[:12] if split == "letters" else SAW, timeout=LONG)
        expect(box).to_have_value(first.get_attribute("title") or "", timeout=LONG)
    page.locator("#examples button").last.click()
    expect(box).to_have_value(page.locator("#examples button").last.get_attribute("title") or "", timeout=LONG)
    paste(page, LINKS)  # What was clicked is the page's own as well.
    expect(first).to_have_text(LINKS[:12], timeout=LONG)
    expect(box).to_have_value(LINKS[:12], timeout=LONG)

    # Typed before the answer about a text came, and word for word what was offered: it stays in either case.
    late: list[Route] = []
    for typed in ("a beginning of mine", LINKS[:12]):
        paste(page, LINKS)
        expect(first).to_have_text(LINKS[:12], timeout=LONG)
        late.clear()
        page.route("**/queue/join*", lambda route: late.append(route))
        paste(page, "the old king saw the small dog . the dog ran .\n" * 30)
        page.wait_for_timeout(300)
        box.fill("")
        box.fill(typed)
        for route in late:
            route.continue_()
        page.unroute("**/queue/join*")
        expect(first).to_have_text(SAW, timeout=LONG)
        page.wait_for_timeout(1000)
        expect(box).to_have_value(typed)


def test_settings_typed_right_after_a_paste_are_kept(page: Page) -> None:
    page.click("#settings > button")
    page.locator("#steps input").wait_for()
    late: list[Route] = []
    page.route("**/queue/join*", lambda route: late.append(route))
    paste(page, "the old king saw the small dog . the dog ran .\n" * 30)
    set_number(page, "steps", 77)
    page.wait_for_timeout(500)
    for route in late:
        route.continue_()
    page.unroute("**/queue/join*")
    expect(page.locator("#lesson input")).to_have_value("Your own text", timeout=LONG)
    _, usual = door.usual("own")
    expect(page.locator("#batch input")).to_have_value(str(usual.batch), timeout=LONG)
    expect(page.locator("#settings > button")).to_contain_text("77 steps", timeout=LONG)
    expect(page.locator("#steps input")).to_have_value("77")


def test_the_page_is_silent_soon_after_a_lesson_is_picked(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "queue/join" in request.url else None)
    for name in ("echo", "essay", "reverse", "essay"):
        asked.clear()
        page.click("#lesson input")
        page.get_by_role("option", name=LESSONS[name].title).click()
        expect(page.locator("#lesson input")).to_have_value(LESSONS[name].title)
        page.wait_for_timeout(3000)
        assert 0 < len(asked) < 20, len(asked)
    for _ in range(10):  # A loaded machine answers late; an endless talk between two handlers never ends.
        asked.clear()
        page.wait_for_timeout(1000)
        if not asked:
            break
    assert asked == []


def test_bad_input_gets_a_sentence_and_loses_nothing(page: Page, server: Served) -> None:
    said = page.locator("#text-message")
    for text, sentence in (
        ("dog", "One token is too little to learn from. Paste at least 20 words"),
        ("x" * 5_000_000, "This text has 5,000,000 letters and 2,000,000 fit."),
    ):
        paste(page, text)
        expect(said).to_contain_text(sentence, timeout=LONG)
        page.click("#train")
        expect(page.locator("#train-message")).to_contain_text(sentence.split(". ")[0], timeout=LONG)
        assert page.input_value("#text textarea") == text
    page.fill("#text textarea", "")
    expect(said).to_contain_text("There is no text to learn from")
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": bytes(range(256)) * 9}
    page.set_input_files("input[type=file]", picture)
    expect(said).to_contain_text("“a.png” is not a text file")
    # Generate before any training: what to do first.
    page.click("#generate")
    expect(page.locator("#explore-message")).to_contain_text("Press Train first")
    # One word repeated works, and says how far its context shrank.
    train(page, "dog " * 30, steps=5)
    wait_status(page, "Finished")
    expect(page.locator("#run-message")).to_contain_text("has only 30 tokens")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    for prompt, sentence in (
        ("", "The prompt is empty."),
        ("dog zebra", "“zebra” is not in the training text"),
        ("dog " * 90, "the model sees 26 at once"),
    ):
        page.fill("#prompt textarea, #prompt input", prompt)
        page.click("#generate")
        expect(page.locator("#explore-message")).to_contain_text(sentence, timeout=LONG)
        assert page.input_value("#prompt textarea, #prompt input") == prompt
    # A loss that explodes stops by itself, and the message names a rate that works.
    settings_open = page.locator("#rate input")
    expect(settings_open).to_be_visible()
    paste(page, LESSONS["stories"].text)
    set_number(page, "steps", 100)
    set_number(page, "rate", 90)
    expect(page.locator("#settings > button")).to_contain_text("100 steps")
    page.click("#train")
    wait_status(page, "Stopped by itself")
    expect(page.locator("#run-message")).to_contain_text("A learning rate of 90 is too large for this model. Try 0.03.")
