"""The same job for programs: endpoints for `gradio_client`, named as the page's buttons are."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from functools import wraps
from reprlib import repr as shortened
from typing import Any

from gradio.events import api

from minigpt.api import attention, generate
from minigpt.config import SamplingConfig
from minigpt.runs import ACTIVE
from minigpt.ui import door
from minigpt.ui.handlers import LOOK_SECONDS, Page

_KINDS: dict[Any, tuple[type | tuple[type, ...], str]] = {
    str: (str, "a string"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
}


def _check(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Raise ValueError for an argument that is not what the function says it takes: JSON can hold anything."""
    for parameter, value in zip(inspect.signature(function).parameters.values(), args, strict=False):
        kind, name = _KINDS[parameter.annotation]
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(f"{parameter.name} must be {name}, not {shortened(value)}.")


def _said(function: Callable[..., Any]) -> Callable[..., Any]:
    """Whatever the function refuses reaches the caller as its sentence."""

    @wraps(function)
    def call(*args: Any) -> Any:
        try:
            _check(function, args)
            return function(*args)
        except ValueError as error:
            raise door.refuse(error) from error

    return call


def add(page: Page) -> None:
    """Put the endpoints on the page that is being built."""

    def train(
        text: str,
        tokenizer: str = "word",
        steps: int = 400,
        seed: int = 0,
        layers: int = 2,
        heads: int = 4,
        width: int = 64,
        context: int = 64,
        mlp: int = 4,
        positions: str = "rotary",
        batch: int = 12,
        learning_rate: float = 0,
        optimiser: str = "muon",
        pieces: int = 512,
        breaks: str = "",
    ) -> str:
        """Start a run; returns its id. `mlp` is in widths of the model; learning rate 0 is the optimiser's own.

        breaks: what to do wrong on purpose, as the page names it, separated by commas: "no causal mask, one layer".
        """
        fields = door.Fields(
            tokenizer,
            pieces,
            layers,
            heads,
            width,
            context,
            mlp,
            positions,
            steps,
            batch,
            learning_rate,
            optimiser,
            seed,
            [title.strip() for title in breaks.split(",") if title.strip()],
        )
        settings = door.settings_of(fields, "")
        if "vocabulary" in settings.breaks:
            raise ValueError("A vocabulary of the prompt breaks what the page writes; to a program it can do nothing.")
        return page.runs.start(door.text_of(text), settings)

    async def progress(run_id: str) -> AsyncIterator[dict[str, Any]]:
        """Stream state, step, losses and the newest sample until the run rests."""
        version = -1
        while True:
            try:
                _check(progress, (run_id,))
                now = page.runs.progress(run_id)
            except ValueError as error:
                raise door.refuse(error) from error
            if now.version != version:
                version, history = now.version, now.history
                yield {
                    "state": now.status,
                    "step": now.step,
                    "n_steps": now.n_steps,
                    "train_loss": history.train[-1][1] if history.train else None,
                    "validation_loss": history.validation[-1][1] if history.validation else None,
                    "sample": history.samples[-1][1] if history.samples else "",
                    "message": now.failure.message if now.failure else " ".join(now.notes),
                }
            if now.status not in ACTIVE:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def pause(run_id: str) -> str:
        """Rest after the slice that is out; returns the run's state."""
        page.runs.pause(run_id)
        return page.runs.progress(run_id).status

    def resume(run_id: str) -> str:
        """Go on to the planned end; returns the run's state."""
        page.runs.resume(run_id)
        return page.runs.progress(run_id).status

    def step(run_id: str) -> str:
        """Take one step; returns the run's state."""
        page.runs.step(run_id)
        return page.runs.progress(run_id).status

    def stop(run_id: str) -> str:
        """Rest for good; returns the run's state."""
        page.runs.stop(run_id)
        return page.runs.progress(run_id).status

    def generate_text(
        run_id: str,
        prompt: str,
        max_new_tokens: int = 40,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Continue a prompt: the text, and each token with its probability and rank. top_k 0 and top_p 1 keep all."""
        sampling: SamplingConfig = door.sampling_of(max_new_tokens, temperature, top_k, top_p, seed)
        tokens = list(generate(page.runs.state(run_id), prompt, **vars(sampling)))
        return {
            "text": "".join(token.text for token in tokens),
            "tokens": [
                {"token": token.token, "probability": token.probability, "rank": token.rank} for token in tokens
            ],
        }

    def look(run_id: str, prompt: str) -> dict[str, Any]:
        """What every head looks at in a prompt: tokens, and patterns as [layer][head][query][key]."""
        view = attention(page.runs.state(run_id), prompt)
        return {"tokens": list(view.tokens), "patterns": view.pattern.tolist()}

    named: dict[str, Callable[..., Any]] = {"train": train, "generate": generate_text, "attention": look}
    for name, function in named.items():
        api(_said(function), api_name=name, concurrency_limit=4)
    steering: dict[str, Callable[..., Any]] = {"pause": pause, "resume": resume, "step": step, "stop": stop}
    for name, function in steering.items():
        api(_said(function), api_name=name, queue=False)
    api(progress, api_name="progress", concurrency_limit=None)
