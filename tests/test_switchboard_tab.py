"""What stands after switching heads off, against a model whose heads were cut out."""

import copy
import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gate import SETTINGS, TEXT, Gate, until

from minigpt.api import write
from minigpt.config import GPTConfig, SamplingConfig
from minigpt.diagnosis import loss_without
from minigpt.model import AttentionHead
from minigpt.runs import Runs
from minigpt.training import TrainingState
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.handlers import Page
from minigpt.ui.switchboard_tab import (
    FILLED,
    INVITATION,
    SwitchboardTab,
    Switches,
    board,
    named,
    pressed,
    verdict,
    writes,
)

SHAPE = GPTConfig(n_ctx=8, d_model=18, n_heads=3, n_layers=2, init_std=0.4)
OFF = ((0, 1), (1, 0), (1, 2))
SAMPLING = SamplingConfig(max_new_tokens=9, temperature=1.2, top_k=7, seed=5)


@pytest.fixture
def exploring(tmp_path) -> Exploring:
    gate = Gate()
    runs = Runs(tmp_path, lambda: gate, n_workers=1)
    exploring = Exploring(Page(runs))
    settings = replace(SETTINGS, config=SHAPE, training=replace(SETTINGS.training, steps=2))
    exploring.run = runs.start(TEXT, settings)
    until(gate, lambda: runs.progress(exploring.run).status == "finished")
    return exploring


def explored(exploring: Exploring, prompt: str = "the dog saw the") -> Exploration:
    return exploring.explorer.explore(exploring.run, prompt, SAMPLING)


def cut_out(state: TrainingState, heads: tuple[tuple[int, int], ...]) -> TrainingState:
    """The same model with nothing in the output columns of these heads: no hook is needed to mute them."""
    model = copy.deepcopy(state.model)
    with torch.no_grad():
        for layer, head in heads:
            AttentionHead(model.blocks[layer].attention, head).W_O.zero_()
    return replace(state, model=model)


# ---- the arrays ----


@torch.no_grad()
@pytest.mark.parametrize("prompt", ["the dog saw the", "the old dog ran to the cat . the dog saw the old"])
def test_the_same_text_is_read_as_by_a_model_that_has_no_such_heads(exploring, prompt):
    whole = explored(exploring, prompt)
    assert len(whole.ids) > SHAPE.n_ctx  # The window slides: what the whole model said while it wrote must not show.
    after, model = whole.without(OFF), cut_out(whole.state, OFF).model
    assert (after.ids, after.names, after.view.tokens) == (whole.ids, whole.names, whole.view.tokens)
    for position in range(1, len(whole.ids) + 1):
        before = torch.tensor(whole.ids[max(0, position - SHAPE.n_ctx) : position])
        p = model(before)[-1].softmax(-1).numpy()
        assert after.distribution(position) == pytest.approx(p, abs=1e-6)
        assert whole.distribution(position) != pytest.approx(p, abs=1e-3)
        known = position < len(whole.ids) and not np.isnan(whole.probabilities[position])
        if known:
            assert after.probabilities[position] == pytest.approx(p[whole.ids[position]], abs=1e-6)
    assert np.isnan(after.probabilities).tolist() == np.isnan(whole.probabilities).tolist()


def test_it_goes_on_as_a_model_that_has_no_such_heads_by_the_same_sampling_and_seed(exploring):
    whole = explored(exploring)
    written = whole.written_without(OFF)
    prompt = torch.tensor(whole.ids[:4])
    assert whole.sampling == SAMPLING
    expected = list(write(cut_out(whole.state, OFF), prompt, SAMPLING))
    assert [token.index for token in written] == [token.index for token in expected]
    assert [token.probability for token in written] == pytest.approx([t.probability for t in expected], abs=1e-6)
    assert [token.index for token in written] != [token.index for token in whole.tokens]
    # Nothing is left behind.
    assert [token.index for token in write(whole.state, prompt, SAMPLING)] == [token.index for token in whole.tokens]


def test_without_no_head_it_is_the_same_bit_for_bit(exploring):
    whole = explored(exploring)
    assert whole.without(()) is whole
    assert whole.written_without(()) is whole.tokens


# ---- the switches ----


def test_a_switch_turns_its_head_its_layer_or_everything():
    every = tuple((layer, head) for layer in range(2) for head in range(3))
    assert pressed((), 4, SHAPE) == ((1, 1),)
    assert pressed(((1, 1),), 0, SHAPE) == ((0, 0), (1, 1))
    assert pressed(((0, 0), (1, 1)), 4, SHAPE) == ((0, 0),)
    # A layer with some heads on is switched off whole; one that is off, on; the other stays.
    assert pressed(((0, 0), (1, 1)), 7, SHAPE) == ((0, 0), (1, 0), (1, 1), (1, 2))
    assert pressed(((0, 0), (1, 0), (1, 1), (1, 2)), 7, SHAPE) == ((0, 0),)
    assert pressed(((0, 0),), 8, SHAPE) == every
    assert pressed(every, 9, SHAPE) == ()
    assert [pressed((), index, SHAPE) for index in (-1, 10, 10**9)] == [None] * 3


@pytest.mark.parametrize("config", [SHAPE, GPTConfig(n_layers=12, n_heads=12, d_model=144), GPTConfig(n_heads=1)])
def test_every_button_says_whether_its_head_is_off_and_where_the_arrows_lead(config):
    n_layers, n_heads = config.n_layers, config.n_heads
    off = (*((0, head) for head in range(n_heads)), (1, n_heads - 1))
    (_, _, grid, (_, _, mute_all, unmute_all)) = board(off, config)[-1]
    buttons = grid[2:]
    assert len(buttons) == n_layers * (n_heads + 1)
    for tag, attributes, name in buttons:
        assert tag == "button"
        layer, column = map(int, attributes["data-at"].split())
        after = pressed((), int(attributes["data-index"]), config)
        if column:
            assert name == f"{layer + 1}.{column}"
            assert after == ((layer, column - 1),)
            assert attributes["aria-pressed"] == ("true" if (layer, column - 1) in off else "false")
        else:
            assert name == f"All of layer {layer + 1}"
            assert after == tuple((layer, head) for head in range(n_heads))
            state = {0: "true", 1: "mixed" if n_heads > 1 else "true"}.get(layer, "false")
            assert attributes["aria-pressed"] == state
    assert len(pressed((), int(mute_all[1]["data-index"]), config)) == n_layers * n_heads
    assert pressed(off, int(unmute_all[1]["data-index"]), config) == ()


def test_switches_are_those_of_one_step_of_one_run(exploring):
    whole = explored(exploring)
    switches = Switches(whole.run, whole.state.step, OFF)
    assert switches.of(whole) == OFF
    assert switches.of(explored(exploring, "the cat")) == OFF
    assert switches.of(replace(whole, run="another")) == ()
    assert switches.of(replace(whole, state=replace(whole.state, step=1))) == ()


# ---- the words ----


@pytest.mark.parametrize(
    ("heads", "name"),
    [
        (((1, 2),), "2.3"),
        (((0, 0), (1, 2)), "1.1 and 2.3"),
        (((0, 1), (1, 0), (1, 2)), "1.2, 2.1 and 2.3"),
        (((0, 1), (1, 0), (1, 1), (1, 2)), "1.2 and all of layer 2"),
        (tuple((layer, head) for layer in range(2) for head in range(3)), "all 6 heads"),
    ],
)
def test_heads_are_named_from_one(heads, name):
    assert named(heads, SHAPE) == name


def test_many_heads_are_counted_and_one_alone_is_the_only_one():
    wide = GPTConfig(n_heads=8, n_layers=2)
    assert named(tuple((0, head) for head in range(7)), wide) == "7 of 16 heads"
    assert named(((0, 0),), GPTConfig(n_heads=1, n_layers=1)) == "the only head"
    assert named(((0, 0),), GPTConfig(n_heads=1, n_layers=2)) == "1.1"


@pytest.mark.parametrize(
    ("heads", "before", "after", "said"),
    [
        ((), 1.2, 1.2, INVITATION),
        (((1, 2),), 1.12, 1.43, "Muted 2.3. Validation loss 1.12 → 1.43, 0.31 nats worse."),
        (((1, 2),), 1.43, 1.12, "Muted 2.3. Validation loss 1.43 → 1.12, 0.31 nats better."),
        (((1, 2),), 1.12, 1.1249, "Muted 2.3. No difference: 0.00 nats. Another head may do the same work."),
        (((1, 2),), 1.12, 1.1251, "Muted 2.3. Validation loss 1.12 → 1.13, 0.01 nats worse."),
    ],
)
def test_the_verdict_says_what_the_loss_says(heads, before, after, said):
    assert verdict(heads, SHAPE, before, after) == said


def test_where_no_head_is_left_no_other_is_blamed_and_no_number_is_made_up():
    every = tuple((layer, head) for layer in range(2) for head in range(3))
    assert verdict(every, SHAPE, 4.0, 4.0).endswith("So far the model predicts as well without its heads.")
    assert "no number" in verdict(OFF, SHAPE, 4.0, float("nan"))


def test_only_what_is_new_is_marked(exploring):
    whole = explored(exploring)
    other = (whole.tokens[0], *(replace(token, index=token.index + 1) for token in whole.tokens[1:]))
    marks = [chip[1]["class"] for chip in writes(whole, (*other, whole.tokens[0]))[0][2:]]
    assert marks == ["t in"] * 4 + ["t"] + ["t new"] * 9
    assert [chip[1]["class"] for chip in writes(whole, whole.tokens)[0][2:]] == ["t in"] * 4 + ["t"] * 9


@pytest.mark.parametrize("hostile", ["<img src=x onerror=alert(1)>", "{{7*7}}", "${7*7}", "</script>"])
def test_a_hostile_token_is_only_ever_text(exploring, hostile):
    whole = replace(explored(exploring), prompt=("the", hostile, "saw", "the"))
    for _, attributes, text in writes(whole, whole.tokens)[0][2:]:
        assert set(attributes) == {"class"}
        assert isinstance(text, str)


# ---- the handlers ----


def click(index: object) -> Any:
    return SimpleNamespace(index=index)


def filled(tab: SwitchboardTab, selection: Selection, switches: Switches) -> dict[str, Any]:
    return dict(zip(FILLED, tab.fill(selection, switches), strict=True))


def text_of(nodes: Any) -> str:
    return re.sub(r"\s+", " ", "".join(_texts(nodes)))


def _texts(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node[2:] if node and isinstance(node[0], str) else node
    return [text for child in children if not isinstance(child, dict) for text in _texts(child)]


def test_presses_add_up_and_fill_shows_loss_text_and_bars(exploring):
    tab, whole = SwitchboardTab(exploring), explored(exploring)
    chosen = exploring.explorer.keep(whole, Selection())
    assert tab.show(whole, chosen) == [chosen]
    untouched = filled(tab, chosen, Switches())
    assert text_of(untouched["switch_verdict"]).strip() == INVITATION
    assert untouched["switch_next_after"].to_json() == untouched["switch_next_before"].to_json()
    told = [text_of(untouched[f"switch_same_{time}"]).split(":", 1)[1] for time in ("before", "after")]
    assert told[0] == told[1]
    switches = Switches()
    for layer, head in OFF:
        switches, shown, _ = tab.press(chosen, switches, click(3 * layer + head))
    assert switches == Switches(whole.run, whole.state.step, OFF)
    assert json.dumps(shown) == json.dumps(board(OFF, SHAPE)) == json.dumps(tab.draw(chosen, switches))
    after, expected = filled(tab, chosen, switches), whole.without(OFF)
    losses = [loss_without(whole.state, heads) for heads in ((), OFF)]
    assert text_of(after["switch_verdict"]).strip() == verdict(OFF, SHAPE, *losses)
    for time, loss in zip(("before", "after"), losses, strict=True):
        assert f"validation loss {loss:.2f}" in text_of(after[f"switch_writes_{time}"])
    assert list(after["switch_next_after"].data[0].x[:-1]) == [p for _, p in expected.candidates(4)[0]]
    assert after["switch_next_before"].to_json() == untouched["switch_next_before"].to_json()
    mean = float(np.nanmean(-np.log(expected.probabilities)))
    assert f"{mean:.2f} nats a token here" in text_of(after["switch_same_after"])
    assert f"surprise {expected.told(4).loss:.2f}" in text_of(after["switch_same_after"])
    # All on again: as if nothing had been.
    switches, _, _ = tab.press(chosen, switches, click(9))
    again = filled(tab, chosen, switches)
    assert json.dumps(again, default=lambda figure: figure.to_json()) == json.dumps(
        untouched, default=lambda figure: figure.to_json()
    )


def test_before_the_first_token_there_are_no_bars(exploring):
    tab = SwitchboardTab(exploring)
    chosen = replace(exploring.explorer.keep(explored(exploring), Selection()), position=0)
    assert filled(tab, chosen, Switches())["switch_next_after"] is None


@pytest.mark.parametrize("index", [-1, 10, None, "0", [0, 1], True, 1.0])
def test_a_press_of_what_is_no_switch_does_nothing(exploring, index):
    chosen = exploring.explorer.keep(explored(exploring), Selection())
    assert SwitchboardTab(exploring).press(chosen, Switches(), click(index)) == [gr.skip()] * 3


def test_what_is_no_longer_in_memory_is_said(exploring):
    tab, gone = SwitchboardTab(exploring), Selection(key="gone")
    assert tab.draw(gone, Switches()) == gr.skip()
    for said in (tab.fill(gone, Switches())[0], tab.press(gone, Switches(), click(0))[2]):
        assert "Press Generate" in text_of(said)
