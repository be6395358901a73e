"""A muted head writes nothing, all else stays as it was, and what the model loses by it is what the head costs."""

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig, SamplingConfig
from minigpt.generation import generate_ids
from minigpt.heads import all_scores, probe
from minigpt.hooks import attention_patterns, head_scores, listening, muted
from minigpt.model import AttentionHead, Transformer

CONFIG = GPTConfig(d_vocab=11, n_ctx=9, d_model=16, n_heads=4, n_layers=3)


@pytest.fixture
def model() -> Transformer:
    return random_model()


def random_model(bias: bool = False) -> Transformer:
    made, rng = Transformer(replace(CONFIG, bias=bias)).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.4, generator=rng)
    return made


def hooks_left(model: Transformer) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


# ---- what every head does ----


def test_every_head_is_scored_from_one_pass(model):
    ids = probe(CONFIG.d_vocab, CONFIG.n_ctx)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    # One head is made ideal, so that a layer or a head taken for another shows.
    back = torch.eye(9).roll(-1, dims=1).tril()
    back[0, 0] = 1

    def look_back(_module: object, _inputs: object, pattern: torch.Tensor) -> torch.Tensor:
        return torch.stack([pattern[0, 0], pattern[0, 1], pattern[0, 2], back])[None]

    look = model.blocks[1].attention.hook_pattern.register_forward_hook(look_back)
    scored = head_scores(model, ids)
    assert len(passes) == 1
    assert [(i, j) for i, j in np.ndindex(3, 4) if scored[i][j].previous == 1] == [(1, 3)]
    assert scored == all_scores(attention_patterns(model, torch.from_numpy(ids)).numpy(), ids)
    look.remove()
    assert head_scores(model, ids.tolist())[1][3].previous < 1


def test_a_model_that_sees_ahead_has_no_scores():
    model = Transformer(replace(CONFIG, causal=False))
    with pytest.raises(ValueError, match="Query 0 looks ahead"):
        head_scores(model, probe(CONFIG.d_vocab, CONFIG.n_ctx))
    with pytest.raises(ValueError, match="There are no ids"):
        head_scores(model, [])


# ---- heads muted ----

EVERY = [(layer, head) for layer in range(3) for head in range(4)]


def test_muting_none_changes_no_bit(model):
    ids = torch.arange(9)
    before = model(ids)
    with muted(model, []):
        assert hooks_left(model) == 0
        assert torch.equal(model(ids), before)
    with muted(model, EVERY):
        assert not torch.allclose(model(ids), before)
    assert torch.equal(model(ids), before)


def test_muting_none_changes_no_bit_of_what_is_written_or_looked_at(model):
    sampling = SamplingConfig(max_new_tokens=12, seed=3)  # Slides out of the window.
    patterns, written = attention_patterns(model, torch.arange(9)), list(generate_ids(model, torch.arange(4), sampling))
    with muted(model, []):
        assert torch.equal(attention_patterns(model, torch.arange(9)), patterns)
        again = list(generate_ids(model, torch.arange(4), sampling))
    assert [(index, slid) for index, _, slid in again] == [(index, slid) for index, _, slid in written]
    for (_, logits, _), (_, before, _) in zip(again, written, strict=True):
        np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_all_muted_leaves_the_residual_stream_of_a_model_without_its_attention(layer, bias):
    model = random_model(bias)
    without = copy.deepcopy(model)
    with torch.no_grad():
        without.blocks[layer].attention.out.weight.zero_()  # Its output bias stays.
    streams: dict[Transformer, list[torch.Tensor]] = {model: [], without: []}
    for one, stream in streams.items():
        for block in one.blocks:
            block.register_forward_hook(lambda _module, _inputs, output, stream=stream: stream.append(output))
    with muted(model, [(layer, head) for head in range(4)]):
        model(torch.arange(9))
    without(torch.arange(9))
    for stream, expected in zip(*streams.values(), strict=True):
        torch.testing.assert_close(stream, expected, atol=1e-6, rtol=0)
    whole = torch.stack(streams[without])
    model(torch.arange(9))
    assert (torch.stack(streams[model][3:])[layer:] - whole[layer:]).abs().max() > 0.1


@pytest.mark.parametrize("training", [False, True])
def test_muting_all_heads_of_a_layer_leaves_its_output_bias(training):
    model, ids = random_model(bias=True).train(training), torch.arange(9)
    attention = model.blocks[1].attention
    written = []
    attention.register_forward_hook(lambda *args: written.append(args[2]))
    with muted(model, [(1, head) for head in range(4)]):
        muted_logits = model(ids)
    assert torch.equal(written[0], attention.out.bias.expand(1, 9, -1))
    removed = attention.register_forward_hook(lambda _module, _inputs, output: attention.out.bias.expand_as(output))
    torch.testing.assert_close(muted_logits, model(ids), atol=1e-6, rtol=0)
    removed.remove()
    assert not torch.allclose(muted_logits, model(ids), atol=1e-2)


@pytest.mark.parametrize("silent", [[0], [3], [1, 2], [2, 2]])
def test_muting_takes_away_what_these_heads_write_and_nothing_else(silent):
    model, ids = random_model(bias=True), torch.arange(9)
    attention = model.blocks[2].attention
    heard: list[tuple[torch.Tensor, torch.Tensor]] = []
    attention.register_forward_hook(lambda _module, inputs, output: heard.append((inputs[0], output)))
    model(ids)
    with muted(model, [(2, head) for head in silent]):
        model(ids)
    (x, whole), (same_x, rest) = heard
    assert torch.equal(x, same_x)
    away = sum(AttentionHead(attention, head)(x) for head in set(silent))
    assert away.abs().max() > 0.1
    torch.testing.assert_close(whole - rest, away, atol=1e-5, rtol=0)


def test_a_muted_head_shows_as_muted_and_the_others_add_up_to_one(model):
    with listening(model) as before, muted(model, [(0, 1), (2, 3), (2, 0)]):
        pattern = attention_patterns(model, torch.arange(9))
    sums = pattern.sum(dim=-1)
    silent = torch.zeros(3, 4, dtype=torch.bool)
    silent[0, 1] = silent[2, 3] = silent[2, 0] = True
    assert not sums[silent].any()
    torch.testing.assert_close(sums[~silent], torch.ones(9, 9))
    # What was heard before the muting stays as it was.
    torch.testing.assert_close(before[0].sum(dim=-1), torch.ones(1, 4, 9))


def test_muting_ends_whatever_happens(model):
    with muted(model, EVERY):
        assert hooks_left(model) == 3
    assert hooks_left(model) == 0
    with pytest.raises(KeyError), muted(model, EVERY):
        raise KeyError
    assert hooks_left(model) == 0


@pytest.mark.parametrize("head", [(3, 0), (0, 4), (-1, 0), (0, -1)])
def test_a_head_that_is_not_there_is_named(model, head):
    with (
        pytest.raises(ValueError, match=rf"heads 0 to 3; there is no head {head[1]} in layer {head[0]}\."),
        muted(model, [(0, 0), head]),
    ):
        pass
    assert hooks_left(model) == 0


def test_a_silent_head_is_silent_even_where_its_pattern_is_no_number(model):
    model.blocks[0].attention.hook_pattern.register_forward_hook(lambda _module, _inputs, output: output * torch.nan)
    with muted(model, [(0, head) for head in range(4)]):
        assert model(torch.arange(9)).isfinite().all()


def test_only_the_muting_threads_own_passes_are_changed(model):
    ids, of_others = torch.arange(9), []
    expected = model(ids)
    with muted(model, EVERY):
        other = threading.Thread(target=lambda: of_others.append(model(ids)))
        other.start()
        other.join()
    assert torch.equal(of_others[0], expected)


def test_writing_goes_on_without_the_muted_heads(model):
    sampling = SamplingConfig(max_new_tokens=3, temperature=0)
    with muted(model, EVERY):
        written = list(generate_ids(model, torch.arange(4), sampling))
        expected = model(torch.tensor([0, 1, 2, 3, *[index for index, _, _ in written][:2]]))
    for (_, logits, _), row in zip(written, expected[3:].detach(), strict=True):
        np.testing.assert_allclose(logits, row, atol=1e-5)
