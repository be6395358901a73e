"""The film as a person watches it: every number on the page is what the same training gives in Python."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from browsing import bare, hovered, paste, resting, run_of, settings, train, wait_status
from playwright.sync_api import Page, expect
from served import Served

from minigpt.diagnosis import scoring_ids
from minigpt.film import WHOLE
from minigpt.heads import ROLES, in_words
from minigpt.hooks import head_scores, patterns_and_logits
from minigpt.training import TrainingState, advance, begin
from minigpt.ui.head_words import name_of

pytestmark = pytest.mark.browser
TEXT = "the dog saw the cat . the cat saw the old dog . the old dog ran home .\n" * 12
SENTENCE = "the old dog saw the cat ."
SLIDER = "#film input[type=range]"


def plot(page: Page, figure: str, what: str) -> Any:
    return page.evaluate(f"() => {{ const g = document.querySelector('{figure} .js-plotly-plot'); return {what} }}")


def showing(page: Page, words: str) -> None:
    expect(page.locator("#film-title")).to_contain_text(words)


def titled(page: Page, words: str) -> None:
    expect(page.locator("#p-explore .mg-h")).to_contain_text(words)


def check_moment(page: Page, state: TrainingState, layer: int, head: int) -> None:
    """Heatmaps, bars and cursor are those of the step at which the state stands."""
    ids = state.tokenizer.encode(SENTENCE)
    pattern, logits = patterns_and_logits(state.model, torch.tensor(ids))
    expect(page.locator("#continuation button.t")).to_have_text(SENTENCE.split())
    titled(page, f"film, step {state.step}")
    lines = np.tril(np.ones((len(ids), len(ids)), dtype=bool))
    page.wait_for_function(
        "x => { const s = document.querySelector('#loss-curve .js-plotly-plot').layout.shapes.at(-1);"
        " return s.x0 === s.x1 && s.x0 === x }",
        arg=state.step,
    )
    z = np.array(plot(page, "#head", "[...g._fullData[0].z].map(r => [...r].map(v => isFinite(v) ? v : -1))"), float)
    assert np.abs(z[lines] - pattern[layer, head].numpy()[lines]).max() <= 0.51 / WHOLE
    query, key = len(ids) - 1, 2
    said = bare(hovered(page, "#head", key, query))
    assert (
        abs(float(said.rpartition(": ")[2].partition(",")[0].lstrip("<")) - float(pattern[layer, head, query, key]))
        <= 0.008
    ), said
    best = logits[-1].softmax(-1).max()
    bars = plot(page, "#next-token", "[...g._fullData[0].x]")
    assert bars[0] == pytest.approx(float(best), abs=0.002)
    first = plot(page, "#next-token", "g.layout.yaxis.ticktext[0]")
    assert first in (state.tokenizer.token(int(logits[-1].argmax())), "↵")


def test_scrubbing_moves_heads_bars_and_cursor_to_what_the_model_was(page: Page, server: Served) -> None:
    expect(page.locator(SLIDER)).to_be_disabled()
    paste(page, TEXT)
    settings(page, steps=160)  # So that a head has a job, and a line of its own.
    expect(page.locator("#film-of textarea, #film-of input")).to_have_attribute(
        "placeholder", re.compile("the dog saw the cat")
    )
    page.fill("#film-of textarea, #film-of input", SENTENCE)
    page.press("#film-of textarea, #film-of input", "Tab")
    page.click("#train")
    wait_status(page, "Finished")
    titled(page, "model at step 160")
    showing(page, "showing step 160, the newest")
    run = run_of(page)
    progress = server.runs.progress(run)
    expect(page.locator("#film-note")).to_contain_text("26 moments from step 0 of the old dog")
    selected = "g.layout.meta.label.match(/layer (\\d+) head (\\d+)/).slice(1).map(Number)"

    state = begin(TEXT, progress.settings.tokenizer, *progress.settings.applied())
    page.focus(SLIDER)
    page.keyboard.press("Home")
    showing(page, "showing step 0")
    layer, head = (number - 1 for number in plot(page, "#head", selected))
    check_moment(page, state, layer, head)
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    showing(page, "showing step 29")
    check_moment(page, advance(state, 29), layer, head)

    # The birth of heads, by the scores of every moment.
    film = list(server.runs.film(run))
    assert film[:9] == [0, 1, 2, 3, 5, 8, 13, 21, 29]
    lines = plot(
        page,
        "#births",
        "g._fullData.filter(t => t.name.includes(' ')).map(t => [t.name, [...t.x], [...t.y], t.hovertemplate])",
    )
    role_of = {name_of(role, "word"): role for role in ROLES}
    lines = [line for line in lines if line[0].partition(" ")[2] in role_of]
    ends = advance(state, 160)
    jobs = {
        f"{i + 1}.{j + 1} {name_of((said.roles + said.partly)[0], 'word')}"
        for i, row in enumerate(head_scores(ends.model, scoring_ids(ends)[0]))
        for j, said in enumerate(map(in_words, row))
        if said.roles + said.partly
    }
    assert any(job[0] != job[2] for job in jobs), "or no line could show that layer and head were swapped"
    assert {line[0] for line in lines} == jobs
    for step in (0, 5, 160):
        at = advance(state, step)
        scores = head_scores(at.model, scoring_ids(at)[0])
        for name, x, y, said in lines:
            which, _, job = name.partition(" ")
            i, j = (int(number) - 1 for number in which.split("."))
            assert x == film
            assert y[film.index(step)] == pytest.approx(getattr(scores[i][j], role_of[job]), abs=1e-4)
            assert f"by chance {getattr(scores[i][j].chance, role_of[job]):.2f}" in said

    # At the right end is the newest, and no film any more.
    page.keyboard.press("End")
    titled(page, "model at step 160")
    showing(page, "showing step 160, the newest")
    page.wait_for_function("() => document.querySelector('#loss-curve .js-plotly-plot').data.length === 2")


def test_heads_move_while_it_trains_until_somebody_asks_for_something_else(page: Page, server: Served) -> None:
    train(page, TEXT, steps=3000)
    titled(page, "the newest")
    script = (
        "() => Number(document.querySelector('#p-explore .mg-h').innerText.match(/step ([\\d,]+)/)[1].replace(',', ''))"
    )
    shares = "[...g._fullData[0].z].map(row => [...row].join()).join()"
    before, seen = page.evaluate(script), plot(page, "#head", shares)
    page.wait_for_function(f"before => ({script})() > before", arg=before)
    page.wait_for_function(
        f"seen => {{ const g = document.querySelector('#head .js-plotly-plot'); return {shares} !== seen }}", arg=seen
    )
    # Another comes at once, so cells say their value alone.
    assert plot(page, "#head", "g.data[0].customdata ?? null") is None
    assert plot(page, "#head", "g.data[0].hovertemplate").startswith("%{z")
    # Back in time: the run goes on, the view stays.
    page.focus(SLIDER)
    page.keyboard.press("Home")
    titled(page, "film, step 0")
    run, seen = run_of(page), server.runs.progress(run_of(page)).step
    page.wait_for_function("step => Number(document.querySelector('#status b + b').innerText) > step + 5", arg=seen)
    titled(page, "film, step 0")
    expect(page.locator(SLIDER)).to_have_value("0")
    page.keyboard.press("End")
    titled(page, "the newest")
    before = page.evaluate(script)
    page.wait_for_function(f"before => ({script})() > before", arg=before)  # It moves again.
    # A prompt stays as well.
    page.click("#generate")
    titled(page, "model at step")
    said, seen = page.inner_text("#p-explore .mg-h"), server.runs.progress(run).step
    page.wait_for_function("step => Number(document.querySelector('#status b + b').innerText) > step + 5", arg=seen)
    assert page.inner_text("#p-explore .mg-h") == said
    page.click("#stop")
    resting(server, run)
