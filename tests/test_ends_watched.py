"""The server ends as it is asked to while pages and programs look on: within five seconds, and it leaves nothing."""

import signal
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from browsing import LONG, open_page
from own_server import PATIENCE, own_server, step_on_disk, wait
from playwright.sync_api import Browser, expect
from test_ends import left_at_work

N_STREAMS = 6


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_server_that_is_looked_at_ends_within_five_seconds_and_leaves_nothing(
    browser: Browser, tmp_path: Path, ask: signal.Signals
) -> None:
    folder = tmp_path / "runs"
    run_id = left_at_work(folder)
    page = browser.new_context().new_page()
    with own_server(folder, tmp_path) as server:
        open_page(page, f"{server.url}?run={run_id}")
        expect(page.locator("#status")).to_contain_text("Training", timeout=LONG)
        streams = []
        for _ in range(N_STREAMS):
            event = server.begin("progress", run_id=run_id)
            streams.append(urllib.request.urlopen(f"{server.url}gradio_api/call/progress/{event}", timeout=PATIENCE))
            assert streams[-1].readline().startswith(b"event: ")
        at = step_on_disk(folder / run_id)
        wait(lambda: step_on_disk(folder / run_id) > at, "the run is at work")
        processes = psutil.Process(server.process.pid).children(recursive=True)
        assert len(server.workers()) == 2
        began = time.monotonic()
        server.process.send_signal(ask)
        code = server.process.wait(30)
        ended = time.monotonic() - began
        _, alive = psutil.wait_procs(processes, timeout=max(0.1, 5 - ended))
        print(f"\n{ask.name}: the server ended after {ended:.1f} s, all of it after {time.monotonic() - began:.1f} s")
        assert (code, alive, ended < 5) == (0, [], True)
        assert "Traceback" not in server.said.read_text()
        for stream in streams:
            stream.close()
        assert sorted(path.name for path in folder.iterdir()) == sorted([run_id, "server.lock", "visitors.key"])
        assert [path for path in folder.rglob("*") if path.name.endswith(".partial")] == []
        left = list(server.temporary.rglob("*"))  # Gradio and torch make a folder each as they are imported.
        assert [path for path in left if path.is_file() or path.name.startswith("minigpt")] == []
    page.context.close()
