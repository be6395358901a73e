"""What comes in from people: read once, refused with a sentence that says what would work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import lru_cache
from reprlib import repr as shortened
from typing import Any, NamedTuple, TypeVar

import gradio as gr
import torch

from minigpt.breaks import BREAKS, checked_breaks
from minigpt.config import LABELS as SETTING_LABELS
from minigpt.config import PRESETS, GPTConfig, SamplingConfig, TrainingConfig, check_number, check_whole
from minigpt.corpora import LESSONS, Settings, drawn
from minigpt.data import encode_text, fit
from minigpt.excerpts import prompts_from
from minigpt.film import sentence
from minigpt.history import History
from minigpt.limits import LETTERS
from minigpt.runs import RunSettings
from minigpt.tokenizer import Tokenizer, clean, train_tokenizer

Result = TypeVar("Result")

OWN_TEXT = "own"
OWN_PLACE = "spread"  # Where a part of it is held out: what misleads least, see benchmarks/held_out.py.
KINDS = {"words": "word", "letters": "character", "pieces": "bpe"}
SAMPLE_TOKENS = {"word": 40, "character": 160, "bpe": 70}  # about five lines of the page each
LABELS = {kind: label for label, kind in KINDS.items()}
_NAMES = {known.title: name for name, known in BREAKS.items()}


def shown(function: Callable[..., Result], *args: Any) -> tuple[Result | None, str]:
    """The result of a call, or None and the sentence that says what was wrong."""
    try:
        return function(*args), ""
    except ValueError as error:
        return None, str(error)


def text_of(value: object) -> str:
    """A text as people paste it, safe to handle; ValueError where it is longer than fits."""
    text = clean(value) if isinstance(value, str) else ""
    LETTERS.check(len(text))
    return text


def is_edited(text: str, before: str) -> bool:
    """Whether a text is one that was there before with something changed, not another: a third begins or ends it."""
    third = (min(len(text), len(before)) + 2) // 3
    return bool(third) and (text[:third] == before[:third] or text[-third:] == before[-third:])


@dataclass(frozen=True)
class Reading:
    """A text as a tokenizer splits it."""

    text: str
    tokenizer: Tokenizer
    ids: torch.Tensor


@lru_cache(maxsize=8)
def read(text: str, kind: str, pieces: int) -> Reading:
    """Tokenise a text; remembered, because settings change more often than texts. ValueError if it is too short."""
    tokenizer = train_tokenizer(kind, text, pieces)
    return Reading(text, tokenizer, encode_text(text, tokenizer))


def lesson_of(text: str, lesson: str, drawn_with: Settings) -> str:
    """The lesson picked, if this is still its text; floor, promise and prompts belong to no other. Else "own"."""
    if lesson not in LESSONS:
        return OWN_TEXT
    try:
        return lesson if LESSONS[lesson].changed(drawn_with).text == text else OWN_TEXT
    except ValueError:  # Settings that came from a browser, which can send anything.
        return OWN_TEXT


def knobs_of(lesson: str, typed: Sequence[str]) -> dict[str, int | float | str]:
    """The settings of a lesson's text that were typed into its fields, in their order; ValueError for impossible ones.

    Only what differs from the lesson's own settings is named.
    """
    source = LESSONS[lesson].source
    changed: dict[str, int | float | str] = {}
    for knob, value in zip(dataclass_fields(source), typed, strict=False):  # type: ignore[arg-type]
        usual = getattr(source, knob.name)
        label = knob.metadata["label"]
        if not isinstance(usual, str):
            try:
                value = type(usual)(value)
            except (TypeError, ValueError):
                raise ValueError(f"“{label}” must be a number, such as {usual}, not {shortened(value)}.") from None
        if value != usual:
            changed[knob.name] = value
    try:
        LESSONS[lesson].changed(changed)  # Refuses what cannot be.
    except ValueError as error:
        name, space, rest = str(error).partition(" ")
        labels = {knob.name: knob.metadata["label"] for knob in dataclass_fields(source)}  # type: ignore[arg-type]
        raise ValueError(f"“{labels[name]}”{space}{rest}" if name in labels else str(error)) from None
    return changed


def drawn_text(lesson: str, drawn_with: Settings) -> str:
    """A lesson's text with these settings; ValueError where it is longer than fits."""
    text = LESSONS[lesson].changed(drawn_with).text
    if len(text) > LETTERS.most:
        raise ValueError(f"That would be {len(text):,} letters, and {LETTERS.most:,} fit. Ask for less of it.")
    return text


def knobs(lesson: str, drawn_with: Settings) -> list[tuple[str, str]]:
    """Label and value of each setting of a lesson's text, as the page shows them; none for one's own text."""
    if lesson not in LESSONS:
        return []
    source = LESSONS[lesson].changed(drawn_with).source
    return [(knob.metadata["label"], str(getattr(source, knob.name))) for knob in dataclass_fields(source)]  # type: ignore[arg-type]


N_KNOBS = max(len(dataclass_fields(lesson.source)) for lesson in LESSONS.values())  # type: ignore[arg-type]


class Fields(NamedTuple):
    """What panels 1 and 2 hold, in the order in which the page passes it on.

    tokenizer: one of KINDS. mlp: width of the MLP in widths of the model, 0 for none. rate: 0 is the optimiser's own.
    breaks: what is done wrong on purpose, by the titles in `minigpt.breaks`. film_of: the sentence of the film.
    held_share, held_place: how many percent of the text are held out, and whether from its end or spread over it.
    """

    tokenizer: str
    pieces: int
    layers: int
    heads: int
    width: int
    context: int
    mlp: int
    positions: str
    steps: int
    batch: int
    rate: float
    optimiser: str
    seed: int
    breaks: list[str]
    film_of: str = ""
    held_share: float = 10
    held_place: str = OWN_PLACE


# What the page calls each of them, and so what a refusal calls it.
FIELD_LABELS = {
    "tokenizer": "Split into",
    "pieces": "Different pieces, at most",
    "layers": SETTING_LABELS["n_layers"],
    "heads": SETTING_LABELS["n_heads"],
    "width": SETTING_LABELS["d_model"],
    "context": SETTING_LABELS["n_ctx"],
    "mlp": "MLP, × width",
    "positions": SETTING_LABELS["positions"],
    "steps": SETTING_LABELS["steps"],
    "batch": SETTING_LABELS["batch_size"],
    "rate": SETTING_LABELS["learning_rate"],
    "optimiser": SETTING_LABELS["optimiser"],
    "seed": SETTING_LABELS["seed"],
    "breaks": "Break it",
    "film_of": "Film of",
    "held_share": SETTING_LABELS["validation_fraction"],
    "held_place": SETTING_LABELS["validation_place"],
}


def settings_of(fields: Fields, lesson: str, drawn_with: Settings | None = None) -> RunSettings:
    """What the panels ask for; ValueError where that cannot be. What they do not show is as the lesson has it."""
    for name, value in fields._asdict().items():
        if value is None:
            raise ValueError(f"The field “{FIELD_LABELS[name]}” is empty. Write a number into it, or pick a size.")
    check_whole(FIELD_LABELS["width"], fields.width, 1, 4096)
    check_whole(FIELD_LABELS["mlp"], fields.mlp, 0, min(16, 16_384 // fields.width))
    kind = KINDS.get(fields.tokenizer, fields.tokenizer)
    if kind == "bpe":
        check_whole(FIELD_LABELS["pieces"], fields.pieces, 256, 50_000)
    known = LESSONS.get(lesson)
    config = replace(
        known.config if known else GPTConfig(),
        d_head=0,
        n_layers=fields.layers,
        n_heads=fields.heads,
        d_model=fields.width,
        n_ctx=fields.context,
        d_mlp=fields.mlp * fields.width,
        positions=fields.positions,  # type: ignore[arg-type]
    )
    training = replace(
        known.training if known else TrainingConfig(),
        steps=fields.steps,
        eval_every=None,
        batch_size=fields.batch,
        learning_rate=fields.rate or None,
        optimiser=fields.optimiser,  # type: ignore[arg-type]
        seed=fields.seed,
        validation_fraction=_fraction(fields.held_share),
        validation_place=fields.held_place,  # type: ignore[arg-type]
        sample_tokens=SAMPLE_TOKENS.get(kind, 40),
    )
    if not isinstance(fields.breaks, list):
        raise ValueError(f"“Break it” must be a list, not {shortened(fields.breaks)}.")
    breaks = checked_breaks(_NAMES.get(title, title) for title in fields.breaks)
    if "vocabulary" in breaks and kind == "bpe":
        raise ValueError("A vocabulary of the prompt can be made of words or letters, not of pieces. Split into those.")
    if not isinstance(fields.film_of, str):
        raise ValueError(f"“Film of” must be a text, not {shortened(fields.film_of)}.")
    # Line ends stay: a sentence may begin with one. What is blank asks for nothing.
    film_of = clean(fields.film_of)[:1000] if fields.film_of.strip() else ""
    settings = RunSettings(
        kind, fields.pieces, config, training, lesson, dict(drawn_with or {}), breaks, film_of=film_of
    )
    settings.applied()  # Refuses what cannot be.
    return settings


def _fraction(percent: object) -> float:
    check_number(FIELD_LABELS["held_share"], percent, 1, 50)
    return percent / 100  # type: ignore[operator]


def fields_of(settings: RunSettings) -> Fields:
    """The panels as they stood when these settings were made."""
    config, training = settings.config, settings.training
    return Fields(
        tokenizer=LABELS[settings.tokenizer],
        pieces=settings.bpe_vocab,
        layers=config.n_layers,
        heads=config.n_heads,
        width=config.d_model,
        context=config.n_ctx,
        mlp=config.width_of_mlp // config.d_model,
        positions=config.positions,
        steps=training.steps,
        batch=training.batch_size,
        rate=training.peak_learning_rate,
        optimiser=training.optimiser,
        seed=training.seed,
        breaks=[BREAKS[name].title for name in settings.breaks],
        film_of=settings.film_of,
        held_share=round(100 * training.validation_fraction, 6),
        held_place=training.validation_place,
    )


SIZE_OF_LESSON = "as in the lesson"


def preset_fields(preset: str, lesson: str = "") -> Fields:
    """The panels for a size and a lesson; the lesson says how to split its text and, unless a size is picked, the rest.

    Without a lesson its own size is that of the first preset.
    """
    known = LESSONS.get(lesson)
    if known and preset == SIZE_OF_LESSON:
        return fields_of(RunSettings(known.tokenizer, config=known.config, training=known.training))
    size = PRESETS.get(preset, next(iter(PRESETS.values())))
    fields = fields_of(RunSettings(config=size.config, training=size.training))._replace(held_place=OWN_PLACE)
    if known is None:
        return fields
    # A larger model needs its longer plan here as well; the optimiser and its rate are what the lesson was tried with.
    steps = round(known.training.steps * size.training.steps / TrainingConfig().steps)
    own = fields_of(RunSettings(known.tokenizer, config=known.config, training=known.training))
    return own._replace(steps=steps, **{name: getattr(fields, name) for name in ("layers", "heads", "width", "mlp")})


def usual(lesson: str) -> tuple[str, Fields]:
    """The size to begin with and its fields: the lesson's own, or the first preset for one's own text."""
    preset = SIZE_OF_LESSON if lesson in LESSONS else next(iter(PRESETS))
    return preset, preset_fields(preset, lesson)


def size_name(preset: str, fields: Fields, lesson: str = "") -> str:
    """The preset's name while the model still has its shape, else "own size"."""
    shape = slice(Fields._fields.index("layers"), Fields._fields.index("steps"))
    return preset if fields[shape] == preset_fields(preset, lesson)[shape] else "own size"


def size_of(fields: Fields, lesson: str = "") -> str:
    """The preset that has this shape; the lesson's own, or the first, where none has."""
    usual_one, _ = usual(lesson)
    return next((name for name in (usual_one, *PRESETS) if size_name(name, fields, lesson) == name), usual_one)


@dataclass(frozen=True)
class Plan:
    """What pressing Train would do: the model that fits the text, and a history that holds only reference losses."""

    config: GPTConfig
    n_params: int
    history: History


def plan(reading: Reading, settings: RunSettings) -> Plan:
    """The model and the honest lines for a text, before any training."""
    lesson = settings.taught()
    known = drawn(lesson.source).log_probability if lesson else None
    config, references = fit(reading.ids, reading.tokenizer, *settings.applied(), known)
    history = History(n_steps=settings.training.steps, references=references)
    return Plan(config, config.n_params, history)


def film_of(reading: Reading, settings: RunSettings) -> str:
    """The sentence that the film shows where none is asked for; "" where the settings cannot work."""
    lesson = settings.taught()
    asked = (*settings.applied(), "", lesson.prompts[0] if lesson else "")
    ids, _ = shown(sentence, reading.ids, reading.tokenizer, *asked)
    return reading.tokenizer.decode(list(ids or ()))


def offered(reading: Reading, lesson: str) -> tuple[str, ...]:
    """Prompts to click: the lesson's, as far as its text as it was drawn knows their tokens, else some of the text."""
    known = LESSONS[lesson].prompts if lesson in LESSONS else ()
    fitting = tuple(prompt for prompt in known if not reading.tokenizer.unknown(prompt))
    return fitting or prompts_from(reading.ids, reading.tokenizer)


def sampling_of(length: int, temperature: float, top_k: int, top_p: float, seed: int) -> SamplingConfig:
    """The sampling panel as settings; a top-k of 0 and a top-p of 1 keep every token."""
    return SamplingConfig(length, temperature, top_k or None, None if top_p == 1 else top_p, seed)


def sampling_fields(sampling: SamplingConfig) -> list[float]:
    """How the sampling panel stands for some settings: what `sampling_of` takes."""
    top_p = 1 if sampling.top_p is None else sampling.top_p
    return [sampling.max_new_tokens, sampling.temperature, sampling.top_k or 0, top_p, sampling.seed]


class Refusal(gr.Error):
    """A sentence for a program. Gradio's own error is read to an assistant in quotation marks."""

    def __str__(self) -> str:
        return str(self.message)


def refuse(error: Exception) -> gr.Error:
    """A sentence for whoever called from outside the page."""
    return Refusal(str(error), print_exception=False)
