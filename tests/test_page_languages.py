"""The page in the reader's own language: all of it, whatever is opened, and back again."""

import re
from collections.abc import Iterator

import pytest
from browsing import LONG, hovered, open_page
from playwright.sync_api import Browser, Page, expect
from served import Served

from minigpt.corpora import LESSONS

pytestmark = pytest.mark.browser
# Gradio's own, for which it has its own translations; nobody sees or hears the name of a hidden field.
NOT_OURS = {"Textbox", "Laden...", "Chargement..."}

# What each tab of panel 4 holds once it is filled.
FILLED = {
    "heads": "#heads-table td",
    "rows": "#rows-map .main-svg",
    "switch": "#switch-same-after .t",
    "twins": "#twins-note p",
    "lens": "#lens .main-svg",
    "map": "#map-now .main-svg",
    "take": "#take-code pre",
}


@pytest.fixture(scope="module")
def run(server: Served) -> str:
    """A short run of a lesson, at rest."""
    return server.short_run("echo")


@pytest.fixture
def german(browser: Browser, server: Served) -> Iterator[Page]:
    """A page in a browser that asks for German."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="de-DE")
    page = context.new_page()
    open_page(page, server.url)
    yield page
    context.close()


def missing(page: Page) -> set[str]:
    return set(page.evaluate("() => [...miniGPTWords.missing]")) - NOT_OURS


def look_back_and_guess(page: Page) -> None:
    """An earlier moment of the film, then a guess at the newest."""
    page.focus("#film input[type=range]")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#p-explore h2")).to_contain_text("Film, ")
    page.click("#generate")
    expect(page.locator("#p-explore h2")).not_to_contain_text("Film, ")  # Its answer uncovers everything.
    page.check("#guess-first input")
    page.click("#guess .asks button >> nth=0")
    page.wait_for_selector("#guess .mg-score")


def test_nothing_on_the_page_lacks_a_translation(german: Page, server: Served, run: str) -> None:
    """In one language: tests/test_languages.py holds that all tables have the same sentences."""
    page = german
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.click("#lesson input")
    page.locator("[role=option]").last.click()  # The reader's own text.
    expect(page.locator("#text textarea")).to_have_value("")  # Else the empty text would come after the one below.
    page.fill("#text textarea", "zu kurz")
    expect(page.locator("#text-message .err")).to_have_count(1)
    lacking = missing(page)
    page.goto(f"{server.url}?run={run}")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    for closed in page.locator("button.label-wrap:not(.open)").all()[::-1]:
        closed.click()
    for index in range(page.locator("#colour label").count()):
        page.locator("#colour label").nth(index).click()
    page.locator("#continuation button.t").first.click()
    expect(page.locator("#back")).to_be_disabled()
    page.fill("#prompt textarea, #prompt input", "bcd?!|b")
    page.click("#generate")
    expect(page.locator("#explore-message .warn")).not_to_have_count(0)
    for name, filled in FILLED.items():
        page.click(f"#deeper-tabs button[role=tab][aria-controls=tab-{name}]:visible")
        page.wait_for_selector(filled, timeout=LONG)
        if name == "switch":
            page.click(".mg-switches button >> nth=1")
            page.wait_for_selector("#switch-writes-after .t.new, #switch-same-after .t", timeout=LONG)
        if name == "twins":
            page.click("#twins-train")
            page.wait_for_selector("#twins-verdict p", timeout=LONG)
            page.wait_for_selector("#twins-written .t", timeout=LONG)
    look_back_and_guess(page)
    page.click(".mg-offer")
    page.wait_for_selector(".mg-guide")
    lacking |= missing(page)
    assert lacking == set(), "add these to assets/words.*.json"


def test_words_are_german_and_numbers_and_tokens_stay(german: Page, server: Served, run: str) -> None:
    page = german
    expect(page.locator("#train")).to_have_text("Training")
    expect(page.locator("#status")).to_contain_text("Noch nicht trainiert")
    expect(page.locator("#loss-curve")).to_contain_text("drücke „Training“")
    expect(page.locator("#prompt textarea, #prompt input")).to_have_attribute("placeholder", "Schreib einen Anfang.")
    page.goto(f"{server.url}?run={run}")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    history = server.runs.progress(run).history
    expect(page.locator("#status")).to_contain_text(f"Validierung {history.validation[-1][1]:.2f}")
    expect(page.locator("#loss-curve")).to_contain_text(re.compile("bestmöglich"))
    expect(page.locator("#continuation .t.in")).to_have_text(list(LESSONS["echo"].prompts[0]))
    expect(page.locator("#head .mg-plot")).to_have_attribute("aria-label", re.compile("^Aufmerksamkeit von Schicht"))
    # What shows under the pointer, on the figure too, and what the style sheet writes.
    assert "× Zufall" in hovered(page, "#head", 0, 1)
    expect(page.locator("#told .mg-key")).to_have_attribute("title", re.compile("^Die Farbe zeigt: "))
    expect(page.locator(".mg-fold").first).not_to_have_attribute("data-fold", "Fold")
    # What a dropdown shows is said in German, and what Gradio reads from it stays what it was.
    native = "Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').get.call(e)"
    assert page.locator("#lesson input").evaluate(f"e => {native}") == "Echo: eine Zeile kopieren"
    assert page.locator("#lesson input").evaluate("e => e.value") == LESSONS["echo"].title


def test_a_language_is_chosen_in_the_menu_and_remembered(german: Page, server: Served) -> None:
    page, html = german, german.locator("html")
    expect(page.locator("#language select")).to_have_value("de")
    page.select_option("#language select", "fr")
    expect(html).to_have_attribute("lang", "fr")
    expect(page.locator("#train")).to_have_text("Entraîner")
    expect(page.locator("#loss-curve")).to_contain_text("la courbe commence ici")
    open_page(page, server.url)
    expect(html).to_have_attribute("lang", "fr")
    page.select_option("#language select", "en")
    expect(page.locator("#train")).to_have_text("Train")
    expect(page.locator("#look-for, .mg-note").first).to_contain_text("Look for")
    expect(page.locator("#loss-curve")).to_contain_text("press Train")
    # An address may name one, for a whole class; what nobody speaks is English.
    open_page(page, f"{server.url}?lang=de")
    expect(html).to_have_attribute("lang", "de")
    open_page(page, f"{server.url}?lang=xx")
    expect(html).to_have_attribute("lang", "en")
