"""What holds for every test: annotations are checked at run time, and nothing is asked of the network."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import browsing
import find_browser
import pytest
from jaxtyping import config as checker
from jaxtyping import install_import_hook
from playwright.sync_api import Browser, Page, expect, sync_playwright

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

PACKAGE = Path(__file__).parent.parent / "minigpt"
# As in mypy, an int will do where a float is asked for (PEP 484's numeric tower).
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"


def checked_modules() -> Iterator[str]:
    """The modules of miniGPT whose annotations the tests check: all but `minigpt.ui` and the door, `minigpt` itself.

    A checked handler no longer looks like a generator to Gradio, so `ui` would stop streaming. The door only passes
    names on, and the name `minigpt` would take everything beneath it along, `ui` included.
    """
    for path in sorted(PACKAGE.iterdir()):
        is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
        if is_module and path.stem not in {"__init__", "ui"}:
            yield f"minigpt.{path.stem}"


# A module that is imported already stays as it is, unchecked: this must come first.
assert not any(name.startswith("minigpt.") for name in sys.modules), "minigpt was imported before its checker was on"
install_import_hook(list(checked_modules()), CHECKER)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations go unchecked, as outside the tests: a wrong type meets the sentence that a reader would get."""
    monkeypatch.setattr(checker, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser for tests marked `browser`. `make test` finds or fetches one; plain `pytest` takes what is there."""
    browser = find_browser.named() or find_browser.installed() or find_browser.playwrights_own()
    if browser is None:
        pytest.skip("no Chromium or Chrome here: `make test` fetches one, MINIGPT_BROWSER names one")
    return str(browser)


@pytest.fixture(scope="session")
def browser(browser_path: str) -> Iterator[Browser]:
    """One browser for all tests marked `browser`."""
    with sync_playwright() as playwright:
        # Playwright waits 5 s by itself; a loaded machine is slow, and a test must say so only when something is wrong.
        expect.set_options(timeout=browsing.LONG / 2)
        browser = playwright.chromium.launch(executable_path=browser_path, args=browsing.FLAGS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def nothing_stays_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """A page that a failing test left open would work on, and slow every test that follows."""
    if "browser" not in request.fixturenames:
        yield
        return
    browser = request.getfixturevalue("browser")
    before = set(browser.contexts)  # of fixtures that outlive the test
    yield
    for context in set(browser.contexts) - before:
        context.close()


@pytest.fixture(scope="session")
def apart() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run a coroutine to its end, in a thread of its own: a browser's driver may have this thread's loop."""
    with ThreadPoolExecutor(1) as thread:
        yield lambda work: thread.submit(asyncio.run, work).result()  # noqa: TID251


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """The real page, served with a warm worker and a folder of runs of its own."""
    import served  # Not above: it imports minigpt, and the checker must come first.

    with served.served() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Any) -> Iterator[Page]:
    """An open page that fails its test if anything is logged as an error, or asked of another machine."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.on(
        "console",
        lambda said: wrong.append(said.text) if said.type == "error" and not browsing.cut(said.text) else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda asked: wrong.append(asked.url) if browsing.leaves(asked.url, server.url) else None)
    browsing.open_page(page, server.url)
    yield page
    context.close()
    assert [said for said in wrong if not browsing.cut(said)] == []
