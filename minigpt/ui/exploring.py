"""Exploring: one handler for each event of panel 3. It takes what the components hold, returns what they shall show."""

import secrets
from dataclasses import replace
from typing import Any

import gradio as gr

from minigpt import figures
from minigpt.ui import door, guessing, head_words, words
from minigpt.ui.continuation import continuation, told
from minigpt.ui.explorer import COLOURS, FILM, Exploration, Explorer, Game, Selection
from minigpt.ui.handlers import LIVE, Page, Update
from minigpt.ui.view import place

# How many components show a head and a token, and how many `generate` speaks to; the layout lists them in this order.
N_SHOWN = 1 + 7 + 4 + 1
N_EXPLORE = N_SHOWN + 2
NOTHING_BEFORE = words.subtitle("The first token has nothing before it")


class Exploring:
    """The handlers of prompt, continuation and heads."""

    def __init__(self, page: Page) -> None:
        self.page, self._runs, self.explorer = page, page.runs, Explorer(page.runs)

    def ask(self, request: gr.Request, run: str, prompt: str, selection: Selection, *sampling: Any) -> list[Update]:
        """A person wants this prompt: from now on news of the run leave panel 3 alone."""
        session = request.session_hash or ""
        before = self.page.looks_at.get(session, LIVE)
        self.page.looks_at[session] = None
        shown = self.generate(request, run, prompt, selection, *sampling)
        if not isinstance(shown[-3], Selection):
            self.page.looks_at[session] = before
        return shown

    def generate(
        self, request: gr.Request | None, run: str, prompt: str, selection: Selection, *sampling: Any
    ) -> list[Update]:
        """Continue the prompt, and show what every head looked at, as the page that asks wants it."""
        if not run:
            return [words.message(" ".join(words.NOTHING_TO_EXPLORE)), *[gr.skip()] * (N_EXPLORE - 1)]
        exploration, error = door.shown(self._explored, request, run, prompt or "", *sampling)
        if exploration is None:
            return [words.message(error, "err"), *[gr.skip()] * (N_EXPLORE - 1)]
        # Only now: to write takes a while, in which the person may have begun to guess first, or ceased.
        selection = self._as_set(request, selection)
        chosen = self.explorer.keep(exploration, selection, self._promised(run))
        tokenizer, n_ctx = exploration.state.tokenizer, exploration.state.config.n_ctx
        notes = [words.unknown_words(exploration.unknown, tokenizer)]
        notes.append(words.window_note(exploration.view.dropped, len(exploration.prompt), n_ctx))
        said = [node for note in notes for node in words.message(note, "warn")]
        step = words.title("3", "Explore", f"model at step {exploration.state.step:,}")
        shown = [*self.token(exploration, chosen), *self.heads(exploration, chosen)]
        return [said, *shown, chosen, gr.update(visible=True), step]

    def _explored(self, request: gr.Request | None, run: str, prompt: str, *sampling: Any) -> Exploration:
        asked = door.sampling_of(*sampling)
        with self.page.turn(request) as turn:
            return self.explorer.explore(run, prompt, asked, turn.each)

    def arrive(self, request: gr.Request, run: str, prompt: str, selection: Selection, *sampling: Any) -> list[Update]:
        """A run has come to rest: show its heads without being asked, unless some of this run are shown already."""
        kept, _ = door.shown(self.explorer.find, selection)
        if not self._runs.progress(run).step or (kept and kept.run == run and kept.film_step is None):
            return [gr.skip()] * N_EXPLORE
        return self.generate(request, run, prompt, selection, *sampling)

    def film(self, request: gr.Request | None, run: str, step: int | None, selection: Selection) -> list[Update]:
        """A moment of the film of a run, on the same head and token as the moment before; None for the newest."""
        exploration, error = door.shown(self.explorer.film, run, step)
        if exploration is None:
            return [*self._refused(error), *[gr.skip()] * (N_EXPLORE - N_SHOWN)]
        key = f"{FILM}{run}" if step is None else f"{FILM}{run} {exploration.step}"
        wanted = self._as_set(request, selection)
        chosen = replace(wanted, key=key)
        if not selection.key.startswith(f"{FILM}{run}"):
            chosen = replace(self.explorer.placed(exploration, wanted, self._promised(run)), key=key)
        shown = [*self.token(exploration, chosen), *self.heads(exploration, chosen, passing=step is None)]
        # While the newest moments pass the selection stays as it is: a click that is on its way must not be undone.
        kept = gr.skip() if chosen == selection else chosen
        newest = ", the newest" if step is None else ""
        title = words.title("3", "Explore", f"film, step {exploration.step:,}{newest}")
        return [[], *shown, kept, gr.update(visible=True), title]

    def _as_set(self, request: gr.Request | None, selection: Selection) -> Selection:
        session, game = (request.session_hash if request else None) or "", selection.game
        return replace(selection, game=replace(game, on=self.page.guesses.get(session, game.on)))

    def _promised(self, run: str) -> tuple[int, int] | None:
        finding = self._runs.progress(run).finding
        return (finding.layer, finding.head) if finding and finding.share is not None else None

    def show_promise(self, request: gr.Request, run: str, *sampling: Any) -> list[Update]:
        """Open the place where the lesson's pattern is: its first prompt, the best head, the last row of the prompt."""
        progress, _ = door.shown(self._runs.progress, run)
        lesson = progress.settings.taught() if progress else None
        if lesson is None:
            return [gr.skip()] * (1 + N_EXPLORE)
        return [lesson.prompts[0], *self.generate(request, run, lesson.prompts[0], Selection(), *sampling)]

    def name_sampling(self, length: int | None, temperature: float | None) -> Update:
        """The label of the sampling panel: how the next token would be chosen."""
        return gr.update(label=words.sampling_label(length or 0, temperature or 0))

    def pick_prompt(self, prompts: list[str], event: gr.SelectData) -> Update:
        """Take over one of the prompts offered."""
        known = type(event.index) is int and 0 <= event.index < len(prompts)
        return prompts[event.index] if known else gr.skip()

    def pick_head(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Open the head that was clicked in the grid."""
        exploration, error = door.shown(self.explorer.find, selection)
        if exploration is None:
            return self._refused(error)
        opened = place(event, *exploration.view.pattern.shape[:2])
        return self._shown(selection, opened and replace(selection, layer=opened[0], head=opened[1], picked=True))

    def open_head(self, selection: Selection, layer: int, head: int) -> list[Update]:
        """Open a head that was chosen elsewhere on the page; nothing changes where there is none such."""
        exploration, error = door.shown(self.explorer.find, selection)
        if exploration is None:
            return self._refused(error)
        n_layers, n_heads = exploration.view.pattern.shape[:2]
        known = 0 <= layer < n_layers and 0 <= head < n_heads
        return self._shown(selection, replace(selection, layer=layer, head=head, picked=True) if known else None)

    def measure(self, selection: Selection) -> Update:
        """Find what the caption of a head still waits for. Tells only that there is something new: meanwhile another
        head may have been opened, and `captioned` speaks of the one that is open by then.
        """
        exploration, _ = door.shown(self.explorer.find, selection)
        found = exploration is not None and head_words.measure(self.explorer, exploration, selection)
        return secrets.token_hex(4) if found else gr.skip()

    def captioned(self, selection: Selection) -> Update:
        """The caption of the open head, with what is known by now."""
        exploration, _ = door.shown(self.explorer.find, selection)
        return head_words.caption(self.explorer, exploration, selection) if exploration else gr.skip()

    def pick_query(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Show the token that the row made which was clicked in the large head."""
        exploration, error = door.shown(self.explorer.find, selection)
        if exploration is None:
            return self._refused(error)
        n_tokens = len(exploration.view.tokens)
        cell = place(event, n_tokens, n_tokens)
        return self._shown(selection, cell and replace(selection, position=exploration.position_of(cell[0])))

    def pick_column(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Show the token that a layer's answer is for."""
        exploration, error = door.shown(self.explorer.find, selection)
        if exploration is None:
            return self._refused(error)
        n_layers, _, n_tokens, _ = exploration.view.pattern.shape
        cell = place(event, n_layers + 1, n_tokens)
        return self._shown(selection, cell and replace(selection, position=exploration.position_of(cell[1])))

    def pick_token(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Show what else could have come instead of the token that was clicked, and the row that made it."""
        known = type(event.index) is int  # It comes from the browser, and a browser can send anything.
        return self._shown(selection, replace(selection, position=event.index) if known else None)

    def back(self, selection: Selection) -> list[Update]:
        """One token back."""
        return self._shown(selection, replace(selection, position=selection.position - 1))

    def forward(self, selection: Selection) -> list[Update]:
        """One token on; behind the last stands what would come next."""
        return self._shown(selection, replace(selection, position=selection.position + 1))

    def pick_colour(self, colour: str, selection: Selection) -> list[Update]:
        """What the background of the tokens shows."""
        return self._shown(selection, replace(selection, colour=colour) if colour in COLOURS else None)

    def guess_first(self, request: gr.Request, on: bool, selection: Selection) -> list[Update]:
        """Cover what comes next until it is guessed, or uncover everything. No answer sets the tick itself."""
        self.page.guesses[request.session_hash or ""] = bool(on)
        return self._shown(selection, replace(selection, game=replace(selection.game, on=bool(on))))

    def pick_guess(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """A guess was made, or the game goes on to the next token, or starts anew."""
        exploration, error = door.shown(self.explorer.find, selection)
        if exploration is None:
            return self._refused(error)
        if event.index == guessing.NEXT:
            return self.forward(selection)
        if event.index == guessing.RESET:
            return self._shown(selection, replace(selection, game=Game(on=True)))
        option = event.index if type(event.index) is int else len(exploration.ids)
        game = guessing.played(exploration, selection, option)
        return self._shown(selection, replace(selection, game=game) if game else None)

    def _refused(self, error: str) -> list[Update]:
        return [words.message(error, "warn"), *[gr.skip()] * (N_SHOWN - 1)]

    def _shown(self, selection: Selection, chosen: Selection | None) -> list[Update]:
        """All that shows a head and a token; nothing changes where there is no such place."""
        exploration, error = door.shown(self.explorer.find, selection)
        if exploration is None:
            return self._refused(error)
        if chosen is None or chosen == selection or not 0 <= chosen.position <= len(exploration.ids):
            return [gr.skip()] * N_SHOWN
        return [gr.skip(), *self.token(exploration, chosen), *self.heads(exploration, chosen), chosen]

    def token(self, exploration: Exploration, chosen: Selection) -> list[Update]:
        """The text with one token chosen, and the bars of what could stand there."""
        bars, n_others, notes = guessing.candidates(exploration, chosen)
        before = exploration.names[chosen.position - 1] if chosen.position else None
        title = words.subtitle("Next token after", token=before) if before is not None else NOTHING_BEFORE
        return [
            continuation(exploration, chosen, self.explorer.copies(exploration)),
            told(exploration, chosen),
            gr.update(interactive=chosen.position > 0),
            gr.update(interactive=chosen.position < len(exploration.ids)),
            title,
            guessing.box(exploration, chosen),
            figures.next_token(bars, n_others, notes) if bars else None,
        ]

    def heads(self, exploration: Exploration, chosen: Selection, passing: bool = False) -> list[Update]:
        """All heads, one of them large, and what it does; passing: others will soon take their place."""
        query, view = exploration.query_of(chosen.position), guessing.view(exploration, chosen)
        return [
            figures.heads_grid(view, (chosen.layer, chosen.head), roles=self._roles(exploration)),
            head_words.title(chosen),
            figures.head(view, chosen.layer, chosen.head, query, passing=passing),
            head_words.caption(self.explorer, exploration, chosen),
        ]

    def _roles(self, exploration: Exploration) -> list[list[str]] | None:
        """Only where they will be seen: to score the heads of a large model takes a second or two."""
        if exploration.film_step is not None or not figures.room_for_roles(exploration.view):
            return None
        diagnosis = self.explorer.diagnosis(exploration)
        return head_words.roles(diagnosis, exploration.state.tokenizer) if diagnosis else None
