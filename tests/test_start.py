"""From `python app.py` to a page: what is left out of the way, and in which order things begin."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from minigpt.runs import NICE
from minigpt.ui import handlers, server


def alone(code: str) -> str:
    """What the code prints in a Python of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_page_is_ready_without_the_compiler_of_torch_and_without_stubs_for_editors():
    code = """
import ast, inspect, sys
import minigpt
read, file_of, cut = [], inspect.getfile, ast.get_source_segment
ast.get_source_segment = lambda source, node: read.append(node.name) or cut(source, node)
from minigpt.ui.handlers import Page
from minigpt.ui.layout import build
build(Page(None))
# Each import of it takes as long as torch itself.
print("torch._dynamo" in sys.modules, inspect.getfile is file_of, *sorted(set(read)))
"""
    compiler, whole, *stubs = alone(code).split()
    assert (compiler, whole) == ("False", "True")
    assert set(stubs) <= {"Api", "Fragment", "PlotlyView"}, "made while the page is built; Gradio has eighty more"


def test_the_page_is_served_before_the_workers_begin(monkeypatch, tmp_path):
    order: list[str] = []

    class Blocks:
        def launch(self, **_: object) -> tuple[None, str, None]:
            order.append("served")
            print("🔨 Launching MCP server")  # As Gradio does.
            return None, "http://there", None

    class Runs:
        folder = tmp_path

        def close(self) -> None:
            order.append("closed")

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))  # A pipe on Windows.
    monkeypatch.setattr(server, "local_runs", Runs)
    monkeypatch.setattr(server, "build", lambda page: Blocks())
    monkeypatch.setattr(handlers.Page, "warm_up", lambda page: order.append("workers"))
    monkeypatch.setattr(server.torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(server, "_listen", lambda asked: asked.set())
    monkeypatch.setattr(server, "_leave", lambda: order.append("left"))
    monkeypatch.setattr(server.tempfile, "tempdir", None)
    server.serve()
    assert order == ["served", "workers", "closed", "left"]


BEHIND = """
import os, sys, time
from functools import partial
from pathlib import Path
from minigpt.runs import local_runs
from minigpt.ui.handlers import Page

if __name__ == "__main__":
    folder, by_the_page = Path(sys.argv[1]), sys.argv[2] == "page"
    runs = local_runs(folder, n_workers=1)
    if by_the_page:
        page = Page(runs)
        page.warm_up()
        while not (workers := [pid for lane in runs._lanes._executors if lane for pid in lane._processes or ()]):
            time.sleep(0.01)
        print(os.getpriority(os.PRIO_PROCESS, workers[0]))  # From its first import on.
        while page.speed is None:
            time.sleep(0.05)
    print(runs.submit(partial(os.nice, 0)).result(), os.nice(0))
    # As nice is one that begins when the first has died.
    other = local_runs(folder / "other", n_workers=1)
    print(other.submit(partial(os.nice, 0)).result())
    other.close()
    runs.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a niceness of its own")
@pytest.mark.parametrize("starter", ["page", "terminal"])
def test_workers_stand_behind_whoever_starts_them(tmp_path, starter):
    # In a Python of its own: what the workers are forked from is there once in each, and as nice as its first thread.
    (tmp_path / "behind.py").write_text(BEHIND)
    command = [sys.executable, str(tmp_path / "behind.py"), str(tmp_path / "runs"), starter]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "TMPDIR": tempfile.gettempdir()}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=240)
    ours = os.nice(0)
    at_first = [ours + NICE] if starter == "page" else []
    assert [*map(int, done.stdout.split())] == [*at_first, ours + NICE, ours, ours + NICE]
