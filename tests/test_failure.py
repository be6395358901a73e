"""A run that blows up stops by itself, keeps a state that still works, and says what would help."""

import math
import re
from dataclasses import replace

import pytest
import torch

from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig
from minigpt.generation import generate_ids
from minigpt.training import TrainingState, advance, begin, train

TEXT = "the dog saw the cat . the cat saw the old dog . the old dog ran to the old cat and the cat ran .\n" * 6
SMALL = GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=2)
PLAN = TrainingConfig(steps=60, batch_size=4, eval_every=7, sample_tokens=8, warmup_steps=0)


def in_slices(state: TrainingState, steps: int, total: int) -> TrainingState:
    while state.step < total and state.failure is None:
        state = advance(state, steps)
    return state


def assert_works(state: TrainingState) -> None:
    """Finite, better than a blown-up model, and able to write."""
    for tensor in (*state.model.state_dict().values(), *state.optimiser.values()):
        assert tensor.isfinite().all()
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(state.model(state.ids[:16]), state.ids[1:17]).item()
    assert loss < 2 * state.history.references.uniform + 4
    assert len(list(generate_ids(state.model, state.ids[:3], SamplingConfig(max_new_tokens=5)))) == 5


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
@pytest.mark.parametrize("slice_steps", [60, 7, 1])
def test_a_learning_rate_far_too_large_stops_the_run_and_keeps_the_last_good_state(optimiser, slice_steps):
    training = replace(PLAN, optimiser=optimiser, learning_rate=100.0)
    state = in_slices(begin(TEXT, config=SMALL, training=training), slice_steps, 60)
    assert state.failure is not None
    assert state.failure.step >= state.step
    assert_works(state)
    assert state.finished
    assert advance(state, 5) is state


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_the_learning_rate_that_the_message_names_works(optimiser):
    training = replace(PLAN, optimiser=optimiser, learning_rate=100.0)
    state = in_slices(begin(TEXT, config=SMALL, training=training), 10, 60)
    advised = float(re.search(r"Try ([\d.e-]+)\.$", state.failure.message)[1])
    assert re.match(r"The loss (rose to \d+\.\d|became infinite)\. A learning rate of 100 is", state.failure.message)
    better = advance(begin(TEXT, config=SMALL, training=replace(training, learning_rate=advised)), 60)
    assert better.failure is None
    assert better.history.train[-1][1] < better.history.references.unigram


def test_the_failure_is_the_same_however_the_run_is_cut_up():
    start = begin(TEXT, config=SMALL, training=replace(PLAN, learning_rate=100.0))
    failures = {in_slices(start, steps, 60).failure for steps in (60, 10, 7, 1)}
    assert len(failures) == 1


@pytest.mark.parametrize("slice_steps", [60, 5, 1])
def test_an_injected_nan_stops_the_run_at_the_last_finite_state(monkeypatch, slice_steps):
    calls = iter(range(1000))
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", poison_gradients_at(calls, 12))
    state = in_slices(begin(TEXT, config=SMALL, training=PLAN), slice_steps, 60)
    assert state.failure is not None
    assert state.failure.step == 13
    assert "became infinite" in state.failure.message
    assert state.step <= 12
    assert_works(state)


def poison_gradients_at(calls, at: int):
    def clip(parameters, _):
        if next(calls) == at:
            for parameter in parameters:
                parameter.grad.fill_(math.nan)

    return clip


def test_nothing_infinite_enters_the_history():
    state = advance(begin(TEXT, config=SMALL, training=replace(PLAN, learning_rate=100.0)), 60)
    losses = [loss for _, loss in (*state.history.train, *state.history.validation)]
    assert all(math.isfinite(loss) and loss < 2 * state.history.references.uniform + 4 for loss in losses)


def test_training_to_the_end_warns_of_a_failure_and_returns_what_was_kept():
    start = begin(TEXT, config=SMALL, training=replace(PLAN, learning_rate=100.0))
    with pytest.warns(UserWarning, match=r"is too large for this model\. Try .* Stopped at step \d+; step \d+ is kept"):
        state = train(start)
    assert_works(state)
