"""Endpoints about lessons and heads: what a lesson promises, what every head does and costs, heads switched off."""

import time
from collections.abc import Iterable
from dataclasses import fields as dataclass_fields
from typing import Any

import gradio as gr
import numpy as np

from minigpt.api import prompt_ids, write
from minigpt.config import GPTConfig
from minigpt.corpora import LESSONS, Lesson
from minigpt.diagnosis import Diagnosis, diagnose, loss_without
from minigpt.heads import in_words
from minigpt.hooks import muted
from minigpt.training import TrainingState
from minigpt.ui import door, head_words, lesson_words
from minigpt.ui.gate import publish
from minigpt.ui.handlers import Page
from minigpt.ui.remembered import Remembered
from minigpt.ui.switchboard_tab import verdict

MAX_FINDINGS = 4096  # numbers and score tables, small ones
PATIENCE = 10.0  # seconds of muting heads in one call

Head = tuple[int, int]
Heads = tuple[Head, ...]


def add(page: Page) -> None:
    """Put these endpoints on the page that is being built."""
    calls = HeadCalls(page)
    publish(calls.lessons, "lessons", queue=False)
    publish(calls.promise, "promise", queue=False)
    publish(calls.heads, "heads", concurrency_limit=None)
    publish(calls.mute, "difference", concurrency_limit=None)


class HeadCalls:
    """What a method is called, and what its docstring says, is what programs read. Heads are named as on the page."""

    def __init__(self, page: Page) -> None:
        self._page, self._runs = page, page.runs
        self._known = Remembered(MAX_FINDINGS)

    def lessons(self) -> list[dict[str, Any]]:
        """The built-in lessons: what each is for, prompts to try, its settings, and what /train can change of it."""
        return [_lesson(lesson) for lesson in LESSONS.values()]

    def promise(self, run_id: str) -> dict[str, Any]:
        """Whether the pattern that a lesson promises is there by now, in which head, and against chance.

        Shares are of the head's attention, from 0 to 1. There is no promise for a text of one's own.

        Args:
            run_id: The id that /train gave.
        """
        progress = self._runs.progress(run_id)
        lesson, finding = progress.settings.taught(), progress.finding
        if lesson is None or finding is None:
            says = (
                "Nothing is measured yet." if lesson else "Only a lesson promises something, and this run is of none."
            )
            return {"kept": None, "says": says}
        validation = progress.history.validation
        return {
            "kept": finding.kept,
            "says": " ".join(lesson_words.verdict(progress, finding, lesson)).strip(),
            "head": None if finding.share is None else name_of((finding.layer, finding.head)),
            "share": finding.share,
            "chance": finding.chance,
            "since_step": progress.found_at,
            "validation_loss": validation[-1][1] if validation else None,
            "best_possible": progress.history.references.floor,
        }

    def heads(self, request: gr.Request, run_id: str, cost: bool = True) -> dict[str, Any]:
        """What every head of a model does, in words: its role, the share of its attention, chance, and what it costs.

        The cost is by how much the validation loss rises, in nats a token, while the head writes nothing.

        Args:
            run_id: The id that /train gave.
            cost: Whether to mute each head for a moment and measure its cost, which takes seconds for a large model.
        """
        state = self._runs.state(run_id)
        every = [(int(layer), int(head)) for layer, head in np.ndindex(state.config.n_layers, state.config.n_heads)]
        with self._page.turn(request) as turn:
            diagnosis: Diagnosis | None = self._known.once((run_id, state.step), lambda: diagnose(state))
            costs = self._costs(run_id, state, turn.each(every)) if cost else {}
        message = head_words.scored_on(diagnosis) if diagnosis else head_words.unscored(state.config)
        if cost and len(costs) < len(every):
            message += f" {len(costs)} of {len(every)} heads muted so far: ask again for more."
        return {
            "step": state.step,
            "heads": [_head(head, state, diagnosis, costs.get(head)) for head in every],
            "message": message,
        }

    def mute(
        self,
        request: gr.Request,
        run_id: str,
        heads: list[str],
        prompt: str = "",
        max_new_tokens: int = 40,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Switch heads off: how the validation loss changes, in nats a token, and what the model then writes.

        The run itself is not changed.

        Args:
            run_id: The id that /train gave.
            heads: Heads by their names on the page, such as ["2.3"]: layer 2, head 3.
            prompt: What the model goes on from, with its heads and without them. Left out: nothing is written.
            max_new_tokens: How many tokens to write, at most.
            temperature: 0 takes the likeliest token always, 1 chooses as the model predicts, more is wilder.
            top_k: Choose among the so many likeliest tokens; 0 keeps all.
            top_p: Choose among the likeliest tokens that together have this probability; 1 keeps all.
            seed: The same seed writes the same text.
        """
        sampling = door.sampling_of(max_new_tokens, temperature, top_k, top_p, seed)
        state = self._runs.state(run_id)
        off = heads_of(heads, state.config)
        with self._page.turn(request) as turn:
            loss, without = self._loss(run_id, state, ()), self._loss(run_id, state, off)
            answer = {"says": verdict(off, state.config, loss, without), "loss": loss, "loss_without": without}
            if prompt:
                ids = prompt_ids(state, prompt)
                answer["text"] = "".join(token.text for token in turn.each(write(state, ids, sampling)))
                # Muting ends with the block, so the last token is written before it.
                with muted(state.model, off):
                    answer["text_without"] = "".join(token.text for token in turn.each(write(state, ids, sampling)))
        return answer

    def _loss(self, run_id: str, state: TrainingState, heads: Heads) -> float:
        return self._known.once((run_id, state.step, heads), lambda: loss_without(state, heads))

    def _costs(self, run_id: str, state: TrainingState, every: Iterable[Head]) -> dict[Head, float]:
        """What each head costs, as many as patience is for; what was measured before is remembered."""
        until, costs = time.monotonic() + PATIENCE, {}
        loss = self._loss(run_id, state, ())
        for head in every:
            if time.monotonic() < until or (run_id, state.step, (head,)) in self._known:
                costs[head] = self._loss(run_id, state, (head,)) - loss
        return costs


def _lesson(lesson: Lesson) -> dict[str, Any]:
    knobs = dataclass_fields(lesson.source)  # type: ignore[arg-type]
    fields = door.preset_fields(door.SIZE_OF_LESSON, lesson.name)
    shape = ("tokenizer", "layers", "heads", "width", "context", "mlp", "positions", "steps", "batch")
    return {
        "lesson": lesson.name,
        "title": lesson.title,
        "look_for": lesson.look_for,
        "prompts": list(lesson.prompts),
        "settings": {name: getattr(fields, name) for name in shape},
        "change": {knob.metadata["label"]: getattr(lesson.source, knob.name) for knob in knobs},
    }


def _head(
    head: tuple[int, int], state: TrainingState, diagnosis: Diagnosis | None, cost: float | None
) -> dict[str, Any]:
    known: dict[str, Any] = {"head": name_of(head)}
    says = "Not scored."
    if diagnosis is not None:
        scored = diagnosis.scores[head[0]][head[1]]
        found = in_words(scored)
        says = " ".join(head_words.said(scored, state.tokenizer.kind))
        known["role"] = head_words.role(scored, state.tokenizer)
        for role in (*found.roles, *found.partly)[:1]:
            known |= {"share": getattr(scored, role), "chance": getattr(scored.chance, role)}
    if cost is not None:
        known["cost"] = cost
        says += f" Without it the validation loss {head_words.change(cost)}."
    return known | {"says": says}


def name_of(head: tuple[int, int]) -> str:
    """A head, a (layer, head) from zero, as the page names it: `2.3`."""
    return f"{head[0] + 1}.{head[1] + 1}"


def heads_of(names: list[str], config: GPTConfig) -> Heads:
    """Heads by their names on the page, in order, each once; ValueError, with the names that would do, for others."""
    every = {name_of((layer, head)): (layer, head) for layer, head in np.ndindex(config.n_layers, config.n_heads)}
    unknown = [name for name in names if name not in every]
    if unknown or not names:
        asked = f"“{unknown[0][:24]}” is no head of this model." if unknown else "No head is named."
        raise ValueError(f'{asked} Its heads are 1.1 to {config.n_layers}.{config.n_heads}, such as ["1.1"].')
    return tuple(sorted(every[name] for name in set(names)))
