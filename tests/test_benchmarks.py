"""The benchmarks in a short form: ratios with generous slack, because another machine may be busy."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import profile as profiled
from benchmarks import recipe
from benchmarks.__main__ import far_off
from benchmarks.measure import Line, interleaved, table
from benchmarks.recipe import DEFAULT, NANOGPT, letters, ours, reached, usual
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS
from minigpt.model import Transformer

ROOT = Path(__file__).parent.parent


def test_ways_take_turns_and_the_first_turn_is_not_counted():
    turns: list[str] = []
    taken = interleaved({"one": lambda: turns.append("one"), "other": lambda: turns.append("other")}, 3)
    assert turns == ["one", "other"] * 4
    assert all(timing.least <= timing.median <= timing.most for timing in taken.values())


def test_a_line_holds_from_what_was_asked_on_and_the_table_says_so():
    short, holds, at_most = Line("a", 1.4, 1.5, ""), Line("b", 1.5, 1.5, ""), Line("c", 1.3, 1.2, "", at_most=True)
    assert (short.holds, holds.holds, at_most.holds) == (False, True, False)
    assert replace(at_most, ratio=1.1).holds
    rows = table([short, holds, at_most, Line("d", 7.0, None, "", unit="kB")]).splitlines()[2:]
    assert ["**short**" in row for row in rows] == [True, False, True, False]
    assert rows[2:] == ["| c | 1.30 × | ≤ 1.2 × | **short** |  |", "| d | 7.00 kB |  |  |  |"]


def test_the_short_form_finds_no_ratio_far_off():
    # Its own process, without the checking of shapes, which no user has; beside other tests, so one run may be unlucky.
    for _ in range(3):
        done = subprocess.run([sys.executable, "-m", "benchmarks", "--quick"], cwd=ROOT, capture_output=True, text=True)
        print(done.stdout)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| training") == 4


@pytest.mark.parametrize(("ratio", "at_most", "expected"), [(0.7, False, 1), (0.8, False, 0), (3.1, True, 1)])
def test_half_of_what_is_asked_is_far_off(ratio, at_most, expected):
    lines = [Line("a", ratio, 1.5, "", at_most), Line("b", 0.1, None, "")]
    assert len(far_off(lines)) == expected


def test_the_default_needs_less_than_half_the_steps_of_the_usual_loop():
    text = LESSONS["stories"].text
    small = replace(NANOGPT, n_layers=2, d_model=64, d_head=0, d_mlp=None)
    mine = ours(text, "ours", DEFAULT.config, replace(DEFAULT.training, steps=120))
    theirs = usual(text, "theirs", small, 240, (8e-3, 0.0), 50)
    ids = letters(text)
    met, met_by_theirs = reached(mine, ids, (1.6,), 0), reached(theirs, ids, (1.6,), 0)
    assert met
    assert not met_by_theirs or met_by_theirs[1.6].steps > 2 * met[1.6].steps


def test_recipes_are_judged_on_the_last_tenth_alone():
    ids = torch.arange(1000) % 7
    model = Transformer(GPTConfig(d_vocab=7, n_ctx=32, d_model=8, n_heads=2), torch.Generator().manual_seed(0)).eval()
    before = recipe.validation_loss(model, ids)
    changed = ids.clone()
    changed[:900] = 0
    assert recipe.validation_loss(model, changed) == before
    changed[900:] = 0
    assert recipe.validation_loss(model, changed) != before


def test_the_clock_of_a_recipe_stands_still_while_the_model_is_looked_at():
    plan = TrainingConfig(steps=20, batch_size=2)
    steps = iter(ours(LESSONS["echo"].text, "ours", GPTConfig(n_ctx=8, d_model=8, n_heads=2), plan).slices(0))
    _, first = next(steps)
    time.sleep(2)
    _, second = next(steps)
    assert second - first < 1.5


def test_a_text_that_is_not_the_common_one_is_refused(tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("to be")
    with pytest.raises(SystemExit, match="not the text that others measure on"):
        recipe.common_text(other)


def test_a_text_out_of_reach_says_what_to_do(tmp_path, monkeypatch):
    def closed(*_args, **_options):
        raise OSError("closed network")

    monkeypatch.setattr(recipe.urllib.request, "urlopen", closed)
    with pytest.raises(SystemExit, match=r"out of reach .* Put a copy of it at .*missing\.txt"):
        recipe.common_text(tmp_path / "missing.txt")


def test_each_operation_is_counted_once_and_as_what_it_is():
    named = {"aten::mm": "matrix products", "aten::baddbmm": "matrix products", "aten::_log_softmax": profiled.REST}
    named["aten::_scaled_dot_product_flash_attention_for_cpu"] = "attention"
    assert {name: profiled.kind_of(name) for name in named} == named
    ones = torch.ones(256, 256)
    ms, share = profiled.shares(lambda: [ones @ ones for _ in range(20)])
    assert ms > 0
    assert share["matrix products"] > 0.5
    assert sum(share.values()) == pytest.approx(1)
