"""What a person does on the page, as functions: fill, press, wait, point, read."""

import re
import time
from typing import Any

from playwright.sync_api import Page, TimeoutError, expect

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# A page that is said to be from another site may hold one of this machine in a frame.
FLAGS += ["--disable-features=LocalNetworkAccessChecks"]
BUSY = 4  # How much slower than promised a test machine may be before a test says that something is wrong.
LONG = 60_000  # ms; a loaded machine is slow, and a test must say so only when something is wrong


# What the loop in `slower` takes on a laptop of the middle of the 2020s, for which the page's seconds are promised.
LAPTOP = 0.12  # s


def slower() -> float:
    """How many times the promised seconds a test grants this machine: twice, and more where its processor is slow.

    A loop of known work stands for the processor. Only its own seconds count, so a busy neighbour hardly shows.
    """
    began, total = time.process_time(), 0
    for number in range(1_500_000):
        total += number * number % 7
    return 2 * max(1, (time.process_time() - began) / LAPTOP)


def leaves(address: str, home: str) -> bool:
    return not address.startswith((home, "data:", "blob:"))


def cut(said: str) -> bool:
    """Whether Gradio only says that a reload cut off the stream which the page was reading."""
    return "AbortError" in said or "Connection errored out" in said


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#loss-curve .main-svg")


def status(page: Page) -> str:
    return page.inner_text("#status")


def step_of(page: Page) -> int:
    found = re.search(r"step ([\d,]+) of|(\d+) steps? in", status(page))
    return int((found[1] or found[2]).replace(",", "")) if found else 0


def run_of(page: Page) -> str:
    page.wait_for_url("**?run=*")
    return page.url.partition("?run=")[2]


def wait_status(page: Page, word: str) -> None:
    expect(page.locator("#status")).to_contain_text(word, timeout=LONG)


def set_number(page: Page, field: str, value: float) -> None:
    page.fill(f"#{field} input", str(value))
    page.press(f"#{field} input", "Tab")


def settings(page: Page, **fields: float) -> None:
    """Open the settings and fill some; waits until the page has taken them in."""
    page.click("#settings > button")
    try:
        page.locator("#steps input").wait_for(timeout=4000)
    except TimeoutError:  # An answer that was on its way has closed it again.
        page.click("#settings > button")
    for field, value in fields.items():
        set_number(page, field, value)
    if "steps" in fields:
        expect(page.locator("#settings > button")).to_contain_text(f"{fields['steps']:,} step")


def newest_train_x(page: Page) -> float:
    """The last step that the train line on the screen reaches; -1 while there is none."""
    script = """() => { const t = (document.querySelector('#loss-curve .js-plotly-plot').data || [])
        .find(t => t.name === 'train' && t.x && t.x.length); return t ? Math.max(...t.x) : -1 }"""
    return page.evaluate(script)


def hovered(page: Page, figure: str, x: float, y: float) -> str:
    """The hover label over data coordinates of a heatmap."""
    at = page.evaluate(
        """([id, x, y]) => { const g = document.querySelector(id + ' .js-plotly-plot'), l = g._fullLayout;
        const r = g.getBoundingClientRect();
        return [r.x + l.xaxis._offset + l.xaxis.d2p(x), r.y + l.yaxis._offset + l.yaxis.d2p(y)] }""",
        [figure, x, y],
    )
    label = page.locator(f"{figure} .hoverlayer .hovertext")
    page.mouse.move(5, 5)
    expect(label).to_have_count(0)  # Else the label read might be the one before.
    page.mouse.move(*at)
    label.first.wait_for()
    return label.first.text_content() or ""


def click_tile(page: Page, layer: int, head: int) -> None:
    at = page.evaluate(
        """([layer, head]) => { const g = document.querySelector('#heads-grid .js-plotly-plot'), l = g._fullLayout;
        const [tall, wide] = l.meta.tile, { x: xs, y: ys } = g._fullData[0], r = g.getBoundingClientRect();
        const x = xs[head * wide + Math.floor(wide / 3)], y = ys[layer * tall + Math.floor(3 * tall / 4)];
        return [r.x + l.xaxis._offset + l.xaxis.d2p(x), r.y + l.yaxis._offset + l.yaxis.d2p(y)] }""",
        [layer, head],
    )
    page.mouse.move(*at)
    page.locator("#heads-grid .hoverlayer .hovertext", has_text=f"{layer + 1}.{head + 1}").wait_for()
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#head-title")).to_contain_text(f"Layer {layer + 1} head {head + 1}")


def bare(label: str) -> str:
    """A hover label without the invisible marks that keep each token's direction to itself."""
    return re.sub(r"[\u2066-\u2069]", "", label)


def resting(server: Any, run: str) -> None:
    """Wait for the slice that was out when the run was told to rest."""
    for _ in range(100):
        if not server.runs.flying(run):
            return
        time.sleep(0.1)
    raise AssertionError("the slice never came back")


def paste(page: Page, text: str) -> None:
    page.fill("#text textarea", text)
    expect(page.locator("#text textarea")).to_have_value(text)


def train(page: Page, text: str, **fields: float) -> None:
    paste(page, text)
    # A text of one's own brings settings of its own, which must not come after those below.
    expect(page.locator("#lesson input")).to_have_value("Your own text")
    settings(page, **fields)
    page.click("#train")
