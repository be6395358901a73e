"""How fast is the page? Heads against BertViz in one browser, and the seconds that a person waits for.

A time ends when the picture has been on the screen: its pictures are decoded and two animation frames have passed.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.chromium import LONG, bertviz_page, chromium, fresh_page, looked, served_grid, served_page, started
from benchmarks.measure import Line
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS
from minigpt.runs import ACTIVE, Runs, RunSettings
from minigpt.ui.door import read

SIZES = {(4, 4): 15.0, (12, 12): 40.0}  # layers and heads, and how many times as fast as BertViz they are promised
TOKENS = 64

# Seconds from a press of a button to the heads of another prompt on the screen.
PRESS = """async () => {
  const plot = document.querySelector("#heads-grid .js-plotly-plot"), began = performance.now();
  const drawn = new Promise((done) => plot.once("plotly_afterplot", done));
  document.querySelector("#another").click();
  await drawn;
  await painted(plot);
  return (performance.now() - began) / 1000;
}"""

# Seconds from the opening of the page to the first heads on the screen.
FIRST = """async () => {
  const drawn = () => document.querySelector("#heads-grid .heatmaplayer image");
  while (!drawn()) await new Promise(requestAnimationFrame);
  await painted(document.querySelector("#heads-grid"));
  return performance.now() / 1000;
}"""

# Seconds from the opening of BertViz's page until every line of every head is on the screen.
LINES = """async (expected) => {
  const lines = document.getElementsByTagName("line");
  while (lines.length < expected) await new Promise(requestAnimationFrame);
  await painted(document.body);
  return performance.now() / 1000;
}"""


# Presses Train, and keeps each line that the page then shows, with the seconds from the press.
WATCH = """() => {
  const box = document.querySelector("#sample"), began = performance.now();
  window.lines = [];
  new MutationObserver(() => {
    const line = box.querySelector(".mg-sample")?.textContent;
    if (line && line !== lines.at(-1)?.[1]) lines.push([(performance.now() - began) / 1000, line]);
  }).observe(box, { subtree: true, childList: true, characterData: true });
  document.querySelector("#train").click();
}"""

# Presses Train as soon as it is enabled; seconds from the opening of the page to that press.
ENABLED = """async () => {
  const train = () => document.querySelector("#train:not([disabled])");
  while (!train() || !train().getClientRects().length) await new Promise(requestAnimationFrame);
  const ready = performance.now() / 1000;
  train().click();
  return ready;
}"""


def painting(rounds: int) -> list[Line]:
    """All heads of a new prompt on a page that is open, against BertViz's page of the same patterns.

    Ours begins with the press of a button, so it holds the way to the server, the drawing of the figure there and the
    way back; not the model's own work. BertViz has no page that stays open: its page is made anew for each prompt, and
    its time begins when the finished file opens.
    """
    lines = []
    with chromium() as browser:
        for (layers, heads), asked in SIZES.items():
            n_lines = layers * heads * TOKENS**2
            ours, theirs = [], []
            with (
                served_grid(layers, heads) as address,
                bertviz_file(layers, heads) as file,
                fresh_page(browser) as page,
            ):
                open_grid(page, address)
                for _ in range(rounds):
                    ours.append(another_prompt(page))
                    theirs.append(bertviz_painted(browser, file, n_lines))
            what = f"all heads of a new prompt painted, {layers} × {heads} heads of {TOKENS} tokens, against BertViz"
            lines.append(_against(what, asked, ours, theirs))
    return lines


def first_visit(rounds: int) -> list[Line]:
    """A first visit, nothing in the browser's cache: from the opening of the page to the first heads, against BertViz.

    The first line is of a page that holds nothing but the product's view, with the scripts and styles of the real
    page: the real one shows as many tokens to those only who write them. The second is of the real page, opened by the
    link of a finished run with as many heads, over a shorter prompt that it writes on; BertViz's page is the same.
    """
    ours, real, theirs = [], [], []
    with (
        served_grid(4, 4) as address,
        served_page() as (home, runs),
        bertviz_file(4, 4) as file,
        chromium() as browser,
    ):
        link = f"{home}?run={finished_run(runs)}"
        for _ in range(rounds):
            ours.append(first_heads(browser, address))
            real.append(first_heads(browser, link))
            theirs.append(bertviz_painted(browser, file, 16 * TOKENS**2))
    return [
        _against(f"first visit to the first heads, 4 × 4 heads of {TOKENS} tokens, against BertViz", 2, ours, theirs),
        _against("first visit to the heads of a shared run on the real page, against BertViz", None, real, theirs),
    ]


def readable(rounds: int = 3) -> list[Line]:
    """Seconds from a press of Train to the first readable line on the page: the essay by words, with its own settings.

    A line is readable when it has at least eight tokens, and three quarters of its neighbours are neighbours somewhere
    in the text too. Of tokens drawn by their counts alone, 13 in 100 are; of a model's after ten steps, one in six.
    """
    seconds, lines = [], []
    with served_page() as (address, _), chromium() as browser:
        for _ in range(rounds):
            with fresh_page(browser) as page:
                taken, line = first_readable(page, address)
                seconds.append(taken)
                lines.append(line)
    said = f"{_spread(seconds)}; it wrote: {' '.join(lines[0].split()[:12])} …"
    return [Line("Train to the first readable line", statistics.median(seconds), 10, said, at_most=True, unit="s")]


def starting(rounds: int) -> list[Line]:
    """Seconds from `python app.py` to the first byte of the page, and from opening it then to a Train that works.

    The browser runs already, its cache is empty, and the workers are starting at the same time. Train is pressed as
    soon as it is enabled; the press must start a run, else the page was not ready and the measurement fails.
    """
    first, then = [], []
    with chromium() as browser:
        for _ in range(rounds):
            with started() as (address, seconds), fresh_page(browser) as page:
                first.append(seconds)
                then.append(interactive(page, address))
    return [
        Line("start to the first byte of the page", statistics.median(first), 5, _spread(first), True, "s"),
        Line("open page to a Train that works", statistics.median(then), 2, _spread(then), True, "s"),
    ]


def traffic() -> list[Line]:
    """What travels from the server while a run is watched, and for one prompt; as sent, compressed where it is."""
    with served_page() as (address, _), chromium() as browser, fresh_page(browser) as page:
        page.goto(address)
        counted = Received(page)
        page.wait_for_selector("#loss-curve .main-svg")
        page.wait_for_timeout(1500)
        opened, began = counted.bytes, time.perf_counter()
        page.click("#train")
        page.wait_for_function("() => /Finished/.test(document.querySelector('#status').innerText)", timeout=LONG)
        training, seconds = counted.bytes - opened, time.perf_counter() - began
        # What still comes when a run has come to rest is not of the prompt.
        page.wait_for_function(
            "() => /Without it/.test(document.querySelector('#head-caption').innerText)", timeout=LONG
        )
        page.wait_for_timeout(2500)
        before = counted.bytes
        page.fill("#prompt textarea, #prompt input", LESSONS["stories"].prompts[-1])
        page.click("#generate")
        page.wait_for_timeout(2500)
        prompt = counted.bytes - before
    return [
        Line(
            "received a second while a run is watched", training / seconds / 1000, None, f"{seconds:.1f} s", unit="kB"
        ),
        Line("received for one prompt", prompt / 1000, None, "continuation, all heads, one head, bars", unit="kB"),
    ]


def everything(rounds: int) -> list[Line]:
    """All of the above, so many times each."""
    return [*painting(rounds), *first_visit(rounds), *readable(rounds), *starting(rounds), *traffic()]


class Received:
    """Bytes that a page has received over the network since this was made."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.on("Network.dataReceived", self._add)
        self._session.send("Network.enable")

    def _add(self, event: dict[str, int]) -> None:
        # A stream that is being read has no encoded length before it ends.
        self.bytes += event["encodedDataLength"] or event["dataLength"]


def open_grid(page: Page, address: str) -> None:
    """Open a page of heads, and wait for the first ones."""
    page.goto(address, wait_until="commit")
    page.evaluate(FIRST)
    another_prompt(page)  # What is done once is done.


def another_prompt(page: Page) -> float:
    """Seconds from a press to the heads of another prompt on the screen."""
    return float(page.evaluate(PRESS))


def first_heads(browser: Browser, address: str) -> float:
    """Seconds from opening a page with an empty cache to the first heads on the screen."""
    with fresh_page(browser) as page:
        page.goto(address, wait_until="commit")
        return float(page.evaluate(FIRST))


def bertviz_painted(browser: Browser, address: str, n_lines: int) -> float:
    """Seconds from opening BertViz's page to all of its lines on the screen."""
    with fresh_page(browser) as page:
        page.goto(address, wait_until="commit")
        return float(page.evaluate(LINES, n_lines))


def finished_run(runs: Runs) -> str:
    """The id of a short run of a model with 4 layers of 4 heads, done."""
    lesson = LESSONS["essay"]
    settings = RunSettings("word", config=GPTConfig(n_layers=4), training=TrainingConfig(steps=4), lesson=lesson.name)
    run = runs.start(lesson.text, settings)
    while runs.progress(run).status in ACTIVE:
        time.sleep(0.05)
    return run


def first_readable(page: Page, address: str) -> tuple[float, str]:
    """Seconds from a press of Train to the first readable line, and that line."""
    lesson = LESSONS["essay"]
    page.goto(address)
    page.wait_for_selector("#loss-curve .main-svg")
    page.click("#lesson input")
    page.get_by_role("option", name=lesson.title).click()
    page.wait_for_function("(text) => document.querySelector('#text textarea').value === text", arg=lesson.text)
    page.wait_for_function("() => document.querySelector('#explore-empty')")
    page.wait_for_timeout(1000)  # The plan for the new text is on its way.
    page.evaluate(WATCH)
    text = read(lesson.text, "word", 512)
    pairs = set(pairwise(text.ids.tolist()))
    seen = 0
    while True:
        page.wait_for_function("(seen) => lines.length > seen", arg=seen)
        for seconds, line in page.evaluate("(seen) => lines.slice(seen)", seen):
            seen += 1
            written = list(pairwise(int(index) for index in text.tokenizer.encode(line)))
            if len(written) > 7 and sum(pair in pairs for pair in written) >= 0.75 * len(written):
                return float(seconds), str(line)


def interactive(page: Page, address: str) -> float:
    """Seconds from opening the page to a Train that is enabled, and whose press then starts a run."""
    page.goto(address, wait_until="commit")
    ready = float(page.evaluate(ENABLED))
    page.wait_for_function("() => /Waiting|Training|Finished/.test(document.querySelector('#status').innerText)")
    return ready


@contextmanager
def bertviz_file(layers: int, heads: int) -> Iterator[str]:
    """The address of BertViz's page of so many heads."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model_view.html"
        file.write_text(bertviz_page(looked(layers, heads, TOKENS)), encoding="utf-8")
        yield file.as_uri()


def _against(what: str, asked: float | None, ours: list[float], theirs: list[float]) -> Line:
    ratio = statistics.median(theirs) / statistics.median(ours)
    return Line(what, ratio, asked, f"{_spread(ours)}; BertViz {_spread(theirs)}")


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
