"""Heads switched off on the page, by mouse and by keyboard, against hooks in Python."""

import math
import re

import pytest
import torch
from browsing import LONG, run_of, train, wait_status
from playwright.sync_api import Page, expect
from served import Served

import minigpt
from minigpt.diagnosis import loss_without
from minigpt.figures.labels import for_page
from minigpt.hooks import muted, patterns_and_logits
from minigpt.ui.switchboard_tab import INVITATION

pytestmark = pytest.mark.browser

# Each line says its first half twice, in an order of its own: without its heads a model cannot know the second half.
WORDS = ["old", "young", "king", "dog", "ran", "sat", "saw", "down"]
ORDERS = [[WORDS[(start + step * place) % 8] for place in range(4)] for start in range(8) for step in (1, 3, 5, 7)]
TEXT = "".join(f"{' '.join(order)} and {' '.join(order)} .\n" for order in ORDERS) * 2
PROMPT = "old young king dog and"
OFF = ((0, 1), (1, 0), (1, 1))
TOP = """id => { const g = document.querySelector(id + ' .js-plotly-plot');
    return [g._fullLayout.yaxis.ticktext[0], g._fullData[0].x[0]] }"""


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def off(page: Page) -> list[str]:
    return page.locator(".mg-switches [aria-pressed=true]").all_text_contents()


def shown(page: Page) -> list[object]:
    """Everything that stands before and after, bars included."""
    return page.evaluate(
        """() => [document.querySelector('#switch-verdict').innerText,
        ...['writes', 'same'].flatMap(what => ['before', 'after'].map(time =>
            document.querySelector(`#switch-${what}-${time} .mg-fragment`).innerHTML)),
        ...['before', 'after'].map(time => {
            const bars = document.querySelector(`#switch-next-${time} .js-plotly-plot`).data[0];
            return JSON.stringify([bars.x, bars.customdata]) })]"""
    )


def wait_bar(page: Page, time: str, name: str, length: float) -> None:
    """The first of the next tokens, as the axis names it, and how long its bar is."""
    page.wait_for_function(
        f"""([id, name, length]) => {{ const [top, x] = ({TOP})(id);
        return top === name && Math.abs(x - length) < 1e-5 }}""",
        arg=[f"#switch-next-{time}", name, length],
    )


def test_three_heads_off_by_mouse_and_keyboard_and_all_on_again(page: Page, server: Served) -> None:
    train(page, TEXT, steps=20)
    wait_status(page, "Finished")
    state = server.runs.state(run_of(page))
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.fill("#prompt textarea, #prompt input", PROMPT)
    page.click("#generate")
    expect(page.locator("#continuation .t.in")).to_have_text(PROMPT.split())
    page.get_by_role("tab", name="Switch heads off").click()
    page.wait_for_selector("#switch-next-after .main-svg")
    expect(page.locator("#switch-writes-before .t.in")).to_have_text(PROMPT.split())
    expect(page.locator("#switch-verdict")).to_have_text(INVITATION)
    untouched = shown(page)
    assert [each.replace("After: the same continuation", "Before: continuation").replace("After", "Before")
            for each in untouched[2::2]] == untouched[1::2]  # fmt: skip
    assert off(page) == []

    # Two by the mouse, quickly, and one by the keyboard: the arrows lead from head to head, Enter presses.
    press(page, "Mute 1.2")
    press(page, "Mute 2.1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    before, after = loss_without(state), loss_without(state, OFF)
    said = page.locator("#switch-verdict")
    expect(said).to_contain_text("Muted 1.2, 2.1 and 2.2.", timeout=LONG)
    assert off(page) == ["1.2", "2.1", "2.2"]
    expect(page.get_by_role("button", name="Mute 2.2", exact=True)).to_be_focused()
    told = re.search(r"loss (\d+\.\d\d) → (\d+\.\d\d), (\d+\.\d\d) nats (worse|better)", said.inner_text())
    assert told, said.inner_text()
    assert told.groups() == (f"{before:.2f}", f"{after:.2f}", f"{abs(after - before):.2f}",
                             "worse" if after > before else "better")  # fmt: skip

    # Headings, continuation, bars and surprise are what the muted model says, and on the left what the whole one says.
    with muted(state.model, OFF):
        tokens = list(minigpt.generate(state, PROMPT, max_new_tokens=10, temperature=0.8, seed=0))
    whole = list(minigpt.generate(state, PROMPT, max_new_tokens=10, temperature=0.8, seed=0))
    for time, written, known in (("before", whole, before), ("after", tokens, after)):
        chips = page.locator(f"#switch-writes-{time} .t:not(.in)")
        expect(chips).to_have_text([for_page(token.token) for token in written])
        expect(page.locator(f"#switch-writes-{time}")).to_contain_text(f"validation loss {known:.2f}")
        marks = chips.evaluate_all("chips => chips.map(chip => chip.classList.contains('new'))")
        assert marks == [token.index != first.index for token, first in zip(written, whole, strict=True)]
    assert tokens != whole
    expect(page.locator("#switch-writes-after")).to_contain_text("After: new tokens underlined")
    ids = minigpt.api.prompt_ids(state, PROMPT)
    text = torch.tensor([*ids.tolist(), *(token.index for token in whole)])
    for time, heads in (("before", ()), ("after", OFF)):
        with muted(state.model, heads):
            p = patterns_and_logits(state.model, text)[1].softmax(-1)
        following = p[len(ids) - 1]
        wait_bar(page, time, for_page(state.tokenizer.token(int(following.argmax()))), float(following.max()))
        losses = -p[torch.arange(len(text) - 1), text[1:]].log()
        same = page.locator(f"#switch-same-{time}")
        expect(same).to_contain_text(f"surprise {losses[len(ids) - 1]:.2f}")
        expect(same).to_contain_text(f"{losses.mean():.2f} nats a token here")
        # The colours, too: those of the whole model would look plausible on both sides.
        tints = same.locator(".t").evaluate_all("chips => chips.map(chip => +chip.style.getPropertyValue('--p'))")
        assert tints[1:] == pytest.approx((losses / math.log(state.config.d_vocab)).clamp(0, 1).tolist(), abs=2e-3)

    # Another token is chosen here, and panel 3 follows; the heads stay off.
    page.locator("#switch-same-after .t").nth(2).click()
    expect(page.locator("#told")).to_contain_text("Token 3")
    expect(page.locator("#switch-same-after")).to_contain_text("Token 3")
    page.locator("#switch-same-before .t").nth(5).click()
    expect(page.locator("#switch-same-after")).to_contain_text("Token 6")
    assert off(page) == ["1.2", "2.1", "2.2"]

    press(page, "Unmute all")
    expect(said).to_have_text(INVITATION)
    assert off(page) == []
    wait_bar(page, "after", *page.evaluate(TOP, "#switch-next-before"))
    assert shown(page) == untouched


def test_of_quick_presses_each_counts_and_another_model_starts_with_all_heads_on(page: Page, server: Served) -> None:
    train(page, TEXT, steps=3)
    wait_status(page, "Finished")
    state = server.runs.state(run_of(page))
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.get_by_role("tab", name="Switch heads off").click()
    page.wait_for_selector("#switch-next-after .main-svg")
    n_heads = state.config.n_heads
    # Two at once, then a moment, as fingers have it: also what comes while an answer is on its way must count.
    page.evaluate(
        """async indices => { for (const [place, i] of indices.entries()) {
            document.querySelector(`.mg-switches [data-index='${i}']`).click();
            if (place % 2) await new Promise(done => setTimeout(done, 50)) } }""",
        [0, n_heads, 0, n_heads, 1, n_heads + 1, 0],
    )
    said = page.locator("#switch-verdict")
    expect(said).to_contain_text("Muted 1.1, 1.2 and 2.2.", timeout=LONG)
    assert off(page) == ["1.1", "1.2", "2.2"]
    # The same model, another prompt: the heads stay off. Trained anew it is another model: all are on.
    page.fill("#prompt textarea, #prompt input", "king saw dog old")
    page.click("#generate")
    expect(page.locator("#switch-writes-after .t.in")).to_have_text(["king", "saw", "dog", "old"])
    expect(said).to_contain_text("Muted 1.1, 1.2 and 2.2.")
    page.click("#train")
    expect(said).to_have_text(INVITATION, timeout=LONG)
    assert off(page) == []
