"""What is done wrong on purpose: each changes what it names and nothing else."""

from dataclasses import asdict, replace

import pytest

from minigpt.breaks import BREAKS, broken, checked_breaks
from minigpt.config import GPTConfig, TrainingConfig

CONFIG, TRAINING = GPTConfig(d_model=32), TrainingConfig(steps=7)


def changed(name: str) -> dict[str, object]:
    config, training = broken([name], CONFIG, TRAINING)
    before, after = asdict(CONFIG) | asdict(TRAINING), asdict(config) | asdict(training)
    return {setting: after[setting] for setting in after if after[setting] != before[setting]}


def test_each_break_changes_what_it_names_and_nothing_else():
    assert {name: changed(name) for name in BREAKS} == {
        "mask": {"causal": False},
        "positions": {"positions": "none"},
        "scaling": {"scale_scores": False},
        "layer": {"n_layers": 1},
        "softmax": {"softmax_twice": True},
        "chunks": {"n_ctx": 4, "windows": "chunks"},
        "vocabulary": {},
    }


def test_breaks_add_up_and_none_changes_nothing():
    assert broken([], CONFIG, TRAINING) == (CONFIG, TRAINING)
    config, training = broken(["chunks", "mask"], CONFIG, TRAINING)
    assert config == replace(CONFIG, causal=False, n_ctx=4)
    assert training == replace(TRAINING, windows="chunks")


def test_names_come_in_their_own_order_each_once_and_unknown_ones_are_refused():
    assert checked_breaks(["layer", "mask", "layer"]) == ("mask", "layer")
    with pytest.raises(ValueError, match=r"broken by mask, positions, .*, not by 'brain'"):
        checked_breaks(["brain"])


def test_every_break_says_why_in_one_sentence():
    for known in BREAKS.values():
        assert known.why.endswith(".")
        assert known.why.count(". ") == 0
        assert known.title == known.title.lower()
    assert len({known.title for known in BREAKS.values()}) == len(BREAKS)
