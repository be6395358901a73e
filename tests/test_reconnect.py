"""A connection that breaks: offline, a server started anew, a page loaded anew. Nothing shown or typed is lost."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from browsing import BUSY, LONG, open_page, paste, run_of, step_of
from playwright.sync_api import Browser, Page, expect
from served import Served

from minigpt.paths import asset
from minigpt.ui.explorer import Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.handlers import Page as Handlers
from minigpt.ui.returning import N_RETURN, TYPED, Returning, _selection

ROOT = Path(__file__).parent.parent
TEXT = "the old king saw the small dog . the small dog ran . " * 20
LOST = "Connection lost, trying again"
OPEN_SETTINGS = "() => document.querySelector('#steps input') || document.querySelector('#settings > button').click()"
PROMPT = "#prompt :is(textarea, input)"


def until(page: Page, script: str, argument: object = None) -> float:
    """Seconds until a script of the page says yes; asked from here, because a busy page draws no frames."""
    began = time.monotonic()
    while not page.evaluate(script, argument):
        assert time.monotonic() - began < LONG / 1000, f"never: {script}"
        time.sleep(0.05)
    return time.monotonic() - began


def press(page: Page, selector: str) -> None:
    page.evaluate("selector => document.querySelector(selector).click()", selector)


def typed(page: Page, selector: str, text: str) -> None:
    page.evaluate(
        """([selector, text]) => { const field = document.querySelector(selector); field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true })) }""",
        [selector, text],
    )


def bar(page: Page) -> str | None:
    return page.evaluate("document.querySelector('#mg-lost')?.textContent ?? null")


def a_run_that_moves(page: Page) -> str:
    """A run that is far from its end, with a prompt that was asked for; returns what was written after it."""
    paste(page, TEXT)
    expect(page.locator("#lesson input")).to_have_value(re.compile("Your own text|Eigener Text"))
    until(page, OPEN_SETTINGS)
    for field, value in {"steps": 100000, "layers": 1, "width": 16, "heads": 2, "batch": 2}.items():
        typed(page, f"#{field} input", str(value))
        page.dispatch_event(f"#{field} input", "blur")
    until(page, "() => /100,000|100 000|100.000/.test(document.querySelector('#settings > button').textContent)")
    press(page, "#train")
    run_of(page)
    until(page, "() => /step [1-9]|Schritt [1-9]/.test(document.querySelector('#status').innerText)")
    typed(page, PROMPT, "the small")
    press(page, "#generate")
    until(page, "() => document.querySelectorAll('#continuation .t.in').length === 2")
    until(page, "() => JSON.parse(sessionStorage.getItem('minigpt-kept')).mirror.includes('\"key\"')")
    time.sleep(1)  # What a page tells its browser to keep is told once more by the server.
    return written(page)


def written(page: Page) -> str:
    return page.evaluate("[...document.querySelectorAll('#continuation .t')].map(t => t.innerText).join(' ')")


@pytest.mark.browser
def test_offline_for_a_while_everything_stays_and_what_was_pressed_is_done_then(
    browser: Browser, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    open_page(page, server.url)
    was = a_run_that_moves(page)
    page.evaluate("window.mgSamePage = true")
    page.context.set_offline(True)
    said = until(page, "() => document.querySelector('#mg-lost')")
    assert bar(page) == LOST
    press(page, "#pause")
    typed(page, PROMPT, "typed offline")
    time.sleep(3)
    run = run_of(page)
    assert server.runs.progress(run).status == "training"
    assert "step" in page.inner_text("#status")
    assert written(page) == was
    explored, paused_by_then = Returning._explored, []

    def waits(*args: object) -> object:
        """What the page looked at comes back last: Pause must not wait for it."""
        end = time.monotonic() + 5
        while server.runs.progress(run).status != "paused" and time.monotonic() < end:
            time.sleep(0.05)
        paused_by_then.append(server.runs.progress(run).status)
        return explored(*args)

    monkeypatch.setattr(Returning, "_explored", waits)
    page.context.set_offline(False)
    back = until(page, "() => !document.querySelector('#mg-lost')")
    paused = back + until(page, "() => !document.querySelector('#train').disabled")
    print(
        f"\noffline: said after {said:.1f} s; back {back:.1f} s after the network, paused as asked after {paused:.1f} s"
    )
    assert paused_by_then == ["paused"]
    assert server.runs.progress(run).status == "paused"
    assert "Paused" in page.inner_text("#status")
    assert page.input_value(PROMPT) == "typed offline"
    assert written(page) == was
    assert page.evaluate("window.mgSamePage"), "the page was loaded anew"
    # The server knows what is shown here: a token can be clicked.
    press(page, "#continuation .t:nth-of-type(2)")
    until(page, "() => document.querySelectorAll('#continuation .t.on').length === 1")
    expect(page.locator("#explore-message .mg-msg")).to_have_count(0)
    assert back <= paused <= 3 * BUSY
    server.runs.stop(run)
    page.context.close()


@pytest.fixture
def restarts(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server in a process of its own: its address, and a way to kill it and start it again on the same port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asked = {"GRADIO_SERVER_PORT": str(port), "MINIGPT_RUNS": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    started: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        for old in started:
            with suppress(ProcessLookupError):
                os.killpg(old.pid, signal.SIGKILL)
            old.wait()
        app = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **asked}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started[:] = [app]
        for _ in range(1200):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/gradio_api/app_id", timeout=5):
                return
            time.sleep(0.1)
        raise AssertionError("the server does not start")

    restart()
    yield f"http://127.0.0.1:{port}/", restart
    os.killpg(started[0].pid, signal.SIGKILL)
    started[0].wait()


@pytest.mark.browser
@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes")
def test_a_server_started_anew_is_found_and_a_reload_loses_nothing(browser: Browser, restarts) -> None:
    address, restart = restarts
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="de-DE").new_page()
    page.goto(address)
    page.wait_for_selector("#loss-curve .main-svg", timeout=LONG)
    a_run_that_moves(page)
    page.evaluate("window.mgSamePage = true")
    before = page.inner_text("#status")
    restart()
    said = json.loads(asset("words.de.json").read_text(encoding="utf-8"))[LOST]
    assert bar(page) in (said, None), "in the page's language, or back already"
    back = until(page, "() => !document.querySelector('#mg-lost')")
    moved = back + until(page, "before => document.querySelector('#status').innerText !== before", before)
    print(f"\nrestart: back {back:.1f} s after the server, its run moves after {moved:.1f} s")
    assert page.evaluate("window.mgSamePage"), "the page was loaded anew"
    assert written(page).startswith("the small")
    assert back <= 3 * BUSY
    press(page, "#pause")
    until(page, "() => !document.querySelector('#train').disabled")

    typed(page, PROMPT, "typed before the reload")
    typed(page, "#seed input", "7")
    kept = "JSON.parse(sessionStorage.getItem('minigpt-kept')).typed"
    until(page, f"() => {kept}.prompt === 'typed before the reload' && {kept}.seed === 7")
    was = written(page)
    page.reload()
    until(page, "() => document.querySelectorAll('#continuation .t').length > 2")
    assert page.input_value(PROMPT) == "typed before the reload"
    assert page.input_value("#text textarea") == TEXT
    until(page, OPEN_SETTINGS)
    assert page.input_value("#seed input") == "7"
    assert written(page) == was
    page.context.close()


@contextmanager
def asleep() -> Iterator[None]:
    """The browser as on a laptop that sleeps: none of its processes does anything, and its clock goes on."""
    processes = [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name().lower()]
    assert processes
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.mark.browser
@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes")
def test_a_laptop_that_slept_finds_its_run_where_it_is(browser: Browser, restarts) -> None:
    address, restart = restarts
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_selector("#loss-curve .main-svg", timeout=LONG)
    was = a_run_that_moves(page)
    typed(page, PROMPT, "typed before the sleep")
    page.evaluate("window.mgSamePage = true")
    moves = "before => document.querySelector('#status').innerText !== before"
    for what, sleep in {"the server went on": lambda: time.sleep(10), "the server was started anew": restart}.items():
        before = page.inner_text("#status")
        with asleep():
            sleep()
        back = until(page, moves, before) + until(page, "() => !document.querySelector('#mg-lost')")
        step = step_of(page)
        print(f"\nslept while {what}: where the run is after {back:.1f} s, at step {step:,}")
        assert page.evaluate("window.mgSamePage"), "the page was loaded anew"
        assert back <= 3 * BUSY
        # A new server writes the same prompt again, with the model as it is by now: it starts alike.
        assert written(page).startswith("the small")
        assert sleep is restart or written(page) == was
        assert page.input_value(PROMPT) == "typed before the sleep"
    press(page, "#pause")
    until(page, "() => !document.querySelector('#train').disabled")
    page.context.close()


@pytest.fixture
def returning(tmp_path: Path) -> Returning:
    from minigpt.runs import local_runs

    handlers = Handlers(local_runs(tmp_path, 1))
    return Returning(handlers, Exploring(handlers))


class Asked:
    session_hash = "here"


def test_what_a_page_looked_at_is_told_and_found_again(returning: Returning) -> None:
    chosen = Selection("key", 1, 2, 3, "attention", picked=True)
    told = json.loads(returning.mirror(chosen, {"n_lines": 60}))
    assert _selection(told["selection"]) == chosen
    assert told["drawn_with"] == {"n_lines": 60}


def test_what_was_typed_comes_back_by_its_name(returning: Returning) -> None:
    kept = json.dumps({"typed": {"text": "mine", "seed": 7}, "own": "mine", "mirror": '{"drawn_with": {"longest": 5}}'})
    back = returning.come_back(kept, "", Asked())
    assert len(back) == N_RETURN
    assert (back[TYPED.index("text")], back[TYPED.index("seed")]) == ("mine", 7)
    assert back[len(TYPED)] == {"longest": 5}
    assert back[len(TYPED) + 1] == "mine"


@pytest.mark.parametrize(
    "kept", ["", "[", "[1]", "null", '{"typed": 1, "mirror": "{"}', '{"mirror": {"selection": {"key": 1}}}',
             '{"run": "no", "mirror": {"selection": {"key": "k", "layer": -1, "head": 0, "position": 0}}}'],
)  # fmt: skip
def test_what_no_page_kept_changes_nothing(returning: Returning, kept: str) -> None:
    back = returning.come_back(kept, "no", Asked())
    assert all(isinstance(update, dict) and update["__type__"] == "update" for update in back)
