"""The film of training: which moments, how much of them, and that nobody can tell from a model that it was filmed."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from gate import SETTINGS, TEXT, Gate, alone, until

from minigpt import film
from minigpt.checkpoint import load
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.diagnosis import diagnose
from minigpt.film import MOST_FRAMES, Camera, frame_bytes, moments, sentence
from minigpt.hooks import patterns_and_logits
from minigpt.runs import Runs, scheduler, store, worker
from minigpt.runs.worker import advance_folder
from minigpt.training import TrainingState, advance, begin

LINES = "abc|abc\nxyz|xyz\nfgh|fgh\nqrs|qrs\nklm|klm\n" * 12


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def runs(tmp_path, gate, monkeypatch) -> Runs:
    # Slices of a step or two: how far a run gets must not depend on how fast this machine is.
    monkeypatch.setattr(scheduler, "SLICE_SECONDS", 1e-9)
    return Runs(tmp_path, lambda: gate, n_workers=1)


def slice_again(folder, step: int, steps: int) -> None:
    """A slice as a new worker would take it, from what is on disk."""
    worker._KEPT.clear()
    kept = store.Folder(folder)
    advance_folder(kept, store.read(kept), step, steps)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7, 30, 399, 400, 12_345, 100_000])
def test_moments_begin_close_together_and_reach_the_end(n_steps):
    steps = moments(n_steps)
    assert (steps[0], steps[-1]) == (0, n_steps)
    assert list(steps) == sorted(set(steps))
    assert len(steps) < MOST_FRAMES
    assert steps[:3] == tuple(range(n_steps + 1))[:3]
    assert max(np.diff(steps)) <= -(-n_steps // 20) or n_steps == 1
    assert moments(100_000)[:9] == (0, 1, 2, 3, 5, 8, 13, 21, 34)


def test_fewer_moments_are_spread_over_the_same_run():
    assert len(moments(400, 7)) == 7
    assert (moments(400, 7)[0], moments(400, 7)[-1]) == (0, 400)


@pytest.mark.parametrize("most_bytes", [1_500, 4_000, 20_000])
def test_a_film_keeps_within_its_bytes(monkeypatch, most_bytes):
    monkeypatch.setattr(film, "MAX_BYTES", most_bytes)
    state = alone(0)
    camera = Camera(state)
    frame = camera.frame(state)
    size = frame.pattern.nbytes + frame.logits.nbytes
    assert size == frame_bytes(state.config, len(frame.ids))
    assert size * (len(camera.moments) + 1) <= most_bytes


def test_the_sentence_goes_on_from_the_prompt_or_is_held_out_and_ends_with_its_line():
    training = TrainingConfig(windows="single lines")
    state = begin(LINES, "character", GPTConfig(n_ctx=16), training)

    def read(**asked: str) -> str:
        ids = sentence(state.ids, state.tokenizer, state.config, training, **asked)
        return state.tokenizer.decode(list(ids))

    assert read(prompt="fg") == "fgh|fgh"
    assert read(prompt="zz") in LINES.split()
    assert read(asked="xyz|") == "xyz|"
    assert len(read(asked="x" * 99)) == 16
    words = begin(TEXT, "word", GPTConfig(n_ctx=64))
    cut = len(words.ids) - max(2, round(len(words.ids) * 0.1))
    assert sentence(words.ids, words.tokenizer, words.config, words.training) == tuple(words.ids[cut:][:12].tolist())


def same(one: TrainingState, other: TrainingState) -> bool:
    parameters = zip(one.model.parameters(), other.model.parameters(), strict=True)
    moving = zip(sorted(one.optimiser), sorted(other.optimiser), strict=True)
    return (
        all(torch.equal(a, b) for a, b in parameters)
        and all(torch.equal(one.optimiser[a], other.optimiser[b]) for a, b in moving)
        and torch.equal(one.rng, other.rng)
        and replace(one.history, tokens_per_second=()) == replace(other.history, tokens_per_second=())
    )


def test_a_filmed_run_learns_the_same_bits_and_each_frame_is_of_its_step(runs, gate, tmp_path):
    run_id = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(run_id).status == "finished")
    assert same(load(tmp_path / run_id), alone(30))
    shown = runs.film(run_id)
    assert tuple(shown) == moments(30)
    state = alone(0)
    for step, frame in shown.items():
        state = advance(state, step - state.step)
        pattern, logits = patterns_and_logits(state.model, torch.from_numpy(frame.ids))
        assert frame.step == step
        assert np.abs(frame.pattern / film.WHOLE - pattern.numpy()).max() <= 0.5001 / film.WHOLE
        assert np.array_equal(frame.logits, logits.half().numpy())
        found = diagnose(state)
        assert found is not None
        assert frame.scores()[0][1].induction == pytest.approx(found.scores[0][1].induction, abs=1e-6)
        assert frame.scores()[0][1].chance.first == pytest.approx(found.scores[0][1].chance.first, abs=1e-6)


def test_the_speed_of_a_slice_is_told_once(runs, gate, tmp_path):
    run_id = runs.start(TEXT, SETTINGS, steps=1)
    until(gate, lambda: gate.line == [])
    slice_again(tmp_path / run_id, 1, 20)
    assert [step for step, _ in load(tmp_path / run_id).history.tokens_per_second] == [1, 21]


def test_a_slice_that_is_taken_twice_is_filmed_once(runs, gate, tmp_path):
    run_id = runs.start(TEXT, SETTINGS, steps=2)
    until(gate, lambda: gate.line == [])
    folder = tmp_path / run_id
    state = (folder / "state.safetensors").read_bytes()
    slice_again(folder, 2, 9)
    first, _ = store.read_film(store.Folder(folder), {})
    # The worker was killed after it had filmed and before it could save.
    (folder / "state.safetensors").write_bytes(state)
    slice_again(folder, 2, 9)
    again, _ = store.read_film(store.Folder(folder), {})
    assert list(first) == list(again) == [0, 1, 2, 3, 5, 7, 9, 11]
    for step, frame in first.items():
        assert all(
            np.array_equal(getattr(frame, n), getattr(again[step], n), equal_nan=n != "step") for n in vars(frame)
        )


def test_of_the_steps_between_moments_only_the_newest_stays(runs, gate):
    run_id = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(run_id).step == 10)
    assert list(runs.film(run_id)) == [0, 1, 2, 3, 5, 7, 9, 10]
    until(gate, lambda: runs.progress(run_id).step == 11)
    assert list(runs.film(run_id)) == [0, 1, 2, 3, 5, 7, 9, 11]


def test_a_film_survives_a_restart_and_its_sentence_too(runs, gate, tmp_path):
    run_id = runs.start(TEXT, replace(SETTINGS, film_of="the old dog"), steps=5)
    until(gate, lambda: gate.line == [])
    before = runs.film(run_id)
    later = Runs(tmp_path, Gate, n_workers=1)
    after = later.film(run_id)
    assert list(before) == list(after) == [0, 1, 2, 3, 5]
    assert np.array_equal(before[5].pattern, after[5].pattern)
    assert later.state(run_id).tokenizer.decode(after[5].ids.tolist()) == "the old dog"


def test_a_folder_of_an_earlier_version_opens_without_a_film_and_gets_the_rest_of_one(runs, gate, tmp_path):
    run_id = runs.start(TEXT, SETTINGS, steps=4)
    until(gate, lambda: gate.line == [])
    shutil.rmtree(tmp_path / run_id / store.FILM)
    record = (tmp_path / run_id / store.RECORD).read_text()
    assert '"film_of": ""' in record
    (tmp_path / run_id / store.RECORD).write_text(record.replace(', "film_of": ""', ""))
    late = Gate()
    later = Runs(tmp_path, lambda: late, n_workers=1)
    assert later.film(run_id) == {}
    later.step(run_id)
    late.let_through()
    assert list(later.film(run_id)) == [5]


def test_a_model_that_sees_ahead_is_filmed_without_scores(runs, gate):
    run_id = runs.start(TEXT, replace(SETTINGS, config=replace(SETTINGS.config, causal=False)), steps=1)
    until(gate, lambda: gate.line == [])
    assert {frame.scores() for frame in runs.film(run_id).values()} == {None}
