"""What may go wrong with a run: it blows up, its worker dies, the server starts anew, two things happen at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
from gate import SETTINGS, TEXT, Gate, alone, same_model, until

from minigpt.checkpoint import save
from minigpt.corpora import LESSONS
from minigpt.promises import Finding
from minigpt.runs import Runs, RunSettings, scheduler, store
from minigpt.runs.worker import advance_folder
from minigpt.training import TrainingState


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


def test_a_failure_is_shown_and_nothing_wakes_the_run_again(runs, gate, tmp_path):
    training = replace(SETTINGS.training, learning_rate=100.0, warmup_steps=0)
    run_id = runs.start(TEXT, replace(SETTINGS, training=training))
    until(gate, lambda: runs.progress(run_id).status not in ("waiting", "training"))
    assert runs.progress(run_id).status == "failed"
    assert "A learning rate of 100 is too large" in runs.progress(run_id).failure.message
    for wake in (runs.resume, runs.step):
        wake(run_id)
        assert gate.line == []
    assert runs.state(run_id).model.embed.weight.isfinite().all()
    again = Runs(tmp_path, lambda: gate, 1)
    assert again.progress(run_id).status == "failed"
    assert gate.line == []


def test_a_restarted_server_finds_its_runs_and_goes_on(runs, gate, tmp_path):
    run_id, paused = runs.start(TEXT, SETTINGS), runs.start(TEXT, SETTINGS)
    runs.pause(paused)
    gate.let_through()
    runs.close()
    gate = Gate()
    again = Runs(tmp_path, lambda: gate, 1)
    assert again.progress(paused).status == "paused"
    assert gate.line == []
    again.wake()
    assert len(gate.line) == 1  # Nobody has looked for it.
    assert again.progress(run_id).status == "training"
    assert again.progress(run_id).step == 2
    assert again.progress(run_id).settings == SETTINGS
    until(gate, lambda: again.progress(run_id).status == "finished")
    assert same_model(again.state(run_id), alone(30))
    assert again.text(run_id) == TEXT


def test_a_slice_asked_for_twice_is_done_once(tmp_path):
    folder, record = store_run(tmp_path)
    first = advance_folder(folder, record, 0, 7)
    # As after a worker that saved its slice and died before it could say so.
    assert advance_folder(folder, record, 0, 7).step == first.step == 7
    assert advance_folder(folder, record, 0, 9).step == 9
    assert advance_folder(folder, record, 9, 1).step == 10


def store_run(path: Path) -> tuple[store.Folder, store.Record]:
    folder, record = store.Folder(path), store.Record(SETTINGS, 30)
    save(alone(0), path)
    store.write(folder, record)
    folder.write(store.TEXT, TEXT.encode())
    return folder, record


def broken(gate: Gate) -> None:
    future, _ = gate.line.pop(0)
    future.set_running_or_notify_cancel()
    future.set_exception(BrokenProcessPool("a worker died"))


def test_a_worker_that_dies_now_and_then_costs_nothing(tmp_path):
    gates = []
    runs = Runs(tmp_path, lambda: gates.append(Gate()) or gates[-1], 1)
    run_id = runs.start(TEXT, SETTINGS)
    for _ in range(3):
        broken(gates[-1])
        broken(gates[-1])
        gates[-1].let_through()
        assert runs.progress(run_id).status in ("training", "finished")
    until(gates[-1], lambda: runs.progress(run_id).status == "finished")
    assert same_model(runs.state(run_id), alone(30))
    assert len(gates) == 7


def test_a_worker_that_dies_every_time_ends_the_run_in_a_sentence(tmp_path):
    gates = []
    runs = Runs(tmp_path, lambda: gates.append(Gate()) or gates[-1], 1)
    run_id = runs.start(TEXT, SETTINGS)
    for _ in range(3):
        broken(gates[-1])
    assert runs.progress(run_id).status == "paused"
    assert "ended 3 times in a row. Resume tries again" in runs.progress(run_id).trouble
    assert all(gate.line == [] for gate in gates)


def test_a_run_whose_workers_died_is_resumed_by_its_button_and_rests_through_a_restart(tmp_path):
    gates = []
    runs = Runs(tmp_path, lambda: gates.append(Gate()) or gates[-1], 1)
    run_id = runs.start(TEXT, SETTINGS)
    for _ in range(3):
        broken(gates[-1])
    again = Runs(tmp_path, Gate, 1)
    again.wake()
    assert (again.progress(run_id).status, again.progress(run_id).trouble) == ("paused", scheduler.DIED)
    runs.resume(run_id)
    assert runs.progress(run_id).trouble == ""
    until(gates[-1], lambda: runs.progress(run_id).status == "finished")
    assert same_model(runs.state(run_id), alone(30))


def test_a_worker_that_dies_is_held_against_the_run_that_it_had_and_no_other(tmp_path):
    gates = []
    runs = Runs(tmp_path, lambda: gates.append(Gate()) or gates[-1], 2)
    guilty, other = runs.start(TEXT, SETTINGS), runs.start(TEXT, SETTINGS)
    theirs = gates[1]
    for _ in range(3):
        broken(next(gate for gate in reversed(gates) if gate.line and gate is not theirs))
    assert (runs.progress(guilty).status, runs.progress(other).status) == ("paused", "training")
    assert len(gates) == 4
    until(theirs, lambda: runs.progress(other).status == "finished")


def test_what_a_slice_raises_is_no_death_and_ends_in_words_without_a_path(runs, gate, capsys):
    run_id = runs.start(TEXT, SETTINGS)
    for _ in range(3):
        future, _ = gate.line.pop(0)
        future.set_running_or_notify_cancel()
        future.set_exception(RuntimeError("not enough memory in /somewhere/here"))
    assert runs.progress(run_id).status == "paused"
    assert runs.progress(run_id).trouble == scheduler.RAISED
    assert "not enough memory" in capsys.readouterr().err
    assert not gate.closed


def test_a_slice_that_lands_while_resume_is_pressed_is_not_counted_twice(runs, gate, monkeypatch):
    run_id = runs.start(TEXT, SETTINGS)
    want = runs._want
    lander = threading.Thread(target=until, args=(gate, lambda: runs.progress(run_id).status == "finished"))

    def lands_meanwhile(*args):
        lander.start()
        lander.join(timeout=0.5)
        want(*args)

    monkeypatch.setattr(runs, "_want", lands_meanwhile)
    runs.resume(run_id)
    monkeypatch.undo()
    lander.join()
    while gate.line:
        gate.let_through()
    assert runs.progress(run_id).step == 30


def test_a_folder_of_an_earlier_version_is_still_read(tmp_path):
    folder, _ = store_run(tmp_path)
    record = json.loads((tmp_path / store.RECORD).read_text())
    record["settings"]["floor"] = 1.05
    for later in ("breaks", "drawn_with"):
        del record["settings"][later]
    for later in ("windows", "softmax_twice"):
        del record["settings"]["training"][later]
    (tmp_path / store.RECORD).write_text(json.dumps(record))
    for later in ("owner", "text_hash", "trouble", "version"):
        del record[later]
    (tmp_path / store.RECORD).write_text(json.dumps(record))
    assert store.read(folder) == store.Record(SETTINGS, 30, version=1)


def lesson_run(runs: Runs, **changes: object) -> str:
    lesson = LESSONS["echo"].changed({"n_lines": 60, "longest": 5})
    training = replace(lesson.training, steps=12, batch_size=2, eval_every=6, sample_tokens=0)
    settings = RunSettings(
        "character", config=lesson.config, training=training, lesson="echo",
        drawn_with={"n_lines": 60, "longest": 5}, **changes,
    )  # fmt: skip
    return runs.start(lesson.text, settings)


def test_a_run_of_a_lesson_tells_what_was_found_and_again_after_a_restart(runs, gate, tmp_path, monkeypatch):
    run_id = lesson_run(runs)
    assert runs.progress(run_id).finding is None
    assert runs.progress(run_id).history.references.floor is not None
    until(gate, lambda: runs.progress(run_id).status == "finished")
    found = runs.progress(run_id).finding
    assert found.step == 12
    assert 0 <= found.share <= 1
    again = Runs(tmp_path, lambda: gate, 1)
    assert again.progress(run_id).finding == found
    own = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(own).status == "finished")
    assert runs.progress(own).finding is None


def test_the_step_at_which_a_promise_was_first_kept_stays_until_it_is_lost(runs, gate, monkeypatch):
    kept = iter([False, True, True, False, True, *[True] * 20])

    def made_up(settings: RunSettings, state: TrainingState) -> Finding:
        return Finding(state.step, next(kept))

    monkeypatch.setattr("minigpt.runs.worker.finding", made_up)
    run_id = lesson_run(runs)
    seen = []
    for _ in range(6):
        gate.let_through()
        seen.append((runs.progress(run_id).step, runs.progress(run_id).found_at))
    assert seen == [(2, None), (3, 3), (4, 3), (5, None), (6, 6), (7, 6)]


def test_what_is_broken_on_purpose_is_trained_and_what_was_asked_is_remembered(runs):
    run_id = lesson_run(runs, breaks=("mask", "layer"))
    progress = runs.progress(run_id)
    assert (progress.config.causal, progress.config.n_layers) == (False, 1)
    assert (progress.settings.config.causal, progress.settings.config.n_layers) == (True, 2)
