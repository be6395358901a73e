"""Starts everything: workers, page, server."""

import io
import json
import os
import sys

import gradio as gr
import torch

from minigpt import limits
from minigpt.files import MAX_BYTES
from minigpt.paths import asset
from minigpt.runs import local_runs
from minigpt.ui.delivery import early
from minigpt.ui.doorkeeper import doorkeeper
from minigpt.ui.handlers import Page
from minigpt.ui.languages import tables
from minigpt.ui.layout import build
from minigpt.ui.theme import theme
from minigpt.ui.view import SCRIPTS, head_html

SMALL_SCRIPTS = [
    "frame.js",
    "languages.js",
    "fragment.js",
    "guide.js",
    "scrub.js",
    "table.js",
    "copy.js",
    "film.js",
    "box.js",
]


def launch_options() -> dict[str, object]:
    """What `launch` needs for this page, wherever it is launched."""
    return {
        "theme": theme(),
        "css_paths": [asset("style.css")],
        "head": head_html() + tables() + _home() + "".join(map(_script, SMALL_SCRIPTS)),
        "app_kwargs": {"middleware": [doorkeeper(), early(SCRIPTS)]},
        # Not threads alone: each event that waits, such as the stream of an open page, takes one of these places too.
        "max_threads": limits.EVENTS.most,
        "state_session_capacity": limits.SESSIONS.most,
        "max_file_size": MAX_BYTES,
        "footer_links": ["api"],
        "mcp_server": True,  # Where gradio[mcp] is installed; without it Gradio goes on as if nothing were asked.
        "run_history": False,  # Would keep a pasted text in the browser of a shared classroom machine.
        "ssr_mode": False,
        "quiet": True,
    }


def _home() -> str:
    """For the head of the page: the address at which others find it, where the host says so. In a frame it differs."""
    host = os.environ.get("SPACE_HOST", "")
    return f"<script>window.miniGPTHome = {json.dumps(f'https://{host}/' if host else '')};</script>"


def _script(name: str) -> str:
    return f"<script>{asset(name).read_text(encoding='utf-8')}</script>"


def serve() -> None:
    """Serve the page until interrupted, on GRADIO_SERVER_PORT or the first free port from 7860."""
    limits.check_environment()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    torch.set_num_threads(1)
    runs = local_runs()
    page = Page(runs)
    blocks: gr.Blocks = build(page)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Gradio announces MCP with a sign that a pipe on Windows cannot carry, and would end there.
        sys.stdout.reconfigure(errors="replace")
    try:
        _, url, _ = blocks.launch(prevent_thread_lock=True, **launch_options())  # type: ignore[arg-type]
        page.warm_up()  # Not before: on few cores the page itself would wait for the workers' imports.
        print(f"miniGPT is at {url}  (Ctrl+C ends it)", flush=True)
        blocks.block_thread()
    finally:
        runs.close()
