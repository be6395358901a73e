"""Exploring: one handler for each event of panel 3. It takes what the components hold, returns what they shall show."""

from dataclasses import replace
from typing import Any

import gradio as gr

from minigpt import figures
from minigpt.ui import door, words
from minigpt.ui.explorer import Exploration, Explorer, Selection
from minigpt.ui.handlers import Page, Update
from minigpt.ui.view import place

N_EXPLORE = 10  # how many components `generate` speaks to; the layout lists them in the same order


class Exploring:
    """The handlers of prompt, continuation and heads."""

    def __init__(self, page: Page) -> None:
        self._runs, self._explorer = page.runs, Explorer(page.runs)

    def generate(self, run: str, prompt: str, selection: Selection, *sampling: Any) -> list[Update]:
        """Continue the prompt, and show what every head looked at."""
        if not run:
            return [words.message(" ".join(words.NOTHING_TO_EXPLORE)), *[gr.skip()] * (N_EXPLORE - 1)]
        exploration, error = door.shown(lambda: self._explorer.explore(run, prompt or "", door.sampling_of(*sampling)))
        if exploration is None:
            return [words.message(error, "err"), *[gr.skip()] * (N_EXPLORE - 1)]
        finding = self._runs.progress(run).finding
        promised = (finding.layer, finding.head) if finding and finding.share is not None else None
        chosen = self._explorer.keep(exploration, selection, promised)
        tokenizer, n_ctx = exploration.state.tokenizer, exploration.state.config.n_ctx
        notes = [words.unknown_words(exploration.unknown, tokenizer)]
        notes.append(words.window_note(exploration.view, len(exploration.prompt), n_ctx))
        said = [node for note in notes for node in words.message(note, "warn")]
        step = words.title("3", "Explore", f"model at step {exploration.state.step:,}")
        shown = [*self._position(exploration, chosen), *self._heads(exploration, chosen)]
        return [said, *shown, chosen, gr.update(visible=True), step]

    def arrive(self, arrived: str, prompt: str, selection: Selection, *sampling: Any) -> list[Update]:
        """A run has come to rest: show its heads without being asked, unless some of this run are shown already."""
        run, _, _ = arrived.partition(" ")
        kept, _ = door.shown(self._explorer.find, selection)
        if not run or (kept and kept.run == run):
            return [gr.skip()] * N_EXPLORE
        return self.generate(run, prompt, selection, *sampling)

    def show_promise(self, run: str, *sampling: Any) -> list[Update]:
        """Open the place where the lesson's pattern is: its first prompt, the best head, the last row of the prompt."""
        progress, _ = door.shown(self._runs.progress, run)
        lesson = progress.settings.taught() if progress else None
        if lesson is None:
            return [gr.skip()] * (1 + N_EXPLORE)
        return [lesson.prompts[0], *self.generate(run, lesson.prompts[0], Selection(), *sampling)]

    def name_sampling(self, length: int | None, temperature: float | None) -> Update:
        """The label of the sampling panel: how the next token would be chosen."""
        return gr.update(label=words.sampling_label(length or 0, temperature or 0))

    def pick_prompt(self, prompts: list[str], event: gr.SelectData) -> Update:
        """Take over one of the prompts offered."""
        known = type(event.index) is int and 0 <= event.index < len(prompts)
        return prompts[event.index] if known else gr.skip()

    def pick_head(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Open the head that was clicked in the grid."""
        exploration, error = door.shown(self._explorer.find, selection)
        if exploration is None:
            return [words.message(error, "warn"), *[gr.skip()] * 4]
        opened = place(event, *exploration.view.pattern.shape[:2])
        if opened is None:
            return [gr.skip()] * 5
        chosen = replace(selection, layer=opened[0], head=opened[1])
        return [gr.skip(), *self._heads(exploration, chosen), chosen]

    def pick_token(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Show what else could have come instead of the token that was clicked, and the row that made it."""
        exploration, error = door.shown(self._explorer.find, selection)
        if exploration is None:
            return [words.message(error, "warn"), *[gr.skip()] * 7]
        # The index comes from the browser, and a browser can send anything.
        if type(event.index) is not int or not 0 <= event.index < len(exploration.tokens):
            return [gr.skip()] * 8
        chosen = replace(selection, position=event.index)
        return [gr.skip(), *self._position(exploration, chosen), *self._heads(exploration, chosen), chosen]

    def _position(self, exploration: Exploration, chosen: Selection) -> list[Update]:
        candidates, n_others = exploration.candidates(chosen.position)
        return [
            words.continuation(exploration.view, exploration.prompt, exploration.tokens, chosen.position),
            words.subtitle("Next token after", token=exploration.before(chosen.position)),
            figures.next_token(candidates, n_others),
        ]

    def _heads(self, exploration: Exploration, chosen: Selection) -> list[Update]:
        query = exploration.query_of(chosen.position)
        return [
            figures.heads_grid(exploration.view, (chosen.layer, chosen.head)),
            words.subtitle(f"Layer {chosen.layer + 1} head {chosen.head + 1}", "row looks at column"),
            figures.head(exploration.view, chosen.layer, chosen.head, query),
        ]
