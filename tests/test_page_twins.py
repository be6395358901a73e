"""What happens without a part, as a person finds it out, with every number compared to models trained here."""

import re

import numpy as np
import pytest
import torch
from browsing import LONG, bare, hovered, run_of, settings, train, wait_status
from playwright.sync_api import Page, expect
from served import Served

from minigpt.api import attention_of_ids, prompt_ids, write
from minigpt.breaks import broken
from minigpt.config import SamplingConfig
from minigpt.corpora import LESSONS, drawn
from minigpt.figures import heads_grid
from minigpt.figures.labels import for_page
from minigpt.runs import RunSettings
from minigpt.training import TrainingState, advance, begin
from minigpt.twins import begun_alike, prefix_loss

pytestmark = pytest.mark.browser
STEPS = 8
TEXT = "the old king saw the young dog . the dog ran off and the king sat down .\n" * 30


def trained(asked: RunSettings) -> tuple[TrainingState, TrainingState]:
    """The run and its twin without the mask, trained here, in one go."""
    lesson = LESSONS["echo"]
    known = drawn(lesson.source).log_probability
    config, training = asked.applied()
    run = begin(lesson.text, lesson.tokenizer, config, training, log_probability=known)
    masked, _ = broken([], config, training, "mask")
    twin = begun_alike(begin(lesson.text, lesson.tokenizer, masked, training, log_probability=known), run)
    return advance(run, STEPS), advance(twin, STEPS)


def curve(page: Page, name: str) -> tuple[float, float]:
    """Step and loss at the end of a line on the screen."""
    script = """name => { const t = document.querySelector('#twins-curves .js-plotly-plot').data
        .find(t => t.name === name); return [t.x.at(-1), t.y.at(-1)] }"""
    step, loss = page.evaluate(script, name)
    return step, loss


def cells(page: Page, figure: str) -> np.ndarray:
    """The numbers of a heatmap on the screen."""
    script = """figure => { const z = document.querySelector(figure + ' .js-plotly-plot').calcdata[0][0].z;
        return Array.from(z, row => Array.from(row)) }"""
    return np.array(page.evaluate(script, figure), dtype=float)


def test_a_twin_without_the_mask_from_the_button_to_its_numbers(page: Page, server: Served) -> None:
    lesson = LESSONS["echo"]
    page.click("#lesson input")
    page.get_by_role("option", name=lesson.title).click()
    expect(page.locator("#text textarea")).to_have_value(lesson.text)
    settings(page, steps=STEPS, batch=4)
    page.click("#train")
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.get_by_role("tab", name="What happens without").click()
    expect(page.locator("#twins-note")).to_contain_text("only this differs")
    expect(page.locator("#twins-body")).to_have_count(0)
    page.click("#twins-train")
    expect(page.locator("#twins-table tbody tr")).to_have_count(3, timeout=3 * LONG)
    expect(page.locator("#twins-stop")).to_be_disabled()
    expect(page.locator("#twins-train")).to_be_disabled()
    expect(page.locator("#twins-stop")).to_have_text("Stop")

    run, twin = trained(server.runs.progress(run_of(page)).settings)
    for name, state in (("run", run), ("twin", twin)):
        for kind, (step, loss) in (("train", state.history.train[-1]), ("validation", state.history.validation[-1])):
            assert curve(page, f"{name} {kind}") == (step, pytest.approx(loss, abs=6e-5))
    rows = page.locator("#twins-table tbody tr")
    for row, state in ((0, run), (1, twin)):
        losses = [state.history.validation[-1][1], state.history.train[-1][1], prefix_loss(state)]
        expect(rows.nth(row).locator("td")).to_have_text([*(f"{loss:.2f}" for loss in losses), str(STEPS)])
    assert run.history.references.floor is not None
    expect(rows.nth(2).locator("td").first).to_have_text(f"{run.history.references.floor:.2f}")
    verdict = page.locator("#twins-verdict")
    expect(verdict).to_contain_text(f"Without the causal mask the validation loss is {losses[0]:.2f}")

    # Both go on from the same prompt with the same sampling.
    ids = prompt_ids(run, lesson.prompts[0])
    sampling = SamplingConfig(10, 0.8, seed=0)
    for side, state in (("run", run), ("twin", twin)):
        tokens = [for_page(token.token) for token in write(state, ids, sampling)]
        expect(page.locator(f"[data-side={side}] .t:not(.in)")).to_have_text(tokens)

    # The difference of the head that is open, over the run's own text, above the diagonal too.
    everything = [*ids.tolist(), *(token.index for token in write(run, ids, sampling))]
    views = [attention_of_ids(state, everything) for state in (run, twin)]
    layer, head = (int(number) - 1 for number in re.findall(r"\d+", page.inner_text("#twins-title b")))
    moved = views[1].pattern[layer, head] - views[0].pattern[layer, head]
    np.testing.assert_allclose(cells(page, "#twins-change"), moved, atol=1e-6)
    outlined = page.evaluate("() => document.querySelector('#twins-change .js-plotly-plot').layout.shapes[0].y0")
    assert outlined == len(ids) - 1.5, "the row that made the first token of the continuation"
    # Beside it all heads of the twin, in whole percent.
    np.testing.assert_allclose(cells(page, "#twins-grid"), heads_grid(views[1]).data[0].z, atol=1)
    n_tokens = len(everything)
    above = np.triu(np.ones((n_tokens, n_tokens), dtype=bool), k=1)
    assert (moved[above] > 0).all(), "the run looks nowhere ahead, and its twin everywhere"
    page.locator("#twins-change").evaluate("element => element.scrollIntoView({block: 'center'})")
    said = bare(hovered(page, "#twins-change", n_tokens - 1, 0))
    assert said.startswith(f"“{for_page(views[0].tokens[0])}” (1) → “{for_page(views[0].tokens[-1])}” ({n_tokens}): +")
    assert float(said.rpartition("+")[2]) == pytest.approx(moved[0, -1], abs=0.005 if moved[0, -1] >= 0.01 else 0.0005)

    # A second twin: heads that are gone have no twin, and the table leads back to the first.
    page.click("#twins-without input")
    page.get_by_role("option", name="with one layer").click()
    expect(page.locator("#twins-train")).to_be_enabled()
    page.click("#twins-train")
    expect(rows).to_have_count(4, timeout=3 * LONG)
    expect(page.locator("#twins-missing")).to_contain_text("so 2.1, 2.2 have no twin")
    expect(verdict).to_contain_text(
        f"With one layer the validation loss is {rows.nth(2).locator('td').first.inner_text()}"
    )
    page.click("#twins-table button >> nth=0")
    expect(verdict).to_contain_text(f"Without the causal mask the validation loss is {losses[0]:.2f}")
    expect(page.locator("#twins-without input")).to_have_value("without the causal mask")
    assert torch.equal(run.rng, twin.rng), "after as many batches both stand at the same place of the same stream"


def test_a_twin_can_be_stopped_and_goes_on_to_the_end(page: Page) -> None:
    train(page, TEXT, steps=400, layers=2, heads=2, width=32, context=32)
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.get_by_role("tab", name="What happens without").click()
    page.click("#twins-train")
    expect(page.locator("#twins-status")).to_contain_text("step")
    page.wait_for_function(
        """() => { const plot = document.querySelector('#twins-curves .js-plotly-plot');
        const twin = plot && plot.data.find(t => t.name === 'twin train'); return twin && twin.x.at(-1) > 20 }"""
    )
    page.click("#twins-stop")
    row = page.locator("#twins-table tbody tr", has_text="without the causal mask").locator("td")
    expect(row).to_have_count(4, timeout=LONG)
    stopped = int(row.nth(3).inner_text())
    assert 0 < stopped < 400
    expect(page.locator("#twins-stop")).to_be_disabled()
    expect(page.locator("#twins-train")).to_have_text("Train the twin on")
    # What it can do so far is shown.
    expect(page.locator("#twins-grid .main-svg").first).to_be_visible()
    page.click("#twins-train")
    expect(row.nth(3)).to_have_text("400", timeout=LONG)
    expect(page.locator("#twins-train")).to_be_disabled()
