"""Every switch of GPTConfig does what it says, and settings that cannot work are refused in a sentence."""

import math
import re
from dataclasses import replace

import pytest
import torch

from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig, check_memory
from minigpt.hooks import attention_patterns
from minigpt.model import Transformer, causal_pattern, rotary_turns, rotate, sinusoids

SMALL = GPTConfig(d_vocab=11, n_ctx=9, d_model=16, n_heads=4, n_layers=2)


def random_model(config: GPTConfig, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


def test_scores_are_scaled_by_the_root_of_d_head_unless_switched_off():
    q, k = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    by_hand = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in k.tolist()] for x in q.tolist()]
    for scale_scores, divisor in ((True, 3.0), (False, 1.0)):
        pattern = causal_pattern(q, k, causal=False, scale_scores=scale_scores)
        for row, scores in zip(pattern.tolist(), by_hand, strict=True):
            powers = [math.exp(score / divisor) for score in scores]
            assert row == pytest.approx([power / sum(powers) for power in powers], abs=1e-6)


def test_the_last_query_stands_at_the_last_key():
    q, k = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), torch.randn(5, 3)
    pattern = causal_pattern(q, k)
    assert (pattern > 0).tolist() == [[True, True, True, True, False], [True] * 5]


def test_layer_norm_off_leaves_no_layer_norm_and_the_scale_of_the_input_matters():
    for layer_norm, felt in ((True, False), (False, True)):
        model = random_model(replace(SMALL, layer_norm=layer_norm, positions="none", tie_unembedding=False))
        ids = torch.arange(9)
        before = model(ids)
        with torch.no_grad():
            model.embed.weight.mul_(3)
        # LayerNorm hides the scale of the first layer's input, so the first layer's patterns stay the same.
        first_layer_moved = (attention_patterns(model, ids)[0] - attention_patterns_of_third(model, ids)).abs().max()
        assert (first_layer_moved > 1e-3) == felt
        assert not torch.equal(model(ids), before)
        assert any(isinstance(module, torch.nn.LayerNorm) for module in model.modules()) == layer_norm


def attention_patterns_of_third(model: Transformer, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        model.embed.weight.div_(3)
        pattern = attention_patterns(model, ids)[0]
        model.embed.weight.mul_(3)
    return pattern


def test_without_the_residual_a_silent_layer_silences_the_model():
    for residual in (True, False):
        model = random_model(replace(SMALL, residual=residual, d_mlp=0))
        torch.nn.init.zeros_(model.blocks[1].attention.out.weight)
        resid = []
        model.blocks[1].register_forward_hook(lambda _, __, output, resid=resid: resid.append(output))
        model(torch.arange(9))
        assert bool(resid[0].any()) == residual


def test_attention_is_heard_when_the_mlp_is_silent():
    model = random_model(SMALL)
    for block in model.blocks:
        torch.nn.init.zeros_(block.mlp.down.weight)
    assert not torch.allclose(model(torch.tensor([1, 2, 3]))[-1], model(torch.tensor([2, 1, 3]))[-1])


def test_d_mlp_of_zero_is_attention_only():
    assert all(block.mlp is None for block in Transformer(replace(SMALL, d_mlp=0)).blocks)
    assert Transformer(SMALL).blocks[0].mlp.up.out_features == 64


def test_the_unembedding_is_the_embedding_only_where_tied():
    tied, untied = Transformer(SMALL), Transformer(replace(SMALL, tie_unembedding=False))
    assert tied.unembed.weight is tied.embed.weight
    assert untied.unembed.weight is not untied.embed.weight


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal", "learned", "none"])
def test_only_a_model_without_positions_is_blind_to_the_order_of_the_tokens_before(positions):
    model = random_model(replace(SMALL, positions=positions, n_layers=1))
    one, other = model(torch.tensor([3, 1, 4, 5]))[-1], model(torch.tensor([4, 3, 1, 5]))[-1]
    assert torch.allclose(one, other, atol=1e-5) == (positions == "none")


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = torch.randn(2, 1, 8, dtype=torch.float64)
    turns = rotary_turns(40, 8).double()
    scores = rotate(q.repeat(40, 1), turns) @ rotate(k.repeat(40, 1), turns).T
    for distance in range(-39, 40):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    assert scores[0].std() > 0.1


def test_rotary_turns_neighbours_by_place_times_a_frequency_that_falls_from_pair_to_pair():
    x = torch.randn(5, 6, dtype=torch.float64)
    turned = rotate(x.clone(), rotary_turns(5, 6).double())
    for place in range(5):
        for pair in range(3):
            angle = place * 100 ** (-2 * pair / 6)
            a, b = x[place, 2 * pair : 2 * pair + 2].tolist()
            expected = [a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)]
            assert turned[place, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(expected, abs=1e-5)


def test_rotary_turns_queries_and_keys_but_not_values():
    model = random_model(SMALL)
    attention, x = model.blocks[0].attention, torch.ones(1, 9, 16)
    q, k, v = attention.qkv_heads(x)
    for turned in (q, k):
        assert not torch.allclose(turned[:, :, 0], turned[:, :, 1])
        torch.testing.assert_close(turned.norm(dim=-1), turned.norm(dim=-1)[:, :, :1].expand(1, 4, 9))
    torch.testing.assert_close(v, v[:, :, :1].expand_as(v))


def test_sinusoids_are_those_of_the_paper():
    table = sinusoids(50, 6)
    for position in (0, 1, 49):
        for pair in range(3):
            angle = position / 10_000 ** (2 * pair / 6)
            assert table[position, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_initial_scale_is_obeyed():
    torch.manual_seed(0)
    wide = replace(SMALL, d_model=64, d_vocab=400, tie_unembedding=False)
    model = Transformer(replace(wide, init_std=0.05))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(0.05, rel=0.05)
    for parameter in Transformer(replace(wide, init_std=0.0)).parameters():
        assert parameter.ndim == 1 or not parameter.any()
    default = Transformer(wide)
    assert default.blocks[0].attention.qkv.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert default.embed.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not default.blocks[0].attention.out.weight.any()


def test_the_seed_alone_decides_the_parameters_and_nobody_elses_draws_change():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same = (Transformer(SMALL, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    other = Transformer(SMALL, torch.Generator().manual_seed(8))
    assert torch.equal(one.embed.weight, same.embed.weight)
    assert not torch.equal(one.embed.weight, other.embed.weight)


def test_the_mask_is_made_where_the_queries_are():
    # The meta device stands for any accelerator: a mask on the CPU would not mix with it.
    with torch.device("cpu"):
        q = torch.empty(2, 5, 4, device="meta")
        assert causal_pattern(q, q).device.type == "meta"
    assert Transformer(SMALL).to("meta").eval()(torch.zeros(9, dtype=torch.int64, device="meta")).shape == (9, 11)


REFUSED = {
    "Width must be a whole number from 1 to 4,096, not 0": {"d_model": 0},
    "Width 10 cannot be shared by 4 heads. Try width 8": {"d_model": 10},
    "Width 2 cannot be shared by 4 heads. Try width 8": {"d_model": 2},
    "Heads must be a whole number from 1 to 64, not -1": {"n_heads": -1},
    "Layers must be a whole number from 1 to 64, not 65": {"n_layers": 65},
    "Context must be a whole number from 1 to 4,096, not 0": {"n_ctx": 0},
    "the width of a head must be even, not 5": {"d_head": 5},
    "need an even width, not 5": {"d_model": 5, "n_heads": 1, "positions": "sinusoidal"},
    "init_std must be a number from 0 to 10, not nan": {"init_std": math.nan},
    "init_std must be a number from 0 to 10, not -1": {"init_std": -1.0},
    "d_mlp must be a whole number from 0 to 16,384, not -4": {"d_mlp": -4},
    "more than 100,000,000 parameters": {"d_model": 4096, "n_layers": 64},
    "d_vocab must be a whole number": {"d_vocab": 10**9},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_model_that_cannot_be_is_refused_in_a_sentence(sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        replace(SMALL, **{"d_head": 0, "d_mlp": None} | REFUSED[sentence])
    assert str(caught.value).endswith(".")


# What a page or a file may hand over; the checker of annotations would stop these first, so they are asked for by name.
@pytest.mark.parametrize(
    ("kind", "field", "value", "sentence"),
    [
        (GPTConfig, "positions", "alibi", "Positions must be one of rotary, sinusoidal, learned, none, not 'alibi'"),
        (GPTConfig, "act_fn", "tanh", "act_fn must be one of relu, gelu, gelu_tanh, silu, not 'tanh'"),
        (GPTConfig, "causal", "no", "causal must be True or False, not 'no'"),
        (GPTConfig, "n_layers", 2.5, "Layers must be a whole number from 1 to 64, not 2.5"),
        (GPTConfig, "n_layers", True, "Layers must be a whole number from 1 to 64, not True"),
        (TrainingConfig, "optimiser", "sgd", "Optimiser must be one of muon, adamw, not 'sgd'"),
        (TrainingConfig, "learning_rate", "fast", "Learning rate must be a number from 1e-08 to 100, not 'fast'"),
        (TrainingConfig, "steps", 0, "Steps must be a whole number from 1 to 100,000, not 0"),
        (TrainingConfig, "learning_rate", math.inf, "Learning rate must be a number from 1e-08 to 100, not inf"),
        (TrainingConfig, "validation_fraction", 0.9, "Held out, share must be a number from 0.01 to 0.5, not 0.9"),
        (TrainingConfig, "seed", -1, "Seed must be a whole number from 0 to 2,147,483,647, not -1"),
        (SamplingConfig, "temperature", -0.1, "Temperature must be a number from 0 to 100, not -0.1"),
        (SamplingConfig, "top_k", 0, "Top-k must be a whole number from 1 to 1,000,000, not 0"),
        (SamplingConfig, "top_p", 1.5, "Top-p must be a number from 0 to 1, not 1.5"),
        (SamplingConfig, "max_new_tokens", 0, "Tokens must be a whole number from 1 to 10,000, not 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_sentence(kind, field, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        kind.__post_init__(_with(kind, field, value))


def _with(kind: type, field: str, value: object) -> object:
    settings = kind()
    object.__setattr__(settings, field, value)
    return settings


def test_a_model_needs_a_vocabulary():
    with pytest.raises(ValueError, match="d_vocab of at least 1"):
        Transformer(GPTConfig())


def test_a_batch_that_would_exhaust_a_small_server_is_refused_with_one_that_would_not():
    config = GPTConfig(d_vocab=8000, n_ctx=1024)
    with pytest.raises(ValueError, match="A batch of 64 texts of 1024 tokens is too large") as caught:
        check_memory(config, TrainingConfig(batch_size=64))
    advised = int(re.search(r"Try a batch of (\d+)", str(caught.value))[1])
    check_memory(config, TrainingConfig(batch_size=advised))
    with pytest.raises(ValueError, match=rf"Try a batch of {advised}\.$"):
        check_memory(config, TrainingConfig(batch_size=advised + 1))
    with pytest.raises(ValueError, match=r"Try a batch of \d+ and a context of \d+\.$"):
        check_memory(GPTConfig(n_ctx=4096, d_model=128, n_heads=64, n_layers=64), TrainingConfig(batch_size=1))
