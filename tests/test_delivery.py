"""How the page's files reach a browser: early, small, once, from this machine."""

import re
import urllib.request
from collections.abc import Iterator
from email.message import Message

import gradio as gr
import plotly.offline
import pytest

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


def test_a_script_is_kept_for_ever_and_travels_small(home):
    plain = asset(SCRIPTS[0]).stat().st_size
    answer = headers_of(home + address(SCRIPTS[0]))
    assert "immutable" in answer["Cache-Control"]
    assert answer["Content-Encoding"] == "br"
    assert plain < 1_600_000  # bytes; Plotly with all its charts is 4.8 million


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


def test_the_page_draws_with_the_plotly_that_the_figures_are_written_for():
    [version] = re.findall(r"plotly\.js \(cartesian - minified\) v([\d.]+)", asset(SCRIPTS[0]).read_text("utf-8")[:200])
    assert version == plotly.offline.get_plotlyjs_version()
