"""What panel 3 says of tokens, against the model asked again by itself."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from nasty import NASTY

from minigpt import GPTConfig, TrainingConfig, begin
from minigpt.api import attention_of_ids, prompt_ids, write
from minigpt.config import SamplingConfig
from minigpt.figures.labels import for_page
from minigpt.ui.continuation import continuation, shades, told
from minigpt.ui.explorer import Exploration, Explorer, Selection

HOSTILE = (*NASTY, "<img src=x onerror=alert(1)>", "{{7*7}}", "\u202eevil")
TEXT = "the old king saw the young dog . the dog ran off and the king sat down . " * 6


def exploration(prompt: str, n_ctx: int = 16, new: int = 5, n_heads: int = 2, **shape: object) -> Exploration:
    config = GPTConfig(n_ctx=n_ctx, d_model=16, n_heads=n_heads, n_layers=2, init_std=0.3, **shape)
    state = begin(TEXT, "word", config, TrainingConfig(steps=1, batch_size=2))
    ids = prompt_ids(state, prompt)
    tokens = tuple(write(state, ids, SamplingConfig(new, 1.0, seed=3)))
    everything = [*ids.tolist(), *(token.index for token in tokens)]
    names = tuple(state.tokenizer.token(int(index)) for index in ids)
    return Exploration("run", state, names, (), tokens, attention_of_ids(state, everything), tuple(everything))


@torch.no_grad()
def asked(shown: Exploration, position: int) -> np.ndarray:
    """The probabilities for a position, from a pass over nothing but what stood before it."""
    before = shown.ids[max(0, position - shown.state.config.n_ctx) : position]
    return shown.state.model(torch.tensor(before))[-1].double().softmax(-1).numpy()


@pytest.mark.parametrize("n_ctx", [16, 6])
def test_each_token_is_told_by_what_the_model_said_before_it_came(n_ctx: int) -> None:
    shown = exploration("the old king saw", n_ctx)
    assert shown.told(0) is None
    assert shown.candidates(0) == ([], 0)
    assert np.isnan(shown.probabilities[0])
    assert (shown.view.dropped > 0) == (n_ctx == 6)
    for position in range(1, len(shown.ids)):
        p, said = asked(shown, position), shown.told(position)
        own = p[shown.ids[position]]
        assert said is not None
        assert said.probability == pytest.approx(own, rel=1e-4)
        assert said.loss == pytest.approx(-math.log(own), rel=1e-4)
        assert said.rank == 1 + (p > own).sum()
        assert said.entropy == pytest.approx(-(p * np.log(p)).sum(), rel=1e-4)
        best, n_others = shown.candidates(position)
        assert [chance for _, chance in best] == pytest.approx(sorted(p, reverse=True)[:10], rel=1e-4)
        assert len(best) + n_others == len(p)
        assert shown.probabilities[position] == pytest.approx(own, rel=1e-4)
    assert np.isnan(shown.probabilities).sum() == 1


def test_behind_the_last_token_stands_what_would_come_next() -> None:
    shown = exploration("the old king saw")
    end = len(shown.ids)
    said, p = shown.told(end), asked(shown, end)
    assert said is not None
    assert (said.probability, said.rank, said.loss) == (None, None, None)
    assert said.entropy == pytest.approx(-(p * np.log(p)).sum(), rel=1e-4)
    nodes = json.dumps([*continuation(shown, Selection(position=end)), *told(shown, Selection(position=end))])
    assert "not written yet" in nodes


def test_the_row_of_a_token_is_the_one_that_made_it() -> None:
    shown = exploration("the old king saw")
    assert [shown.query_of(position) for position in (0, 1, len(shown.ids))] == [None, 0, len(shown.ids) - 1]
    assert all(shown.position_of(shown.query_of(position)) == position for position in range(1, len(shown.ids)))


@pytest.mark.parametrize("causal", [True, False])
def test_the_text_is_lit_by_the_row_of_the_head_that_is_open(causal: bool) -> None:
    shown = exploration("the old king saw", causal=causal)
    lit = shades(shown, Selection(layer=1, head=1, position=4, colour="attention"))
    row = shown.view.pattern[1, 1, 3]
    if causal:
        assert lit[:4] == pytest.approx(row[:4])
        assert np.isnan(lit[4:]).all()
    else:
        assert lit == pytest.approx(row)
    assert lit[~np.isnan(lit)].sum() == pytest.approx(1, abs=1e-5)


def test_surprise_is_the_loss_against_an_even_guess_and_probability_is_of_what_was_written() -> None:
    shown = exploration("the old king saw")
    surprise = shades(shown, Selection(colour="surprise"))
    said = shown.told(2)
    assert said is not None
    assert said.loss is not None
    assert surprise[2] == pytest.approx(min(1, said.loss / math.log(shown.state.config.d_vocab)), rel=1e-4)
    written = shades(shown, Selection(colour="probability"))
    assert np.isnan(written[:4]).all()
    assert written[4:] == pytest.approx(shown.probabilities[4:])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_token_is_only_ever_text(hostile: str) -> None:
    shown = exploration("the old king saw")
    shown = replace(shown, prompt=("the", hostile, "king", "saw"))
    chosen = Selection(position=1)
    chips = continuation(shown, chosen)[0][2:]
    assert chips[1][2] == for_page(hostile, 40)
    assert chips[1][1]["aria-pressed"] == "true"
    assert [chip[1]["data-index"] for chip in chips] == [str(index) for index in range(len(shown.ids))]
    for node in chips:
        assert node[0] == "button"
        assert hostile not in node[1]["style"] + node[1]["class"] or len(hostile) < 3


def test_explorations_are_kept_as_far_as_their_bytes_fit_and_one_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = Explorer(None)  # type: ignore[arg-type]
    shown = exploration("the dog", n_ctx=256, new=250, n_heads=8)
    n_bytes = shown.view.pattern.nbytes + shown.view.logits.nbytes
    assert n_bytes > 500_000
    monkeypatch.setenv("MINIGPT_EXPLORED_MB", str(4 * n_bytes // 1_000_000))
    keys = [explorer.keep(shown, Selection()) for _ in range(10)]
    assert 1 <= len(explorer._kept) <= 4
    assert explorer.n_bytes() <= 4 * n_bytes
    assert explorer.find(keys[-1]) is shown
    monkeypatch.setenv("MINIGPT_EXPLORED_MB", "1")
    assert explorer.find(explorer.keep(shown, Selection())) is shown
    assert len(explorer._kept) == 1
