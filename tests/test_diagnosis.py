"""What the heads of a trained model do, and what muting them costs, by hand and on what was held out."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.data import split_for
from minigpt.diagnosis import diagnose, held_out_windows, loss_without, scoring_ids
from minigpt.heads import probe
from minigpt.model import AttentionHead
from minigpt.training import TrainingState, advance, begin

CONFIG = GPTConfig(n_ctx=12, d_model=16, n_heads=4, n_layers=3, bias=True)
TEXTS = {
    "anywhere": "the old king saw the young dog . the dog ran off and the king sat down .\n" * 6,
    "single lines": "".join(f"{'abcdefgh'[i % 5 : i % 8 + 1] or 'dab'}|{'hgfedcba'[i % 4 :]}\n" for i in range(60)),
}
EVERY = list(np.ndindex(3, 4))


def random_state(windows: str = "anywhere") -> TrainingState:
    """Parameters so large that each head matters."""
    state = begin(TEXTS[windows], "character", CONFIG, TrainingConfig(steps=3, batch_size=2, windows=windows))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.normal_(std=0.4, generator=rng)
    return state


def slow_loss(state: TrainingState, heads: list[tuple[int, int]]) -> float:
    """The loss with the output columns of these heads zeroed, token by token."""
    without = copy.deepcopy(state.model)
    losses = []
    with torch.no_grad():
        for layer, head in heads:
            AttentionHead(without.blocks[layer].attention, head).W_O.zero_()
        for window, counts in zip(*held_out_windows(state), strict=True):
            p = torch.log_softmax(without(window[:-1]).double(), dim=-1)
            losses += [-float(p[query, came]) for query, came in enumerate(window[1:]) if counts[query]]
    return float(np.mean(losses))


@pytest.mark.parametrize("windows", TEXTS)
def test_the_loss_without_heads_is_that_of_a_model_whose_heads_write_nothing(windows):
    state = random_state(windows)
    _, counts = held_out_windows(state)
    assert bool(counts.all()) == (windows == "anywhere"), "after the end of a line nothing counts"
    whole = loss_without(state)
    for heads in ([], *([head] for head in EVERY), [(0, 1), (2, 3)], EVERY):
        assert loss_without(state, heads) == pytest.approx(slow_loss(state, heads), abs=1e-5)
    assert all(abs(loss_without(state, [head]) - whole) > 1e-4 for head in EVERY), "no head to tell from another"
    assert not any(module._forward_hooks for module in state.model.modules())


def test_the_loss_without_any_is_the_validation_loss_of_the_run():
    state = advance(random_state(), 3)
    step, loss = state.history.validation[-1]
    assert step == state.step
    assert loss_without(state) == pytest.approx(loss, abs=1e-5)


def test_a_head_that_writes_nothing_costs_nothing():
    state = random_state()
    with torch.no_grad():
        AttentionHead(state.model.blocks[1].attention, 2).W_O.zero_()
    whole = loss_without(state)
    assert [head for head in EVERY if loss_without(state, [head]) == whole] == [(1, 2)]


@pytest.mark.parametrize("head", [(3, 0), (0, 4), (-1, 0)])
def test_a_head_that_is_not_there_is_named(head):
    with pytest.raises(ValueError, match=f"there is no head {head[1]} in layer {head[0]}"):
        loss_without(random_state(), [head])


def test_heads_are_scored_on_no_token_that_stands_only_where_the_model_never_trains():
    training = replace(TrainingConfig(steps=1), validation_place="spread")
    text = "abcd" * 500
    state = begin(text, "character", CONFIG, training)
    held = split_for(state.ids, CONFIG.n_ctx, training, None).validation_runs
    assert len(held) > 1, "in several pieces, so that the end alone does not tell them"
    place = held[0][0]
    state = begin(f"{text[:place]}x{text[place + 1 :]}", "character", CONFIG, training)
    unseen = state.tokenizer.index["x"]
    assert unseen in state.ids
    assert unseen not in scoring_ids(state)[0]


def test_heads_are_scored_on_random_tokens_and_on_a_whole_line_where_lines_stand_alone():
    state = random_state()
    ids, scored_on = scoring_ids(state)
    assert scored_on == "random tokens"
    np.testing.assert_array_equal(ids, probe(state.config.d_vocab, state.config.n_ctx))
    state = random_state("single lines")
    ids, scored_on = scoring_ids(state)
    line = state.tokenizer.decode(ids.tolist())
    assert scored_on == "a line held out"
    assert line in TEXTS["single lines"]
    assert line.endswith("\n") or len(ids) == state.config.n_ctx
    newline = state.tokenizer.encode("\n")[0]
    windows = held_out_windows(state)[0][:, :-1].tolist()
    assert len(ids) == max([*window, newline].index(newline) + (newline in window) for window in windows)
    found = diagnose(state)
    assert found is not None
    assert (found.ids, found.scored_on) == (tuple(ids), scored_on)


def test_of_heads_that_look_ahead_nothing_is_said():
    causal = replace(CONFIG, causal=False)
    assert diagnose(begin(TEXTS["anywhere"], "character", causal, TrainingConfig(steps=3))) is None
    # Two tokens hold no probe.
    assert diagnose(begin("ab" * 40, "character", replace(CONFIG, n_ctx=2), TrainingConfig(steps=3))) is None
