"""What the API page and `Client.view_api()` say of the endpoints: names, choices, meanings."""

import re
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import pytest
from gradio_client import Client
from served import Served

from minigpt.breaks import BREAKS
from minigpt.config import PRESETS, OptimiserName, Positions, ValidationPlace
from minigpt.corpora import LESSONS
from minigpt.ui import door
from minigpt.ui.endpoints import PATIENCE

GUIDE = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
ENDPOINTS = (
    "/train", "/generate", "/pause", "/resume", "/step", "/stop", "/progress",
    "/lessons", "/promise", "/heads", "/mute", "/attention", "/attention_file", "/film",
)  # fmt: skip


@pytest.fixture(scope="module")
def described(server: Served) -> dict[str, Any]:
    """What the API page shows."""
    client = Client(server.url, verbose=False, analytics_enabled=False)
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    client.close()
    return named


def test_every_endpoint_has_its_name_and_no_handler_of_the_page_takes_one(described):
    assert tuple(described) == ENDPOINTS


def test_every_parameter_is_named_and_described(described):
    for name, endpoint in described.items():
        assert endpoint["description"].endswith("."), name
        assert not re.fullmatch(r"\d+\w\w", endpoint["returns"][0]["label"]), name
        for known in endpoint["parameters"]:
            assert known["label"] == known["parameter_name"] != "request", name
            meaning = known["python_type"]["description"]
            assert re.fullmatch(r"[A-Z0-9].{15,}[.]", meaning), (name, known["parameter_name"], meaning)
            assert "None" not in known["python_type"]["type"], known


def test_the_choices_on_the_api_page_are_all_that_there_are(described):
    choices = {
        known["parameter_name"]: known["type"]["enum"]
        for known in described["/train"]["parameters"]
        if "enum" in known["type"]
    }
    assert choices == {
        "tokenizer": list(door.KINDS),
        "positions": list(get_args(Positions)),
        "held_place": list(get_args(ValidationPlace)),
        "optimiser": list(get_args(OptimiserName)),
        "lesson": list(LESSONS),
        "size": list(PRESETS),
    }
    (breaks,) = (known for known in described["/train"]["parameters"] if known["parameter_name"] == "breaks")
    for name, known in BREAKS.items():
        assert (known.title in breaks["python_type"]["description"]) == (name != "vocabulary")


def test_the_guide_names_every_endpoint_and_no_other(described):
    table = [line for line in GUIDE.splitlines() if line.startswith("| `/")]
    assert sorted(name for line in table for name in re.findall(r"`(/\w+)`", line)) == sorted(described)
    assert f'"gradio[mcp]=={gr.__version__}"' in GUIDE
    assert f"`progress` answers after {PATIENCE:.0f} seconds at most" in GUIDE


def test_the_program_of_the_guide_runs_as_it_stands(server, capsys):
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    address = "http://127.0.0.1:7860"
    assert address in program
    exec(compile(program.replace(address, server.url), "docs/api.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith("finished 60 ") for line in told)
    assert any(re.match(r"2\.2 \w+ [A-Z].* Without it the validation loss ", line) for line in told)
    assert told[-1] == "(2, 2, 8, 8)"
