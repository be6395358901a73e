"""The main job as a person does it, in a real browser, with every number compared to the arrays behind it."""

import html
import time

import pytest
from browsing import (
    LONG,
    bare,
    click_tile,
    hovered,
    newest_train_x,
    open_page,
    paste,
    resting,
    run_of,
    set_number,
    settings,
    slower,
    status,
    step_of,
    train,
    wait_status,
)
from playwright.sync_api import Browser, Page, expect
from served import Served

import minigpt
from minigpt.corpora import LESSONS
from minigpt.figures.labels import for_page
from minigpt.figures.labels import times as times_chance

pytestmark = pytest.mark.browser


def test_the_essay_from_train_to_a_number_in_one_head(page: Page, server: Served) -> None:
    page.click("#lesson input")
    page.get_by_role("option", name=LESSONS["essay"].title).click()
    expect(page.locator("#text textarea")).to_have_value(LESSONS["essay"].text)
    expect(page.locator("#facts")).to_contain_text(f"{len(LESSONS['essay'].text):,}")
    expect(page.locator("#explore-empty")).to_contain_text("Press Train first")
    settings(page, steps=5_000)

    # Train: the first point comes at once, and the curve moves while the model trains.
    pressed = time.monotonic()
    page.click("#train")
    page.wait_for_function("() => document.querySelector('#loss-curve .scatterlayer .trace')", timeout=LONG)
    first_point = time.monotonic() - pressed
    wait_status(page, "Training")
    script = """() => new Promise(done => { let n = 0, last = ''; const box = document.querySelector('#status');
        const look = new MutationObserver(() => { if (box.innerText !== last) { last = box.innerText; n++ } });
        look.observe(box, {subtree: true, childList: true, characterData: true});
        setTimeout(() => { look.disconnect(); done(n) }, 3000) })"""
    moves = page.evaluate(script) / 3
    one = newest_train_x(page)
    page.wait_for_function(
        "x => Math.max(...document.querySelector('#loss-curve .js-plotly-plot').data[0].x) > x", arg=one, timeout=LONG
    )
    expect(page.locator("#sample")).to_contain_text("it writes")
    expect(page.locator("#train")).to_be_disabled()

    # Pause, one step, resume.
    page.click("#pause")
    wait_status(page, "Paused")
    run = run_of(page)
    resting(server, run)
    expect(page.locator("#status")).to_contain_text(f"step {server.runs.progress(run).step} of")
    before = step_of(page)
    assert 0 < before < 5_000
    page.click("#step")
    expect(page.locator("#status")).to_contain_text(f"step {before + 1} of", timeout=LONG)
    expect(page.locator("#train")).to_have_text("Resume")
    page.click("#train")
    wait_status(page, "Training")

    # A reload finds the run again while it trains; stop keeps what there is.
    page.reload()
    page.wait_for_selector("#loss-curve .main-svg")
    page.wait_for_function("() => /step/.test(document.querySelector('#status').innerText)", timeout=LONG)
    assert run_of(page) == run
    expect(page.locator("#text textarea")).to_have_value(LESSONS["essay"].text)
    assert step_of(page) >= before
    page.click("#stop")
    wait_status(page, "Stopped")
    resting(server, run)
    state = server.runs.state(run)
    assert newest_train_x(page) <= state.step

    write_and_look(page, state, LESSONS["essay"].prompts[0])

    print(f"\nfirst point on the curve after {first_point:.2f} s, {moves:.1f} moves a second while training")
    # Promised are 2 s and 2 moves a second on a machine with nothing else to do; this one may be busy.
    assert first_point <= slower() * 2
    assert moves >= 2 / slower()


def write_and_look(page: Page, state: minigpt.TrainingState, prompt: str) -> None:
    """Prompt: continuation and all heads, on the page as in the arrays."""
    page.fill("#prompt textarea, #prompt input", prompt)
    page.click("#generate")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    expect(page.locator("#continuation .t.in")).to_have_text(prompt.split())
    tokens = list(minigpt.generate(state, prompt, max_new_tokens=10, temperature=0.8, seed=0))
    expect(page.locator("#continuation button.t:not(.in)")).to_have_text([for_page(token.token) for token in tokens])
    whole = prompt + "".join(token.text for token in tokens)
    view = minigpt.attention(state, whole)
    n_layers, n_heads, n_tokens, _ = view.pattern.shape
    click_tile(page, 0, n_heads - 1)
    click_tile(page, n_layers - 1, 1)
    for query, key in ((n_tokens - 1, 0), (n_tokens - 2, n_tokens - 3), (2, 1)):
        said = bare(hovered(page, "#head", key, query))
        value = view.pattern[n_layers - 1, 1, query, key]
        names = f"“{for_page(view.tokens[query])}” ({query + 1}) → “{for_page(view.tokens[key])}” ({key + 1})"
        assert said.startswith(names), said
        number, _, times = said.removeprefix(names).strip(": ").partition(", ")
        if number.startswith("<"):
            assert value < float(number[1:]), (said, value)
        else:
            assert abs(float(number) - value) <= (0.005 if value >= 0.01 else 0.0005), (said, value)
        assert times == f"{html.unescape(times_chance((query + 1) * float(value)))} × chance", (said, value)


def test_two_people_do_not_see_each_other_and_a_link_shares_a_run(browser: Browser, page: Page, server: Served) -> None:
    train(page, "mine is the red ball . mine is the blue ball .\n" * 10, steps=3000)
    wait_status(page, "Training")
    run = run_of(page)
    other = browser.new_context().new_page()
    open_page(other, server.url)
    assert "Not trained yet" in status(other)
    assert other.input_value("#text textarea") == LESSONS["stories"].text
    other.goto(page.url)
    wait_status(other, "Training")
    assert other.input_value("#text textarea").startswith("mine is the red ball")
    # Either may steer, and both see it; a closed tab harms nothing.
    other.click("#pause")
    wait_status(page, "Paused")
    page.click("#train")
    wait_status(other, "Training")
    before = server.runs.progress(run).step
    page.goto("about:blank")
    other.wait_for_timeout(1500)
    assert server.runs.progress(run).step > before
    other.click("#stop")
    wait_status(other, "Stopped")
    other.goto(f"{server.url}?run=AAAAAAAAAAAAAAAAAAAAAA")
    expect(other.locator("#train-message")).to_contain_text("This run is not here any more")
    other.context.close()


def test_clear_can_be_undone_and_ones_own_text_comes_back(page: Page) -> None:
    paste(page, "a text of my own , with a few words in it")
    expect(page.locator("#lesson input")).to_have_value("Your own text")
    page.click("#clear")
    expect(page.locator("#text textarea")).to_have_value("")
    expect(page.locator("#clear")).to_have_text("Undo")
    page.click("#clear")
    expect(page.locator("#text textarea")).to_have_value("a text of my own , with a few words in it")
    page.click("#lesson input")
    page.get_by_role("option", name=LESSONS["markov"].title).click()
    expect(page.locator("#text textarea")).to_have_value(LESSONS["markov"].text)
    expect(page.locator("#loss-curve")).to_contain_text("best possible")
    page.click("#lesson input")
    page.get_by_role("option", name="Your own text").click()
    expect(page.locator("#text textarea")).to_have_value("a text of my own , with a few words in it")


def test_from_generate_to_heatmap_in_half_a_second(page: Page) -> None:
    page.click("#tokenizer label:has-text('letters')")
    train(page, LESSONS["essay"].text, steps=2, layers=4)
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.click("#sampling > button")
    set_number(page, "length", 10)
    seconds = []
    for start in range(5):
        page.fill("#prompt textarea, #prompt input", LESSONS["essay"].text[start : start + 54].replace("\n", " "))
        seconds.append(page.evaluate(
            """() => new Promise(done => { const began = performance.now();
            const plots = ['#heads-grid', '#head'].map(id => document.querySelector(id + ' .js-plotly-plot'));
            let left = plots.length;
            plots.forEach(p => p.once('plotly_afterplot', () => requestAnimationFrame(() => {
                if (--left === 0) done((performance.now() - began) / 1000) })));
            document.querySelector('#generate').click() })"""
        ))  # fmt: skip
        expect(page.locator("#head-title")).to_contain_text("Layer")
    assert page.evaluate("() => document.querySelector('#head .js-plotly-plot').data[0].z.length ?? 64") == 64
    median = sorted(seconds)[2]
    spread = f"median {median:.2f} s, {min(seconds):.2f}-{max(seconds):.2f} s"
    print(f"\nfrom Generate to 4 x 4 heads of 64 tokens painted: {spread}")
    # Promised is half a second. The best of five is what the page can do; the median also says how busy the machine is.
    assert min(seconds) <= slower() * 0.5
