"""Starts everything, workers, page and server, and ends it when asked."""

import io
import json
import os
import shutil
import signal
import sys
import tempfile
import threading

import gradio as gr
import torch

from minigpt import limits
from minigpt.files import MAX_BYTES
from minigpt.paths import asset
from minigpt.runs import hold, local_runs
from minigpt.ui.delivery import early
from minigpt.ui.doorkeeper import doorkeeper
from minigpt.ui.handlers import Page
from minigpt.ui.languages import tables
from minigpt.ui.layout import build
from minigpt.ui.theme import theme
from minigpt.ui.view import SCRIPTS, head_html

SMALL_SCRIPTS = [
    "connection.js",
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
    """Serve the page until Ctrl+C or SIGTERM, on GRADIO_SERVER_PORT or the first free port from 7860."""
    asked = threading.Event()
    _listen(asked)
    limits.check_environment()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    torch.set_num_threads(1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Gradio announces MCP with a sign that a pipe on Windows cannot carry, and would end there.
        sys.stdout.reconfigure(errors="replace")
    try:
        runs = local_runs()
    except OSError as error:
        why = error.strerror or "unknown reason"
        print(f"Runs cannot be kept in {error.filename}: {why}. Name another folder in MINIGPT_RUNS.", file=sys.stderr)
        raise SystemExit(1) from None
    if not hold(runs.folder):
        print(
            f"Another server keeps its runs in {runs.folder}. End it, or name another folder in MINIGPT_RUNS.",
            file=sys.stderr,
        )
        raise SystemExit(1)
    # What Gradio and the page write for one visit is below one folder, which goes with the server.
    tempfile.tempdir = tempfile.mkdtemp(prefix="minigpt-")
    try:
        page = Page(runs)
        blocks: gr.Blocks = build(page)
        _, url, _ = blocks.launch(prevent_thread_lock=True, **launch_options())  # type: ignore[arg-type]
        page.warm_up()  # Not before: on few cores the page itself would wait for the workers' imports.
        print(f"miniGPT is at {url}  (Ctrl+C ends it)", flush=True)
        while not asked.wait(0.2):  # In short waits: on Windows nothing interrupts a long one.
            pass
    finally:
        runs.close()
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    _leave()


def _listen(asked: threading.Event) -> None:
    """Ctrl+C, SIGTERM and on Windows Ctrl+Break ask for the end; who asks twice does not wait for it."""

    def end(*_: object) -> None:
        if asked.is_set():
            os._exit(1)
        asked.set()

    if threading.current_thread() is threading.main_thread():  # Elsewhere Python takes no signals.
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), end)


def _leave() -> None:
    # Python would wait here for the threads of every open page, and uvicorn for their streams: minutes, or for ever.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
