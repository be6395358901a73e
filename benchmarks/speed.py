"""Training, writing and looking, against Hugging Face's GPT-2 of the same shape and against matrix products alone."""

import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.measure import Line, interleaved
from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig
from minigpt.generation import generate_ids
from minigpt.hooks import patterns_and_logits
from minigpt.model import Transformer
from minigpt.runs.worker import keep_memory
from minigpt.training import TrainingState, advance, begin

D_VOCAB, N_CTX = 65, 64
# name: layers, width, batch
SHAPES = {"S": (2, 64, 32), "M": (4, 128, 12)}


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """So many OpenMP threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on(n: int, work: Callable[[], object]) -> Callable[[], object]:
    """The same work with so many OpenMP threads."""

    def run() -> object:
        with torch_threads(n):
            return work()

    return run


def gpt2(n_layers: int, d_model: int, n_ctx: int = N_CTX) -> Any:
    """Hugging Face's GPT-2 with four heads and no dropout."""
    shape = {"n_layer": n_layers, "n_embd": d_model, "n_head": 4, "n_positions": n_ctx, "vocab_size": D_VOCAB}
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    config = GPT2Config(**shape, **dropout, bos_token_id=0, eos_token_id=None, pad_token_id=0)
    config.loss_type = "ForCausalLMLoss"
    return GPT2LMHeadModel(config)


def our_state(n_layers: int, d_model: int, n_ctx: int, batch: int) -> TrainingState:
    """A model of this package, two AdamW steps old, on random characters."""
    letters = [chr(48 + index) for index in range(D_VOCAB)]
    text = "".join(random.Random(0).choices(letters, k=20_000))
    config = GPTConfig(n_ctx=n_ctx, d_model=d_model, n_heads=4, n_layers=n_layers)
    training = TrainingConfig(10**5, batch, "adamw", sample_tokens=0, eval_every=10**5)
    state = advance(begin(text, "character", config, training), 2)
    assert state.config.d_vocab == D_VOCAB
    return state


@contextmanager
def own_process(make: Callable[..., Callable[[], object]], *arguments: object) -> Iterator[Callable[[], object]]:
    """What `make(*arguments)` returns, to be called from here and done in a process of its own.

    So each way has the threads and the memory that it would have, and leaves none of it to another.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_at_call, args=(there, make, arguments), daemon=True)
    process.start()
    try:
        here.recv()

        def work() -> None:
            here.send(None)
            here.recv()

        yield work
    finally:
        process.kill()


def _at_call(pipe: Connection, make: Callable[..., Callable[[], object]], arguments: tuple[object, ...]) -> None:
    work = make(*arguments)
    while True:
        pipe.send(None)
        pipe.recv()
        work()


def our_steps(name: str, steps: int, threads: int) -> Callable[[], object]:
    """So many AdamW steps of this package, with memory kept as its workers keep it."""
    keep_memory()
    n_layers, d_model, batch = SHAPES[name]
    state = our_state(n_layers, d_model, N_CTX, batch)
    return lambda: advance(state, steps, threads)


def their_steps(name: str, steps: int, threads: int) -> Callable[[], object]:
    """So many AdamW steps of Hugging Face's GPT-2, in the usual loop, on so many OpenMP threads."""
    torch.set_num_threads(threads)
    n_layers, d_model, batch = SHAPES[name]
    model = gpt2(n_layers, d_model).train()
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids = torch.randint(D_VOCAB, (20_000,), generator=torch.Generator().manual_seed(0))

    def work() -> None:
        for _ in range(steps):
            starts = torch.randint(len(ids) - N_CTX, (batch,))
            rows = ids[starts[:, None] + torch.arange(N_CTX)]
            loss = model(input_ids=rows, labels=rows).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adamw.step()
            adamw.zero_grad(set_to_none=True)
            loss.item()

    return work


def products_alone(name: str, steps: int) -> Callable[[], object]:
    """The matrix products of so many training steps and nothing else: no step can be faster than these.

    Forward once and backward twice for every weight; for attention the products of scores and of mixing. One thread.
    """
    torch.set_num_threads(1)
    n_layers, d_model, batch = SHAPES[name]
    tokens, d_head = batch * N_CTX, d_model // 4
    widths = [(d_model, 3 * d_model), (d_model, d_model), (d_model, 4 * d_model), (4 * d_model, d_model)] * n_layers
    sides = [(torch.randn(tokens, a), torch.randn(tokens, b), torch.randn(a, b)) for a, b in [*widths, (d_model, 65)]]
    outs = [(torch.empty_like(x), torch.empty_like(y), torch.empty_like(w)) for x, y, w in sides]
    q, scores = torch.randn(batch * 4, N_CTX, d_head), torch.randn(batch * 4, N_CTX, N_CTX)
    q_out, scores_out = torch.empty_like(q), torch.empty_like(scores)

    def work() -> None:
        for _ in range(steps):
            for (x, y, w), (x_out, y_out, w_out) in zip(sides, outs, strict=True):
                torch.mm(x, w, out=y_out)
                torch.mm(y, w.T, out=x_out)
                torch.mm(x.T, y, out=w_out)
            for _ in range(2 * n_layers):  # Scores and mixing: one product each forward, two each backward.
                torch.bmm(q, q.transpose(1, 2), out=scores_out)
                torch.bmm(scores, q, out=q_out)
                torch.bmm(scores.transpose(1, 2), q, out=q_out)

    return work


def training(rounds: int) -> list[Line]:
    """Tokens a second of training, each way in a process of its own."""
    lines = []
    for name, asked_hf, asked_products in (("S", 1.65, 0.65), ("M", 1.55, 0.78)):
        steps = 10
        with (
            own_process(our_steps, name, steps, 2) as ours,
            own_process(their_steps, name, steps, 2) as theirs,
            own_process(our_steps, name, steps, 1) as ours_on_one,
            own_process(products_alone, name, steps) as products,
        ):
            ways = {"ours": ours, "theirs": theirs, "ours on one": ours_on_one, "products": products}
            taken = interleaved(ways, rounds)
        per_second = {way: steps * SHAPES[name][2] * N_CTX / timing.median for way, timing in taken.items()}
        both = f"{per_second['ours']:,.0f} against {per_second['theirs']:,.0f} tokens/s"
        ratio = per_second["ours"] / per_second["theirs"]
        lines.append(Line(f"training, {name}, two cores, against Hugging Face GPT-2", ratio, asked_hf, both))
        both = f"{per_second['ours on one']:,.0f} of {per_second['products']:,.0f} tokens/s"
        ratio = per_second["ours on one"] / per_second["products"]
        lines.append(Line(f"training, {name}, one thread, of matrix products alone", ratio, asked_products, both))
    return lines


def _spin() -> None:
    while True:
        pass


@contextmanager
def busy(n: int) -> Iterator[None]:
    """So many processes that do nothing, as fast as they can."""
    processes = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(n)]
    for process in processes:
        process.start()
    time.sleep(2)
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def beside_others(rounds: int) -> list[Line]:
    """A step of a lone run with two busy processes beside it, over alone."""
    with own_process(our_steps, "M", 10, 2) as work:
        alone = interleaved({"alone": work}, rounds)["alone"].median
        with busy(2):
            crowded = interleaved({"crowded": work}, rounds)["crowded"].median
    both = f"{crowded * 100:.0f} ms against {alone * 100:.0f} ms a step"
    return [Line("a step of a lone run beside two busy processes, over alone", crowded / alone, 2.0, both, True)]


def writing(rounds: int) -> list[Line]:
    """Tokens a second of writing, one sequence, one thread."""
    lines = []
    n_new = 58
    for name, asked in (("S", 10.0), ("M", 8.0)):
        n_layers, d_model, _ = SHAPES[name]
        ours = Transformer(GPTConfig(D_VOCAB, N_CTX, d_model, 4, n_layers)).eval()
        theirs = gpt2(n_layers, d_model).eval()
        prompt = torch.arange(6)
        options = {"max_new_tokens": n_new, "min_new_tokens": n_new, "temperature": 0.8, "top_k": 0, "use_cache": True}

        @torch.no_grad()
        def generate(model: Any = theirs, prompt: Any = prompt, options: Any = options) -> None:
            model.generate(prompt[None], attention_mask=torch.ones(1, 6).long(), do_sample=True, **options)

        def write(model: Transformer = ours, prompt: Any = prompt) -> None:
            list(generate_ids(model, prompt, SamplingConfig(n_new, 0.8)))

        taken = interleaved({"ours": on(1, write), "theirs": on(1, generate)}, rounds)
        speed = {way: n_new / timing.median for way, timing in taken.items()}
        both = f"{speed['ours']:,.0f} against {speed['theirs']:,.0f} tokens/s"
        lines.append(
            Line(f"writing, {name}, against Hugging Face `generate`", speed["ours"] / speed["theirs"], asked, both)
        )
    return lines


def lens(model: Any) -> Any:
    """TransformerLens around a model of Hugging Face's; it takes one from a folder only."""
    # Imported here: it takes seconds, and only one table needs it.
    from transformer_lens import TransformerBridge

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return TransformerBridge.boot_transformers(folder)


def ways_of_looking(n_tokens: int, with_lens: bool) -> dict[str, Callable[[], object]]:
    """Ten times all patterns and logits of a prompt, 6 layers of d128; "fused" is our model without any pattern."""
    ours = Transformer(GPTConfig(D_VOCAB, 256, 128, 4, 6)).eval()
    fused = Transformer(ours.config).train()
    theirs = gpt2(6, 128, 256).eval()
    theirs.set_attn_implementation("eager")
    ids = torch.randint(D_VOCAB, (n_tokens,), generator=torch.Generator().manual_seed(0))
    passes: dict[str, Callable[[], object]] = {
        "ours": lambda: patterns_and_logits(ours, ids),
        "theirs": lambda: theirs(ids[None], output_attentions=True),
        "fused": lambda: fused(ids),
    }
    if with_lens:
        bridge = lens(theirs)
        passes["lens"] = lambda: bridge.run_with_cache(
            ids[None], names_filter=lambda name: name.endswith("hook_pattern")
        )

    def ten(one: Callable[[], object]) -> Callable[[], object]:
        @torch.inference_mode()
        def run() -> None:
            for _ in range(10):
                one()

        return on(1, run)

    return {way: ten(one) for way, one in passes.items()}


def looking(rounds: int, with_lens: bool = True) -> list[Line]:
    """All patterns and logits of a prompt, one thread."""
    lines = []
    for n_tokens, asked in ((64, 1.9), (256, 1.6)):
        taken = interleaved(ways_of_looking(n_tokens, with_lens), rounds)
        ms = {way: timing.median * 1000 / 10 for way, timing in taken.items()}
        what = f"all patterns and logits of {n_tokens} tokens"
        peers = {
            "theirs": ("Hugging Face `output_attentions`", asked),
            "lens": ("TransformerLens `run_with_cache`", None),
        }
        for way, (peer, least) in peers.items():
            if way in ms:
                both = f"{ms['ours']:.1f} against {ms[way]:.1f} ms"
                lines.append(Line(f"{what}, against {peer}", ms[way] / ms["ours"], least, both))
        both = f"{ms['ours']:.1f} against {ms['fused']:.1f} ms"
        lines.append(Line(f"{what}, over the pass that keeps none", ms["ours"] / ms["fused"], 1.2, both, True))
    return lines
