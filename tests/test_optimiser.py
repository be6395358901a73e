"""Muon against the singular value decomposition and against torch's own, and the learning rate at each step."""

import math

import pytest
import torch
from torch import nn

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.model import Transformer
from minigpt.optimiser import Muon, Optimisers, learning_rate_at, orthogonalise

SHAPES = [(16, 16), (64, 16), (16, 64), (3, 40), (1, 5)]


def matrix(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonalised_matrices_keep_their_directions_and_lose_their_lengths(shape):
    x = matrix(*shape)
    y = orthogonalise(x[None])[0]
    assert y.shape == shape
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    inside = left.T @ y @ right.T
    lengths = inside.diagonal()
    # Newton-Schulz with these coefficients stops near 1, not at it: that is its design.
    assert lengths.min() > 0.6
    assert lengths.max() < 1.3
    torch.testing.assert_close(inside, torch.diag(lengths), atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_size_of_a_gradient_does_not_matter_to_its_direction(scale):
    x = matrix(1, 8, 12)
    torch.testing.assert_close(orthogonalise(scale * x), orthogonalise(x), atol=1e-3, rtol=0)


def test_a_gradient_of_zero_stays_zero():
    assert not orthogonalise(torch.zeros(2, 3, 4)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_is_orthogonalised_as_each_matrix_alone(shape):
    stack = torch.stack([matrix(*shape, seed=seed) * 10**seed for seed in range(3)])
    alone = torch.cat([orthogonalise(one[None]) for one in stack])
    torch.testing.assert_close(orthogonalise(stack), alone, atol=1e-5, rtol=0)


def by_hand(parameter: torch.Tensor, gradients: list[torch.Tensor], lr: float, decay: float) -> torch.Tensor:
    """Muon as its author writes it, one matrix, one step after the other, in double precision (Jordan, 2024)."""
    parameter, momentum = parameter.double(), torch.zeros_like(parameter, dtype=torch.float64)
    for gradient in gradients:
        momentum = 0.95 * momentum + 0.05 * gradient.double()
        update = 0.05 * gradient.double() + 0.95 * momentum
        x = update / update.norm()
        if tall := x.shape[0] > x.shape[1]:
            x = x.T
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
        x = x.T if tall else x
        parameter = parameter * (1 - lr * decay) - lr * max(1, x.shape[0] / x.shape[1]) ** 0.5 * x
    return parameter.float()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_muon_moves_as_its_author_writes_it(shape, decay):
    start, gradients = matrix(*shape, seed=9), [matrix(*shape, seed=seed) for seed in range(4)]
    parameter = nn.Parameter(start.clone())
    muon = Muon([{"params": [parameter], "weight_decay": decay}], lr=0.1)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        muon.step()
    torch.testing.assert_close(parameter.data, by_hand(start, gradients, 0.1, decay), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_muon_moves_as_torchs_own_but_for_its_half_precision(shape):
    start, gradients = matrix(*shape, seed=9), [matrix(*shape, seed=seed) for seed in range(4)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimisers = Muon([{"params": [ours]}], lr=0.1), torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0)
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimiser in optimisers:
            optimiser.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() / moved < 0.02
    assert moved > 0.1


def test_fused_queries_keys_and_values_move_as_three_matrices():
    start, gradient = matrix(48, 16, seed=9), matrix(48, 16)
    fused = nn.Parameter(start.clone())
    fused.grad = gradient.clone()
    Muon([{"params": [fused], "parts": 3}], lr=0.1).step()
    for part, part_gradient, moved in zip(start.chunk(3), gradient.chunk(3), fused.data.chunk(3), strict=True):
        torch.testing.assert_close(moved, by_hand(part, [part_gradient], 0.1, 0), atol=1e-4, rtol=0)


def test_a_models_queries_keys_and_values_each_move_equally_far_in_every_direction():
    model = Transformer(GPTConfig(d_vocab=20, d_model=16, n_heads=2))
    before = model.blocks[0].attention.qkv.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    # A gradient that is far larger for the queries: as one matrix, the keys and values would hardly move.
    model.blocks[0].attention.qkv.weight.grad[:16] *= 100
    training = TrainingConfig(learning_rate=0.1, warmup_steps=0)
    Optimisers(model, training).step(0)
    for part in (before - model.blocks[0].attention.qkv.weight.detach()).chunk(3):
        lengths = torch.linalg.svdvals(part) / 0.1
        assert lengths.min() > 0.6
        assert lengths.max() < 1.3


def test_every_parameter_has_one_optimiser_and_only_matrices_of_blocks_have_muon():
    model = Transformer(GPTConfig(d_vocab=20, positions="learned", bias=True, tie_unembedding=False))
    optimisers = Optimisers(model, TrainingConfig())._all
    owned = {
        name: {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
        for name, optimiser in optimisers.items()
    }
    assert owned["muon"] == {id(p) for name, p in model.named_parameters() if "blocks" in name and p.ndim == 2}
    assert owned["adamw"] == {id(p) for p in model.parameters()} - owned["muon"]
    assert list(Optimisers(model, TrainingConfig(optimiser="adamw"))._all) == ["adamw"]


def test_learning_rates_are_those_of_the_plan():
    model = Transformer(GPTConfig(d_vocab=20))
    for training, peaks in (
        (TrainingConfig(learning_rate=0.03), {"muon": 0.03, "adamw": 0.01}),
        (TrainingConfig(learning_rate=0.03, optimiser="adamw"), {"adamw": 0.03}),
    ):
        optimisers = Optimisers(model, training)
        for step in (0, 19, 20, 200, 400):
            optimisers.step(step)
            share = learning_rate_at(step, training)
            for name, optimiser in optimisers._all.items():
                for group in optimiser.param_groups:
                    assert group["lr"] == pytest.approx(peaks[name] * share)


def test_the_learning_rate_warms_up_in_a_line_and_falls_along_a_cosine():
    training = TrainingConfig(steps=120, warmup_steps=20, final_lr_fraction=0.1)
    shares = [learning_rate_at(step, training) for step in range(200)]
    assert shares[:20] == pytest.approx([(step + 1) / 21 for step in range(20)])
    assert shares[20] == 1 == max(shares)
    assert shares[20:121] == pytest.approx([0.55 + 0.45 * math.cos(math.pi * step / 100) for step in range(101)])
    assert all(share == pytest.approx(0.1) for share in shares[120:])


@pytest.mark.parametrize("warmup", [0, 50, 1000])
def test_the_learning_rate_is_positive_whatever_the_warm_up(warmup):
    training = TrainingConfig(steps=10, warmup_steps=warmup)
    assert all(0 < learning_rate_at(step, training) <= 1 for step in range(2000))
