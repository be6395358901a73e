"""A run as it is found on the disk, damaged or not: what still works is there, and what does not is said."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from minigpt.checkpoint import FIXED, GONE, STATE, Damaged, header, history_of, load
from minigpt.config import GPTConfig
from minigpt.film import Camera
from minigpt.history import History, ReferenceLosses
from minigpt.runs import store
from minigpt.runs.record import Progress, RunSettings
from minigpt.runs.store import Folder, Record
from minigpt.runs.worker import begun, finding
from minigpt.training import Failure, TrainingState

_NO_FILE = (OSError, ValueError, KeyError, TypeError, AttributeError)  # what a file of something else may end in
ANEW = "What is whole is shown. Press Train to train it anew."
STAYS = "The model is whole."


@dataclass(frozen=True)
class Found:
    """progress: of the run, waiting. record: what was asked of it. steps_wanted: how far it was still to go."""

    progress: Progress
    record: Record
    steps_wanted: int


def found(path: Path, run_id: str) -> Found:
    """The run in a folder. One that cannot go on has failed, with a sentence that names what is damaged."""
    folder, damage = Folder(path), ""
    try:
        record = store.read(folder)
    except Damaged as error:
        record, damage = None, str(error)
    try:
        state = load(path)
    except FileNotFoundError:
        state, damage = None, damage or GONE
    except Damaged as error:
        state, damage = None, damage or str(error)
    if state is None:
        progress = _without_model(run_id, record, folder)
    else:
        progress = progress_of(run_id, _settings(record, state), state)
    notes = text_damage(folder, record)
    if state is not None and record is not None:
        notes += film_damage(folder, record, state)
        progress = replace(progress, finding=finding(record.settings, state) if state.step else None)
    failure = Failure(progress.step, f"{damage} {ANEW}") if damage else progress.failure
    trouble = record.trouble if record else ""
    progress = replace(
        progress, failure=failure, notes=(*progress.notes, *notes), trouble=trouble, damaged=bool(damage)
    )
    wanted = max(0, record.until - progress.step) if record and not failure else 0
    return Found(progress, record or Record(progress.settings, progress.step), wanted)


def progress_of(run_id: str, settings: RunSettings, state: TrainingState) -> Progress:
    """What a state tells of its run."""
    return Progress(
        run_id=run_id,
        version=0,
        status="waiting",
        step=state.step,
        history=state.history,
        config=state.config,
        settings=settings,
        n_params=state.model.n_params,
        failure=state.failure,
        notes=state.notes,
    )


def _settings(record: Record | None, state: TrainingState) -> RunSettings:
    """As asked, or what the state itself remembers of that."""
    return (
        record.settings if record else RunSettings(state.tokenizer.kind, config=state.config, training=state.training)
    )


def _without_model(run_id: str, record: Record | None, folder: Folder) -> Progress:
    """A run whose model cannot be used: its curve may stand in the beginning of the file, its shape in the other."""
    settings = record.settings if record else RunSettings()
    step, history, config = 0, None, None
    with suppress(*_NO_FILE), (folder.path / STATE).open("rb") as file:
        words = header(file)[1]
        step, history = int(words["step"]), history_of(words)
    with suppress(*_NO_FILE), (folder.path / FIXED).open("rb") as file:
        config = GPTConfig(**header(file)[1]["config"])
    if history is None or config is None:
        with suppress(ValueError):  # The lines that the curve is held against are those of the text.
            anew = begun(store.read_text(folder), settings)
            history, config = history or anew.history, config or anew.config
    config = config or replace(settings.config, d_vocab=settings.config.d_vocab or 2)
    even = math.log(config.d_vocab)
    history = history or History(settings.training.steps, ReferenceLosses(even, even, even))
    return Progress(run_id, 0, "waiting", step, history, config, settings, config.n_params)


def at_work(path: Path) -> bool:
    """Whether the run in a folder was on its way when its server ended; without reading its model."""
    try:
        until = store.read(Folder(path)).until
        with (path / STATE).open("rb") as file:
            words = header(file)[1]
        return words["failure"] is None and int(words["step"]) < until
    except _NO_FILE:
        return False


def text_damage(folder: Folder, record: Record | None) -> tuple[str, ...]:
    """A sentence where the text is not the one that the run learns from."""
    try:
        text = folder.read(store.TEXT)
    except PermissionError:
        return (f"{store.TEXT_NO_RIGHT} {STAYS}",)
    except OSError:
        return (f"{store.TEXT_GONE} {STAYS}",)
    changed = record is not None and record.text_hash not in ("", store.hash_of(text))
    return (store.TEXT_CHANGED,) if changed else ()


def film_damage(folder: Folder, record: Record, state: TrainingState) -> tuple[str, ...]:
    """Sentences where moments of the film are damaged or missing."""
    film, damaged = store.read_film(folder, {})
    notes = (damaged_moments(damaged),) if damaged else ()
    # Earlier versions made no film, or began it late.
    if record.version < 2 or not state.step:
        return notes
    lesson = record.settings.taught()
    camera = Camera(state, record.settings.film_of, lesson.prompts[0] if lesson else "")
    missing = sum(1 for step in camera.moments if step <= state.step) - sum(
        1 for step in film if step in camera.moments
    )
    return (*notes, missing_moments(missing - damaged)) if missing > damaged else notes


def damaged_moments(n: int) -> str:
    """That some of the film cannot be shown."""
    return f"{_moments(n)} damaged and left out. {STAYS}"


def missing_moments(n: int) -> str:
    """That some of the film is not there."""
    return f"{_moments(n)} missing. {STAYS}"


def _moments(n: int) -> str:
    return "1 moment of the film is" if n == 1 else f"{n:,} moments of the film are"
