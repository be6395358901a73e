"""The same job for programs and assistants: endpoints that are named as the page's buttons are. See docs/api.md."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields as dataclass_fields
from typing import Any, Literal

import gradio as gr

from minigpt.api import generate, prompt_ids
from minigpt.config import OptimiserName, Positions, ValidationPlace
from minigpt.corpora import LESSONS
from minigpt.runs import ACTIVE
from minigpt.ui import door, words
from minigpt.ui.gate import by_assistant, publish
from minigpt.ui.handlers import LOOK_SECONDS, Page, progress_of

LessonName = Literal["stories", "echo", "reverse", "agreement", "brackets", "markov", "markov2", "essay", "debugging"]
Split = Literal["words", "letters", "pieces"]
Size = Literal["small", "wide", "deep", "no MLP"]
PATIENCE = 20.0  # seconds; an assistant gives up on an answer that takes longer than a minute


def add(page: Page) -> None:
    """Put the endpoints on the page that is being built."""
    calls = Endpoints(page)
    publish(calls.train, "run_id", concurrency_limit=None)
    publish(calls.generate, "continuation", concurrency_limit=None)
    for steer in (calls.pause, calls.resume, calls.step, calls.stop):
        publish(steer, "state", queue=False)
    publish(calls.progress, "progress", concurrency_limit=None)


class Endpoints:
    """Training and writing. What a method is called, and what its docstring says, is what programs read."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def train(
        self,
        request: gr.Request,
        text: str = "",
        tokenizer: Split | None = None,
        steps: int | None = None,
        seed: int = 0,
        layers: int | None = None,
        heads: int | None = None,
        width: int | None = None,
        context: int | None = None,
        mlp: int | None = None,
        positions: Positions | None = None,
        batch: int | None = None,
        learning_rate: float | None = None,
        optimiser: OptimiserName | None = None,
        pieces: int = 512,
        breaks: str = "",
        lesson: LessonName | None = None,
        change: dict[str, Any] | None = None,
        size: Size | None = None,
        film_of: str = "",
        held_share: float | None = None,
        held_place: ValidationPlace | None = None,
    ) -> str:
        """Train a small GPT on a text or on a lesson; returns the id of the run, which every other call takes.

        The run goes on by itself: /progress follows it, and the page shows it at the address ?run= and the id.
        Whatever is left out is as the lesson has it, or as the page has it for one's own text.

        Args:
            text: Text to learn from, at least 20 words; a few thousand words work best. Leave it out for a lesson.
            tokenizer: How the text is split: words, letters, or pieces (byte pairs). Left out: words.
            steps: How many batches to learn from. Left out: 400.
            seed: The same seed, text and settings give the same model, to the bit.
            layers: How many layers. Left out: 2.
            heads: How many attention heads each layer has. Left out: 4.
            width: Width of the residual stream, a multiple of heads. Left out: 64.
            context: How many tokens the model sees at once. Left out: 64.
            mlp: Width of the MLP, in widths of the model; 0 for none. Left out: 4.
            positions: How the model knows where a token stands. Left out: rotary.
            batch: How many stretches of text a step learns from. Left out: 12.
            learning_rate: The highest rate of the plan; 0 is the optimiser's own. Left out: 0.
            optimiser: Muon learns in fewer steps, AdamW is the usual one. Left out: muon.
            pieces: How many different pieces at most, where the text is split into pieces.
            breaks: With commas: no causal mask, no positions, no scaling, one layer, softmax twice, chunks of five.
            lesson: A built-in text with its model and its promise, in place of a text; /lessons tells of them.
            change: Settings of the lesson's own text that differ, such as {"Lines": 500}; /lessons names them.
            size: Another shape for the model, with the steps that it needs.
            film_of: The sentence to watch while the model learns. Left out: one from the text.
            held_share: How many percent of the text are never learned from, but measured on. Left out: 10.
            held_place: Where they stand: at the end, or spread over the text. Left out: spread, in a lesson end.
        """
        if lesson and text.strip():
            raise ValueError(f"Give a text or a lesson, not both. Leave out the text to train on {lesson}.")
        if change and not lesson:
            raise ValueError("A text of your own has no settings to change. Name a lesson, or leave out change.")
        asked: dict[str, Any] = {
            "tokenizer": tokenizer, "steps": steps, "layers": layers, "heads": heads, "width": width,
            "context": context, "mlp": mlp, "positions": positions, "batch": batch, "rate": learning_rate,
            "optimiser": optimiser, "held_share": held_share, "held_place": held_place,
        }  # fmt: skip
        usual = door.preset_fields(size or door.SIZE_OF_LESSON, lesson or "")
        if optimiser and optimiser != usual.optimiser:
            usual = usual._replace(rate=0)
        fields = usual._replace(
            pieces=pieces,
            seed=seed,
            breaks=[title.strip() for title in breaks.split(",") if title.strip()],
            film_of=film_of,
            **{name: value for name, value in asked.items() if value is not None},
        )
        drawn_with = _changed(lesson, change or {}) if lesson else {}
        settings = door.settings_of(fields, lesson or "", drawn_with)
        if "vocabulary" in settings.breaks:
            raise ValueError("A vocabulary of the prompt breaks what the page writes; to a program it can do nothing.")
        learned = door.drawn_text(lesson, drawn_with) if lesson else door.text_of(text)
        return self._page.start(request, learned, settings)

    async def progress(
        self, request: gr.Request, run_id: str, seconds: float | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Watch a run: state, step, losses and the newest sample, again whenever they change, until the run rests.

        Over MCP only the last of them is told, after 20 seconds at most: ask again while the state is training.

        Args:
            run_id: The id that /train gave.
            seconds: How long to watch; 0 tells only how it stands now. Left out: until the run rests.
        """
        version = -1
        if seconds is None and by_assistant(request):
            seconds = PATIENCE
        end = None if seconds is None else asyncio.get_running_loop().time() + seconds
        while True:
            now = await progress_of(self._page.runs, run_id)
            if now.version != version:
                version, history = now.version, now.history
                yield {
                    "state": now.status,
                    "step": now.step,
                    "n_steps": now.n_steps,
                    "train_loss": history.train[-1][1] if history.train else None,
                    "validation_loss": history.validation[-1][1] if history.validation else None,
                    "sample": history.samples[-1][1] if history.samples else "",
                    "message": " ".join(said for said in (now.said, words.rise(now)) if said),
                }
            if now.status not in ACTIVE or (end is not None and asyncio.get_running_loop().time() >= end):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def pause(self, run_id: str) -> str:
        """Let a run rest, so that it can go on later; returns its state.

        Args:
            run_id: The id that /train gave.
        """
        self._page.runs.pause(run_id)
        return self._page.runs.progress(run_id).status

    def resume(self, run_id: str) -> str:
        """Let a run that rests go on to its planned end; returns its state.

        Args:
            run_id: The id that /train gave.
        """
        self._page.runs.resume(run_id)
        return self._page.runs.progress(run_id).status

    def step(self, run_id: str) -> str:
        """Take one step more, beyond the planned end too; returns the run's state.

        Args:
            run_id: The id that /train gave.
        """
        self._page.runs.step(run_id)
        return self._page.runs.progress(run_id).status

    def stop(self, run_id: str) -> str:
        """Let a run rest for good; the model is kept. Returns the run's state.

        Args:
            run_id: The id that /train gave.
        """
        self._page.runs.stop(run_id)
        return self._page.runs.progress(run_id).status

    def generate(
        self,
        request: gr.Request,
        run_id: str,
        prompt: str,
        max_new_tokens: int = 40,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1,
        seed: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """Continue a prompt: the text, and each token with its probability and rank; rank 1 was the first choice.

        What takes longer than a second is told as it is written: each answer holds all so far, the last one is whole.
        The message names words that are not in the training text, and says what of a long prompt was not read.

        Args:
            run_id: The id that /train gave.
            prompt: What the model goes on from, in the words of its text.
            max_new_tokens: How many tokens to write, at most.
            temperature: 0 takes the likeliest token always, 1 chooses as the model predicts, more is wilder.
            top_k: Choose among the so many likeliest tokens; 0 keeps all.
            top_p: Choose among the likeliest tokens that together have this probability; 1 keeps all.
            seed: The same seed writes the same text.
        """
        sampling = door.sampling_of(max_new_tokens, temperature, top_k, top_p, seed)
        state = self._page.runs.state(run_id)
        n_prompt, n_ctx = len(prompt_ids(state, prompt)), state.config.n_ctx
        unknown = state.tokenizer.unknown(prompt)
        notes = words.unknown_words(unknown, state.tokenizer), words.window_note(n_prompt - n_ctx, n_prompt, n_ctx)
        text, told = "", []
        for part in self._page.parts(request, generate(state, prompt, **vars(sampling))):
            text += "".join(token.text for token in part)
            told += [{"token": token.token, "probability": token.probability, "rank": token.rank} for token in part]
            yield {
                "text": text,
                "tokens": told,
                "unknown": unknown,
                "message": " ".join(note for note in notes if note),
            }


def _changed(lesson: str, change: dict[str, Any]) -> dict[str, int | float | str]:
    """The settings of a lesson's text that differ, by what the page calls them or by their names in Python."""
    source = LESSONS[lesson].source
    knobs = dataclass_fields(source)  # type: ignore[arg-type]
    called = {knob.metadata["label"]: knob.name for knob in knobs}
    given = {called.get(name, name): value for name, value in change.items()}
    unknown = [name for name in change if called.get(name, name) not in called.values()]
    if unknown:
        settings = ", ".join(called) or "none"
        raise ValueError(f"The text of {lesson} has no setting “{unknown[0][:24]}”. It has: {settings}.")
    return door.knobs_of(lesson, [given.get(knob.name, getattr(source, knob.name)) for knob in knobs])
