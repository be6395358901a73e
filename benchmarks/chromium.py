"""A browser to measure in, pages to measure, and what is measured against: BertViz, with nothing to wait for."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import gradio as gr
import numpy as np
from jaxtyping import Float
from playwright.sync_api import Browser, Page, sync_playwright

from minigpt.figures import heads_grid
from minigpt.runs import Runs, local_runs, warm_up
from minigpt.ui.handlers import Page as SharedPage
from minigpt.ui.layout import build
from minigpt.ui.server import launch_options
from minigpt.ui.view import PlotlyView

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WINDOW = {"width": 1440, "height": 900}
LONG = 120_000  # ms
ROOT = Path(__file__).parent.parent

# The pictures on a plot are decoded beside everything else; two frames later they, and all else, have been on screen.
PAINTED = """window.painted = async (plot) => {
  await Promise.all([...plot.querySelectorAll("image")].map((image) => image.decode && image.decode()));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
};"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that MINIGPT_BROWSER names."""
    found = shutil.which(os.environ.get("MINIGPT_BROWSER", ""))
    if found is None:
        raise FileNotFoundError("Name a Chromium or Chrome with MINIGPT_BROWSER, or run make bench, which finds one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def fresh_page(browser: Browser) -> Iterator[Page]:
    """A page with an empty cache, in a browser that is running already."""
    context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.add_init_script(PAINTED)
    yield page
    context.close()


@dataclass(frozen=True)
class Looked:
    """As much of an attention view as a figure needs."""

    tokens: tuple[str, ...]
    pattern: Float[np.ndarray, "layer head query key"]
    causal: bool = True


def looked(layers: int, heads: int, n_tokens: int = 64, seed: int = 0) -> Looked:
    """Patterns of heads that all look at everything before them: nobody can leave out what is zero."""
    raw = np.random.default_rng(seed).random((layers, heads, n_tokens, n_tokens)) * np.tri(n_tokens)
    pattern = (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)
    return Looked(tuple(f"word{index}" for index in range(n_tokens)), pattern)


@contextmanager
def served_grid(layers: int, heads: int) -> Iterator[str]:
    """The address of a page with the product's view, figure and scripts, and nothing else to wait for.

    All heads are there when it opens, and each press of a button brings those of another prompt.
    """
    prompts = [looked(layers, heads, seed=seed) for seed in range(3)]

    def show(turn: int) -> tuple[int, object]:
        return turn + 1, heads_grid(prompts[turn % len(prompts)], (0, 0))

    with gr.Blocks(analytics_enabled=False, fill_width=True) as blocks:
        turn = gr.State(0)
        press = gr.Button("Another prompt", elem_id="another")
        with gr.Column():
            grid = PlotlyView(label="All heads", elem_id="heads-grid")
        press.click(show, turn, [turn, grid], show_progress="hidden")
        blocks.load(show, turn, [turn, grid], show_progress="hidden")
    try:
        _, url, _ = blocks.launch(prevent_thread_lock=True, **launch_options())  # type: ignore[arg-type]
        yield url
    finally:
        blocks.close()


@contextmanager
def served_page() -> Iterator[tuple[str, Runs]]:
    """The address of the real page, as `python app.py` serves it, its workers warm; and the runs behind it."""
    with tempfile.TemporaryDirectory() as folder:
        runs = local_runs(Path(folder))
        shared = SharedPage(runs)
        shared.speed = warm_up(runs)
        blocks = build(shared)
        try:
            _, url, _ = blocks.launch(prevent_thread_lock=True, **launch_options())  # type: ignore[arg-type]
            yield url, runs
        finally:
            blocks.close()
            runs.close()


@contextmanager
def started() -> Iterator[tuple[str, float]]:
    """`python app.py` in a process of its own: the page's address, and seconds from start to the first byte of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        told = {**os.environ, "GRADIO_SERVER_PORT": str(port), "MINIGPT_RUNS": folder}
        address, began = f"http://127.0.0.1:{port}/", time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(address, timeout=60).read(1)
                    break
                except OSError:
                    if server.poll() is not None:
                        raise RuntimeError("python app.py ended before it served the page") from None
                    time.sleep(0.01)
            yield address, time.perf_counter() - began
        finally:
            server.terminate()
            server.wait()


def bertviz_page(view: Looked) -> str:
    """BertViz's model view of the same patterns, as one HTML file that loads nothing.

    BertViz fetches require.js, jQuery and d3 from another machine. Here d3 (the version that it asks for) and jQuery
    stand in the file itself, and two lines stand for require.js: it waits for nothing, and is faster than it could be.
    """
    import torch
    from bertviz import model_view

    layers = [torch.from_numpy(layer)[None] for layer in view.pattern]
    made = model_view(layers, list(view.tokens), html_action="return", display_mode="light").data
    cdn = '<script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js"></script>'
    assert cdn in made, "another BertViz: it loads its scripts in another way"
    stands_in = "window.requirejs = (names, run) => run(window.$, window.d3); window.require = {config() {}};"
    scripts = [_packed("mpld3", "js/d3.v5.min.js"), _packed("sphinxcontrib.jquery", "jquery.js"), stands_in]
    inside = "".join(f"<script>{script}</script>" for script in scripts)
    return f'<!doctype html><meta charset="utf-8"><body>{made.replace(cdn, inside)}</body>'


def _packed(package: str, name: str) -> str:
    """A script that comes with an installed package."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is needed: pip install -r requirements-bench.txt")
    return (Path(found.submodule_search_locations[0]) / name).read_text(encoding="utf-8")
