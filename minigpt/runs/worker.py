"""What a worker process does: advance the run in a folder by a slice, and say how it went. Small in, small out."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from minigpt.checkpoint import FIXED, GONE, NEWER, STATE, Damaged, fixed_bytes, load, state_bytes
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import drawn
from minigpt.film import Camera
from minigpt.history import History
from minigpt.promises import Finding, find
from minigpt.runs import store
from minigpt.runs.record import RunSettings
from minigpt.runs.store import Folder, Record
from minigpt.training import Failure, TrainingState, advance, begin
from minigpt.twins import begun_alike

# A worker that gets the same run again need not read it from disk. Bounded: one state a run, a few runs.
_KEPT: OrderedDict[Path, TrainingState] = OrderedDict()
_MAX_KEPT = 4
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # as glibc's malloc.h numbers them
LARGE = 16_000_000  # bytes of a model; beside such a one there is no room for what is kept for the next step
NICE = 5  # how far behind the server the workers stand


class Lost(Exception):
    """A run cannot go on: its state is neither in this worker nor in its folder. The message is for the reader."""


@dataclass(frozen=True)
class SliceReport:
    """What the page needs to know after a slice; the state itself is in the run's folder.

    unsaved, error: the files that the disk did not take, by name, and why.
    """

    step: int
    history: History
    failure: Failure | None
    seconds: float
    finding: Finding | None = None
    unsaved: dict[str, bytes] = field(default_factory=dict)
    error: OSError | None = None


def begun(text: str, settings: RunSettings) -> TrainingState:
    """The state that a run begins with; ValueError, in the reader's words, where text or settings cannot work."""
    lesson = settings.taught()
    known = drawn(lesson.source).log_probability if lesson else None
    state = begin(text, settings.tokenizer, *settings.applied(), settings.bpe_vocab, known)
    return begun_alike(state, begun(text, replace(settings, without=""))) if settings.without else state


def advance_folder(folder: Folder, record: Record, step: int, steps: int, threads: int = 1) -> SliceReport:
    """Take the run in `folder`, known to stand at `step` at least, `steps` further, and save it there.

    The same call again, after a worker died, goes on from whatever was saved, to the same step: nothing is lost, and
    nothing is done twice. `Lost` where nothing was.
    """
    started = time.perf_counter()
    # The state before is in no variable here: it would be in memory until the end, beside those that follow it.
    state = filmed(folder, record.settings, _at_hand(folder, record, step), step + steps, threads)
    if not folder.has(FIXED):
        folder.write(FIXED, fixed_bytes(state))
    if sum(tensor.nbytes for tensor in state.model.parameters()) > LARGE:
        give_memory_back()
    folder.write(STATE, state_bytes(state))
    folder.catch_up([name for name in folder.unsaved if name not in (*store.OURS, STATE)])
    unsaved = {name: data for name, data in folder.unsaved.items() if name not in store.OURS}
    seconds, found = time.perf_counter() - started, finding(record.settings, state)
    error = folder.error if unsaved else None
    report = SliceReport(state.step, state.history, state.failure, seconds, found, unsaved, error)
    if state.step < record.until:
        _KEPT[folder.path] = state
        while len(_KEPT) > _MAX_KEPT:
            _KEPT.popitem(last=False)
    else:
        del state
        give_memory_back()
    return report


def _at_hand(folder: Folder, record: Record, step: int) -> TrainingState:
    state = _KEPT.pop(folder.path, None)
    return state if state and state.step == step else _taken_up(folder, record)


def _taken_up(folder: Folder, record: Record) -> TrainingState:
    """The state in a folder. One that was lost under a run at work begins again from its text: to the same bits."""
    try:
        return load(folder.path, folder.unsaved)
    except FileNotFoundError:
        lost = GONE
    except Damaged as error:
        lost = str(error)
    with suppress(OSError):
        text = folder.read(store.TEXT)
        if lost != NEWER and store.hash_of(text) == record.text_hash:
            state = begun(text.decode(), record.settings)
            folder.write(FIXED, fixed_bytes(state))
            return state
    raise Lost(lost)


def filmed(folder: Folder, settings: RunSettings, state: TrainingState, goal: int, threads: int = 1) -> TrainingState:
    """Train up to the step `goal`, and keep frames of the film: of its moments on the way, and of where that ends. A
    state that stands there already or further stays.

    A slice in parts gives the bits of the whole one, so that nobody can tell from a model whether it was filmed.
    """
    lesson = settings.taught()
    goal, camera = max(state.step, goal), Camera(state, settings.film_of, lesson.prompts[0] if lesson else "")
    if state.step == 0:
        store.write_frame(folder, camera.frame(state), camera.moments)
    # Not the state itself: a large one would be in memory once more all along.
    first, speeds, started = state.step, state.history.tokens_per_second, time.perf_counter()
    for stop in [*(step for step in camera.moments if state.step < step < goal), goal]:
        state = advance(state, stop - state.step, threads)
        store.write_frame(folder, camera.frame(state), camera.moments)
        if state.failure:
            break
    gained = state.step - first
    if gained <= 0:
        return state
    # The speed of the slice, not of each of its parts.
    speed = gained * state.training.batch_size * state.config.n_ctx / (time.perf_counter() - started)
    return replace(state, history=replace(state.history, tokens_per_second=(*speeds, (state.step, speed))))


def finding(settings: RunSettings, state: TrainingState) -> Finding | None:
    """How far a state keeps the promise of its run's lesson; None for one's own text."""
    lesson = settings.taught()
    return find(lesson, state) if lesson else None


def prepare_process() -> None:
    """Called once in each worker: one torch thread, politely behind the server, and gone when the server is."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl+C reaches every process of a terminal; the server ends this one.
    torch.set_num_threads(1)
    keep_memory()
    server = multiprocessing.parent_process()
    if server and server.pid and hasattr(os, "getpriority"):
        # The thread that started this process may have been nice already.
        os.nice(max(0, os.getpriority(os.PRIO_PROCESS, server.pid) + NICE - os.nice(0)))
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def keep_memory() -> None:
    """Keep for the next step the memory that a step gives back: else the kernel clears the same pages at every step.

    Known to glibc alone; other systems stay as they are. A process then holds up to 64 MB more than its own peak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        for parameter, size in ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 256 << 20), (M_TOP_PAD, 64 << 20)):
            mallopt(parameter, size)


def give_memory_back() -> None:
    """What `keep_memory` kept goes to others: no step comes soon."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def _outlive_nobody() -> None:
    # A server that is killed cannot tell its workers; each would wait for work, and hold its memory, for ever.
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)


def work(config: GPTConfig, training: TrainingConfig) -> float:
    """Floating-point operations of a whole run: 6 a parameter and token, plus attention (Kaplan et al., 2020)."""
    matrices = config.n_layers * (4 * config.n_heads * config.d_head + 2 * config.width_of_mlp) * config.d_model
    per_token = 6 * (matrices + config.d_vocab * config.d_model) + 12 * config.n_layers * config.d_model * config.n_ctx
    return float(per_token * training.steps * training.batch_size * config.n_ctx)


def measure_speed(threads: int = 1) -> float:
    """Floating-point operations a second that training reaches in this process, in the terms of `work`."""
    state = begin("to be or not to be " * 40, training=TrainingConfig(steps=12, sample_tokens=0, eval_every=12))
    state = advance(state, 2)  # The first steps also load kernels.
    started = time.perf_counter()
    advance(state, 10, threads)
    seconds = time.perf_counter() - started
    give_memory_back()
    return work(state.config, state.training) * 10 / 12 / seconds
