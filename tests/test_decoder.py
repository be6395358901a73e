"""The fast way to read one more token, against the model itself, which reads everything at once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig, SamplingConfig
from minigpt.decoder import Decoder, decodable
from minigpt.generation import generate_ids
from minigpt.model import Transformer

CONFIG = GPTConfig(d_vocab=16, n_ctx=12, d_model=16, n_heads=2, n_layers=2)


def random_model(config: GPTConfig = CONFIG) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(mean=0.1, std=0.4)
    return model


@torch.no_grad()
def decoder_behind(model: Transformer, ids: torch.Tensor) -> Decoder:
    cache = model.new_cache()
    model(ids[None], cache)
    return Decoder(model, cache)


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bias": True},
        {"positions": "learned"},
        {"positions": "sinusoidal"},
        {"positions": "none"},
        {"scale_scores": False},
        {"tie_unembedding": False},
        {"d_mlp": 0},
        {"d_mlp": 5},
        {"d_head": 6},
        {"n_heads": 1},
        {"n_layers": 1},
        {"d_head": 2, "n_heads": 3, "bias": True, "positions": "rotary"},
    ],
)
@pytest.mark.parametrize("n_read", [1, 5])
def test_a_decoder_reads_as_the_model_does(changes, n_read):
    model = random_model(replace(CONFIG, **{"d_head": 0, **changes}))
    ids = torch.randint(16, (12,), generator=torch.Generator().manual_seed(1))
    decoder, whole = decoder_behind(model, ids[:n_read]), model(ids)
    for place in range(n_read, 12):
        np.testing.assert_allclose(decoder.read(int(ids[place])), whole[place], atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_scores_far_too_large_for_an_exponential_are_no_trouble():
    model = random_model()
    for block in model.blocks:
        block.attention.qkv.weight.mul_(40)
    ids = torch.arange(12)
    decoder, whole = decoder_behind(model, ids[:2]), model(ids)
    for place in range(2, 12):
        np.testing.assert_allclose(decoder.read(place), whole[place], atol=1e-3)


@torch.no_grad()
def test_a_decoder_keeps_its_numbers_when_the_model_trains_on():
    model, ids = random_model(), torch.arange(12)
    decoder, before = decoder_behind(model, ids[:3]), model(ids)[3]
    for parameter in model.parameters():
        parameter.zero_()
    np.testing.assert_allclose(decoder.read(3), before, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"causal": False}, {"residual": False}, {"layer_norm": False}, {"act_fn": "gelu"}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_unusual_model_is_run_as_it_is(changes):
    assert decodable(random_model())
    assert not decodable(random_model(replace(CONFIG, **changes)))
    assert not decodable(random_model().double())


def test_a_hook_on_any_part_sees_and_changes_every_token():
    """A decoder would pass it by, and a head that was muted would go on speaking."""
    model, prompt, sampling = random_model(), torch.tensor([1, 2]), SamplingConfig(6, temperature=0)
    plain = [logits for _, logits, _ in generate_ids(model, prompt, sampling)]
    handle = model.blocks[1].attention.hook_pattern.register_forward_hook(lambda _, __, pattern: 0 * pattern)
    muted = [logits for _, logits, _ in generate_ids(model, prompt, sampling)]
    handle.remove()
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(plain, muted, strict=True))
    with torch.no_grad():
        model.blocks[1].attention.out.weight.zero_()
    silent = [logits for _, logits, _ in generate_ids(model, prompt, sampling)]
    np.testing.assert_allclose(muted, silent, atol=1e-5)


def test_yielded_logits_are_kept_by_whoever_gets_them():
    given = [
        (logits, logits.copy()) for _, logits, _ in generate_ids(random_model(), torch.tensor([1]), SamplingConfig(8))
    ]
    assert all(np.array_equal(now, then) for now, then in given)
