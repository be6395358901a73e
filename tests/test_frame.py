"""The page in a frame of another site that is as tall as the page, with the browser's storage blocked and not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import LONG, open_page
from framing import SMALL, from_npm, parent, signed
from playwright.sync_api import Browser, Frame, Page, expect
from served import Served

from minigpt.runs import local_runs
from minigpt.ui.guides import GUIDES
from minigpt.ui.handlers import Page as Handlers
from minigpt.ui.layout import build
from minigpt.ui.server import launch_options

HUB = "https://huggingface.co/spaces/somebody/minigpt"
# What a browser that blocks third-party storage does, at once and in every frame.
BLOCKED = """for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, {
    get() { throw new DOMException("Access is denied for this document.", "SecurityError"); } });"""


def framed(page: Page, url: str, resizer: str) -> Frame:
    """Open the host's page, and wait until the page in its frame is drawn."""
    page.route(f"{HUB}*", lambda route: route.fulfill(body=parent(signed(url), resizer), content_type="text/html"))
    page.goto(HUB)
    frame = page.locator("iframe").element_handle().content_frame()
    frame.wait_for_selector("#loss-curve .main-svg", timeout=LONG)
    return frame


def height(page: Page) -> float:
    return page.locator("iframe").bounding_box()["height"]


def in_sight(page: Page, frame: Frame, selector: str) -> bool:
    """Whether something in the frame stands inside the host's window, wherever that was scrolled to."""
    box, size = frame.locator(selector).bounding_box(), page.viewport_size  # bounding_box is in the host's window
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= size["height"]


def comes_in_sight(page: Page, frame: Frame, selector: str) -> None:
    frame.locator(selector).wait_for(timeout=LONG)
    end = time.monotonic() + LONG / 1000
    while not in_sight(page, frame, selector):
        assert time.monotonic() < end, f"{selector} stays out of sight: {frame.locator(selector).bounding_box()}"
        page.wait_for_timeout(100)


@pytest.fixture(params=["blocked", "open"])
def host(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of the host, with the storage of what it frames blocked or not."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    if request.param == "blocked":
        page.add_init_script(BLOCKED)
    yield page
    page.context.close()


@pytest.mark.browser
def test_in_a_frame_it_opens_keeps_its_height_and_the_host_hears_of_the_run(host: Page, server: Served) -> None:
    frame = framed(host, server.url, SMALL)
    run = trained_in(host, frame, server)
    assert host.evaluate("told.at(-1)") == f"run={run}", "nothing of what the Hub adds for itself"

    # The link is the page's own, without the key to a private Space; a frame that may not copy offers it by hand.
    frame.click("#link button")
    field = frame.locator("#link input")
    expect(field).to_have_value(f"{server.url}?run={run}")
    assert frame.evaluate("getSelection().toString() === document.querySelector('#link input').value")
    other = host.context.browser.new_context().new_page()
    open_page(other, field.input_value())
    expect(other.locator("#status")).to_contain_text("Finished")
    other.context.close()


def trained_in(host: Page, frame: Frame, server: Served) -> str:
    """Train a short run of a lesson in the frame; returns its id. The frame's height stays as it is."""
    frame.fill("#text textarea", "the old king saw the small dog . the small dog ran . " * 12)
    expect(frame.locator("#lesson input")).to_have_value("Your own text")
    while not frame.locator("#steps input").is_visible():  # An answer that is on its way closes it again.
        frame.click("#settings > button")
        host.wait_for_timeout(1000)
    frame.fill("#steps input", "40")
    frame.fill("#batch input", "4")
    frame.press("#batch input", "Tab")
    expect(frame.locator("#settings > button")).to_contain_text("40 step", timeout=LONG)
    frame.click("#train")
    frame.wait_for_url("**run=*")
    run = frame.evaluate("new URL(location.href).searchParams.get('run')")
    began = time.monotonic()
    frame.wait_for_selector("#p-deeper tbody tr", timeout=LONG)  # the last of what a run brings with it
    host.wait_for_timeout(max(0, 5000 - 1000 * (time.monotonic() - began)))
    seen, rested = [], None
    while rested is None or time.monotonic() < rested + 3:
        seen.append(height(host))
        host.wait_for_timeout(250)
        if rested is None and server.runs.progress(run).status == "finished":
            rested = time.monotonic()
    expect(frame.locator("#status")).to_contain_text("Finished", timeout=LONG)
    seen += [height(host)]
    print(f"\nframe: {min(seen):.0f} to {max(seen):.0f} px from 5 s after the start to the end of the run")
    assert max(seen) - min(seen) <= 40
    return run


@pytest.mark.browser
def test_in_a_frame_the_card_of_the_guide_is_in_sight_at_each_step(host: Page, server: Served) -> None:
    frame = framed(host, server.url, SMALL)
    run = server.short_run("stories")
    frame.goto(f"{server.url}?run={run}")
    frame.wait_for_selector("#head .main-svg", timeout=LONG)
    frame.click("#guide-offer button")
    for step in range(len(GUIDES["stories"])):
        expect(frame.locator("#guide h3")).to_contain_text(f"step {step + 1} of")
        comes_in_sight(host, frame, "#guide .mg-guide")
        comes_in_sight(host, frame, "#guide .mg-next")
        frame.locator("#guide .mg-next").click()
    expect(frame.locator("#guide .mg-guide")).to_have_count(0)


@pytest.mark.browser
@pytest.mark.slow
def test_ten_of_ten_loads_with_iframe_resizer_from_npm(browser: Browser, server: Served, tmp_path: Path) -> None:
    # Minutes, and a registry: the tests above speak the same protocol.
    resizer = from_npm(tmp_path) if os.environ.get("MINIGPT_LONG") else None
    if resizer is None:
        pytest.skip("the long form: MINIGPT_LONG=1, where npm and its network are")
    for load in range(10):
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        if load % 2:
            page.add_init_script(BLOCKED)
        frame = framed(page, server.url, resizer)
        expect(frame.locator("#loss-curve .main-svg")).to_be_visible()
        if load < 2:
            trained_in(page, frame, server)
        page.context.close()


@pytest.mark.parametrize(("host", "home"), [("a-b.hf.space", "https://a-b.hf.space/"), ("", "")])
def test_others_find_a_space_at_the_address_of_its_host(host: str, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_HOST", host)
    assert f'miniGPTHome = "{home}"' in launch_options()["head"]


def test_a_space_asks_no_other_host_for_a_header(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/minigpt")
    assert build(Handlers(local_runs(tmp_path, 1))).get_config_file()["space_id"] is None
