"""Promises are kept where they are kept, and not where they are not: every condition is seen to fail by itself."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS, Lesson, Promise, drawn
from minigpt.lines import Echo
from minigpt.model import Transformer
from minigpt.promises import find, prefix_accuracy
from minigpt.training import TrainingState, begin

ECHO = replace(LESSONS["echo"], source=Echo(letters="abcdefgh", shortest=2, longest=4, n_lines=300))


def untrained(lesson: Lesson = ECHO, **changes: object) -> TrainingState:
    text, known = drawn(lesson.source)
    config = replace(lesson.config, n_ctx=16, **changes)
    return begin(text, lesson.tokenizer, config, lesson.training, log_probability=known)


def with_validation(state: TrainingState, *losses: float) -> TrainingState:
    points = tuple((step, loss) for step, loss in enumerate(losses))
    return replace(state, history=replace(state.history, validation=points))


def drawing(state: TrainingState, lesson: Lesson, layer: int, head: int, strength: float) -> TrainingState:
    """The state with one head that puts `strength` of its attention on the targets, and the rest on the first token."""

    def ideal(_module: object, inputs: tuple[torch.Tensor], pattern: torch.Tensor) -> torch.Tensor:
        made = pattern.clone()
        for row, ids in enumerate(seen[0]):
            targets = lesson.source.targets([state.tokenizer.token(index) for index in ids.tolist()])
            for query in np.flatnonzero(targets.any(axis=1)):
                made[row, head, query] = 0
                made[row, head, query, 0] = 1 - strength
                made[row, head, query, int(targets[query].argmax())] = strength
        return made

    seen: list[torch.Tensor] = []
    state.model.register_forward_pre_hook(lambda _, inputs: seen.insert(0, inputs[0]))
    state.model.blocks[layer].get_submodule("attention.hook_pattern").register_forward_hook(ideal)
    return state


@pytest.mark.parametrize(("strength", "kept"), [(1.0, True), (0.6, True), (0.45, False), (0.0, False)])
def test_a_head_that_looks_where_the_lesson_says_keeps_the_promise(strength, kept):
    state = with_validation(untrained(), 0.0)
    found = find(ECHO, drawing(state, ECHO, layer=1, head=1, strength=strength))
    if kept:
        assert (found.layer, found.head) == (1, 1)
        assert found.share == pytest.approx(strength, abs=0.02)
    assert found.kept == kept


def test_the_right_head_in_the_wrong_layer_does_not_count():
    found = find(ECHO, drawing(with_validation(untrained(), 0.0), ECHO, layer=0, head=1, strength=1.0))
    assert found.layer == 1
    assert not found.kept
    one_layer = drawing(with_validation(untrained(n_layers=1), 0.0), ECHO, layer=0, head=1, strength=1.0)
    found = find(ECHO, one_layer)
    assert (found.layer, found.head, found.kept) == (0, 1, False), "what there is, and that it is not what was promised"
    assert found.share == pytest.approx(1)


def test_an_even_head_is_never_enough_however_low_the_bar():
    easy = replace(ECHO, promise=Promise("anything", share=0.0))
    state = with_validation(untrained(), 0.0)
    with torch.no_grad():
        for block in state.model.blocks:
            block.attention.qkv.weight.zero_()  # all scores equal
    found = find(easy, state)
    assert found.share == pytest.approx(found.chance, abs=1e-6)
    assert not found.kept, "it takes three times chance as well"


def test_a_loss_too_far_above_the_floor_breaks_the_promise():
    floor = untrained().history.references.floor
    for above, kept in ((0.05, True), (0.15, False), (-0.5, True)):
        state = drawing(with_validation(untrained(), floor + above), ECHO, layer=1, head=0, strength=1.0)
        found = find(ECHO, state)
        assert found.gap == pytest.approx(above)
        assert found.kept == kept


def test_a_validation_loss_that_turns_up_is_measured_from_its_lowest_point():
    essay = LESSONS["essay"]
    state = begin(essay.text, "word", GPTConfig(n_ctx=8, d_model=16, n_heads=2), TrainingConfig())
    for losses, turn, kept in (((5, 4, 4.05), 0.05, False), ((5, 4, 4.3), 0.3, True), ((5, 4, 3), 0, False)):
        found = find(essay, with_validation(state, *losses))
        assert found.turn == pytest.approx(turn)
        assert found.kept == kept


def test_the_second_markov_lesson_must_get_below_the_line_of_pairs():
    lesson = LESSONS["markov2"]
    text, known = drawn(lesson.source)
    state = begin(text, "character", replace(lesson.config, n_ctx=16), lesson.training, log_probability=known)
    bigram, floor = state.history.references.bigram, state.history.references.floor
    assert floor + lesson.promise.gap < bigram, "else the line of pairs would ask for nothing"
    free = replace(lesson, promise=replace(lesson.promise, gap=None))
    for loss, kept in ((bigram - 0.01, True), (bigram + 0.01, False)):
        drawn_state = drawing(with_validation(state, loss), lesson, layer=0, head=0, strength=1.0)
        assert find(free, drawn_state).kept == kept


def test_nothing_is_found_before_anything_was_measured():
    found = find(ECHO, untrained())
    assert found.step == 0
    assert found.gap == math.inf
    assert not found.kept


# ---- accuracy from a prefix ----


@pytest.mark.parametrize("causal", [True, False])
def test_accuracy_from_a_prefix_is_that_of_reading_each_prefix_alone(causal):
    torch.manual_seed(0)
    model = Transformer(GPTConfig(d_vocab=32, n_ctx=8, d_model=16, n_heads=2, causal=causal, init_std=0.5)).eval()
    rng = np.random.default_rng(0)
    rows, right = torch.zeros(6, 9, dtype=torch.int64), np.zeros((6, 8), dtype=np.bool_)
    for row, end in np.ndindex(6, 8):
        with torch.no_grad():
            first_choice = int(model(rows[row, None, : end + 1])[0, -1].argmax())
        right[row, end] = rng.random() < 0.5
        rows[row, end + 1] = first_choice if right[row, end] else (first_choice + 1) % 32
    certain = rng.random((6, 8)) < 0.5
    assert 0.2 < right[certain].mean() < 0.8
    assert prefix_accuracy(model, rows, certain) == pytest.approx(right[certain].mean())
    assert prefix_accuracy(model, rows, np.zeros((6, 8), dtype=np.bool_)) == 0


def test_a_model_that_sees_ahead_is_not_shown_what_it_should_predict():
    model = Transformer(GPTConfig(d_vocab=32, n_ctx=8, d_model=16, n_heads=2, causal=False)).eval()

    def peek(_module: object, inputs: tuple[torch.Tensor], logits: torch.Tensor) -> torch.Tensor:
        made = torch.zeros_like(logits)
        ids = inputs[0]
        made[:, :-1].scatter_(2, ids[:, 1:, None], 1.0)
        return made

    model.register_forward_hook(peek)
    rows = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 9]])
    with torch.no_grad():
        assert (model(rows[:, :-1]).argmax(dim=-1)[:, :-1] == rows[:, 1:-1]).all()
    assert prefix_accuracy(model, rows, np.ones((1, 8), dtype=np.bool_)) == 0


def test_a_finding_is_plain_numbers():
    found = find(ECHO, with_validation(untrained(), 1.0))
    assert all(type(value) in (int, float, bool, type(None)) for value in vars(found).values())


@pytest.mark.parametrize(("name", "settings"), [("markov2", {"order": 1}), ("agreement", {"nearer": 0})])
def test_a_lesson_whose_settings_leave_nothing_to_look_at_promises_nothing(name, settings):
    lesson = LESSONS[name].changed(settings)
    text, known = drawn(lesson.source)
    state = begin(text, lesson.tokenizer, replace(lesson.config, n_ctx=12), lesson.training, log_probability=known)
    found = find(lesson, with_validation(state, 0.0))
    assert found.share is None
    assert not found.kept
