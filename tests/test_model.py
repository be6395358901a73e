"""The model against independent implementations, against exact properties of attention, and against its own config."""

import math
import pickle
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from minigpt.config import GPTConfig
from minigpt.hooks import attention_patterns, listening, patterns_and_logits
from minigpt.model import ACT_FNS, MLP, AttentionHead, MultiHeadedAttention, Transformer, causal_pattern

POSITIONS = ["rotary", "sinusoidal", "learned", "none"]
SMALL = GPTConfig(d_vocab=11, n_ctx=9, d_model=16, n_heads=4, n_layers=2)


def random_model(config: GPTConfig, seed: int = 0) -> Transformer:
    """Every parameter random, those that start at 0 or 1 included: a fresh model hides what it multiplies by zero."""
    torch.manual_seed(seed)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(mean=0.3 if parameter.ndim == 1 else 0.0, std=0.4)
    return model


def random_ids(config: GPTConfig, *shape: int) -> torch.Tensor:
    return torch.randint(config.d_vocab, shape or (config.n_ctx,), generator=torch.Generator().manual_seed(1))


def hugging_face_twin() -> tuple[GPT2LMHeadModel, Transformer]:
    """A GPT-2 with random weights, LayerNorms and biases included, and our model with the same ones."""
    torch.manual_seed(3)
    shape = GPT2Config(vocab_size=41, n_positions=24, n_embd=32, n_layer=3, n_head=4, attn_implementation="eager")
    theirs = GPT2LMHeadModel(shape).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(mean=0.2 if parameter.ndim == 1 else 0.0, std=0.2)
    ours = Transformer(
        GPTConfig(41, 24, 32, n_heads=4, n_layers=3, positions="learned", act_fn="gelu_tanh", bias=True)
    ).eval()
    renamed = {"embed.weight": "wte.weight", "position.weight": "wpe.weight", "unembed.weight": "wte.weight"}
    renamed |= {f"ln_final.{part}": f"ln_f.{part}" for part in ("weight", "bias")}
    blocks = {"ln_attention": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj"}
    blocks |= {"ln_mlp": "ln_2", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
    source = theirs.transformer.state_dict()
    weights = {name: source[their_name] for name, their_name in renamed.items()}
    for layer in range(3):
        for our_name, their_name in blocks.items():
            for part in ("weight", "bias"):
                tensor = source[f"h.{layer}.{their_name}.{part}"]
                # GPT-2 keeps its linear maps as [in out].
                weights[f"blocks.{layer}.{our_name}.{part}"] = tensor.T if tensor.ndim == 2 else tensor
    ours.load_state_dict(weights)
    return theirs, ours


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_logits_and_patterns_equal_hugging_faces_gpt2(dtype, tolerance):
    theirs, ours = (model.to(dtype) for model in hugging_face_twin())
    ids = random_ids(ours.config)
    with torch.no_grad():
        expected = theirs(ids[None], output_attentions=True)
    pattern, logits = patterns_and_logits(ours, ids)
    assert logits.std() > 0.3
    torch.testing.assert_close(logits, expected.logits[0], atol=tolerance, rtol=0)
    torch.testing.assert_close(pattern, torch.stack(expected.attentions)[:, 0], atol=tolerance, rtol=0)


def attention_and_twin(causal: bool = True) -> tuple[MultiHeadedAttention, nn.MultiheadAttention]:
    config = GPTConfig(1, 12, 32, n_heads=4, positions="none", bias=True, causal=causal)
    torch.manual_seed(5)
    ours, theirs = MultiHeadedAttention(config), nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_(std=0.15)
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    return ours, theirs.eval()


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_attention_equals_torchs_own_layer(causal, fused):
    ours, theirs = attention_and_twin(causal)
    x = torch.randn(3, 12, 32)
    mask = nn.Transformer.generate_square_subsequent_mask(12) if causal else None
    expected, _ = theirs(x, x, x, attn_mask=mask, need_weights=False)
    torch.testing.assert_close(ours.train(fused)(x), expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_patterns_equal_torchs_own_layers():
    ours, theirs = attention_and_twin()
    x = torch.randn(3, 12, 32)
    mask = nn.Transformer.generate_square_subsequent_mask(12)
    _, expected = theirs(x, x, x, attn_mask=mask, need_weights=True, average_attn_weights=False)
    heard = []
    ours.hook_pattern.register_forward_hook(lambda _, __, output: heard.append(output))
    ours(x)
    torch.testing.assert_close(heard[0], expected, atol=1e-6, rtol=0)


def test_pattern_times_values_equals_torchs_causal_kernel():
    q, k, v = torch.randn(3, 2, 4, 10, 8, generator=torch.Generator().manual_seed(0))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(causal_pattern(q, k) @ v, expected, atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("switch", ["causal", "scale_scores", None])
def test_the_kernel_that_training_uses_gives_the_logits_that_the_hooks_see(positions, switch):
    config = replace(SMALL, positions=positions, **({switch: False} if switch else {}))
    model, ids = random_model(config), random_ids(config, 2, 9)
    fused = model.train()(ids)
    with listening(model):
        torch.testing.assert_close(model(ids), fused, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_model_in_training_mode_reads_a_cache_as_one_in_evaluation_mode_does():
    model, ids = random_model(SMALL), random_ids(SMALL)
    whole = model(ids[None])
    model.train()
    cache = model.new_cache()
    pieces = [model(ids[None, start : start + 3], cache) for start in (0, 3, 6)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", POSITIONS)
def test_rows_sum_to_one_and_the_upper_triangle_is_exactly_zero(positions):
    config = replace(SMALL, positions=positions)
    pattern = attention_patterns(random_model(config), random_ids(config))
    assert pattern.shape == (2, 4, 9, 9)
    torch.testing.assert_close(pattern.sum(-1), torch.ones(2, 4, 9), atol=1e-6, rtol=0)
    assert (pattern.triu(1) == 0).all()
    assert (pattern.tril() > 0).sum() == 2 * 4 * 45


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("positions", POSITIONS)
def test_no_logit_feels_a_token_after_it(positions, training):
    config = replace(SMALL, positions=positions)
    model = random_model(config).train(training)
    seen = []
    model.embed.register_forward_hook(lambda _, __, output: seen.append(output.retain_grad()) or seen.append(output))
    logits = model(random_ids(config, 1, 9))
    embedding = seen[-1]
    for query in range(9):
        embedding.grad = None
        logits[0, query].square().sum().backward(retain_graph=True)
        size = embedding.grad[0].abs().sum(-1)
        assert (size[query + 1 :] == 0).all()
        assert (size[: query + 1] > 0).all()


def test_without_a_causal_mask_every_logit_feels_every_token():
    model = random_model(replace(SMALL, causal=False))
    pattern = attention_patterns(model, random_ids(SMALL))
    assert (pattern > 0).all()
    ids = random_ids(SMALL)
    changed = torch.cat([ids[:-1], (ids[-1:] + 1) % 11])
    assert (model(ids)[0] != model(changed)[0]).any()


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, bias=True, d_mlp=0), replace(SMALL, tie_unembedding=False)])
def test_a_zeroed_unembedding_gives_an_even_guess_with_loss_ln_v(config):
    model = random_model(config)
    nn.init.zeros_(model.unembed.weight)
    ids = random_ids(config)
    assert F.cross_entropy(model(ids), ids).item() == pytest.approx(math.log(11), abs=1e-6)


# Counted by hand: (d_vocab, n_ctx, d_model) = (11, 9, 16) unless said.
COUNTS = {
    "tied, rotary": (SMALL, 11 * 16 + 2 * (16 * 48 + 16 * 16 + 2 * 16 * 64 + 2 * 16) + 16),
    "untied": (replace(SMALL, tie_unembedding=False), 2 * 11 * 16 + 2 * (16 * 48 + 16 * 16 + 2 * 16 * 64 + 32) + 16),
    "learned": (replace(SMALL, positions="learned"), (11 + 9) * 16 + 2 * (16 * 64 + 2 * 16 * 64 + 32) + 16),
    "no MLP": (replace(SMALL, d_mlp=0), 11 * 16 + 2 * (16 * 64 + 16) + 16),
    "no LayerNorm": (replace(SMALL, layer_norm=False), 11 * 16 + 2 * (16 * 64 + 2 * 16 * 64)),
    "no MLP, bias": (replace(SMALL, d_mlp=0, bias=True), 11 * 16 + 2 * (16 * 48 + 48 + 16 * 16 + 16 + 32) + 32),
    "narrow heads, bias": (
        replace(SMALL, d_head=2, bias=True),
        11 * 16 + 2 * ((16 * 24 + 24) + (8 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16) + 4 * 16) + 32,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_n_params_is_an_int_and_counts_each_number_once(name):
    config, expected = COUNTS[name]
    assert Transformer(config).n_params == config.n_params == expected
    assert isinstance(Transformer(config).n_params, int)


def test_n_params_of_the_smallest_gpt2_is_the_published_124_million():
    # Layer by layer, because a config refuses what a shared server could not train.
    shape = GPTConfig(1, 1024, 768, n_heads=12, n_layers=1, positions="learned", bias=True)
    one, two = shape.n_params, replace(shape, n_layers=2).n_params
    assert one + 11 * (two - one) + 50_256 * 768 == 124_439_808


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("positions", ["rotary", "none"])
@pytest.mark.parametrize("fused", [True, False])
def test_the_heads_and_the_bias_add_up_to_the_layer(bias, positions, fused):
    layer = random_model(replace(SMALL, bias=bias, positions=positions)).double().blocks[0].attention
    x = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    total = sum(AttentionHead(layer, head)(x) for head in range(4)) + (layer.out.bias if bias else 0)
    torch.testing.assert_close(total, layer.train(fused)(x), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("change", [{}, {"bias": True}, {"positions": "none"}, {"causal": False}, {"d_head": 6}])
def test_a_heads_pattern_is_the_one_that_the_hook_sees(change):
    model = random_model(replace(SMALL, **change))
    layer, seen = model.blocks[0].attention, []
    handle = layer.hook_pattern.register_forward_hook(lambda _, __, output: seen.append(output))
    x = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(2))
    layer(x)
    handle.remove()
    for head in range(4):
        torch.testing.assert_close(AttentionHead(layer, head).pattern(x), seen[0][:, head], atol=1e-6, rtol=0)


def test_there_is_no_head_beyond_the_last():
    with pytest.raises(ValueError, match="heads 0 to 3; there is no head 4"):
        AttentionHead(random_model(SMALL).blocks[0].attention, 4)


@torch.no_grad()
@pytest.mark.parametrize("positions", POSITIONS)
def test_a_row_of_a_batch_gives_what_it_gives_alone(positions):
    config = replace(SMALL, positions=positions)
    model, ids = random_model(config), random_ids(config, 2, 3, 9)
    batched = model(ids.flatten(end_dim=1))
    for row, logits in zip(ids.flatten(end_dim=1), batched, strict=True):
        torch.testing.assert_close(model(row), logits, atol=1e-6, rtol=1e-6)
    assert torch.equal(model(ids), batched.view(2, 3, 9, 11))


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_pass_the_rotation_that_is_done_in_place(bias):
    attention = random_model(replace(SMALL, bias=bias)).double().blocks[0].attention
    x = torch.randn(2, 5, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attention.qkv_heads, (x,))
    assert torch.autograd.gradcheck(attention, (x,))


def test_more_tokens_than_the_context_are_refused():
    with pytest.raises(ValueError, match="The model sees 9 tokens at once, and got 10"):
        random_model(SMALL)(random_ids(SMALL, 10))


def test_logits_are_not_probabilities():
    logits = random_model(SMALL)(random_ids(SMALL))
    assert (logits < 0).any()
    assert not torch.allclose(logits.exp().sum(-1), torch.ones(9), atol=0.1)
    assert not torch.allclose(logits.sum(-1), torch.ones(9), atol=0.1)


@pytest.mark.parametrize("name", ACT_FNS)
def test_act_fn_is_obeyed_and_the_model_can_travel(name):
    formula = {
        "relu": lambda x: x.clamp(min=0),
        "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
        "gelu_tanh": lambda x: x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
        "silu": lambda x: x / (1 + torch.exp(-x)),
    }[name]
    mlp = MLP(replace(SMALL, act_fn=name))
    x = torch.linspace(-8, 8, 64).reshape(1, 4, 16)
    torch.testing.assert_close(pickle.loads(pickle.dumps(mlp))(x), mlp.down(formula(mlp.up(x))), atol=1e-6, rtol=0)
