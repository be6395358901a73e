"""The answers of the layers and the map of the tokens in a real browser, every number against the arrays behind it."""

import re

import numpy as np
import pytest
import torch
from browsing import LONG, bare, hovered, run_of, train, wait_status
from playwright.sync_api import Page, expect
from served import Served

import minigpt
from minigpt.figures.labels import for_page
from minigpt.lens import embedding_map, logit_lens
from minigpt.training import begin

pytestmark = pytest.mark.browser

TEXT = "the red ball . the blue ball . a red dog saw the dog . a dog saw a ball .\n" * 12
PLOT = "document.querySelector('{} .js-plotly-plot')"


def opened(page: Page, tab: str, figure: str) -> None:
    page.get_by_role("tab", name=tab).click()
    page.wait_for_selector(f"{figure} .main-svg", timeout=LONG)


def read(page: Page, figure: str, what: str) -> object:
    """Something of a drawn figure: `g` is the plot."""
    return page.evaluate(f"() => {{ const g = {PLOT.format(figure)}; return {what} }}")


def numbers(said: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<=” )<?([\d.]+)(?=[;,])", said)]


def test_every_layers_answer_and_the_map_before_and_after(page: Page, server: Served) -> None:
    train(page, TEXT, steps=25)
    wait_status(page, "Finished")
    run = run_of(page)
    page.fill("#prompt textarea, #prompt input", "the red")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.click("#generate")
    expect(page.locator("#continuation .t.in")).to_have_text(["the", "red"])

    state = server.runs.state(run)
    names = ["the", "red", *(token.token for token in minigpt.generate(state, "the red", 10, 0.8, seed=0))]
    ids = [state.tokenizer.encode(name)[0] for name in names]
    p = logit_lens(state.model, torch.tensor(ids)).softmax(dim=-1).numpy()
    opened(page, "Layer by layer", "#lens")
    rows = ["what it reads", "embedding", "after layer 1", "after layer 2, the answer", "what came"]
    expect(page.locator("#lens-rows li")).to_have_text(rows)
    # Before and behind the token that is chosen.
    for layer, query in ((0, 1), (1, 3), (2, 2), (2, len(ids) - 1)):
        said = bare(hovered(page, "#lens", query, layer))
        where = ("embedding", "after layer 1", "after layer 2, the answer")[layer]
        best = int(p[layer, query].argmax())
        head = f"{where}, after “{names[query]}” ({query + 1}): “{for_page(state.tokenizer.token(best))}” "
        assert said.startswith(head), said
        found = numbers(said)
        assert found[0] == pytest.approx(p[layer, query, best], abs=0.0051)
        if query + 1 == len(ids):
            assert "not written yet" in said
        else:
            came = p[layer, query, ids[query + 1]]
            assert f"the next token “{names[query + 1]}”" in said
            assert found[1] == pytest.approx(came, abs=0.0051 if came >= 0.01 else 0.00051)
            rank = 1 + int((p[layer, query] > came).sum())
            assert said.endswith("first choice" if rank == 1 else f"choice {rank}")

    # A click on any layer's cell chooses the token that it answers with, and the last row is what the bars show.
    for query in (4, 1):
        hovered(page, "#lens", query, 1)
        page.mouse.down()
        page.mouse.up()
        expect(page.locator("#continuation .t.on")).to_have_attribute("data-index", str(query + 1))
        page.wait_for_function(f"x => {PLOT.format('#lens')}.layout.shapes[0].x0 === x", arg=query - 0.5)
        top = read(page, "#next-token", "[g.layout.yaxis.ticktext[0], g.data[0].x[0]]")
        answer = read(page, "#lens", f"[g.data[0].text[2][{query}], g._fullData[0].z[2][{query}]]")
        assert answer[0] == top[0]
        assert answer[1] == pytest.approx(top[1], abs=1e-6)

    page.click("#lens-shows label:has-text('the token that came')")
    page.wait_for_function(f"() => {PLOT.format('#lens')}.layout.meta.label.includes('token that came')")
    shown = np.array(read(page, "#lens", "[0, 1, 2].map(row => Array.from(g._fullData[0].z[row]))"), dtype=float)
    expected = [[p[layer, query, ids[query + 1]] for query in range(len(ids) - 1)] for layer in range(3)]
    np.testing.assert_allclose(shown[:, :-1], expected, atol=1e-6)

    opened(page, "Map of the tokens", "#map-now")
    settings = server.runs.progress(run).settings
    fresh = begin(server.runs.text(run), settings.tokenizer, *settings.applied(), settings.bpe_vocab)
    for when, then in (("before", fresh), ("now", state)):
        page.locator(f"#map-{when}").scroll_into_view_if_needed()
        found = embedding_map(then.model.embed.weight)
        shares = " + ".join(f"{100 * share:.0f}%" for share in found.explained)
        expect(page.locator(f"#map-{when}-title")).to_contain_text(f"{shares} of all differences")
        for name in ("ball", "dog", "saw", "red"):
            place = found.places[state.tokenizer.encode(name)[0]]
            count = f"{TEXT.split().count(name)} times in the training text"
            yours = ", and stands in yours" if name in names else ""
            assert bare(hovered(page, f"#map-{when}", *map(float, place))) == f"“{name}”: {count}{yours}"
        bold = read(page, f"#map-{when}", "g.data[1].text.filter(name => name.startsWith('<b>'))")
        assert bold
        assert {name[3:-4] for name in bold} <= {for_page(name) for name in names}


def test_on_a_phone_the_chosen_token_is_in_sight_and_the_rows_keep_their_names(page: Page) -> None:
    train(page, TEXT, steps=2)
    wait_status(page, "Finished")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="More tabs").click()  # What has no room in the row is in a menu.
    page.locator(".overflow-dropdown").get_by_text("Layer by layer").click()
    page.wait_for_selector("#lens .main-svg", timeout=LONG)
    page.locator("#continuation button.t").last.click()
    last = page.locator("#continuation button.t").count() - 2
    page.wait_for_function(f"x => {PLOT.format('#lens')}.layout.shapes[0].x0 === x", arg=last - 0.5)
    seen = read(
        page,
        "#lens",
        f"""(() => {{ const l = g._fullLayout, r = g.getBoundingClientRect();
        const x = l.xaxis._offset + l.xaxis.d2p({last}) - g.scrollLeft; return [x, r.width, g.scrollWidth] }})()""",
    )
    assert seen[2] > seen[1], "too wide for a phone, so it scrolls"
    assert 0 < seen[0] < seen[1]
    expect(page.locator("#lens-rows li").nth(1)).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
