"""Endpoints that look: at what every head looks at in a prompt, as numbers, words or a file, and at the film."""

import shutil
import tempfile
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import numpy as np

from minigpt import limits
from minigpt.api import attention, prompt_ids
from minigpt.film import WHOLE, Frame
from minigpt.heads import ROLES
from minigpt.hooks import AttentionView
from minigpt.training import TrainingState
from minigpt.ui import exports, head_words, words
from minigpt.ui.endpoints_heads import name_of
from minigpt.ui.gate import by_assistant, publish
from minigpt.ui.handlers import Page

MAX_FILES = 8  # the newest; older ones may have been fetched by then
MOST_ROWS = 12  # rows of a head, and heads, that are told in words
MOST_HEADS = 32


def add(page: Page) -> None:
    """Put these endpoints on the page that is being built."""
    calls = Looking(page)
    publish(calls.attention, "attention", concurrency_limit=None)
    publish(calls.attention_file, "file", concurrency_limit=None)
    publish(calls.film, "film", concurrency_limit=4)


class Looking:
    """What a method is called, and what its docstring says, is what programs read. Heads are named as on the page."""

    def __init__(self, page: Page) -> None:
        self._page, self._runs = page, page.runs
        self._folder = Path(tempfile.mkdtemp(prefix="minigpt-files-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._files: deque[Path] = deque()
        self._lock = threading.Lock()

    def attention(self, request: gr.Request, run_id: str, prompt: str) -> Any:
        """What every head looks at in a prompt: tokens, and patterns as [layer][head][query][key], all from 0.

        A row is the token that looks, a column one it looks at; rows add up to 1. Head 2.3 is patterns[1][2].
        The message names words that are not in the training text, and says what of a long prompt was not read.
        Over MCP it is told in words which token each row looks at most.

        Args:
            run_id: The id that /train gave.
            prompt: What the heads look at; of more tokens than the context the newest are read.
        """
        most = None if by_assistant(request) else limits.CELLS
        with self._page.turn(request):
            _, view, answer = self._seen(run_id, prompt, most)
            if most is None:
                return in_sentences(view, answer["message"])
            return answer | {"patterns": view.pattern.tolist()}

    def attention_file(
        self, request: gr.Request, run_id: str, prompt: str, format: Literal["npz", "csv"] = "npz"
    ) -> gr.FileData:
        """What every head looks at in a prompt, as a file, for what is too large for an answer.

        Args:
            run_id: The id that /train gave.
            prompt: What the heads look at; of more tokens than the context the newest are read.
            format: For numpy.load npz, with pattern, tokens, ids, logits, step; csv has a row for each cell, from 1.
        """
        with self._page.turn(request):
            state, view, _ = self._seen(run_id, prompt)
            path = self._written(view, state.step, format)
        with self._lock:
            self._files.append(path.parent)
            while len(self._files) > MAX_FILES:
                shutil.rmtree(self._files.popleft(), ignore_errors=True)
        return gr.FileData(path=str(path), orig_name=path.name)

    def _written(self, view: AttentionView, step: int, format: str) -> Path:
        if format == "csv" and exports.n_rows(view) > exports.MAX_ROWS:
            raise ValueError(
                f"A CSV of {exports.n_rows(view):,} rows is too long, {exports.MAX_ROWS:,} fit. Ask for npz."
            )
        path = Path(tempfile.mkdtemp(dir=self._folder)) / f"minigpt-patterns-step-{step}.{format}"
        if format == "npz":
            exports.write_npz(path, view, step)
        else:
            exports.write_csv(path, view)
        return path

    def film(self, request: gr.Request, run_id: str, step: int | None = None) -> dict[str, Any]:
        """The film of training: what became of one sentence, from step 0 on, and when each head learned its job.

        At each moment it tells what the model would write next after the sentence.

        Args:
            run_id: The id that /train gave.
            step: Shows the moment nearest to it whole, with patterns as [layer][head][query][key] (not over MCP).
        """
        film = self._runs.film(run_id)
        if not film:
            raise ValueError("This run has no film. Train again, and it will have one.")
        tokenizer = self._runs.any_state(run_id).tokenizer
        frames, newest = list(film.values()), film[max(film)]
        kind = tokenizer.kind
        answer: dict[str, Any] = {"tokens": [tokenizer.token(index) for index in newest.ids.tolist()]}
        if step is None:
            moments = [
                {"step": frame.step, "next": tokenizer.token(int(frame.logits[-1].argmax()))} for frame in frames
            ]
            return answer | {"moments": moments, "births": _births(frames, kind)}
        frame = film[min(film, key=lambda known: abs(known - step))]
        answer |= {
            "step": frame.step,
            "next": [tokenizer.token(int(index)) for index in frame.logits.argmax(axis=-1)],
            "jobs": _jobs(frame, kind),
        }
        if by_assistant(request):
            return answer
        n_cells, most = frame.pattern.size, limits.CELLS.most
        if n_cells > most:
            raise ValueError(
                f"A moment of this film has {n_cells:,} numbers, and {most:,} fit. Film a shorter sentence."
            )
        return answer | {"patterns": (frame.pattern.astype(np.float32) / WHOLE).tolist()}

    def _seen(
        self, run_id: str, prompt: str, most: limits.Limit | None = None
    ) -> tuple[TrainingState, AttentionView, dict[str, Any]]:
        """A look at a prompt, and what is said of it beside the patterns; ValueError where these would be too large."""
        state = self._runs.state(run_id)
        n_cells = state.config.n_pattern_cells(len(prompt_ids(state, prompt)))
        for limit in (limits.LOOK_CELLS, *([most] if most else [])):
            limit.check(n_cells)
        view = attention(state, prompt)
        unknown, n_ctx = state.tokenizer.unknown(prompt), state.config.n_ctx
        notes = (
            words.unknown_words(unknown, state.tokenizer),
            words.window_note(view.dropped, len(view.tokens) + view.dropped, n_ctx),
        )
        message = " ".join(note for note in notes if note)
        answer = {"tokens": list(view.tokens), "dropped": view.dropped, "unknown": unknown, "message": message}
        return state, view, answer


def _jobs(frame: Frame, kind: str) -> dict[str, str]:
    """What the heads do at a moment, those that do something."""
    roles = list(ROLES)
    return {name_of((layer, head)): head_words.name_of(roles[role], kind) for layer, head, role in frame.jobs()}


def _births(frames: list[Frame], kind: str) -> list[dict[str, Any]]:
    """Since which moment each head has done the job that it does in the newest one, without a break."""
    jobs = [_jobs(frame, kind) for frame in frames]
    births = []
    for head, job in jobs[-1].items():
        first = len(jobs) - 1
        while first and jobs[first - 1].get(head) == job:
            first -= 1
        births.append({"head": head, "job": job, "since_step": frames[first].step})
    return births


def in_sentences(view: AttentionView, message: str) -> str:
    """What every head looks at, for a reader of words: in its last rows, the token that it looks at most."""
    n_layers, n_heads, n_tokens, _ = view.pattern.shape
    told = [f"Tokens: {' '.join(view.tokens[-MOST_ROWS:])}", "For each token, what the head looks at most:"]
    if message:
        told.insert(0, message)
    for layer, head in list(np.ndindex(n_layers, n_heads))[:MOST_HEADS]:
        rows = []
        for query in range(max(0, n_tokens - MOST_ROWS), n_tokens):
            row = view.pattern[layer, head, query]
            key = int(row.argmax())
            rows.append(f"{view.tokens[query]} → {view.tokens[key]} {row[key]:.0%}")
        told.append(f"Head {name_of((layer, head))}: {'; '.join(rows)}.")
    left = n_layers * n_heads - MOST_HEADS
    if left > 0:
        told.append(f"And {left} heads more: attention_file has them all.")
    return "\n".join(told)
