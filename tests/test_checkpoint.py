"""A state on disk is the state: to the bit, whatever the tokenizer, and whatever moment the process is killed at."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minigpt import checkpoint
from minigpt.checkpoint import FIXED, STATE, load, save
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.training import Failure, TrainingState, advance, begin

TEXT = "the dog saw the cat . “Café” – ŝaŭ 🙂 the old dog ran to the old cat and the cat ran .\n" * 6
SMALL = GPTConfig(n_ctx=8, d_model=16, n_heads=2, n_layers=2)
PLAN = TrainingConfig(steps=20, batch_size=2, eval_every=5, sample_tokens=5)


def assert_same(one: TrainingState, other: TrainingState) -> None:
    assert (one.config, one.training) == (other.config, other.training)
    assert one.tokenizer.to_json() == other.tokenizer.to_json()
    assert torch.equal(one.ids, other.ids)
    assert torch.equal(one.rng, other.rng)
    for ours, theirs in ((one.model.state_dict(), other.model.state_dict()), (one.optimiser, other.optimiser)):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert torch.equal(ours[name], theirs[name]), name
    clockless = [replace(state.history, tokens_per_second=()) for state in (one, other)]
    assert clockless[0] == clockless[1]
    assert (one.step, one.failure, one.notes) == (other.step, other.failure, other.notes)


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
@pytest.mark.parametrize("change", [{}, {"tie_unembedding": False}, {"positions": "learned", "bias": True, "d_mlp": 0}])
@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_saving_and_loading_changes_nothing_now_or_later(tmp_path, kind, change, optimiser):
    start = begin(TEXT, kind, replace(SMALL, **change), replace(PLAN, optimiser=optimiser))
    state = advance(start, 7)
    save(state, tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert_same(loaded, state)
    assert loaded.history == state.history
    assert_same(advance(loaded, 8), advance(start, 15))


def test_an_untrained_state_can_be_kept(tmp_path):
    start = begin(TEXT, config=SMALL, training=PLAN)
    save(start, tmp_path)
    assert_same(advance(load(tmp_path), 5), advance(start, 5))


def test_a_tied_unembedding_is_one_tensor_after_loading(tmp_path):
    save(begin(TEXT, config=SMALL, training=PLAN), tmp_path)
    model = load(tmp_path).model
    assert model.unembed.weight is model.embed.weight
    assert not model.training


def test_a_later_state_replaces_an_earlier_one_and_what_never_changes_is_written_once(tmp_path):
    state = begin(TEXT, config=SMALL, training=PLAN)
    save(state, tmp_path)
    fixed = (tmp_path / FIXED).stat()
    state = advance(state, 5)
    save(state, tmp_path)
    assert_same(load(tmp_path), state)
    assert (tmp_path / FIXED).stat().st_mtime_ns == fixed.st_mtime_ns
    assert sorted(path.name for path in tmp_path.iterdir()) == [FIXED, STATE]


def test_failure_and_notes_are_kept(tmp_path):
    state = begin("a short text of nine words and no more", config=replace(SMALL, n_ctx=64), training=PLAN)
    failed = replace(state, failure=Failure(3, "The loss became infinite."))
    assert failed.notes
    save(failed, tmp_path)
    assert_same(load(tmp_path), failed)


@pytest.mark.parametrize("when", ["half a file is written", "the file is whole but not in its place"])
def test_a_process_killed_while_saving_leaves_the_old_state(tmp_path, monkeypatch, when):
    state = advance(begin(TEXT, config=SMALL, training=PLAN), 5)
    save(state, tmp_path)

    def killed(path, data):
        written(path, b"\x00" * 100 if when.startswith("half") else data)
        raise KeyboardInterrupt

    written = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        save(advance(state, 5), tmp_path)
    monkeypatch.undo()
    assert_same(load(tmp_path), state)
    save(advance(state, 7), tmp_path)
    assert load(tmp_path).step == 12


def test_a_state_of_an_earlier_version_means_the_same_now_and_after_it_is_saved_again(tmp_path):
    state = advance(begin(TEXT, config=replace(SMALL, bias=True), training=PLAN), 5)
    save(state, tmp_path)
    tensors, words = checkpoint._read(tmp_path / STATE)
    del words["turned"]
    for name in [name for name in tensors if "attention.qkv" in name]:
        parts = tensors[name].unflatten(0, (3, 2, 4, 2))  # part, head, pair, which of the two
        apart = [part.transpose(1, 2).flatten(end_dim=2) for part in parts[:2]]
        tensors[name] = torch.cat([*apart, parts[2].flatten(end_dim=2)])
    checkpoint.replace_file(tmp_path / STATE, checkpoint._packed(tensors, words))
    for _ in range(2):
        loaded = load(tmp_path)
        assert torch.equal(loaded.model(state.ids[:8]), state.model(state.ids[:8]))
        save(loaded, tmp_path)
    assert advance(loaded, 1).step == 6


def test_a_folder_without_a_state_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
