"""What is held out, where it stands, and what the page may say of a validation loss that rises."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt.checkpoint import load, save
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.data import held_out, random_batch, split_for, starts_within, unlike_at_end
from minigpt.history import History, ReferenceLosses, risen
from minigpt.runs import RunSettings, store
from minigpt.training import SPREAD, UNLIKE, advance, begin
from minigpt.ui import door, words

CASES = Path(__file__).parent / "cases"
TWO = (CASES / "24-two-languages.txt").read_text(encoding="utf-8")
TINY = (CASES / "22-tiny.txt").read_text(encoding="utf-8")
SMALL = GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=1)
PLAN = TrainingConfig(steps=40, batch_size=4, sample_tokens=0)


@pytest.mark.parametrize("n_tokens", [4, 60, 700, 5000])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_what_is_spread_is_never_trained_on_and_all_of_it_is_measured(n_tokens, fraction):
    ids = torch.arange(n_tokens)
    training = TrainingConfig(validation_fraction=fraction, validation_place="spread")
    n_ctx = min(16, n_tokens - max(2, round(n_tokens * fraction)) - 1)
    parts = split_for(ids, n_ctx, training, None)
    assert torch.equal(torch.cat([parts.train, parts.validation]).sort().values, ids)
    starts = starts_within(ids, parts.train_runs, n_ctx)
    inputs, targets = random_batch(ids, starts, n_ctx, 400, torch.Generator().manual_seed(0))
    assert not set(parts.validation.tolist()) & set((*inputs.flatten().tolist(), *targets.flatten().tolist()))
    measured = set(held_out(ids, n_ctx, training, None).flatten().tolist())
    assert measured <= set(parts.validation.tolist())
    assert all(measured & set(range(*run)) for run in parts.validation_runs)


def test_a_part_that_is_spread_stands_in_ten_places_of_a_long_text_and_at_the_end_of_a_short_one():
    spread = TrainingConfig(validation_place="spread")
    assert len(split_for(torch.arange(5000), 64, spread, None).validation_runs) == 10
    assert split_for(torch.arange(300), 64, spread, None).validation_runs == ((270, 300),)
    assert split_for(torch.arange(5000), 4000, spread, None).validation_runs == ((4500, 5000),)


def test_a_run_kept_without_a_place_has_the_end_held_out_and_goes_on_with_the_same_bits(tmp_path):
    state = advance(begin(TWO, config=SMALL, training=PLAN), 5)
    save(state, tmp_path)
    kept = load(tmp_path)
    assert kept.training.validation_place == "end"
    assert advance(kept, 5).history.train == advance(state, 5).history.train
    store.write(store.Folder(tmp_path), store.Record(RunSettings(training=PLAN), 40))
    record = tmp_path / store.RECORD
    old = json.loads(record.read_text(encoding="utf-8"))
    del old["settings"]["training"]["validation_place"]
    record.write_text(json.dumps(old), encoding="utf-8")
    assert store.read(store.Folder(tmp_path)).settings.training == PLAN
    assert "validation_place" in asdict(state.training)


def test_a_validation_loss_that_rises_ends_no_run(monkeypatch):
    state = begin(TINY, config=SMALL, training=replace(PLAN, eval_every=5))
    from minigpt import training

    loss = training._Slice.evaluate

    def far_up(self: object) -> float:
        loss(self)
        self.validation[-1] = (self.step, 60.0)
        return 60.0

    monkeypatch.setattr(training._Slice, "evaluate", far_up)
    state = advance(state, 40)
    assert state.failure is None
    assert state.step == 40


def test_a_loss_that_begins_high_is_not_blamed_on_the_learning_rate():
    config = replace(SMALL, init_std=8.0, layer_norm=False)
    state = advance(begin(TWO, config=config, training=replace(PLAN, learning_rate=1e-6)), 3)
    assert state.history.train[0][1] > 2 * state.history.references.uniform + 4
    assert state.failure is None


def test_an_end_in_another_language_is_told_and_an_ordinary_one_is_not():
    assert begin(TWO, config=SMALL).notes[-1] == UNLIKE
    assert begin(TWO, config=SMALL, training=TrainingConfig(validation_place="spread")).notes[-1] == SPREAD
    ordinary = torch.from_numpy(np.random.default_rng(0).integers(0, 50, 4000))
    assert not unlike_at_end(ordinary, 0.1)
    assert begin(TINY, config=SMALL).notes == ()


def history(validation: list[float], train: list[float]) -> History:
    steps = [10 * index for index in range(len(validation))]
    references = ReferenceLosses(5, 4, 3)
    return History(100, references, tuple(enumerate(train)), tuple(zip(steps, validation, strict=True)))


def test_a_rise_is_one_of_the_validation_loss_while_the_train_loss_falls():
    falling = [5 - 0.04 * step for step in range(100)]
    assert risen(history([5, 4, 3, 3.5, 4, 4.5, 5, 5, 5, 5], falling))
    assert not risen(history([5, 4, 3.5, 3.4, 3.3, 3.2, 3.1, 3, 3.05, 3.05], falling))
    assert not risen(history([5, 4, 3, 3.5, 4, 4.5, 5, 5, 5, 5], [*falling[:30], *([9.0] * 70)]))


@pytest.mark.slow
@pytest.mark.parametrize(("text", "steps", "place"), [(TWO, 400, "spread"), (TWO, 400, "end"), (TINY, 1000, "spread")])
def test_the_cases_are_trained_to_their_end_and_a_rise_is_explained_once(text, steps, place, tmp_path):
    """As the page trains them: in words, with its settings for one's own text."""
    _, fields = door.usual("own")
    settings = door.settings_of(fields._replace(tokenizer="words", steps=steps, held_place=place), "own")
    config, training = settings.applied()
    state = advance(begin(text, settings.tokenizer, config, replace(training, sample_tokens=0)), steps)
    assert (state.step, state.failure) == (steps, None)
    progress = SimpleNamespace(settings=settings, history=state.history, notes=state.notes)
    learnt_by_heart = words.rise(progress)
    said = [*(note for note in state.notes if note in (UNLIKE, SPREAD)), *filter(None, [learnt_by_heart])]
    if place == "end":
        assert said == [UNLIKE]  # and nothing else about the rise that comes of it
    else:
        assert said == [*[SPREAD] * (text == TWO), learnt_by_heart]
        assert "by heart" in learnt_by_heart
    assert "learning rate" not in " ".join([*state.notes, learnt_by_heart])
