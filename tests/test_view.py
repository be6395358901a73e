"""The view in a real browser: it paints, keeps still, turns dark, leaks nothing and tells Python what was clicked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr
import numpy as np
import plotly.graph_objects as go
import pytest
from nasty import NASTY
from playwright.sync_api import Browser, Page, Route, expect

from minigpt.figures import head, heads_grid, labels, style
from minigpt.ui.delivery import early
from minigpt.ui.view import SCRIPTS, PlotlyView, head_html, place


@dataclass(frozen=True)
class Looked:
    tokens: tuple[str, ...]
    pattern: np.ndarray
    causal: bool = True


def looked(tokens: tuple[str, ...], layers: int, heads: int) -> Looked:
    n = len(tokens)
    raw = np.random.default_rng(0).random((layers, heads, n, n)).astype(np.float32) * np.tri(n, dtype=np.float32)
    return Looked(tokens, raw / raw.sum(axis=-1, keepdims=True))


VIEW = looked(NASTY, layers=2, heads=3)


def line(n: int) -> go.Figure:
    """A curve that can be zoomed, and that says which update it is."""
    layout = style.layout(200, (24, 14, 8, 26), dragmode="zoom", meta={"label": f"update {n}"})
    return go.Figure(
        go.Scatter(x=list(range(20)), y=[n + i % 3 for i in range(20)], line={"color": style.TRAIN}), layout
    )


def build() -> gr.Blocks:
    with gr.Blocks() as demo:
        count = gr.State(0)
        late = PlotlyView(line(0), label="A <line> of {{value}} and ${value}", elem_id="line")
        grid = PlotlyView(heads_grid(VIEW, (0, 1)), label="All heads", elem_id="grid")
        one = PlotlyView(head(VIEW, 1, 2), label="One head", elem_id="one")
        update, clear = gr.Button("update", elem_id="update"), gr.Button("clear", elem_id="clear")
        said = gr.Textbox(elem_id="said")

        def tell(event: gr.SelectData) -> str:
            return json.dumps([event.index, place(event, 30, 30)])

        for view in (late, grid, one):
            view.select(tell, outputs=said, queue=False)

        def more(n: int) -> tuple[int, go.Figure, go.Figure]:
            return n + 1, line(n + 1), head(VIEW, n % 2, n % 3, query=n % len(NASTY))

        update.click(more, count, [count, late, one], queue=False, show_progress="hidden")
        clear.click(lambda: None, outputs=late, queue=False)
    return demo


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    demo = build()
    _, url, _ = demo.launch(
        head=head_html(), app_kwargs={"middleware": [early(SCRIPTS)]}, prevent_thread_lock=True, quiet=True
    )
    yield url
    demo.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    for name in ("line", "grid", "one"):
        page.wait_for_selector(f"#{name} .js-plotly-plot .main-svg", timeout=60_000)
    yield page
    page.close()
    assert errors == []


def update(page: Page, n: int) -> None:
    page.click("#update")
    expect(page.locator("#line .mg-plot")).to_have_attribute("aria-label", f"update {n}")


def shown(page: Page, name: str) -> list[float]:
    """The part of the x axis that is on the screen."""
    return page.evaluate(f"document.querySelector('#{name} .js-plotly-plot')._fullLayout.xaxis.range")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
    page.mouse.move(*end, steps=3)
    page.mouse.up()


def cell(page: Page, name: str, column: float, row: float) -> tuple[float, float]:
    """A place on the plot in px of the page, from its place in the coordinates of the axes."""
    x, y = page.evaluate(
        """([name, x, y]) => {
            const plot = document.querySelector(`#${name} .js-plotly-plot`), layout = plot._fullLayout;
            plot.scrollIntoView({block: "center"});
            const box = plot.getBoundingClientRect(), { xaxis, yaxis } = layout;
            return [box.x + xaxis._offset + xaxis.l2p(x), box.y + yaxis._offset + yaxis.l2p(y)];
        }""",
        [name, column, row],
    )
    return x, y


pytestmark = pytest.mark.browser


def test_nothing_is_asked_of_another_machine(browser, address):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("#line .main-svg", timeout=60_000)
    page.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    # Fetched once, and used; and that before any script of Gradio's own asks for the rest of the page.
    [place] = [i for i, url in enumerate(asked) if "plotly-cartesian.min.js" in url]
    assert place < next(i for i, url in enumerate(asked) if "/assets/Blocks-" in url)


def test_a_view_has_a_name_for_those_who_cannot_see_it(page):
    line, grid = page.locator("#line .mg-plot"), page.locator("#grid .mg-plot")
    expect(line).to_have_attribute("role", "img")
    expect(line).not_to_have_attribute("tabindex", "0")
    expect(grid).to_have_attribute("role", "application")
    expect(grid).to_have_attribute("tabindex", "0")
    expect(grid).to_have_attribute("aria-label", heads_grid(VIEW, (0, 1)).layout.meta["label"])


def test_a_label_is_never_run_as_a_template():
    view = PlotlyView(label="{{value}} ${value} <b>", elem_id="x", render=False)
    assert "${" not in view.html_template
    assert "{{" not in view.html_template
    assert "<b>" not in view.html_template


def test_an_update_keeps_the_zoom(page):
    update(page, 1)
    (x0, y), (x1, _) = cell(page, "line", 5, 2), cell(page, "line", 10, 2)
    page.mouse.move(x0, y)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, y, steps=3)
    page.mouse.move(x1, y, steps=3)
    page.mouse.up()
    zoomed = "document.querySelector('#line .js-plotly-plot')._fullLayout.xaxis.range"
    assert page.evaluate(zoomed) == pytest.approx([5, 10], abs=0.2)
    update(page, 2)
    assert page.evaluate(zoomed) == pytest.approx([5, 10], abs=0.2)


def test_sixty_updates_leave_no_node_and_no_listener(page):
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def alive() -> tuple[int, float]:
        session.send("HeapProfiler.collectGarbage")
        metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        return page.evaluate("document.querySelectorAll('*').length"), metrics["JSEventListeners"]

    page.focus("#one .mg-plot")
    for n in range(1, 6):
        update(page, n)
    drag(page, cell(page, "one", 3, 3), cell(page, "one", 9, 9))
    page.wait_for_timeout(300)
    update(page, 6)
    before = alive()
    for n in range(7, 67):
        update(page, n)
    for _ in range(5):  # More often than the listeners that are let pass below, or what each zoom leaves would be too.
        page.mouse.dblclick(*cell(page, "one", 6, 6))
        page.wait_for_timeout(300)
        drag(page, cell(page, "one", 3, 3), cell(page, "one", 9, 9))
        page.wait_for_timeout(300)
    nodes, listeners = alive()
    assert nodes <= before[0]
    assert listeners <= before[1] + 5  # the page around the view has some of its own


def test_the_theme_swaps_every_colour(page):
    def colours() -> list[str]:
        return page.evaluate(
            """() => [...document.querySelectorAll("#line .xtick text, #line .js-line")].map((mark) =>
                getComputedStyle(mark)[mark.matches("text") ? "fill" : "stroke"])"""
        )

    def rgb(colour: str) -> str:
        return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"

    nodes = "document.querySelectorAll('*').length"
    light, count = set(colours()), page.evaluate(nodes)
    assert light == {rgb(style.INK_2), rgb(style.TRAIN)}
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_timeout(300)
    assert set(colours()) == {rgb(style.DARK[style.INK_2]), rgb(style.DARK[style.TRAIN])}
    for _ in range(4):
        page.evaluate("document.body.classList.toggle('dark')")
        page.wait_for_timeout(100)
    page.evaluate("document.body.classList.remove('dark')")
    page.wait_for_timeout(300)
    assert set(colours()) == light
    assert page.evaluate(nodes) == count


def test_a_click_on_a_cell_tells_row_and_column(page):
    page.mouse.click(*cell(page, "one", 3, 7))
    expect(page.locator("#said textarea")).to_have_value("[[7, 3], [7, 3]]")


def test_arrow_keys_step_from_head_to_head_and_stop_at_the_edge(page):
    said, grid = page.locator("#said textarea"), page.locator("#grid .mg-plot")
    grid.focus()
    assert grid.evaluate("plot => getComputedStyle(plot).outlineStyle") != "none"
    # From layer 1 head 2 of 2 x 3; nobody answers here, so each press is one further than the one before.
    for key, at in (("Right", [0, 2]), ("Right", [0, 2]), ("Up", [0, 2]), ("Down", [1, 2]), ("Left", [1, 1])):
        page.keyboard.press(f"Arrow{key}")
        expect(said).to_have_value(json.dumps([at, at]))
    page.keyboard.press("Control+ArrowLeft")
    page.wait_for_timeout(200)
    expect(said).to_have_value("[[1, 1], [1, 1]]")


def test_a_click_goes_on_with_keys_up_and_down(page):
    update(page, 1)  # row 1 of the large head is chosen
    page.mouse.click(*cell(page, "one", 3, 7))
    expect(page.locator("#said textarea")).to_have_value("[[7, 3], [7, 3]]")  # Else the key could come before it.
    page.keyboard.press("ArrowDown")
    expect(page.locator("#said textarea")).to_have_value("[[1, 0], [1, 0]]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#said textarea")).to_have_value("[[2, 0], [2, 0]]")


def test_a_rectangle_zooms_into_a_head_until_a_double_click(page):
    whole = shown(page, "one")
    update(page, 1)
    drag(page, cell(page, "one", 4, 4), cell(page, "one", 8, 8))
    page.wait_for_timeout(300)
    zoomed = shown(page, "one")
    assert zoomed == pytest.approx([4, 8], abs=0.3)
    update(page, 2)  # another head, another row
    assert shown(page, "one") == pytest.approx(zoomed)
    page.mouse.dblclick(*cell(page, "one", 6, 6))
    page.wait_for_timeout(300)
    assert shown(page, "one") == pytest.approx(whole)
    update(page, 3)
    assert shown(page, "one") == pytest.approx(whole)


def test_a_finger_scrolls_and_does_not_zoom(browser, address):
    context = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#one .js-plotly-plot .main-svg", timeout=60_000)
    assert page.evaluate("document.querySelector('#one .js-plotly-plot')._fullLayout.dragmode") is False
    context.close()


@pytest.mark.parametrize("where", [0.1, 0.9])  # among the cells, and in the empty triangle
def test_a_click_anywhere_on_a_tile_tells_layer_and_head(page, where):
    gap = heads_grid(VIEW).data[0].y[0]
    page.mouse.click(*cell(page, "grid", 2 * 1.125 + where, 1 - gap + 0.5))
    expect(page.locator("#said textarea")).to_have_value("[[1, 2], [1, 2]]")


def test_hovering_says_the_value_and_the_tokens_as_they_are(page):
    for query, key in ((1, 0), (2, 1), (4, 3), (6, 5), (13, 4), (20, 20)):
        page.mouse.move(*cell(page, "one", key, query), steps=2)
        value = labels.number(float(VIEW.pattern[1, 2, query, key]))
        names = [labels.for_page(NASTY[i], labels.HOVER_COLUMNS) for i in (query, key)]
        looks, at = (f"“\u2068{name}\u2069” ({i + 1})" for name, i in zip(names, (query, key), strict=True))
        times = labels.times((query + 1) * float(VIEW.pattern[1, 2, query, key]))
        expect(page.locator("#one .hovertext .nums")).to_have_text(f"{looks} → {at}: {value}, {times} × chance")


def test_hovering_over_a_tile_says_layer_head_and_percent(page):
    gap = float(-heads_grid(VIEW).data[0].y[0])
    page.mouse.move(*cell(page, "grid", 1.125 + 0.01, 1 + gap + 0.99), steps=2)
    percent = round(100 * float(VIEW.pattern[1, 1, -1, 0]))
    expect(page.locator("#grid .hovertext .nums")).to_have_text(f"2.2: {percent}%")
    page.mouse.move(*cell(page, "grid", 1.125 + 0.9, 1 + gap + 0.1), steps=2)
    expect(page.locator("#grid .hoverlayer")).to_be_hidden()


def test_hostile_tokens_are_text_on_the_axes(page):
    drawn = page.evaluate(
        """() => [...document.querySelectorAll("#one .ytick text")].map((tick) => tick.textContent)"""
    )
    assert drawn == [labels.for_page(token) for token in NASTY]
    assert page.locator("#one script, #one a, #one .MathJax").count() == 0


def test_a_narrow_page_makes_the_map_narrow_and_square(page):
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_timeout(400)
    width, height, blank, column = page.evaluate(
        """() => {
            const plot = document.querySelector("#one .js-plotly-plot"), layout = plot._fullLayout;
            const { xaxis, yaxis, margin } = layout;
            const blank = layout.height - margin.t - margin.b - yaxis._length;
            return [xaxis._length, yaxis._length, blank, plot.clientWidth];
        }"""
    )
    assert width == pytest.approx(height, abs=1.5)
    assert width < column < 420
    assert blank < 2  # or the colour bar would drift off the map


def test_none_clears_the_view_and_a_figure_brings_it_back(page):
    page.click("#clear")
    expect(page.locator("#line .mg-plot *")).to_have_count(0)
    expect(page.locator("#line .js-plotly-plot")).to_have_count(0)
    page.click("#update")
    expect(page.locator("#line .main-svg").first).to_be_visible()
    page.mouse.click(*cell(page, "line", 10, 2))
    expect(page.locator("#said textarea")).to_have_value("[[10, 0], [10, 0]]")


def test_the_script_may_come_late(browser, address):
    page = browser.new_page()
    held: list[Route] = []
    page.route("**/plotly-cartesian.min.js*", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#line .mg-plot", state="attached", timeout=60_000)
    page.wait_for_timeout(500)
    assert page.locator(".js-plotly-plot").count() == 0
    for route in held:
        route.continue_()
    page.wait_for_selector("#line .main-svg", timeout=60_000)
    page.close()
