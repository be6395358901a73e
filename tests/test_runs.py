"""A run's life, on this process; test_accidents.py has what may go wrong, test_workers.py real processes."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from gate import SETTINGS, TEXT, Gate, alone, same_model, until

from minigpt.runs import Progress, Runs, UnknownRun, scheduler


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture(autouse=True)
def short_slices(monkeypatch) -> None:
    """One step a slice: how far a run gets must not depend on how fast this machine is."""
    monkeypatch.setattr(scheduler, "SLICE_SECONDS", 1e-9)


@pytest.fixture
def runs(tmp_path, gate) -> Iterator[Runs]:
    made = Runs(tmp_path, lambda: gate, n_workers=1)
    yield made
    made.close()


def test_a_run_goes_from_waiting_to_finished_and_learns_what_it_would_alone(runs, gate):
    first, second = runs.start(TEXT, SETTINGS), runs.start(TEXT, SETTINGS)
    assert runs.progress(first).status == "training"
    assert runs.progress(second).status == "waiting"
    assert runs.progress(second).ahead == 0
    until(gate, lambda: runs.progress(first).status == runs.progress(second).status == "finished")
    progress = runs.progress(first)
    assert (progress.step, progress.n_steps) == (30, 30)
    assert progress.n_params == alone(0).model.n_params
    assert progress.config == alone(0).config
    assert progress.tokens_per_second > 0
    assert progress.seconds > 0
    assert same_model(runs.state(first), alone(30))
    assert progress.history.train == alone(30).history.train


def test_two_runs_take_turns(runs, gate):
    ids = [runs.start(TEXT, SETTINGS), runs.start(TEXT, SETTINGS)]
    steps = []
    for _ in range(20):
        gate.let_through()
        steps.append([runs.progress(run_id).step for run_id in ids])
    assert all(abs(one - other) <= 2 for one, other in steps)
    assert min(steps[-1]) >= 9


def test_only_a_run_that_is_alone_takes_a_second_core(tmp_path, gate):
    runs = Runs(tmp_path, lambda: gate, n_workers=2)
    first = runs.start(TEXT, SETTINGS)
    second = runs.start(TEXT, SETTINGS)
    gate.let_through()
    runs.pause(second)
    gate.let_through()
    gate.let_through()
    # The first slice was out before anyone else came; the next ones share; the last ones are alone again.
    taken = [(folder.path.name, threads) for folder, *_, threads in gate.asked]
    assert taken == [(first, 2), (second, 1), (first, 1), (first, 2)]
    assert {threads for *_, threads in gate.asked} == {1, 2}


def test_a_machine_of_one_core_has_no_second_one(runs, gate):
    runs.start(TEXT, SETTINGS)
    until(gate, lambda: len(gate.asked) > 3)
    assert {threads for *_, threads in gate.asked} == {1}


def test_each_change_raises_the_version(runs, gate):
    run_id = runs.start(TEXT, SETTINGS)
    versions = [runs.progress(run_id).version]
    for _ in range(3):
        gate.let_through()
        versions.append(runs.progress(run_id).version)
    assert versions == sorted(set(versions))
    assert runs.progress(run_id).version == versions[-1]


def test_pause_rests_after_the_slice_that_is_out_and_resume_goes_on(runs, gate):
    run_id = runs.start(TEXT, SETTINGS)
    gate.let_through()
    runs.pause(run_id)
    assert runs.progress(run_id).status == "paused"
    gate.let_through()
    assert gate.line == []
    step = runs.progress(run_id).step
    assert 0 < step < 30
    assert runs.progress(run_id).status == "paused"
    runs.resume(run_id)
    assert runs.progress(run_id).status == "training"
    until(gate, lambda: runs.progress(run_id).status == "finished")
    assert same_model(runs.state(run_id), alone(30))


def test_resume_while_the_slice_is_still_out_starts_no_second_one(runs, gate):
    run_id = runs.start(TEXT, SETTINGS)
    runs.pause(run_id)
    runs.resume(run_id)
    runs.resume(run_id)
    assert len(gate.line) == 1
    until(gate, lambda: runs.progress(run_id).status == "finished")
    assert runs.progress(run_id).step == 30


def test_step_takes_one_step_and_rests_also_beyond_the_end(runs, gate):
    run_id = runs.start(TEXT, SETTINGS, steps=0)
    until(gate, lambda: gate.line == [])
    for expected in (1, 2):
        runs.step(run_id)
        gate.let_through()
        assert (runs.progress(run_id).step, runs.progress(run_id).status) == (expected, "paused")
    runs.resume(run_id)
    until(gate, lambda: runs.progress(run_id).status == "finished")
    runs.step(run_id)
    gate.let_through()
    assert (runs.progress(run_id).step, runs.progress(run_id).status) == (31, "finished")


def test_stop_is_for_good_but_keeps_the_state(runs, gate):
    run_id = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(run_id).step > 0)
    runs.stop(run_id)
    gate.let_through()
    assert gate.line == []
    assert runs.progress(run_id).status == "stopped"
    assert runs.state(run_id).step == runs.progress(run_id).step


def test_a_run_that_waits_can_be_paused_before_it_begins(runs, gate):
    runs.start(TEXT, SETTINGS)
    waiting = runs.start(TEXT, SETTINGS)
    runs.pause(waiting)
    assert runs.progress(waiting).status == "paused"
    gate.let_through()
    gate.let_through()
    assert runs.progress(waiting).step == 0


def test_the_state_is_a_snapshot_that_training_never_touches(runs, gate):
    run_id = runs.start(TEXT, SETTINGS)
    gate.let_through()
    early = runs.state(run_id)
    assert runs.state(run_id) is early
    before = early.model.embed.weight.clone()
    until(gate, lambda: runs.progress(run_id).status == "finished")
    assert torch.equal(early.model.embed.weight, before)
    assert runs.state(run_id).step == 30


def test_the_text_comes_back_exactly(runs):
    assert runs.text(runs.start(TEXT, SETTINGS)) == TEXT
    assert runs.text(runs.start("a\ud800 b\x00 c\r d\r\n", SETTINGS)) == "a? b\x00 c\r d\r\n"


@pytest.mark.parametrize("text", ["", "too few"])
def test_a_text_that_teaches_nothing_leaves_nothing_behind(runs, tmp_path, text):
    with pytest.raises(ValueError, match="learn from"):
        runs.start(text, SETTINGS)
    assert list(tmp_path.iterdir()) == []


NAMES = [
    "",
    ".",
    "..",
    "../../../../etc/passwd",
    "/etc",
    "a" * 22,
    "a" * 21 + "/",
    "a" * 22 + "\n",
    "\x00" * 22,
    "é" * 22,
]


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_run_is_refused_in_a_sentence_and_its_name_never_reaches_the_disk(runs, name):
    for ask in (runs.progress, runs.state, runs.text, runs.pause, runs.resume, runs.step, runs.stop):
        with pytest.raises(UnknownRun, match=r"This run is not here any more\. Press Train to start a new one\."):
            ask(name)


def test_the_run_beside_the_folder_of_runs_is_out_of_reach(tmp_path, gate):
    outside = Runs(tmp_path, lambda: gate, 1)
    run_id = outside.start(TEXT, SETTINGS)
    (tmp_path / "inside").mkdir()
    inside = Runs(tmp_path / "inside", Gate, 1)
    for name in (f"../{run_id}", str(tmp_path / run_id), run_id):
        with pytest.raises(UnknownRun):
            inside.text(name)


def test_memory_and_disk_are_bounded_and_a_forgotten_run_comes_back_from_disk(runs, gate, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "MAX_IN_MEMORY", 8)
    monkeypatch.setenv("MINIGPT_RUNS_COUNT", "12")
    ids = []
    for _ in range(15):
        ids.append(runs.start(TEXT, SETTINGS, steps=1))
        until(gate, lambda: gate.line == [])
        runs.state(ids[-1])
        time.sleep(0.002)  # Folders are told apart by the time they changed.
    assert len(runs._runs) <= 8
    assert len(runs._seen._states) <= 8
    assert len(list(tmp_path.iterdir())) == 12
    with pytest.raises(UnknownRun):
        runs.progress(ids[0])
    for run_id in ids[3:]:
        assert runs.progress(run_id).step == 1
        assert len(runs._runs) <= 8


def test_threads_may_steer_and_watch_at_once(tmp_path):
    runs = Runs(tmp_path, lambda: ThreadPoolExecutor(1), 1)
    run_id = runs.start(TEXT, SETTINGS)
    watched: list[Progress] = []

    def watch() -> None:
        while runs.progress(run_id).status != "finished":
            watched.append(runs.progress(run_id))
            runs.pause(run_id)
            runs.resume(run_id)
            time.sleep(0.01)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join(timeout=60)
        assert not watcher.is_alive()
    runs.close()
    assert runs.progress(run_id).history.train == alone(30).history.train
    assert watched


def test_who_has_many_runs_gets_no_more_slices_than_who_has_one(runs, gate):
    many = {runs.start(TEXT, SETTINGS, owner="many") for _ in range(8)}
    one = runs.start(TEXT, SETTINGS, owner="one")
    assert runs.progress(one).ahead < 2
    for _ in range(24):
        gate.let_through()
    slices = [folder.path.name == one for folder, *_ in gate.asked]
    assert abs(sum(slices) - len(slices) / 2) <= 1, slices
    runs.stop(one)
    for run in many:
        runs.stop(run)
    later = runs.start(TEXT, SETTINGS, owner="many")
    assert runs.progress(later).ahead == 0, "those that were stopped are held against nobody"


def test_as_many_runs_of_one_visitor_are_at_work_as_fit(runs, gate, monkeypatch):
    monkeypatch.setenv("MINIGPT_AT_WORK", "2")
    first, _ = (runs.start(TEXT, SETTINGS, owner="me") for _ in range(2))
    with pytest.raises(ValueError, match=r"^3 runs of yours would be at work, and 2 fit\. Stop one"):
        runs.start(TEXT, SETTINGS, owner="me")
    runs.start(TEXT, SETTINGS, owner="another")
    runs.stop(first)
    runs.start(TEXT, SETTINGS, owner="me")
    for _ in range(4):
        runs.start(TEXT, SETTINGS)  # A program's own runs are its own affair.


def test_runs_that_begin_at_the_same_moment_are_counted_too(runs, gate, monkeypatch):
    monkeypatch.setenv("MINIGPT_AT_WORK", "1")
    begins, goes_on = threading.Event(), threading.Event()

    def fails_after_a_while(*_):
        begins.set()
        goes_on.wait(30)
        raise ValueError("This text has 3 tokens.")

    with monkeypatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(scheduler, "begun", fails_after_a_while)
        first = pool.submit(runs.start, TEXT, SETTINGS, owner="me")
        assert begins.wait(30)
        with pytest.raises(ValueError, match="2 runs of yours would be at work, and 1 fit"):
            runs.start(TEXT, SETTINGS, owner="me")
        goes_on.set()
        assert "3 tokens" in str(first.exception())
    runs.start(TEXT, SETTINGS, owner="me")  # One that could not begin is held against nobody.
