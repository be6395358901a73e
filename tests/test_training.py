"""Training learns what can be learned, gives the same bits however it is cut up, and stops when it blows up."""

import math
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.data import held_out, split
from minigpt.markov import SYMBOLS, make_markov, make_transition, markov_log_probability
from minigpt.model import Transformer
from minigpt.optimiser import Optimisers
from minigpt.training import TrainingState, _Slice, advance, begin, cross_entropy, main_train, one_thread, train

TEXT = "the dog saw the cat . the cat saw the old dog . the old dog ran to the old cat and the cat ran .\n" * 6
SMALL = GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=2)
PLAN = TrainingConfig(steps=60, batch_size=4, eval_every=7, sample_tokens=8)


def small_state(**changes: object) -> TrainingState:
    return begin(TEXT, "word", SMALL, replace(PLAN, **changes))


def tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    return {**state.model.state_dict(), **state.optimiser, "random numbers": state.rng}


def assert_same_bits(one: TrainingState, other: TrainingState) -> None:
    assert tensors(one).keys() == tensors(other).keys()
    for name, tensor in tensors(one).items():
        assert torch.equal(tensor, tensors(other)[name]), name
    for part in ("train", "validation", "samples"):
        assert getattr(one.history, part) == getattr(other.history, part), part
    assert (one.step, one.failure) == (other.step, other.failure)


def in_slices(state: TrainingState, *slices: int) -> TrainingState:
    for steps in slices:
        state = advance(state, steps)
    return state


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_one_slice_gives_the_same_bits_as_six_or_sixty(optimiser):
    start = small_state(optimiser=optimiser)
    whole = advance(start, 60)
    assert_same_bits(whole, in_slices(start, *[10] * 6))
    assert_same_bits(whole, in_slices(start, 0, 1, 6, 7, 1, 45, 0))
    assert [step for step, _ in whole.history.train] == list(range(60))
    assert [step for step, _ in whole.history.validation] == [0, 7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert len(whole.history.samples) == 10
    assert whole.finished
    assert not start.finished


def test_another_seed_gives_other_bits():
    one, other = advance(small_state(), 5), advance(small_state(seed=1), 5)
    assert one.history.train != other.history.train
    assert not torch.equal(one.model.embed.weight, other.model.embed.weight)
    assert not torch.equal(one.rng, other.rng)


def twenty_steps(state: TrainingState) -> TrainingState:
    return advance(state, 20)


def test_another_process_gives_the_same_bits():
    start = small_state()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = pool.submit(twenty_steps, start).result()
    assert_same_bits(twenty_steps(start), elsewhere)


def test_the_state_that_goes_in_stays_as_it_is():
    start = advance(small_state(), 5)
    before = {name: tensor.clone() for name, tensor in tensors(start).items()}
    history = start.history
    first = advance(start, 10)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(start).items())
    assert start.history is history
    assert start.step == 5
    assert_same_bits(first, advance(start, 10))


def test_advancing_leaves_torchs_threads_and_everybodys_random_numbers_alone():
    threads, before = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        advance(small_state(), 7)
        assert torch.get_num_threads() == 2
        with pytest.raises(ValueError, match="A slice has 0 or more steps, not -1"):
            advance(small_state(), -1)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_come_back_when_a_step_raises(monkeypatch):
    def fails(*_):
        assert torch.get_num_threads() == 1
        raise RuntimeError("no memory")

    threads = torch.get_num_threads()
    monkeypatch.setattr("minigpt.training.random_batch", fails)
    try:
        torch.set_num_threads(2)
        with pytest.raises(RuntimeError, match="no memory"):
            advance(small_state(), 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_no_model_of_a_state_is_left_in_training_mode():
    start = small_state()
    assert not start.model.training
    assert not advance(start, 1).model.training


def test_the_recorded_loss_is_that_of_the_model_after_so_many_steps():
    start = small_state()
    state = advance(start, 7)
    assert start.history.train == ()
    assert state.history.train[0][1] == pytest.approx(start.history.references.uniform, abs=0.1)
    validation = split(state.ids, 0.1).validation
    # Shorter than a context, it is one window.
    assert len(validation) < 17
    loss = cross_entropy(state.model, validation[None, :-1], validation[None, 1:]).item()
    assert state.history.validation[-1] == (7, pytest.approx(loss, abs=1e-6))


def test_loss_falls_on_a_text_it_can_memorise():
    state = advance(begin("to be or not to be , that is the question . " * 20, config=SMALL, training=PLAN), 60)
    first, last = state.history.train[0][1], state.history.train[-1][1]
    assert first == pytest.approx(math.log(11), abs=0.2)
    assert last < 0.3
    assert state.history.validation[-1][1] < 0.3
    assert "to be" in state.history.samples[-1][1]


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_four_rows_are_learned_by_heart_in_150_steps(optimiser):
    rng = torch.Generator().manual_seed(0)
    rows = torch.randint(20, (4, 17), generator=rng)
    # What cannot be known is the first choice after an equal beginning, so each row begins with a token of its own.
    rows[:, 0] = torch.arange(20, 24)
    training = TrainingConfig(steps=150, optimiser=optimiser)
    model = Transformer(GPTConfig(d_vocab=24, n_ctx=16, d_model=32, n_heads=2), rng)
    optimisers = Optimisers(model, training)
    with one_thread():
        for step in range(150):
            loss = cross_entropy(model, rows[:, :-1], rows[:, 1:])
            loss.backward()
            optimisers.step(step)
    assert loss.item() < 0.05


def test_a_markov_source_is_learned_to_its_own_surprise_and_never_below():
    transition = make_transition(seed=5)
    text, held_out = make_markov(transition, n_letters=20_000), make_markov(transition, seed=1, n_letters=4001)
    config = GPTConfig(n_ctx=32, d_model=32, n_heads=2, n_layers=1)
    state = main_train(text, "character", config=config, training=TrainingConfig(steps=200, batch_size=16))
    # The same letters for the model and for the source: windows that begin a letter after each other's end.
    windows = torch.tensor(state.tokenizer.encode(held_out)).unfold(0, 33, 32)
    with torch.no_grad():
        model_loss = cross_entropy(state.model, windows[:, :-1], windows[:, 1:]).item()
    true_loss = -markov_log_probability(held_out, transition).mean()
    assert state.tokenizer.d_vocab == len(SYMBOLS)
    assert -0.02 <= model_loss - true_loss <= 0.05
    assert true_loss < state.history.references.unigram - 0.2


def test_the_loss_is_a_cross_entropy_in_nats_of_logits():
    state = small_state()
    ids = state.ids[:17]
    log_p = state.model(ids[:-1]).double().log_softmax(-1)
    by_hand = -sum(log_p[place, token].item() for place, token in enumerate(ids[1:])) / 16
    assert cross_entropy(state.model, ids[None, :-1], ids[None, 1:]).item() == pytest.approx(by_hand, abs=1e-5)


def test_a_step_beyond_the_plan_still_learns_a_little():
    state = advance(small_state(steps=10), 10)
    assert state.finished
    beyond = advance(state, 1)
    assert beyond.step == 11
    assert not torch.equal(beyond.model.embed.weight, state.model.embed.weight)
    assert len(beyond.history.train) == 11


def test_a_short_text_shrinks_the_context_and_says_so():
    state = main_train("a short text of nine words and no more", steps=3)
    assert state.config.n_ctx == 6
    assert state.notes == ("The text has only 9 tokens, so the model sees 6 at once, not 64.",)
    assert state.step == 3
    assert small_state().notes == ()


def test_rare_words_that_are_left_out_are_counted():
    text = " ".join(f"w{number}" for number in range(8200)) + " end"
    state = begin(text, config=replace(SMALL, n_ctx=4), training=PLAN)
    assert state.notes == ("9 of 8,201 tokens are rare words that the model reads as <unk>.",)


@pytest.mark.parametrize("text", ["", "one", "a b c"])
def test_a_text_that_teaches_nothing_is_refused(text):
    with pytest.raises(ValueError, match="learn from"):
        begin(text)


def test_one_word_repeated_is_learned():
    state = advance(begin("go " * 60, config=SMALL, training=PLAN), 20)
    assert state.failure is None
    assert state.history.train[-1][1] < 0.1


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_every_tokenizer_trains(kind):
    state = main_train(TEXT, kind, config=SMALL, training=replace(PLAN, steps=7))
    assert state.config.d_vocab == state.tokenizer.d_vocab
    assert state.step == 7
    assert all(sample for _, sample in state.history.samples)


def test_a_finished_run_reports_on_its_way():
    seen = []
    state = main_train(TEXT, steps=40, config=SMALL, report=lambda state: seen.append(state.step))
    assert seen == list(range(2, 41, 2))
    assert_same_bits(state, main_train(TEXT, steps=40, config=SMALL))
    assert train(state).step == 40
    assert train(state, 5).step == 45


def test_speed_is_measured_in_tokens_a_second():
    speeds = in_slices(small_state(), 5, 5).history.tokens_per_second
    assert [step for step, _ in speeds] == [5, 10]
    assert all(10 < speed < 1e8 for _, speed in speeds)


def test_weight_decay_and_clipping_reach_the_optimisers():
    plain = advance(small_state(), 5)
    for change in ({"weight_decay": 5.0}, {"clip_norm": 0.001, "optimiser": "adamw"}):
        other = advance(small_state(**change), 5)
        assert not torch.equal(other.model.embed.weight, plain.model.embed.weight)
        assert not torch.equal(other.model.blocks[0].mlp.up.weight, plain.model.blocks[0].mlp.up.weight)
    assert F.cosine_similarity(plain.model.embed.weight, small_state().model.embed.weight).mean() > 0.5


# ---- lines, each a text of its own ----

LINES = "".join(f"{word}|{word}\n" for word in ("ab", "cd", "acd", "bd", "cab", "dc", "abcd", "db")) * 8


def of_lines(windows: str, **changes: object) -> TrainingState:
    plan = replace(PLAN, windows=windows, eval_every=1, **changes)
    return begin(LINES, "character", replace(SMALL, n_ctx=12), plan)


def test_a_single_lines_loss_is_that_of_its_own_tokens_and_no_others():
    state = advance(of_lines("single lines"), 0)
    # Read again by hand: each line by itself, from its start to its end.
    losses = []
    for place in held_out(state.ids, 12, state.training, state.tokenizer.encode("\n")[0])[:, 0].tolist():
        assert LINES[place - 1] == "\n"
        line = torch.tensor(state.tokenizer.encode(LINES[place : LINES.index("\n", place) + 1]))
        with torch.no_grad():
            losses += F.cross_entropy(state.model(line[:-1]), line[1:], reduction="none").tolist()
    assert len(losses) > 10
    assert state.history.validation[0][1] == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    together = advance(of_lines("line starts"), 0).history.validation[0][1]
    assert together != pytest.approx(state.history.validation[0][1], abs=1e-5)


@pytest.mark.parametrize("windows", ["single lines", "line starts", "chunks"])
def test_windows_of_every_kind_give_the_same_bits_in_one_slice_or_many(windows):
    start = of_lines(windows)
    assert_same_bits(advance(start, 9), in_slices(start, 1, 3, 5))


def test_what_it_writes_as_it_learns_are_whole_lines():
    state = advance(of_lines("single lines", sample_tokens=30, steps=40), 40)
    sample = state.history.samples[-1][1]
    assert 10 < len(sample.replace("<unk>", "?")) <= 31
    starts = held_out(state.ids, 12, state.training, state.tokenizer.encode("\n")[0])[:, 0].tolist()
    written = sample.splitlines()
    assert len(written) > 1
    assert [line[0] for line in written] == [LINES[place] for place in starts[: len(written)]]


def test_a_softmax_of_a_softmax_can_never_be_a_low_loss():
    state = small_state()
    inputs, targets = state.ids[None, :16], state.ids[None, 1:17]
    with torch.no_grad():
        logits = state.model(inputs)[0]
        twice = cross_entropy(state.model, inputs, targets, softmax_twice=True)
    expected = F.nll_loss(logits.softmax(-1).log_softmax(-1), targets[0])
    assert twice == pytest.approx(float(expected), abs=1e-6)
    # Even where the right token has all the probability: ln(e + V - 1) - 1.
    certain = torch.zeros(1, 50)
    certain[0, 7] = 1
    assert F.cross_entropy(certain, torch.tensor([7])) == pytest.approx(math.log(math.e + 49) - 1)
    trained = train(small_state(softmax_twice=True, steps=60))
    assert trained.history.validation[-1][1] > math.log(math.e + trained.config.d_vocab - 1) - 1


@pytest.mark.parametrize("windows", ["anywhere", "single lines"])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_two_threads_give_the_same_bits_as_one(windows, batch_size):
    start = of_lines(windows, batch_size=batch_size)
    assert_same_bits(advance(start, 20), advance(start, 20, threads=2))


@pytest.mark.parametrize("windows", ["anywhere", "single lines"])
def test_the_gradient_of_two_halves_is_that_of_the_whole_batch(windows):
    """Also where one half counts more targets than the other, and so must weigh more."""
    inside = _Slice(of_lines(windows, batch_size=5), None)
    inputs, targets = inside.batch(inside.rng)
    loss = inside.learn(inputs, targets)
    halved = [parameter.grad for parameter in inside.parameters]
    whole = cross_entropy(inside.model, inputs, targets)
    assert loss.item() == pytest.approx(whole.item(), abs=1e-5)
    for half, expected in zip(halved, torch.autograd.grad(whole, inside.parameters), strict=True):
        torch.testing.assert_close(half, expected, atol=1e-6, rtol=1e-4)


def test_a_second_thread_is_gone_when_the_slice_is():
    before = threading.active_count()
    advance(small_state(), 3, threads=2)
    assert threading.active_count() == before
