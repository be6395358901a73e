"""The page in a frame of another site that is as tall as the page, with the browser's storage denied and not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import LONG, open_page
from framing import CHOICES, FOUND, SMALL, from_npm, parent, reader, signed
from playwright.sync_api import Browser, Frame, Page, expect
from served import Served

from minigpt.runs import local_runs
from minigpt.ui.guides import GUIDES
from minigpt.ui.handlers import Page as Handlers
from minigpt.ui.layout import build
from minigpt.ui.server import launch_options

HUB = "https://huggingface.co/spaces/somebody/minigpt"


def framed(page: Page, url: str, resizer: str, theme: str = "light") -> Frame:
    """Open the host's page, and wait until the page in its frame is drawn."""
    body = parent(signed(url, theme), resizer)
    page.route(f"{HUB}*", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(HUB)
    frame = page.locator("iframe").element_handle().content_frame()
    frame.wait_for_selector("#loss-curve .main-svg", timeout=LONG)
    return frame


def heights(page: Page, seconds: float) -> list[float]:
    """How tall the frame is for some seconds, four times each."""
    seen = []
    for _ in range(int(4 * seconds)):
        seen.append(page.locator("iframe").bounding_box()["height"])
        page.wait_for_timeout(250)
    return seen


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


@pytest.fixture(params=["denied", "open"])
def host(browser: Browser, browser_path: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of the host in the browser of a reader who denies storage to the frames of others, or does not."""
    size = {"width": 1280, "height": 800}
    with reader(browser, browser_path, tmp_path / "profile", request.param, viewport=size) as context:
        yield context.new_page()


@pytest.mark.browser
def test_in_a_frame_it_opens_keeps_its_height_and_the_host_hears_of_the_run(
    browser: Browser, host: Page, server: Served, request: pytest.FixtureRequest
) -> None:
    frame = framed(host, server.url, SMALL)
    denied = request.node.callspec.params["host"] == "denied"
    assert frame.evaluate(FOUND) == ("SecurityError" if denied else "open")
    run = trained_in(host, frame, server)
    assert host.evaluate("told.at(-1)") == f"run={run}", "nothing of what the Hub adds for itself"

    # The link is the page's own, without the key to a private Space; a frame that may not copy offers it by hand.
    frame.click("#link button")
    field = frame.locator("#link input")
    expect(field).to_have_value(f"{server.url}?run={run}")
    assert frame.evaluate("getSelection().toString() === document.querySelector('#link input').value")
    other = browser.new_context().new_page()
    open_page(other, field.input_value())
    expect(other.locator("#status")).to_contain_text("Stopped")
    other.context.close()


def trained_in(host: Page, frame: Frame, server: Served) -> str:
    """Train in the frame for some seconds; returns the run's id. From 5 s on the frame's height stays as it is."""
    frame.fill("#text textarea", "the old king saw the small dog . the small dog ran . " * 12)
    expect(frame.locator("#lesson input")).to_have_value("Your own text")
    while not frame.locator("#steps input").is_visible():  # An answer that is on its way closes it again.
        frame.click("#settings > button")
        host.wait_for_timeout(1000)
    frame.fill("#steps input", "20000")
    frame.fill("#batch input", "4")
    frame.press("#batch input", "Tab")
    expect(frame.locator("#settings > button")).to_contain_text("20,000 steps", timeout=LONG)
    frame.click("#settings > button")  # Open, it would be the taller column, and what grows beside it would not show.
    frame.click("#train")
    frame.wait_for_url("**run=*")
    began = time.monotonic()
    run = frame.evaluate("new URL(location.href).searchParams.get('run')")
    frame.wait_for_selector("#deeper-message .mg-msg", timeout=LONG)  # the last of what a run brings with it
    host.wait_for_timeout(max(0, 5000 - 1000 * (time.monotonic() - began)))
    seen = heights(host, 3)
    frame.click("#stop")
    frame.wait_for_selector("#p-deeper tbody tr", timeout=LONG)
    seen += heights(host, 3)
    expect(frame.locator("#status")).to_contain_text("Stopped")
    print(f"\nframe: {min(seen):.0f} to {max(seen):.0f} px from 5 s after the start to 3 s after the end")
    assert max(seen) - min(seen) <= 40, f"the host's page jumps: {seen}"
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
def test_in_a_dark_frame_of_1024_px_it_keeps_its_height(browser: Browser, server: Served) -> None:
    page = browser.new_context(viewport={"width": 1024, "height": 800}).new_page()
    frame = framed(page, server.url, SMALL, "dark")
    assert frame.evaluate("document.body.classList.contains('dark')")
    trained_in(page, frame, server)


@pytest.mark.browser
@pytest.mark.slow
def test_ten_of_ten_loads_with_iframe_resizer_from_npm(
    browser: Browser, browser_path: str, server: Served, tmp_path: Path
) -> None:
    # Minutes, and a registry: the tests above speak the same protocol.
    resizer = from_npm(tmp_path) if os.environ.get("MINIGPT_LONG") else None
    if resizer is None:
        pytest.skip("the long form: MINIGPT_LONG=1, where npm and its network are")
    for load in range(10):
        storage = list(CHOICES)[load % 3]
        options = {"viewport": {"width": (1280, 1024)[load % 2], "height": 800}}
        with reader(browser, browser_path, tmp_path / f"{load}", storage, **options) as context:
            page = context.new_page()
            frame = framed(page, server.url, resizer, ("light", "dark")[load // 2 % 2])
            expect(frame.locator("#loss-curve .main-svg").first).to_be_visible()
            assert frame.evaluate(FOUND) == ("SecurityError" if storage == "denied" else "open")
            print(f"\nload {load + 1}: {storage}, {options['viewport']['width']} px", end="")
            if load < 4:
                trained_in(page, frame, server)


@pytest.mark.parametrize(("host", "home"), [("a-b.hf.space", "https://a-b.hf.space/"), ("", "")])
def test_others_find_a_space_at_the_address_of_its_host(host: str, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_HOST", host)
    assert f'miniGPTHome = "{home}"' in launch_options()["head"]


def test_a_space_asks_no_other_host_for_a_header(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/minigpt")
    assert build(Handlers(local_runs(tmp_path, 1))).get_config_file()["space_id"] is None
