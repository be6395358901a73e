"""The last layer of the lens is the model's own answer, and the map keeps the most that a plane can."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig
from minigpt.lens import embedding_map, guesses, logit_lens, residuals
from minigpt.model import Transformer

CONFIG = GPTConfig(d_vocab=11, n_ctx=9, d_model=16, n_heads=4, n_layers=3)


def random_model(**changes: object) -> Transformer:
    made, rng = Transformer(replace(CONFIG, **changes)).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.4, generator=rng)
    return made


@pytest.fixture
def model() -> Transformer:
    return random_model()


def hooks_left(model: Transformer) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


CHANGES = [
    {},
    {"positions": "learned", "bias": True},
    {"positions": "sinusoidal", "layer_norm": False, "tie_unembedding": False},
    {"residual": False, "causal": False},
    {"n_layers": 1, "d_mlp": 0},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_the_last_layer_is_the_models_own_answer(changes):
    model, ids = random_model(**changes), torch.arange(9)
    seen = logit_lens(model, ids)
    assert seen.shape == (model.config.n_layers + 1, 9, 11)
    torch.testing.assert_close(seen[-1], model(ids), atol=1e-6, rtol=0)


@pytest.mark.parametrize("changes", CHANGES)
def test_a_layer_answers_as_a_model_that_ends_there(changes):
    model, ids = random_model(**changes), torch.arange(9)
    seen = logit_lens(model, ids)
    blocks = list(model.blocks)
    for layer in range(len(blocks) + 1):
        model.blocks = torch.nn.ModuleList(blocks[:layer])
        torch.testing.assert_close(seen[layer], model(ids), atol=1e-6, rtol=0)


def test_a_new_models_layers_all_answer_as_its_embedding_does():
    seen = logit_lens(Transformer(CONFIG), torch.arange(9))
    for layer in range(1, 4):
        assert torch.equal(seen[layer], seen[0])


def test_the_lens_looks_at_one_pass_and_carries_no_gradients(model):
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    assert not logit_lens(model, torch.arange(5)).requires_grad
    assert len(passes) == 1


def test_hooks_go_whatever_happens(model):
    with residuals(model):
        assert hooks_left(model) == 4
    assert hooks_left(model) == 0
    with pytest.raises(KeyError), residuals(model):
        raise KeyError
    with pytest.raises(ValueError, match="sees 9 tokens"):
        logit_lens(model, torch.zeros(10, dtype=torch.int64))
    with pytest.raises(ValueError, match="There are no ids"):
        logit_lens(model, torch.zeros(0, dtype=torch.int64))
    with pytest.raises(IndexError):
        logit_lens(model, torch.tensor([11]))
    model.blocks[2].mlp.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logit_lens(model, torch.arange(5))
    assert hooks_left(model) == 1, "other people's hooks stay"


def test_only_the_listening_threads_own_passes_are_heard(model):
    with residuals(model) as heard:
        other = threading.Thread(target=model, args=[torch.arange(3)])
        other.start()
        other.join()
        assert heard == []
        model(torch.arange(5))
    assert [tuple(resid.shape) for resid in heard] == [(1, 5, 16)] * 4


# ---- what the layers would answer ----


def test_a_guess_is_the_likeliest_token_and_the_token_that_came_has_a_rank(model):
    ids = torch.arange(6)
    logits = logit_lens(model, ids)
    found = guesses(logits, ids[1:])
    for layer, place in np.ndindex(4, 6):
        scores = logits[layer, place].double().numpy()
        p = np.exp(scores) / np.exp(scores).sum()
        assert found.first[layer, place] == p.argmax()
        assert found.p_first[layer, place] == pytest.approx(p.max(), abs=1e-6)
        if place < 5:
            assert found.p_came[layer, place] == pytest.approx(p[place + 1], abs=1e-6)
            assert found.rank[layer, place] == 1 + sorted(p, reverse=True).index(p[place + 1])
    # After the last nothing has come.
    assert np.isnan(found.p_came[:, 5]).all()
    assert not found.rank[:, 5].any()


def test_a_single_token_has_guesses_and_nothing_that_came(model):
    found = guesses(logit_lens(model, torch.tensor([3])), torch.tensor([], dtype=torch.int64))
    assert found.first.shape == (4, 1)
    assert np.isnan(found.p_came).all()


# ---- the map of an embedding ----


def by_covariance(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and explained shares by another route: the eigenvectors of the covariance."""
    centred = weight - weight.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    for axis in axes.T:
        axis *= 1 if axis[np.abs(axis).argmax()] > 0 else -1
    return centred @ axes, variances[::-1][:2] / variances.sum()


@pytest.mark.parametrize(("d_vocab", "d_model"), [(40, 6), (6, 40), (12, 12), (3, 2), (2, 5)])
@pytest.mark.parametrize("seed", range(5))
def test_the_map_is_that_of_the_covariances_eigenvectors(d_vocab, d_model, seed):
    weight = torch.randn(d_vocab, d_model, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = embedding_map(weight + 3)
    places, explained = by_covariance(weight.numpy())
    np.testing.assert_allclose(found.explained, explained, atol=1e-12)
    # Two tokens differ along one axis only.
    np.testing.assert_allclose(found.places[:, : d_vocab - 1], places[:, : d_vocab - 1], atol=1e-9)


def test_a_plane_is_drawn_as_it_is():
    corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]])
    found = embedding_map(torch.nn.functional.pad(corners, (1, 3)))
    np.testing.assert_allclose(found.places, [[-2, -1], [2, -1], [-2, 1], [2, 1]], atol=1e-6)
    assert found.explained == pytest.approx((0.8, 0.2))


def test_the_order_of_the_tokens_and_the_side_of_the_origin_turn_nothing_round():
    weight = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    places = embedding_map(weight).places
    np.testing.assert_allclose(embedding_map(weight.flip(0)).places, places[::-1], atol=1e-6)
    np.testing.assert_allclose(embedding_map(-weight).places, -places, atol=1e-6)
    np.testing.assert_array_equal(embedding_map(weight).places, places)


@pytest.mark.parametrize(
    ("weight", "explained"),
    [
        (torch.ones(1, 4), (0, 0)),
        (torch.zeros(5, 4), (0, 0)),
        (torch.full((7, 4), 0.1, dtype=torch.float64), (0, 0)),
        (torch.tensor([[1.0], [2.0], [4.0]]), (1, 0)),
        (torch.tensor([[1.0, 0.0], [2.0, 0.0]]), (1, 0)),
    ],
)
def test_where_there_is_no_plane_the_rest_is_zero(weight, explained):
    found = embedding_map(weight)
    assert found.explained == pytest.approx(explained)
    assert found.places.shape == (len(weight), 2)
    assert np.abs(found.places[:, 1]).max() < 1e-12
    assert found.places[:, 0].any() == bool(explained[0])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_not_a_number_has_no_place_on_a_map(wrong):
    with pytest.raises(ValueError, match="Parts of this embedding are not numbers"):
        embedding_map(torch.tensor([[1.0, wrong], [2.0, 0.0]]))


def test_a_models_own_embedding_can_be_mapped(model):
    found = embedding_map(model.embed.weight)
    assert found.places.shape == (11, 2)
    assert 0 < found.explained[1] < found.explained[0] < 1
