"""Every kind of damage to a run as the page and programs meet it: in words, with what is whole still at work."""

import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from browsing import LONG, open_page
from damages import MODEL, RECORD, REST, refuse_the_locked
from gate import SETTINGS, TEXT
from gradio_client import Client
from gradio_client.exceptions import AppError
from own_server import wait
from playwright.sync_api import Browser, Page, expect
from served import Served

from minigpt import checkpoint
from minigpt.runs import recovery, store

PROMPT = "the old dog"
ASKING = {
    "generate": {"prompt": PROMPT, "max_new_tokens": 3},
    "attention": {"prompt": PROMPT},
    "heads": {"cost": False},
    "mute": {"heads": ["1.1"]},
    "film": {},
}
KINDS = {**MODEL, **RECORD, **REST}
WITHOUT_CURVE = (checkpoint.GONE, checkpoint.EMPTY, checkpoint.UNREADABLE)


@dataclass(frozen=True)
class Damage:
    """A server with runs of every kind of damage, by their sentences, and one beside them that is whole."""

    server: Served
    ids: dict[str, str]
    whole: str

    def said(self, sentence: str) -> str:
        """What is said of the run."""
        return sentence if sentence in REST else f"{sentence} {recovery.ANEW}"


@pytest.fixture(scope="module")
def damage(server: Served) -> Iterator[Damage]:
    folder = server.runs.folder
    whole = server.runs.start(TEXT, replace(SETTINGS, training=replace(SETTINGS.training, steps=8)))
    wait(lambda: server.runs.progress(whole).status == "finished", "a run of eight steps ends")
    ids = {sentence: secrets.token_urlsafe(16) for sentence in KINDS}
    with pytest.MonkeyPatch.context() as patch:
        refuse_the_locked(patch)
        for sentence, run in ids.items():
            shutil.copytree(folder / whole, folder / run)
            KINDS[sentence](folder / run)
        before = contents(folder / whole)
        yield Damage(server, ids, whole)
        assert contents(folder / whole) == before, "the run beside was touched"
        server.runs.step(whole)
        wait(lambda: server.runs.progress(whole).step == 9, "the run beside goes on")
    for run in ids.values():
        shutil.rmtree(folder / run)


@pytest.fixture(scope="module")
def client(damage: Damage) -> Iterator[Client]:
    client = Client(damage.server.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.*")}


def in_words(said: str, damage: Damage) -> None:
    """No place on this machine, no traceback, and no bare word that helps nobody."""
    assert str(damage.server.runs.folder.parent) not in said
    assert not re.search(r"Traceback|Exception|\bErrno\b|\.safetensors|\.json|\.npz|\bError\b", said), said


@pytest.mark.parametrize("sentence", KINDS)
def test_a_program_is_told_which_part_is_damaged_and_the_rest_answers(
    damage: Damage, client: Client, sentence: str
) -> None:
    run = damage.ids[sentence]
    now: dict[str, Any] = client.predict(run, api_name="/progress")
    assert now["message"] == damage.said(sentence)
    in_words(now["message"], damage)
    assert now["state"] == ("finished" if sentence in REST else "failed")
    assert (now["train_loss"] is None) == (sentence in WITHOUT_CURVE)
    for name, given in ASKING.items():
        if sentence not in MODEL:
            assert client.predict(run, **given, api_name=f"/{name}")
            continue
        with pytest.raises(AppError) as refused:
            client.predict(run, **given, api_name=f"/{name}")
        assert str(refused.value) == sentence, name
    if sentence in (recovery.damaged_moments(1), recovery.missing_moments(1)):
        steps = [moment["step"] for moment in client.predict(run, api_name="/film")["moments"]]
        assert (3 in steps, 5 in steps, steps[-1]) == (False, True, 8)
    assert client.predict(damage.whole, PROMPT, max_new_tokens=1, api_name="/generate")["text"]


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Iterator[Page]:
    """One page, and all that was logged as an error on it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("sentence", KINDS)
def test_the_page_says_which_part_is_damaged_and_shows_the_rest(damage: Damage, opened: Page, sentence: str) -> None:
    open_page(opened, f"{damage.server.url}?run={damage.ids[sentence]}")
    expect(opened.locator("#run-message")).to_contain_text(damage.said(sentence), timeout=LONG)
    expect(opened.locator("#status")).to_contain_text("Finished" if sentence in REST else "Damaged")
    gone = sentence.startswith(store.TEXT_GONE)
    expect(opened.locator("#text textarea")).to_have_value(
        "" if gone else "another" if sentence == store.TEXT_CHANGED else TEXT.replace("\r", "")
    )
    drawn = "document.querySelector('#loss-curve .js-plotly-plot').data.some(t => t.name === 'train' && t.x.length > 1)"
    assert opened.evaluate(drawn) == (sentence not in WITHOUT_CURVE)
    if sentence not in RECORD:  # There the page writes by itself, after a prompt from the text.
        opened.fill("#prompt :is(textarea, input)", PROMPT)
        opened.click("#generate")
    if sentence in MODEL:
        expect(opened.locator("#explore-message")).to_contain_text(sentence)
    else:
        expect(opened.locator("#continuation .t.in")).not_to_have_count(0)
    in_words(opened.inner_text("body"), damage)
