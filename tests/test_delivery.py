"""How the page's files reach a browser: early, small, once, from this machine."""

import gzip
import re
import urllib.request
from collections.abc import Iterator
from email.message import Message

import gradio as gr
import plotly.offline
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from minigpt.paths import asset
from minigpt.ui import delivery
from minigpt.ui.delivery import address, early
from minigpt.ui.view import SCRIPTS, head_html


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    with gr.Blocks() as demo:
        gr.Button("a page")
    _, url, _ = demo.launch(
        head=head_html(), app_kwargs={"middleware": [early(SCRIPTS)]}, prevent_thread_lock=True, quiet=True
    )
    yield url
    demo.close()


def headers_of(url: str) -> Message:
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "br"})
    with urllib.request.urlopen(asked) as answer:
        answer.read()
        return answer.headers


def test_the_first_line_of_the_page_names_the_scripts_that_its_head_will_ask_for(home):
    named = re.findall(r"<([^>]+)>; rel=preload; as=script", headers_of(home)["Link"])
    assert named == [address(name) for name in SCRIPTS]
    assert re.findall(r'src="([^"]+)"', head_html()) == named


def test_addresses_hold_wherever_the_page_lives():
    assert not [name for name in SCRIPTS if address(name).startswith(("/", "http"))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_kept_for_ever_and_travels_packed(home, name):
    asked = urllib.request.Request(home + address(name), headers={"Accept-Encoding": "gzip, deflate, br"})
    with urllib.request.urlopen(asked) as answer:
        body, headers = answer.read(), answer.headers
    assert "immutable" in headers["Cache-Control"]
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Type"].startswith("text/javascript")
    assert gzip.decompress(body) == asset(name).read_bytes()
    assert len(body) < 510_000  # bytes; Plotly with all its charts is 1.4 million, packed while the visitor waits


def test_who_cannot_unpack_gets_the_script_as_it_is(home):
    with urllib.request.urlopen(home + address(SCRIPTS[0])) as answer:
        assert answer.read() == asset(SCRIPTS[0]).read_bytes()


@pytest.mark.parametrize("path", ["", "config", "gradio_api/info"])
def test_what_may_change_is_not_kept(home, path):
    assert "immutable" not in headers_of(home + path).get("Cache-Control", "")


def test_only_the_page_names_scripts(home):
    assert "Link" not in headers_of(home + "config")


def test_a_file_that_changes_gets_another_address(tmp_path, monkeypatch):
    file = tmp_path / "view.js"
    monkeypatch.setattr(delivery, "asset", lambda name: file)
    file.write_text("one")
    before = address("view.js")
    file.write_text("two")
    assert address("view.js") != before


def test_the_folder_may_have_any_name(tmp_path, monkeypatch):
    file = tmp_path / "été 日本?" / "view.js"
    file.parent.mkdir()
    file.write_text("drawn")
    monkeypatch.setattr(delivery, "asset", lambda name: file)
    assert re.fullmatch(r"[!-~]+", address("view.js"))
    page = Starlette(routes=[Route("/", lambda _: HTMLResponse("a page"))], middleware=[early(["view.js"])])
    with TestClient(page) as browser:
        assert address("view.js") in browser.get("/").headers["Link"]
        assert browser.get("/" + address("view.js")).text == "drawn"


def test_the_page_draws_with_the_plotly_that_the_figures_are_written_for():
    [version] = re.findall(r"plotly\.js \(cartesian - minified\) v([\d.]+)", asset(SCRIPTS[0]).read_text("utf-8")[:200])
    assert version == plotly.offline.get_plotlyjs_version()
