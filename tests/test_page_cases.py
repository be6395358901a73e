"""Small texts as people bring them, each of a kind that once went wrong, on the page: pasted, opened, trained on."""
# ruff: noqa: RUF001 - letters that look like others are what is tested

import re

import numpy as np
import pytest
import torch
from browsing import LONG, open_page, paste, run_of, train, wait_status
from playwright.sync_api import Locator, Page, expect
from served import Served
from test_cases import BY_HEART, CASES, NO_SPACES, SPLITS, text_of

import minigpt
from minigpt.diagnosis import Diagnosis
from minigpt.excerpts import place_of
from minigpt.figures.labels import for_page
from minigpt.heads import probe
from minigpt.hooks import head_scores
from minigpt.runs import RunSettings
from minigpt.splitting import clean
from minigpt.tokenizer import train_tokenizer
from minigpt.training import SPREAD
from minigpt.ui import head_words

pytestmark = pytest.mark.browser
# The text, the split that is chosen where the page takes another, and the first tokens that it shows.
PASTED = [
    ("01-names-one-a-line.txt", "", "l u t a ↵ e"),
    ("02-additions.txt", "", "8 0 + 9 2 ="),
    ("06-thai.txt", "words", "ครูกินน้ำตอนเช้า หมากินข้าวที่บ้าน หมารักน้ำที่บ้าน"),
    ("07b-bengali.txt", "", "শিক্ষক ফল খেয়েছে ।"),
    ("08-persian-zwnj.txt", "", "بچه‌ها خانه را می‌بینند ."),
    ("08b-arabic.txt", "", "القط أحب السمك ، ثم ذهب ."),
    ("17b-spanish.txt", "", "¿ Dónde está la reina ? ¡ Qué bien !"),
    ("19-curly.txt", "", "I don’t say “ why ” ."),
    ("19b-nfd.txt", "", "le caf\u00e9 r\u00eave ."),
    ("20b-soft-hyphens.txt", "", "the example of hyphenation is bad ."),
    ("04e-chinese-varied.txt", "pieces", ""),  # Last, because a split that somebody chose is kept.
]
RIGHT_TO_LEFT = ("08-persian-zwnj.txt", "08b-arabic.txt")
OPENED = [
    ("05-japanese-sjis.txt", "昨日、犬は山で本を食べた。", "read as Shift-JIS (Japanese).", True),
    ("10-utf16le-no-bom.txt", "the old teacher drew the key .", "read as UTF-16.", True),
    ("10e-utf8-one-bad-byte.txt", "Das Mädchen hörte die Vögel", "One place could not be read and shows as �.", True),
    ("15-page.html", "the old king & the dog 0", "“15-page.html”, read as UTF-8.", False),
]
DIRECTION = "element => getComputedStyle(element).direction"


def offers(page: Page, split: str, name: str) -> list[str]:
    """The prompts that are offered for a text: each stands in it as it is, and the first is in the box."""
    text = clean(text_of(name))
    tokenizer = train_tokenizer(SPLITS[split], text)
    ids = torch.tensor(tokenizer.encode(text))
    counts = [f"{count:,}" for count in (len(text), len(ids), tokenizer.d_vocab)]
    expect(page.locator("#facts dd"), name).to_have_text(counts, timeout=LONG)
    buttons = page.locator("#examples button")
    expect(page.locator("#prompt textarea"), name).to_have_value(
        buttons.first.get_attribute("title") or "", timeout=LONG
    )
    offered = [button.get_attribute("title") or "" for button in buttons.all()]
    assert offered, name
    for prompt in offered:
        assert place_of(ids, tokenizer.encode(prompt)) is not None, (name, prompt)
        assert "�" not in prompt, (name, prompt)
    return offered


def chosen(page: Page) -> Locator:
    return page.locator("#tokenizer label:has(input:checked)")


def direction(page: Page, selector: str) -> str:
    return str(page.locator(selector).first.evaluate(DIRECTION))


def test_a_pasted_text_shows_whole_tokens_and_offers_only_what_stands_in_it(page: Page) -> None:
    chips = page.locator("#preview .t")
    for name, split, first in PASTED:
        text = text_of(name)
        paste(page, text)
        fitting = "letters" if name[:2] in ("01", "02", "04", "06") else "words"
        expect(chosen(page), name).to_have_text(fitting, timeout=LONG)
        if split:
            page.click(f"#tokenizer label:has-text('{split}')")
        tokens = clean(first).split(" ") if first else []
        for place, token in enumerate(tokens):
            expect(chips.nth(place), name).to_have_text(for_page(token, 24), timeout=LONG)
        offers(page, split or fitting, name)
        way = "rtl" if name in RIGHT_TO_LEFT else "ltr"
        for box in ("#text textarea", "#prompt textarea"):
            expect(page.locator(box), name).to_have_attribute("dir", way, timeout=LONG)
        assert {direction(page, shown) for shown in ("#preview .mg-toks", "#examples button")} == {way}, name


def test_an_opened_file_says_how_it_was_read_and_can_be_read_otherwise(page: Page) -> None:
    box, note = page.locator("#text textarea"), page.locator("#file-note")
    for name, begins, said, guessed in OPENED:
        page.set_input_files("input[type=file]", CASES / name)
        expect(box, name).to_have_value(re.compile("^" + re.escape(begins)), timeout=LONG)
        expect(note, name).to_contain_text(said, timeout=LONG)
        expect(page.locator("#encoding"), name).to_be_visible(visible=guessed)
        expect(page.locator("#text-message .mg-msg"), name).to_have_count(0, timeout=LONG)
        assert box.input_value().count("�") == (name[:3] == "10e"), name


def test_a_text_without_spaces_is_split_into_letters_by_one_press_and_counts_only_its_own(page: Page) -> None:
    said = page.locator("#text-message .mg-msg")
    paste(page, text_of("03-dna-one-line.txt"))
    expect(chosen(page)).to_have_text("letters", timeout=LONG)
    page.click("#tokenizer label:has-text('words')")
    expect(said).to_have_text(NO_SPACES, timeout=LONG)
    page.locator("#split-note").get_by_role("button", name="Split into letters").click()
    expect(chosen(page)).to_have_text("letters", timeout=LONG)
    expect(said).to_have_count(0, timeout=LONG)
    expect(page.locator("#facts dd")).to_have_text(["6,000", "6,000", "4"], timeout=LONG)
    lines = "() => document.querySelector('#loss-curve .js-plotly-plot').layout.annotations.map(note => note.text)"
    [even] = [line for line in page.evaluate(lines) if line.startswith("even guess")]
    assert even.endswith("<b>1.39</b>")
    [prompt, *_] = offers(page, "letters", "03-dna-one-line.txt")
    assert set(prompt) <= set("ACGT")


@pytest.mark.slow
def test_two_languages_are_trained_to_their_end_with_the_settings_of_the_page(page: Page) -> None:
    paste(page, text_of("24-two-languages.txt"))
    expect(page.locator("#settings > button")).to_contain_text("Settings: small, ", timeout=LONG)
    page.click("#train")
    expect(page.locator("#status")).to_contain_text("Finished, 400 steps in", timeout=5 * LONG)
    said = page.locator("#run-message")
    assert said.inner_text().count(SPREAD) == 1
    assert "learning rate" not in said.inner_text()


def test_a_short_text_is_trained_to_its_end_and_said_to_be_learnt_by_heart(page: Page) -> None:
    train(page, text_of("22-tiny.txt"), steps=200, layers=1, heads=2, width=32, context=16, batch=8)
    wait_status(page, "Finished")
    said = page.locator("#run-message .mg-msg")
    expect(said.filter(has_text=BY_HEART)).to_have_count(1, timeout=LONG)
    expect(said.filter(has_text="learning rate")).to_have_count(0)


def test_the_first_picture_of_names_has_only_tokens_of_theirs_and_a_prompt_may_begin_with_a_line_end(
    page: Page,
) -> None:
    box, chips = page.locator("#prompt textarea"), page.locator("#continuation .t.in")
    train(page, text_of("01-names-one-a-line.txt"), steps=20, layers=1, heads=2, width=16, context=32, batch=4)
    wait_status(page, "Finished")
    expect(page.locator("#p-explore .mg-h")).to_contain_text("model at step", timeout=LONG)
    first = [*"luta↵eltano↵"]
    expect(chips).to_have_text(first, timeout=LONG)
    rows = page.evaluate("() => document.querySelector('#head .js-plotly-plot').layout.meta.labels.yaxis")
    assert rows[: len(first)] == first
    assert "<unk>" not in rows
    for prompt in offers(page, "letters", "01-names-one-a-line.txt"):
        page.locator("#examples").get_by_role("button", name=for_page(prompt, 200), exact=True).click()
        expect(chips).to_have_text([for_page(letter) for letter in prompt], timeout=LONG)
        expect(page.locator("#explore-message .mg-msg")).to_have_count(0)
    box.fill("\nluta")
    page.click("#generate")
    expect(chips).to_have_text([*"↵luta"], timeout=LONG)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("02-additions.txt", "letters"),
        ("03-dna-one-line.txt", "letters"),
        ("06-thai.txt", "letters"),
        ("07b-bengali.txt", "words"),
    ],
)
def test_what_was_pasted_is_trained_on_and_its_first_picture_is_of_its_own_tokens(
    page: Page, name: str, split: str
) -> None:
    train(page, text_of(name), steps=4, layers=1, heads=2, width=16, context=32, batch=4)
    wait_status(page, "Finished")
    expect(page.locator("#p-explore .mg-h")).to_contain_text("model at step 4", timeout=LONG)
    prompt = page.input_value("#prompt textarea")
    text = clean(text_of(name))
    tokenizer = train_tokenizer(SPLITS[split], text)
    tokens = [for_page(tokenizer.token(index)) for index in tokenizer.encode(prompt)]
    assert prompt in text
    expect(page.locator("#continuation .t.in")).to_have_text(tokens, timeout=LONG)
    rows = page.evaluate("() => document.querySelector('#head .js-plotly-plot').layout.meta.labels.yaxis")
    assert "<unk>" not in rows
    expect(page.locator("#run-message .mg-msg", has_text="learning rate")).to_have_count(0)


def looked_into(page: Page, server: Served, name: str, split: str, **shape: int) -> minigpt.TrainingState:
    """A short run of a case, and the page that shows it."""
    config = minigpt.GPTConfig(**({"n_ctx": 32, "d_model": 16, "n_heads": 2, "n_layers": 1} | shape))
    training = minigpt.TrainingConfig(steps=40, batch_size=4)
    run = server.runs.start(text_of(name), RunSettings(SPLITS[split], config=config, training=training))
    open_page(page, f"{server.url}?run={run}")
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    assert run_of(page) == run
    return server.runs.state(run)


@pytest.mark.parametrize(
    ("name", "typed", "tokens", "said"),
    [
        ("19b-nfd.txt", "le caf\u00e9", ["le", "caf\u00e9"], ""),
        ("20b-soft-hyphens.txt", "exam\u00adple of", ["example", "of"], ""),
        ("19-curly.txt", "I don't", ["I", "<unk>"], "The text writes it with another apostrophe: “don’t”."),
        ("08b-arabic.txt", "القط أحب", ["القط", "أحب"], ""),
    ],
)
def test_a_prompt_is_found_however_it_is_typed(
    page: Page, server: Served, name: str, typed: str, tokens: list[str], said: str
) -> None:
    looked_into(page, server, name, "words")
    page.fill("#prompt textarea", typed)
    page.click("#generate")
    expect(page.locator("#continuation .t.in")).to_have_text(tokens, timeout=LONG)
    told = page.locator("#explore-message .mg-msg")
    expect(told).to_have_count(int(bool(said)))
    if said:
        expect(told).to_contain_text(said)
    way = "rtl" if name in RIGHT_TO_LEFT else "ltr"
    assert direction(page, "#continuation .mg-toks") == way


def test_samples_are_written_with_the_spaces_of_the_text(page: Page, server: Served) -> None:
    looked_into(page, server, "17b-spanish.txt", "words")
    written = page.inner_text("#sample .mg-sample")
    assert re.search(r"[¿¡!?.]", written)
    assert not re.search(r"[¿¡] \w|\w [!?.,]", written), written


def test_heads_of_pieces_do_on_the_page_what_they_do_on_pieces_that_were_trained_on(page: Page, server: Served) -> None:
    state = looked_into(page, server, "15-page.html", "pieces", n_heads=4, n_layers=2, d_model=32, n_ctx=64)
    known = np.unique(state.ids[: round(0.9 * len(state.ids))].numpy())
    ids = known[probe(len(known), state.config.n_ctx)]
    found = Diagnosis(head_scores(state.model, ids), "random tokens", tuple(ids.tolist()))
    page.click("#generate")
    caption = page.locator("#head-caption")
    expect(caption).to_contain_text("Scored on random tokens", timeout=LONG)
    at = re.search(r"Layer (\d+) head (\d+)", page.inner_text("#head-title"))
    assert at
    name, text = head_words.said(found.scores[int(at[1]) - 1][int(at[2]) - 1], "bpe")
    expect(caption).to_contain_text(f"{name} {text}")
