"""Scrubbing through a text in a real browser: each token's numbers, the row that made it, and the light on the text."""

import math
import re

import numpy as np
import pytest
import torch
from browsing import LONG, run_of, train, wait_status
from playwright.sync_api import Locator, Page, expect
from served import Served

from minigpt.api import attention_of_ids
from minigpt.figures.labels import number

pytestmark = pytest.mark.browser
TEXT = "the old king saw the young dog . the dog ran off and the king sat down .\n" * 12
PROMPT = "the old king saw"


def shade(chip: Locator) -> float:
    found = re.search(r"--p:\s*([\d.]+)", chip.get_attribute("style") or "")
    return float(found[1]) if found else math.nan


def outlined(page: Page) -> int:
    """The row that is outlined in the large head."""
    shape = page.evaluate("() => document.querySelector('#head .js-plotly-plot').layout.shapes[0]")
    return round(shape["y0"] + 0.5)


def test_every_token_says_what_the_model_said_before_it_came(page: Page, server: Served) -> None:
    train(page, TEXT, steps=40)
    wait_status(page, "Finished")
    run = run_of(page)
    page.fill("#prompt textarea, #prompt input", PROMPT)
    page.click("#generate")
    chips = page.locator("#continuation button.t")
    expect(chips).to_have_count(14, timeout=LONG)
    expect(chips.nth(4)).to_have_attribute("aria-pressed", "true")

    state = server.runs.state(run)
    vocabulary = {state.tokenizer.token(index): index for index in range(state.config.d_vocab)}
    ids = [vocabulary[{"↵": "\n"}.get(name, name)] for name in chips.all_text_contents()]
    view = attention_of_ids(state, ids)
    with torch.no_grad():
        p = state.model(torch.tensor(ids)).double().softmax(-1).numpy()

    def says(position: int) -> None:
        own = p[position - 1, ids[position]]
        rank = int(1 + (p[position - 1] > own).sum())
        entropy = -(p[position - 1] * np.log(p[position - 1])).sum()
        told = page.locator("#told")
        expect(told).to_contain_text(f"Token {position + 1}, ")
        expect(told).to_contain_text(f"surprise {-math.log(own):.2f}, entropy {entropy:.2f} nats")
        expect(told).to_contain_text({1: "first choice", 2: "second choice", 3: "third choice"}.get(rank, f"{rank}"))
        best = np.sort(p[position - 1])[::-1][:10]
        bars = page.evaluate("() => Array.from(document.querySelector('#next-token .js-plotly-plot').data[0].text)")
        assert bars[:10] == [number(float(chance)) for chance in best]
        assert outlined(page) == position - 1

    says(4)
    chips.nth(2).click()  # A token of the prompt.
    expect(page.locator("#told")).to_contain_text("Token 3, king")
    says(2)
    page.focus("#forward")
    page.keyboard.press("Enter")
    says(3)
    page.click("#back")
    page.click("#back")
    says(1)
    page.click("#back")
    expect(page.locator("#told")).to_contain_text("the model was not asked for it")
    expect(page.locator("#back")).to_be_disabled()

    # The text on the loss of each token, then on what the open head looked at.
    page.get_by_role("radio", name="surprise").check(force=True)
    expect(page.locator("#continuation .surprise")).to_be_visible()
    for position in range(1, 14):
        share = min(1, -math.log(p[position - 1, ids[position]]) / math.log(state.config.d_vocab))
        assert shade(chips.nth(position)) == pytest.approx(share, abs=0.001)
    page.get_by_role("radio", name="attention").check(force=True)
    chips.nth(7).click()
    expect(page.locator("#told")).to_contain_text("Token 8, ")
    title = re.search(r"Layer (\d+) head (\d+)", page.inner_text("#head-title"))
    assert title
    row = view.pattern[int(title[1]) - 1, int(title[2]) - 1, 6]
    lit = [shade(chip) for chip in chips.all()]
    assert lit[:7] == pytest.approx(row[:7], abs=0.001)
    assert all(math.isnan(share) for share in lit[7:])

    # A click on a row of the large head chooses the token that it made.
    at = page.evaluate(
        """() => { const g = document.querySelector('#head .js-plotly-plot'), l = g._fullLayout;
        const r = g.getBoundingClientRect();
        return [r.x + l.xaxis._offset + l.xaxis.d2p(2), r.y + l.yaxis._offset + l.yaxis.d2p(9)] }"""
    )
    page.mouse.click(*at)
    expect(page.locator("#told")).to_contain_text("Token 11, ")
    says(10)


def test_play_walks_to_the_end_and_stops(page: Page) -> None:
    train(page, TEXT, steps=10)
    wait_status(page, "Finished")
    page.fill("#prompt textarea, #prompt input", PROMPT)
    page.click("#generate")
    chips = page.locator("#continuation button.t")
    expect(chips).to_have_count(14, timeout=LONG)
    chips.nth(11).click()
    expect(page.locator("#told")).to_contain_text("Token 12, ")
    page.click("#play")
    expect(page.locator("#play")).to_have_text("Pause")
    expect(page.locator("#told")).to_contain_text("Token 15, not written yet", timeout=LONG)
    expect(page.locator("#forward")).to_be_disabled()
    expect(page.locator("#play")).to_have_text("Play")
    chips.nth(4).click()
    expect(page.locator("#told")).to_contain_text("Token 5, ")
    page.click("#play")
    expect(page.locator("#told")).to_contain_text("Token 6, ")
    page.click("#play")
    expect(page.locator("#play")).to_have_text("Play")
