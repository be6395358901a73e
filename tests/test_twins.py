"""A twin differs from its run in one part and in nothing else: batches, weights, losses from a prefix."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from gate import Gate, until

from minigpt.breaks import PARTS, broken, removable
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS, drawn
from minigpt.diagnosis import held_out_windows
from minigpt.runs import Runs, RunSettings
from minigpt.training import TrainingState, _Slice, advance, begin
from minigpt.twins import N_LENGTHS, begun_alike, prefix_loss

ECHO = LESSONS["echo"]
CONFIG = GPTConfig(n_ctx=24, d_model=16, n_heads=2, n_layers=2, positions="learned")
TRAINING = TrainingConfig(steps=30, batch_size=4, warmup_steps=2, sample_tokens=0)


def untrained(without: str = "", config: GPTConfig = CONFIG) -> TrainingState:
    return begin(ECHO.text, ECHO.tokenizer, *broken([], config, TRAINING, without))


def batches(state: TrainingState, count: int = 3) -> list[torch.Tensor]:
    """What the next steps will train on."""
    drawing = _Slice(state, None)
    return [drawing.batch(drawing.rng)[0] for _ in range(count)]


@pytest.mark.parametrize("without", PARTS)
def test_a_twin_reads_the_same_batches_in_the_same_order(without: str) -> None:
    run = untrained()
    twin = begun_alike(untrained(without), run)
    for of_run, of_twin in zip(batches(run), batches(twin), strict=True):
        assert torch.equal(of_run, of_twin)


def test_without_that_a_smaller_model_reads_other_batches() -> None:
    assert not torch.equal(batches(untrained())[0], batches(untrained("mlp"))[0])


@pytest.mark.parametrize("without", PARTS)
def test_what_both_have_begins_with_the_same_weights(without: str) -> None:
    run = untrained()
    twin = begun_alike(untrained(without), run)
    theirs, own = dict(run.model.named_parameters()), dict(twin.model.named_parameters())
    shared = theirs.keys() & own.keys()
    assert {"embed.weight", "blocks.0.attention.qkv.weight"} <= shared
    assert bool(theirs.keys() - own.keys()) == (without in ("positions", "mlp", "norm", "layer"))
    for name in shared:
        writes = name.endswith(("out.weight", "down.weight"))
        if without == "residual" and writes:
            assert not theirs[name].any()
            assert own[name].any(), "or nothing would get through"
        else:
            assert torch.equal(theirs[name], own[name]), name


def test_a_twin_without_a_residual_stream_learns() -> None:
    counting = "one two three four five six seven eight " * 60
    run, without = (begin(counting, "word", *broken([], CONFIG, TRAINING, name)) for name in ("", "residual"))
    twin = advance(begun_alike(without, run), 30)
    assert twin.history.validation[-1][1] < twin.history.references.uniform - 0.3


def test_a_twin_that_lacks_nothing_is_the_run_itself() -> None:
    run = untrained()
    one, other = advance(run, 5), advance(begun_alike(untrained(), run), 5)
    assert one.history.train == other.history.train
    assert one.history.validation == other.history.validation


def test_neither_the_run_nor_its_twin_is_changed_by_beginning_alike() -> None:
    run, twin = untrained(), untrained("mlp")
    before = [parameter.clone() for parameter in (*run.model.parameters(), *twin.model.parameters())]
    begun_alike(twin, run)
    after = [*run.model.parameters(), *twin.model.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_causal_model_loses_from_a_prefix_what_it_loses_in_the_midst_of_a_text() -> None:
    state = advance(untrained(), 10)
    windows, counts = held_out_windows(state)
    with torch.no_grad():
        logits = state.model(windows[:, :-1])
    losses = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="none").view(counts.shape)
    asked = torch.linspace(0, counts.shape[1] - 1, N_LENGTHS).round().long()
    assert prefix_loss(state) == pytest.approx(float(losses[:, asked][counts[:, asked]].mean()), rel=1e-5)


def test_a_model_that_reads_ahead_has_a_loss_below_the_floor_and_fails_from_a_prefix() -> None:
    training = replace(ECHO.training, sample_tokens=0)
    known = drawn(ECHO.source).log_probability
    run, other = (
        begin(ECHO.text, ECHO.tokenizer, *broken([], ECHO.config, training, without), log_probability=known)
        for without in ("", "mask")
    )
    twin = advance(begun_alike(other, run), 60)
    references = twin.history.references
    assert references.floor is not None
    assert twin.history.validation[-1][1] < references.floor - 0.5
    assert prefix_loss(twin) > references.uniform


def test_only_what_a_model_has_can_be_taken_out() -> None:
    assert removable(CONFIG) == list(PARTS)
    bare = GPTConfig(d_model=16, n_heads=1, n_layers=1, positions="none", causal=False, d_mlp=0)
    assert removable(bare) == ["scaling", "norm", "residual"]
    assert broken([], CONFIG, TRAINING, "head")[0].d_head == CONFIG.d_model, "one head as wide as all were"
    with pytest.raises(ValueError, match=r"go without mask, .*, not without 'brain'"):
        broken([], CONFIG, TRAINING, "brain")


def test_a_run_starts_as_its_twin_and_goes_on_to_the_step_asked_for(tmp_path: Path) -> None:
    gate = Gate()
    runs = Runs(tmp_path, lambda: gate, n_workers=1)
    settings = RunSettings(ECHO.tokenizer, config=CONFIG, training=TRAINING, lesson="echo", breaks=("scaling",))
    run = runs.start(ECHO.text, settings, 0)
    twin = runs.start(ECHO.text, replace(settings, without="mlp"), 0)
    first, second = runs.state(run), runs.state(twin)
    assert (second.config.d_mlp, second.config.scale_scores) == (0, False), "the twin of a broken run is broken too"
    assert torch.equal(first.rng, second.rng)
    assert torch.equal(first.model.embed.weight, second.model.embed.weight)
    assert second.history.references == first.history.references
    runs.resume(twin, 7)
    until(gate, lambda: runs.progress(twin).step > 0 and not runs.flying(twin))
    assert runs.progress(twin).step == 7
    assert runs.progress(twin).status == "paused"
    again = Runs(tmp_path, Gate, 1)  # as after a restart: all of it is read from disk
    assert again.progress(twin).settings.without == "mlp"
