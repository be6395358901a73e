"""What a visit asks of the server: in turns, in the visitor's name, and no longer than somebody waits for it."""

import shutil
import threading
import time
from types import SimpleNamespace

import pytest
from gate import SETTINGS, TEXT, Gate, until
from gradio_client import Client

from minigpt import turns
from minigpt.runs import Runs, worker
from minigpt.runs.seen import Seen
from minigpt.runs.store import Folder
from minigpt.turns import Gone
from minigpt.ui.explorer import Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.handlers import Page

TINY = {"steps": 4, "layers": 1, "heads": 2, "width": 16, "context": 16, "batch": 4}


def asking(session: str) -> SimpleNamespace:
    return SimpleNamespace(session_hash=session, client=SimpleNamespace(host="127.0.0.1"), headers={})


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def page(gate, tmp_path) -> Page:
    return Page(Runs(tmp_path, lambda: gate, n_workers=1))


@pytest.fixture
def run(page, gate) -> str:
    run = page.runs.start(TEXT, SETTINGS)
    until(gate, lambda: page.runs.progress(run).status == "finished")
    return run


def test_what_a_page_asked_for_ends_when_it_is_closed_and_not_when_it_is_back(page):
    with page.turn(asking("a")) as turn:
        turn.breathe()
        page.leave(asking("b"))
        turn.breathe()
        page.leave(asking("a"))
        with pytest.raises(Gone):
            turn.breathe()
    with page.turn(asking("a")) as turn:
        turn.breathe()


def test_a_prompt_of_a_closed_page_is_not_written_to_its_end(page, run):
    exploring, before = Exploring(page), time.monotonic()
    threading.Timer(0.5, page.leave, [asking("a")]).start()
    message, *_ = exploring.generate(asking("a"), run, "the dog", Selection(), 10_000, 0.8, 0, 1, 0)
    assert "closed" in str(message)
    assert time.monotonic() - before < 20


def test_a_finished_run_is_kept_in_no_worker_and_looked_at_without_its_optimiser(page, run):
    assert page.runs.folder / run not in worker._KEPT
    assert page.runs.state(run).optimiser == {}
    assert page.runs.any_state(run) is page.runs.state(run)


def test_runs_are_their_visitors_and_a_long_continuation_is_told_as_it_is_written(server, monkeypatch):
    monkeypatch.setattr(turns, "PART", 0.05)
    client = Client(server.url, verbose=False, analytics_enabled=False)
    run = client.predict(text=TEXT, **TINY, api_name="/train")
    client.predict(run, api_name="/progress")
    assert server.runs._runs[run].record.owner
    job = client.submit(run, "the dog", max_new_tokens=1_000, api_name="/generate")
    whole = job.result(timeout=120)
    told = [len(each["tokens"]) for each in job.outputs()]
    assert len(whole["tokens"]) == told[-1] == 1_000
    assert len(told) > 2
    assert told == sorted(told)
    client.close()


def test_five_tokens_do_not_wait_for_those_who_ask_for_many(server):
    client = Client(server.url, verbose=False, analytics_enabled=False)
    run = client.predict(text=TEXT, **TINY, api_name="/train")
    client.predict(run, api_name="/progress")
    places = server.page.turns._free
    jobs = [client.submit(run, "the dog", max_new_tokens=2_000, api_name="/generate") for _ in range(places + 2)]
    while server.page.turns._free:
        time.sleep(0.01)
    assert len(client.predict(run, "the dog", max_new_tokens=5, api_name="/generate")["tokens"]) == 5
    assert not any(job.done() for job in jobs), "first come would be first served"
    for job in jobs:
        assert len(job.result(timeout=120)["tokens"]) == 2_000
    client.close()


def test_models_at_hand_are_as_many_as_fit_by_their_bytes(page, run, tmp_path):
    shutil.copytree(page.runs.folder / run, tmp_path / "another")
    for most_bytes, n in ((1, 1), (10**9, 2)):
        seen = Seen(8, most_bytes)
        for name in (run, "another"):
            assert seen.state(Folder(tmp_path / name), None).step == 30
        assert len(seen._states) == n
