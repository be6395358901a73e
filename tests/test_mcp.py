"""The same endpoints as tools for assistants, asked with the official client of the Model Context Protocol."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from served import Served

from minigpt.ui.server import launch_options

mcp = pytest.importorskip("mcp")
from mcp.client.streamable_http import streamable_http_client  # noqa: E402  # It must be there first.

LONG = 60  # s; a loaded machine is slow
MUCH = 4_000  # letters that an assistant reads without losing its thread


@pytest.fixture(scope="module")
def ask(server: Served, apart: Callable[..., Any]) -> Callable[..., Any]:
    """What a tool answers, and whether that is an error; without a name, the list of tools."""

    async def asked(tool: str, arguments: dict[str, Any]) -> Any:
        async with (
            streamable_http_client(f"{server.url}gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            if not tool:
                return (await session.list_tools()).tools
            answer = await session.call_tool(tool, arguments)
            return "\n".join(part.text for part in answer.content), answer.isError

    return lambda tool="", **arguments: apart(asyncio.wait_for(asked(tool, arguments), LONG))


@pytest.fixture(scope="module")
def run(ask: Callable[..., Any]) -> str:
    """A short run of a lesson, started by an assistant, at rest."""
    run, _ = ask("train", lesson="echo", steps=8, batch=4)
    while "'state': 'finished'" not in (told := ask("progress", run_id=run))[0]:
        assert told[1] is False, told
    return run


def test_the_tools_are_the_endpoints_and_no_handler_of_the_page(ask, server):
    tools = ask()
    client = Client(server.url, verbose=False, analytics_enabled=False)
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    client.close()
    assert [f"/{tool.name}" for tool in tools] == list(named)
    for tool in tools:
        assert tool.description.endswith("."), tool.name
        for name, known in tool.inputSchema["properties"].items():
            assert known["description"].endswith("."), (tool.name, name)
    train = next(tool for tool in tools if tool.name == "train")
    assert "echo" in train.inputSchema["properties"]["lesson"]["enum"]
    assert "required" not in train.inputSchema
    # All that an assistant must read before it can ask anything: a few pages.
    assert len(json.dumps([tool.model_dump(exclude_none=True) for tool in tools])) < 20_000


def test_attention_is_told_in_words_where_arrays_would_be_a_page_of_numbers(ask, run):
    told, wrong = ask("attention", run_id=run, prompt="qkzvb|qk")
    assert not wrong
    assert len(told) < MUCH
    lines = told.splitlines()
    assert lines[0] == "Tokens: q k z v b | q k"
    assert [line.partition(":")[0] for line in lines[2:]] == ["Head 1.1", "Head 1.2", "Head 2.1", "Head 2.2"]
    assert lines[2].startswith("Head 1.1: q → q 100%; k → ")


def test_no_answer_is_longer_than_an_assistant_can_read(ask, run):
    for tool, arguments in {
        "heads": {},
        "film": {"step": 8},
        "promise": {},
        "mute": {"heads": ["1.1"], "prompt": "qkzvb|"},
        "attention_file": {"prompt": "qkzvb|"},
    }.items():
        told, wrong = ask(tool, run_id=run, **arguments)
        assert not wrong, told
        assert 20 < len(told) < MUCH, tool


def test_a_refusal_is_a_sentence_without_marks_around_it(ask, run):
    no_run = "This run is not here any more. Press Train to start a new one."
    for tool, arguments in {"pause": {}, "promise": {}, "attention": {"prompt": "a"}}.items():
        assert ask(tool, run_id="x", **arguments) == (no_run, True)
    told = '“9.9” is no head of this model. Its heads are 1.1 to 2.2, such as ["1.1"].'
    assert ask("mute", run_id=run, heads=["9.9"]) == (told, True)


def test_an_assistant_is_not_kept_waiting_for_a_run_that_is_long(ask, monkeypatch):
    monkeypatch.setattr("minigpt.ui.endpoints.PATIENCE", 0.2)
    run, _ = ask("train", lesson="markov", steps=100_000)
    told, _ = ask("progress", run_id=run)
    assert "'state': 'training'" in told or "'state': 'waiting'" in told
    assert ask("stop", run_id=run) == ("stopped", False)


def test_a_site_that_a_visitor_has_open_may_not_use_the_tools(server):
    def listed(origin: str) -> int:
        asks = {"accept": "application/json, text/event-stream", "origin": origin}
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        return httpx.post(f"{server.url}gradio_api/mcp/", json=listing, headers=asks).status_code

    assert listed(server.url.rstrip("/")) == 200
    assert listed("https://evil.example") == 403


def test_where_the_package_is_not_installed_the_page_starts_without_a_word(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mcp", None)  # As if it could not be imported.
    with gr.Blocks() as blocks:
        gr.Markdown("miniGPT")
    try:
        blocks.launch(prevent_thread_lock=True, **(launch_options() | {"app_kwargs": {}}))
        assert blocks.mcp_server is False
    finally:
        blocks.close()
    assert "MCP" not in "".join(capsys.readouterr())
