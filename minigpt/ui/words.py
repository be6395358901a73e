"""What the page says: sentences and small trees of text, made from numbers. No state, no events."""

from collections.abc import Iterable, Sequence
from itertools import islice

from minigpt.config import GPTConfig
from minigpt.corpora import LESSONS
from minigpt.figures.labels import for_page
from minigpt.fitting import fitting
from minigpt.history import risen
from minigpt.runs import Progress
from minigpt.tokenizer import Tokenizer
from minigpt.training import UNLIKE
from minigpt.ui.fragment import WRITTEN, Node, h

PREVIEW_TOKENS = 18
APOSTROPHES = {ord("'"): "’", ord("’"): "'"}
SPLITS = ("letters", "pieces")  # What a text can be split into that words do not fit.
HELD_OUT = "So many percent of the text are never learned from; the validation loss is measured on them."
NOTHING_TO_EXPLORE = ("Press Train first.", "Then write a prompt and see what every head looks at.")
# What the browser answers by itself: only it knows the address. The field is for a browser that may not copy.
LINK = h(
    "p",
    h("button", "Copy link", type="button", title="Whoever has the link can watch and steer this run."),
    h("input", type="text", readonly="", hidden="", aria_label="Link of this run"),
    cls="mg-share",
)
READY_TO_EXPLORE = ("Press Generate.", "The model goes on from your prompt, and you see what every head looks at.")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 layer`, `2 layers`, `4,317 tokens`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """`under 1 s`, `12 s`, `4 min`, `2 h`: as exact as anybody needs."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def title(number: str, name: str, fact: str = "", fold: bool = False) -> list[Node]:
    """The heading of a panel, with one fact at its right end."""
    # The style sheet chooses between the two words: it knows whether the panel is folded.
    said = {"aria_label": "Fold or open the Text panel", "data_fold": "Fold", "data_open": "Open"}
    button = [h("button", cls="mg-fold", type="button", **said)] if fold else []
    return [h("h2", h("i", number, aria_hidden="true"), name, h("small", fact), *button, cls="mg-h")]


def subtitle(name: str, fact: str = "", token: str | None = None) -> list[Node]:
    """The heading of a figure. A `token` stands after the name in quotation marks, in mono."""
    quoted: list[Node] = [] if token is None else [" “", h("code", for_page(token), **WRITTEN), "”"]
    return [h("p", h("b", name, *quoted), h("span", fact), cls="mg-sub")]


def shape(config: GPTConfig, n_params: int) -> str:
    """`2 layers × 4 heads, 102,144 parameters`."""
    heads = f"{plural(config.n_layers, 'layer')} × {plural(config.n_heads, 'head')}"
    return f"{heads}, {plural(n_params, 'parameter')}"


def message(text: str, kind: str = "note") -> list[Node]:
    """A message beside what it speaks of; its first sentence is bold. Empty text is no message."""
    if not text:
        return []
    bold, dot, rest = text.partition(". ")
    role = "alert" if kind == "err" else "status"
    return [h("p", h("b", bold + dot.strip()), f" {rest}" if rest else "", cls=f"mg-msg {kind}", role=role)]


def facts(text: str, tokenizer: Tokenizer, n_tokens: int) -> list[Node]:
    """What the text holds: letters, tokens, different tokens."""
    rows = (("letters", len(text)), ("tokens", n_tokens), ("different", tokenizer.d_vocab))
    return [h("dl", *(h("div", h("dt", name), h("dd", f"{value:,}")) for name, value in rows), cls="mg-facts")]


def preview(tokens: Iterable[str]) -> list[Node]:
    """The first tokens of the text, as the model sees them."""
    chips = [h("span", for_page(token, 24), cls="t") for token in islice(tokens, PREVIEW_TOKENS)]
    return [*subtitle("As the model sees it"), h("div", *chips, cls="mg-toks", **WRITTEN)] if chips else []


def split_note(lesson: str, kind: str, text: str) -> list[Node]:
    """How one's own text is split, and why; where words do not fit it, what would."""
    fit = fitting("" if lesson in LESSONS else text)
    if not fit.why:
        return []
    if kind == fit.kind:
        into = "words" if kind == "word" else "letters"
        return [h("p", f"{fit.why}: it is split into {into}.", cls="mg-note")]
    if kind != "word":
        return []
    picks = [
        h("button", f"Split into {into}", type="button", data_index=str(index), cls="mg-link")
        for index, into in enumerate(SPLITS)
    ]
    said = h("span", f"{fit.why}: split it into letters or pieces.")
    return [h("p", said, " ", picks[0], " ", picks[1], cls="mg-note")]


def look_for(lesson: str) -> list[Node]:
    """What to look for in a lesson; for one's own text, what makes a good one."""
    if lesson in LESSONS:
        return [h("p", h("b", "Look for: "), LESSONS[lesson].look_for, cls="mg-note")]
    return [h("p", "Paste anything: a song, a story, your notes. A few thousand words work best.", cls="mg-note")]


def examples(prompts: Sequence[str]) -> list[Node]:
    """Prompts to click."""
    if not prompts:
        return []
    picks = [
        h("button", for_page(text, 200), type="button", title=text, data_index=str(i), **WRITTEN)
        for i, text in enumerate(prompts)
    ]
    return [h("div", h("span", "Try"), *picks, cls="mg-picks")]


def empty(sentences: tuple[str, str]) -> list[Node]:
    """What to do where there is nothing to see yet."""
    return [h("div", h("p", sentences[0], h("br"), sentences[1]), cls="mg-empty")]


def settings_label(preset: str, optimiser: str, steps: int, breaks: Sequence[str] = ()) -> str:
    """The closed Settings panel says what is in it."""
    broken = "".join(f", {title}" for title in breaks)
    return f"Settings: {preset}, {'Muon' if optimiser == 'muon' else 'AdamW'}, {plural(steps or 0, 'step')}{broken}"


def sampling_label(length: int, temperature: float) -> str:
    """The closed sampling panel says what is in it."""
    how = f"temperature {temperature:g}" if temperature else "always the first choice"
    return f"How to choose the next token: {how}, {plural(length or 0, 'token')}"


def stat(left: Sequence[Node], right: str, share: float, note: str) -> list[Node]:
    """A line of status, a bar that is full to a `share`, and a note below."""
    percent = f"{100 * min(1.0, max(0.0, share)):.1f}"
    bar = h(
        "div",
        h("i", style=f"width:{percent}%"),
        cls="mg-bar",
        role="progressbar",
        aria_label="Training",
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuenow=percent,
    )
    line = h("p", h("span", *left), h("span", right), cls="mg-stat")
    # There is always a note, one line long: what stands below must not jump when the run changes its state.
    return [line, bar, h("p", note, cls="mg-note", style="margin-top:8px")]


def not_trained(seconds: float | None) -> list[Node]:
    """The line above the progress bar before any run."""
    right = "" if seconds is None else f"about {duration(seconds)} on this machine"
    return stat([h("b", "Not trained yet")], right, 0, "Train learns the whole plan, Step one batch.")


def status(progress: Progress) -> list[Node]:
    """The line above the progress bar, the bar, and a note below it; that saving fails comes before all other notes."""
    *shown, note = _status(progress)
    return [*shown, h("p", progress.unsaved, cls="mg-note", style="margin-top:8px") if progress.unsaved else note]


def _status(progress: Progress) -> list[Node]:
    step, n_steps = progress.step, progress.n_steps
    at: list[Node] = [" at step ", h("b", f"{step:,}"), f" of {n_steps:,}"]
    share = step / n_steps
    if progress.status == "waiting":
        runs = plural(progress.ahead, "run")
        left: list[Node] = [h("b", "Waiting"), f", {runs} before yours" if progress.ahead else ", next in turn"]
        note = "You may close this page: its link finds the run."
        return stat(left, "starts in a moment", share, note)
    if progress.status == "training":
        speed, seconds = progress.tokens_per_second, progress.seconds_left
        parts = [f"{speed:,.0f} tokens/s" if speed else "", f"{duration(seconds)} left" if seconds is not None else ""]
        left = [h("b", "Training"), ", step ", h("b", f"{step:,}"), f" of {n_steps:,}"]
        note = "Settings changed now apply to the next run."
        return stat(left, ", ".join(part for part in parts if part), share, note)
    if progress.status == "paused":
        note = f"Step moves on by one. Explore shows step {step:,}."
        return stat([h("b", "Paused"), *at], "nothing is lost", share, note)
    if progress.damaged:
        return stat([h("b", "Damaged"), *at], "", share, "Press Train to train it anew.")
    if progress.status == "failed":
        failed_at = progress.failure.step if progress.failure else step
        left = [h("b", "Stopped by itself"), " at step ", h("b", f"{failed_at:,}")]
        return stat(left, f"step {step:,} is kept", share, "Change a setting and train again.")
    note = "Write a prompt in panel 3, or train again."
    if progress.status == "stopped":
        return stat([h("b", "Stopped"), *at], f"step {step:,} is kept", share, note)
    # With a floor there is more to say on the right, and all of it must fit on one line.
    steps = "" if progress.history.references.floor is not None else f", {plural(step, 'step')}"
    left = [h("b", "Finished"), f"{steps} in {duration(progress.seconds)}"]
    return stat(left, _verdict(progress), 1, note)


def _verdict(progress: Progress) -> str:
    validation, floor = progress.history.validation, progress.history.references.floor
    if not validation:
        return ""
    best = f", best possible {floor:.2f}" if floor is not None else ""
    return f"validation {validation[-1][1]:.2f}{best}"


def run_message(progress: Progress) -> list[Node]:
    """Why a run stopped by itself, or what the reader should know about it."""
    if progress.failure and not progress.damaged:
        return message(progress.failure.message, "err")
    failure = message(progress.failure.message, "err") if progress.failure else []
    noted = [node for note in (*progress.notes, progress.trouble) for node in message(note, "warn")]
    return [*failure, *noted, *message(rise(progress), "note")]


def rise(progress: Progress) -> str:
    """What it means that the validation loss rises, and what helps; "" where it does not, or where a lesson says it."""
    lesson, history = progress.settings.taught(), progress.history
    if not risen(history) or (lesson and lesson.promise.turn is not None) or UNLIKE in progress.notes:
        return ""
    return (
        "The validation loss rises while the train loss falls. The model learns the text by heart: it is short for so "
        "many steps. A longer text helps, or fewer steps."
    )


def sample(progress: Progress) -> list[Node]:
    """The newest text that the model wrote while it learned."""
    if not progress.history.samples:
        return []
    step, text = progress.history.samples[-1]
    return [*subtitle(f"At step {step:,} it writes"), h("p", text, cls="mg-sample", tabindex="0", **WRITTEN)]


def unknown_words(unknown: Sequence[str], tokenizer: Tokenizer) -> str:
    """Names the words of a prompt that the model never saw, and some that it did."""
    if not unknown:
        return ""
    named = ", ".join(f"“{for_page(token, 24)}”" for token in unknown[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    verb, them = ("is", "it") if len(unknown) == 1 else ("are", "them")
    # Ids follow the counts: the first readable ones are the commonest words.
    every = (tokenizer.token(index) for index in range(tokenizer.d_vocab))
    known = ", ".join(islice((token for token in every if len(token) > 2 and token.isalpha()), 3))
    if not known:
        known = ", ".join(tokenizer.token(index) for index in range(min(3, tokenizer.d_vocab)))
    kind = "Words" if tokenizer.kind == "word" else "Letters"
    fate = f"{named}{more} {verb} not in the training text, so the model reads {them} as unknown."
    other = next((twin for token in unknown if (twin := _other_apostrophe(token)) and not tokenizer.unknown(twin)), "")
    if other:
        return f"{fate} The text writes it with another apostrophe: “{for_page(other, 24)}”."
    return f"{fate} {kind} it knows: {known}."


def _other_apostrophe(token: str) -> str:
    """The token with typewriter's apostrophes for typographic ones, or the other way round; "" where it has none."""
    twin = token.translate(APOSTROPHES)
    return twin if twin != token else ""


def window_note(dropped: int, n_prompt: int, n_ctx: int) -> str:
    """Says that the model did not see everything, where that is so; dropped: how many tokens were not read."""
    if dropped <= 0:
        return ""
    if n_prompt > n_ctx:
        return f"The prompt has {n_prompt:,} tokens and the model sees {n_ctx:,} at once. Only the newest are read."
    return f"Beyond {n_ctx:,} tokens the window slides. The heatmaps show the newest {n_ctx:,}."
