"""What is said and drawn of a run and its twin, from numbers chosen by hand and from models in memory."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gate import SETTINGS, TEXT, Gate, until
from nasty import NASTY

from minigpt import figures
from minigpt.breaks import PARTS
from minigpt.config import SamplingConfig
from minigpt.figures import style
from minigpt.history import History, ReferenceLosses
from minigpt.runs import Runs
from minigpt.training import Failure
from minigpt.ui import twins_words
from minigpt.ui.explorer import Explorer
from minigpt.ui.twins import Losses, Twins, change, losses

KNOWN = ReferenceLosses(uniform=3.14, unigram=3.0, bigram=2.5, floor=1.55)


def losses_of(validation: float, prefix: float | None = None) -> Losses:
    return Losses(300, validation, validation, validation if prefix is None else prefix)


def said(without: str, run: Losses, twin: Losses, known: ReferenceLosses = KNOWN) -> str:
    return json.dumps(twins_words.verdict(without, run, twin, known), ensure_ascii=False)


def test_a_loss_below_what_can_be_is_called_so_with_the_numbers() -> None:
    words = said("mask", losses_of(1.64, 1.7), losses_of(0.2, 5.1))
    for part in (
        "Too good",
        "0.20",
        "1.64",
        "below 1.55",
        "5.10 nats a token, worse than an even guess (3.14)",
        "1.70",
    ):
        assert part in words
    assert "it reads it" in words


def test_no_reading_ahead_is_claimed_where_the_prefix_does_not_show_it() -> None:
    words = said("mask", losses_of(1.64, 1.7), losses_of(0.2, 1.6))
    assert "Nobody who predicts" in words
    assert "reads it" not in words


@pytest.mark.parametrize(
    ("twin", "prefix", "sentence", "never"),
    [
        (1.65, 1.7, "No difference that counts.", "Worse"),
        (1.62, 1.7, "No difference that counts.", "Better"),
        (2.3, 2.4, "Worse by 0.66 nats a token.", "word"),
        (2.6, 2.6, "worse than word pairs (2.50)", "counts"),
        (2.99, 3.0, "no better than word counts (3.00)", "guess"),
        (3.5, 3.5, "worse than an even guess (3.14)", "word"),
        (1.57, 1.6, "Better by 0.07 nats a token.", "of no use"),
        (1.57, 4.0, "Better by 0.07, and of no use.", "does better"),
    ],
)
def test_every_verdict_follows_from_the_numbers(twin: float, prefix: float, sentence: str, never: str) -> None:
    words = said("norm", losses_of(1.64, 1.7), losses_of(twin, prefix))
    assert sentence in words
    assert never not in words.replace(sentence, "")


def test_only_a_twin_that_is_worse_from_a_prefix_reads_instead_of_predicting() -> None:
    # Each from a prefix against the other from a prefix: the run may be as bad there.
    assert "it reads it" in said("mask", losses_of(1.64, 1.7), losses_of(0.2, 5.1))
    assert "it reads it" not in said("mask", losses_of(1.64, 5.2), losses_of(0.2, 5.1))


def test_without_a_floor_none_is_named() -> None:
    words = said("mask", losses_of(1.64, 1.7), losses_of(0.2, 5.1), replace(KNOWN, floor=None))
    assert "of no use" in words
    assert "Nobody" not in words


def test_every_part_has_a_phrase_and_a_sentence_that_ends() -> None:
    assert twins_words.phrase("mask") == "without the causal mask"
    assert twins_words.phrase("layer") == "with one layer"
    for name, part in PARTS.items():
        assert twins_words.phrase(name).split()[0] in ("with", "without")
        assert part.why.endswith(".")
        assert part.why.count(". ") == 0


def test_a_broken_run_is_called_so() -> None:
    assert "softmax twice" in json.dumps(twins_words.note("mask", replace(SETTINGS, breaks=("softmax",))))
    assert "broken" not in json.dumps(twins_words.note("mask", SETTINGS))


def test_the_newest_losses_up_to_a_step_are_those_that_both_have() -> None:
    history = History(9, KNOWN, ((0, 4.0), (1, 3.0), (2, 2.0)), ((0, 4.1), (2, 2.1), (4, 1.1)))
    state = SimpleNamespace(history=history)
    assert losses(state, 5.0, 3) == Losses(2, 2.1, 2.0, 5.0)
    assert losses(state, 5.0, 1) == Losses(0, 4.1, 4.0, 5.0)


def test_twins_are_remembered_go_on_and_say_what_does_not_work(tmp_path: Path) -> None:
    gate = Gate()
    runs = Runs(tmp_path, lambda: gate, n_workers=1)
    run = runs.start(TEXT, SETTINGS, 4)
    explorer, twins = Explorer(runs), Twins(runs)
    with pytest.raises(ValueError, match="has taken no step yet"):
        twins.train(explorer.explore(run, "the dog", SamplingConfig(2)), "mask")
    until(gate, lambda: runs.progress(run).step == 4 and not runs.flying(run))
    shown = explorer.explore(run, "the dog", SamplingConfig(3, 0.5, seed=7))
    twin = twins.train(shown, "mask")
    assert twins.train(shown, "mask") == twin, "pressed twice is one twin"
    until(gate, lambda: runs.progress(twin).step == 4 and not runs.flying(twin))
    assert [*twins.of(run)] == ["mask"]
    assert runs.progress(twin).settings == replace(SETTINGS, without="mask")
    with pytest.raises(ValueError, match="is a twin itself"):
        twins.train(explorer.explore(twin, "the dog", SamplingConfig(2)), "head")
    # The run goes on, and its twin follows to the very step.
    runs.resume(run, 6)
    until(gate, lambda: runs.progress(run).step == 6 and not runs.flying(run))
    further = explorer.explore(run, "the dog", SamplingConfig(3, 0.5, seed=7))
    assert twins.train(further, "mask") == twin
    until(gate, lambda: runs.progress(twin).step == 6 and not runs.flying(twin))
    found = twins.compare(further, runs.state(twin), "mask")
    assert found.view.pattern.shape == further.view.pattern.shape
    np.testing.assert_array_equal(
        change(further.view, found.view, 0, 1), found.view.pattern[0, 1] - further.view.pattern[0, 1]
    )
    assert change(further.view, found.view, 1, 0) is None


def test_heads_without_a_twin_are_named() -> None:
    def view(layers: int, heads: int) -> SimpleNamespace:
        return SimpleNamespace(pattern=np.zeros((layers, heads, 2, 2)))

    assert twins_words.missing(view(2, 2), view(2, 2)) == ""
    words = "The twin has 1 layer of 2 heads, so 2.1, 2.2 have no twin."
    assert twins_words.missing(view(2, 2), view(1, 2)) == words
    assert "1.2, 2.2 have" in twins_words.missing(view(2, 2), view(2, 1))
    assert "and 4 more" in twins_words.missing(view(4, 4), view(4, 1))


def test_a_twin_that_fell_apart_says_why() -> None:
    failed = SimpleNamespace(failure=Failure(7, "The loss rose to 90.0. Try 0.003."), step=5)
    assert told(twins_words.failure(failed)) == (
        "The twin stopped by itself at step 7, step 5 is kept. The loss rose to 90.0. Try 0.003."
    )


def told(node: object) -> str:
    """The words of a fragment, one after the other."""
    if isinstance(node, str):
        return node
    assert isinstance(node, list)
    children = node[2:] if node and isinstance(node[0], str) else node
    return "".join(told(child) for child in children)


# ---- figures ----


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def test_a_difference_is_centred_on_zero_and_drawn_above_the_diagonal_where_one_looks_ahead() -> None:
    moved = np.array([[-0.25, 0.25], [0.5, -0.5]])
    open_end, causal = figures.difference(("a", "b"), moved, False), figures.difference(("a", "b"), moved, True)
    assert open_end.data[0].z[0][1] == pytest.approx(0.25)
    assert np.isnan(causal.data[0].z[0][1])
    assert (open_end.data[0].zmin, open_end.data[0].zmax) == (-1, 1)
    scale = open_end.data[0].colorscale
    assert scale[len(scale) // 2] == (0.5, style.ATTENTION[0]), "no change has the colour of no attention"
    assert "b\u2069” (2) → “\u2068a\u2069” (1): <b>+0.50" in open_end.data[0].customdata[1][0]
    assert "<b>−0.50" in open_end.data[0].customdata[1][1]
    assert "0.50" in open_end.layout.meta["label"]


def test_difference_colours_have_dark_partners_and_tokens_stay_literal() -> None:
    figure = figures.difference(tuple(NASTY), np.zeros((len(NASTY), len(NASTY))), False)
    colours = {text for text in strings(json.loads(figure.to_json())) if text.startswith("#") and len(text) == 7}
    assert colours <= set(style.DARK)
    assert {*style.LESS} <= colours
    assert figure.data[0].hovertemplate == "%{customdata}<extra></extra>"


def test_both_runs_are_drawn_and_named_at_their_ends_the_twin_dashed() -> None:
    steps = range(0, 101)
    run = History(400, KNOWN, tuple((i, 3 - 0.013 * i) for i in steps), tuple((i, 3 - 0.013 * i) for i in steps[::10]))
    twin = History(400, KNOWN, tuple((i, 3 - 0.028 * i) for i in steps), tuple((i, 3 - 0.028 * i) for i in steps[::10]))
    figure = figures.twin_curves(run, twin, 100)
    assert [curve.name for curve in figure.data] == [
        "run train", "run validation", "twin train", "twin validation",
    ]  # fmt: skip
    assert [curve.line.dash for curve in figure.data] == ["solid", "solid", "dash", "dash"]
    assert figure.data[3].y[-1] == pytest.approx(0.2)
    assert tuple(figure.layout.xaxis.range) == (0, 100)
    labels = [note.text for note in figure.layout.annotations]
    for name in ("run train 1.70", "run validation 1.70", "twin train 0.20", "twin validation 0.20"):
        assert f"<b>{name}</b>" in labels
    assert "best possible <b>1.55</b>" in labels
    low, high = figure.layout.yaxis.range
    assert all(low <= note.y <= high for note in figure.layout.annotations)


def test_labels_of_two_that_end_close_together_keep_the_order_of_their_curves() -> None:
    def ending(loss: float) -> tuple[tuple[int, float], ...]:
        return tuple((step, 3.4 - (3.4 - loss) * step / 100) for step in range(0, 101, 5))

    for run, twin in ((2.44, 2.94), (2.94, 2.44), (2.5, 2.5), (1.6, 0.1)):
        figure = figures.twin_curves(
            History(100, KNOWN, ending(run - 0.02), ending(run)),
            History(100, KNOWN, ending(twin - 0.02), ending(twin)),
            100,
        )
        heights = {note.text.split()[0][3:]: note.y for note in figure.layout.annotations if "<b>run" in note.text}
        heights |= {note.text.split()[0][3:]: note.y for note in figure.layout.annotations if "<b>twin" in note.text}
        assert run == twin or (heights["run"] > heights["twin"]) == (run > twin)
