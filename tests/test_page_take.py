"""Taking things along, guessing first and finding copies, as a person does it, against the arrays in Python."""

import csv
import re
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import LONG, open_page, run_of, set_number, wait_status
from playwright.sync_api import Page, expect
from served import Served

import minigpt
from minigpt.api import attention_of_ids, prompt_ids
from minigpt.copies import copied
from minigpt.figures import labels
from minigpt.runs import RunSettings
from minigpt.ui.explorer import Exploration, Explorer
from minigpt.ui.guessing import COVER, RANKS

pytestmark = pytest.mark.browser
TEXT = "=cmd the old king saw the young dog . the young dog ran off and the old king sat down .\n" * 8
PROMPT = "the old king"
N_NEW = 10


@pytest.fixture(scope="module")
def run(server: Served) -> str:
    """A run that has learned the text well enough to copy from it."""
    config = minigpt.GPTConfig(n_ctx=32)
    return server.runs.start(TEXT, RunSettings("word", config=config, training=minigpt.TrainingConfig(steps=40)))


@pytest.fixture
def ready(page: Page, server: Served, run: str) -> tuple[list[int], minigpt.TrainingState]:
    """The run with a prompt continued; ids of prompt and continuation, and the state behind them."""
    open_page(page, f"{server.url}?run={run}")
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.click("#sampling > button")
    set_number(page, "length", N_NEW)
    page.fill("#prompt textarea, #prompt input", PROMPT)
    page.click("#generate")
    expect(page.locator("#continuation .t.in")).to_have_text(PROMPT.split())
    state = server.runs.state(run)
    new = [token.index for token in minigpt.generate(state, PROMPT, N_NEW, 0.8, seed=0)]
    expect(page.locator("#continuation button.t")).to_have_count(len(PROMPT.split()) + len(new))
    return [*prompt_ids(state, PROMPT).tolist(), *new], state


def saved(page: Page, selector: str, folder: Path) -> Path:
    with page.expect_download(timeout=LONG) as coming:
        page.click(selector)
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


def test_figures_patterns_and_programs_are_taken_along(
    page: Page, server: Served, tmp_path: Path, ready: tuple[list[int], minigpt.TrainingState]
) -> None:
    ids, state = ready
    view = attention_of_ids(state, ids)

    # Pictures: the control shows under the pointer, and each view has one; light whatever the page wears.
    page.click("#theme")
    control = page.locator("#head .mg-save")
    page.mouse.move(5, 5)
    expect(control).to_have_css("opacity", "0")
    page.hover("#head .js-plotly-plot")
    expect(control).to_have_css("opacity", "1")
    picture = saved(page, "#head .mg-save [data-format=png]", tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    named = f"minigpt-attention-of-layer-\\d-head-\\d-over-{len(ids)}-tokens.png"
    assert re.fullmatch(named, picture.name), picture.name
    wide = page.evaluate("() => document.querySelector('#head .js-plotly-plot')._fullLayout.width")
    assert int.from_bytes(picture.read_bytes()[16:20], "big") == 2 * wide
    page.hover("#head .js-plotly-plot")
    drawn = saved(page, "#head .mg-save [data-format=svg]", tmp_path)
    written = "".join(ET.parse(drawn).getroot().itertext())
    assert all(labels.for_page(token) in written for token in view.tokens)
    assert "#14181F" in drawn.read_text() or "rgb(20, 24, 31)" in drawn.read_text()
    for figure in ("loss-curve", "heads-grid", "next-token"):
        page.focus(f"#{figure} .mg-save [data-format=svg]")  # By keyboard, without any pointer.
        expect(page.locator(f"#{figure} .mg-save")).to_have_css("opacity", "1")
        with page.expect_download(timeout=LONG) as coming:
            page.keyboard.press("Enter")
        path = tmp_path / f"{figure}.svg"
        coming.value.save_as(path)
        assert coming.value.suggested_filename.endswith(".svg")
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"

    # Patterns: the very arrays of the hooks.
    page.click("#p-deeper [role=tab]:has-text('Take it along')")
    expect(page.locator("#take-code .mg-program")).to_have_count(14, timeout=LONG)
    with np.load(saved(page, "#take-npz", tmp_path)) as kept:
        np.testing.assert_array_equal(kept["pattern"], view.pattern)
        np.testing.assert_array_equal(kept["logits"], view.logits)
        assert kept["ids"].tolist() == ids
        assert kept["tokens"].tolist() == list(view.tokens)
        assert int(kept["step"]) == state.step
    with saved(page, "#take-csv", tmp_path).open(encoding="utf-8-sig", newline="") as file:
        _, *rows = csv.reader(file)
    seen = np.zeros_like(view.pattern)
    for layer, head, query, _, key, name, share in rows:
        seen[int(layer) - 1, int(head) - 1, int(query) - 1, int(key) - 1] = np.float32(share)
        assert name.removeprefix("'") == view.tokens[int(key) - 1]
    np.testing.assert_array_equal(seen, view.pattern)
    text = saved(page, "#take-text", tmp_path)
    assert (text.name, text.read_bytes().decode()) == ("text.txt", server.runs.text(run_of(page)))

    # Programs: of the settings and the head at hand, copied by keyboard. What they compute is tested elsewhere.
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy the Python for: All heads")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_text("Copied")
    program = page.evaluate("() => navigator.clipboard.readText()")
    opened = re.search(r"Layer (\d+) head (\d+)", page.inner_text("#head-title"))
    assert opened
    assert f"heads_grid(view, ({int(opened[1]) - 1}, {int(opened[2]) - 1}))" in program
    assert f"advance(begun, {state.step})" in program
    assert f"prompt_ids(state, {PROMPT!r})" in program
    assert program.startswith(page.locator("#take-code pre").first.inner_text())
    compile(program, "copied", "exec")
    expect(button).to_have_text("Copy")


def test_copies_are_marked_and_counted(page: Page, ready: tuple[list[int], minigpt.TrainingState]) -> None:
    ids, state = ready
    n_prompt = len(PROMPT.split())
    found = copied(ids[n_prompt:], state.ids.numpy(), 5)
    assert found.spans, "the text repeats itself, so a model that learned it copies"
    marked = page.evaluate("""() => [...document.querySelectorAll('#continuation button.t')]
        .flatMap((chip, i) => chip.classList.contains('copied') ? [i] : [])""")
    assert marked == [n_prompt + span.start + i for span in found.spans for i in range(span.length)]
    first, n_copied = found.spans[0], sum(span.length for span in found.spans)
    chip = page.locator("#continuation button.t").nth(n_prompt + first.start)
    expect(chip).to_have_css("border-bottom-style", "solid")
    told = f"copied: {first.length} tokens, from token {first.place + 1:,} of the text"
    assert (chip.get_attribute("title") or "").endswith(told)
    line = page.locator("#continuation .mg-copies")
    expect(line).to_contain_text(f"{n_copied} of {found.n_tokens} tokens stand word for word in the training text")
    expect(line).to_contain_text(f"from token {first.place + 1:,} ({first.length})")
    expect(line).to_contain_text(f"{100 * found.novelty:.0f}% is new.")


def test_the_next_token_is_guessed_before_it_is_seen(
    page: Page, ready: tuple[list[int], minigpt.TrainingState]
) -> None:
    ids, state = ready
    logits = attention_of_ids(state, ids).logits.astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    chips, n_prompt = page.locator("#continuation button.t"), len(PROMPT.split())
    expect(page.locator("#guess button")).to_have_count(0)
    page.focus("#guess-first input")
    page.keyboard.press("Space")
    right = first = 0
    for played in range(1, 4):
        position = n_prompt + played - 1
        p, came = chances[position - 1], ids[position]
        expect(page.locator("#guess .asks button[data-index='3']")).to_be_visible()
        expect(page.locator("#told")).to_contain_text(f"Token {position + 1} is covered")
        expect(page.locator("#next-token")).to_be_hidden()
        expect(page.locator("#deeper-tabs")).to_be_hidden()
        expect(chips.nth(position)).to_have_text(COVER)
        assert chips.all_inner_texts()[position:] == [COVER] * (len(ids) - position)
        leaks = page.evaluate("""() => { const plot = document.querySelector('#head .js-plotly-plot');
            const bars = document.querySelector('#next-token .js-plotly-plot');
            return JSON.stringify([plot.layout.xaxis.ticktext, plot.data[0].customdata, bars && bars.data]) }""")
        assert leaks.count(COVER) > len(ids) - position
        assert leaks.endswith("null]")
        options = page.locator("#guess .asks button code").all_inner_texts()
        best = [state.tokenizer.token(int(i)) for i in np.argsort(-p)[:3]]
        assert {labels.for_page(state.tokenizer.token(i)) for i in (came, int(p.argmax()))} <= set(options)
        assert {labels.for_page(token) for token in best} <= set(options)
        # The first by its number, the others by pressing the button.
        if played == 1:
            page.keyboard.press("2")
        else:
            page.click("#guess .asks button[data-index='1']")
        guess = next(i for i in range(state.config.d_vocab) if labels.for_page(state.tokenizer.token(i)) == options[1])
        right, first = right + (guess == came), first + (int(p.argmax()) == came)
        number = f"{p[guess]:.2f}" if p[guess] >= 0.01 else f"{p[guess]:.3f}" if p[guess] >= 0.0005 else "under 0.001"
        rank = RANKS.get(1 + int((p > p[guess]).sum()), "choice")
        said = page.locator("#guess [role=status]")
        expect(said).to_contain_text(f"You said “{options[1]}”, {number} to the model, its {rank}")
        name = labels.for_page(state.tokenizer.token(came))
        expect(said).to_contain_text("Right." if guess == came else f"It was “{name}”.")
        score = f"Right {right} of {played}; the model's first choice was right {first} of {played}."
        expect(page.locator("#guess .mg-score span")).to_have_text(score)
        expect(chips.nth(position)).to_have_text(name)
        expect(chips.nth(position + 1)).to_have_text(COVER)
        expect(page.locator("#next-token .js-plotly-plot")).to_contain_text("you")
        bars = page.evaluate("() => document.querySelector('#next-token .js-plotly-plot').data[0].text")
        marked = [text for text in bars if "you" in text]
        assert len(marked) == 1
        if p[guess] >= 0.01:
            assert marked[0].startswith(f"{p[guess]:.2f} ")
        page.get_by_role("button", name="Next token", exact=True).click()
    expect(page.locator("#guess .asks")).to_be_visible()
    page.click("#guess button:has-text('Reset')")
    expect(page.locator("#guess .mg-score")).to_have_count(0)
    page.uncheck("#guess-first input")
    expect(page.locator("#guess button")).to_have_count(0)
    expect(page.locator("#continuation .cover")).to_have_count(0)
    expect(page.locator("#next-token .main-svg").first).to_be_visible()


@pytest.mark.parametrize("ticked", [True, False])
def test_guess_first_stays_as_it_was_set_while_the_page_was_writing(
    page: Page, ready: tuple[list[int], minigpt.TrainingState], ticked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, covers = page.locator("#guess-first input"), page.locator("#continuation .cover")
    box.set_checked(not ticked)
    expect(covers).to_have_count(0 if ticked else N_NEW)
    asked, go_on, explore = threading.Event(), threading.Event(), Explorer.explore

    def slow(*args: Any) -> Exploration:
        asked.set()
        assert go_on.wait(LONG / 1000)
        return explore(*args)

    monkeypatch.setattr(Explorer, "explore", slow)
    page.fill("#prompt textarea", "the young dog ran")
    page.click("#generate")
    assert asked.wait(LONG / 1000)
    box.set_checked(ticked)
    expect(covers).to_have_count(N_NEW if ticked else 0)
    go_on.set()
    expect(page.locator("#continuation .t.in")).to_have_text(["the", "young", "dog", "ran"], timeout=LONG)
    expect(covers).to_have_count(N_NEW if ticked else 0)
    expect(box).to_be_checked(checked=ticked)
    page.click("#generate")  # It is so from now on.
    page.wait_for_timeout(1000)
    expect(covers).to_have_count(N_NEW if ticked else 0)
    expect(box).to_be_checked(checked=ticked)
