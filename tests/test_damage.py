"""Fourteen kinds of damage to a run: each its sentence, what is whole goes on working, and no other run is touched."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from damages import MODEL, RECORD, REST, cut, refuse_the_locked
from gate import SETTINGS, TEXT, Gate, until

from minigpt import checkpoint
from minigpt.checkpoint import FIXED, STATE, Damaged
from minigpt.paths import asset
from minigpt.runs import Runs, recovery, store, worker
from minigpt.ui import words


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str, str]:
    """Two finished runs that nobody has damaged yet."""
    folder, gate = tmp_path_factory.mktemp("runs"), Gate()
    runs = Runs(folder, lambda: gate, 1)
    ids = [runs.start(TEXT, replace(SETTINGS, training=replace(SETTINGS.training, steps=8))) for _ in range(2)]
    until(gate, lambda: not gate.line)
    return folder, *ids


@pytest.fixture
def damaged(made, tmp_path, monkeypatch) -> Callable[[Callable[[Path], None]], tuple[Runs, Gate, str, str]]:
    def damage(harm: Callable[[Path], None]) -> tuple[Runs, Gate, str, str]:
        folder, broken, whole = made
        shutil.copytree(folder, tmp_path / "runs")
        harm(tmp_path / "runs" / broken)
        refuse_the_locked(monkeypatch)
        gate = Gate()
        return Runs(tmp_path / "runs", lambda: gate, 1), gate, broken, whole

    return damage


def assert_untouched(runs: Runs, gate: Gate, broken: str, whole: str, made: tuple[Path, str, str]) -> None:
    """The other run is as it was, can go on, and no sentence of the broken one names a place on this machine."""
    assert (runs.progress(whole).status, runs.progress(whole).said) == ("finished", "")
    for path in (made[0] / whole).rglob("*.*"):
        assert (runs.folder / whole / path.relative_to(made[0] / whole)).read_bytes() == path.read_bytes()
    runs.step(whole)
    gate.let_through()
    assert runs.progress(whole).step == 9
    assert "/" not in runs.progress(broken).said


@pytest.mark.parametrize("sentence", MODEL)
def test_a_damaged_model_is_named_and_text_and_curve_are_still_shown(damaged, made, sentence):
    runs, gate, broken, whole = damaged(MODEL[sentence])
    runs.wake()
    progress = runs.progress(broken)
    assert (progress.status, progress.damaged) == ("failed", True)
    assert progress.failure.message == f"{sentence} {recovery.ANEW}"
    assert runs.text(broken) == TEXT
    assert progress.config.n_layers == 1
    kept = sentence not in (checkpoint.GONE, checkpoint.EMPTY, checkpoint.UNREADABLE)
    assert bool(progress.history.train) == kept
    assert progress.history.references == runs.progress(whole).history.references
    with pytest.raises(Damaged) as refused:
        runs.state(broken)
    assert str(refused.value) == sentence
    runs.resume(broken)
    assert gate.line == []
    assert_untouched(runs, gate, broken, whole, made)


@pytest.mark.parametrize("sentence", RECORD)
def test_damaged_settings_are_named_and_the_model_still_answers(damaged, made, sentence):
    runs, gate, broken, whole = damaged(RECORD[sentence])
    progress = runs.progress(broken)
    assert progress.failure.message == f"{sentence} {recovery.ANEW}"
    assert runs.state(broken).step == progress.step == 8
    assert runs.text(broken) == TEXT
    assert runs.film(broken)[3].step == 3
    assert_untouched(runs, gate, broken, whole, made)


@pytest.mark.parametrize("sentence", REST)
def test_a_run_without_its_text_or_with_holes_in_its_film_goes_on(damaged, made, sentence):
    runs, gate, broken, whole = damaged(REST[sentence])
    assert runs.progress(broken).notes[-1] == sentence
    assert runs.progress(broken).status == "finished"
    assert 5 in runs.film(broken)
    runs.step(broken)
    gate.let_through()
    assert runs.progress(broken).step == 9
    assert_untouched(runs, gate, broken, whole, made)


def test_a_model_damaged_under_a_run_at_work_is_trained_again_to_the_same_bits(made, tmp_path):
    folder, run_id, _ = made
    shutil.copytree(folder, tmp_path / "runs")
    gate = Gate()
    runs = Runs(tmp_path / "runs", lambda: gate, 1)
    runs.step(run_id)
    worker._KEPT.clear()
    cut(tmp_path / "runs" / run_id / STATE)
    gate.let_through()
    assert runs.progress(run_id).step == 9
    assert runs.progress(run_id).history.train[:8] == Runs(folder, Gate, 1).progress(run_id).history.train[:8]
    assert (tmp_path / "runs" / run_id / FIXED).exists()


def test_every_sentence_is_said_in_every_language_and_a_damaged_run_is_no_run_that_stopped_by_itself(damaged):
    runs, _, broken, _ = damaged(MODEL[checkpoint.CUT])
    assert "Damaged" in str(words.status(runs.progress(broken)))
    for code in ("de", "fr"):
        table = json.loads(asset(f"words.{code}.json").read_text(encoding="utf-8"))
        for said in (*MODEL, *RECORD, *REST, recovery.ANEW, store.TEXT_NO_RIGHT, store.RECORD_NO_RIGHT):
            for sentence in said.split(". "):
                assert sentence.rstrip(".") + "." in table, (code, sentence)
