"""What is known of a run: what it was asked to do, and how far it has come."""

from dataclasses import dataclass, field
from typing import Literal

from minigpt.breaks import broken
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS, Lesson
from minigpt.history import History
from minigpt.promises import Finding
from minigpt.training import Failure

Status = Literal["waiting", "training", "paused", "stopped", "finished", "failed"]
ACTIVE: frozenset[str] = frozenset({"waiting", "training"})
MAX_DEATHS = 3
DIED = f"The training process ended {MAX_DEATHS} times in a row. Resume tries again; a smaller model needs less memory."
RAISED = f"Training broke off {MAX_DEATHS} times in a row. Resume tries again; a smaller model may do better."
NO_ROOM = "The disk of this server takes nothing, and its memory holds no more runs meanwhile. Try again later."


class UnknownRun(ValueError):
    """There is no run of that name here."""

    def __init__(self) -> None:
        super().__init__("This run is not here any more. Press Train to start a new one.")


@dataclass(frozen=True)
class RunSettings:
    """What a person chose for a run, beside the text.

    lesson: its name on the page, another word for one's own text; drawn_with: the settings of its text that differ
    from the lesson's own. config, training: as asked for; breaks: what is then done wrong on purpose, see `applied`.
    without: the one of `minigpt.breaks.PARTS` that a twin lacks; it begins as the run with that part did, see
    `minigpt.twins`. "" for a run that is no twin.
    film_of: the sentence to watch while the model learns; "" leaves the choice to `minigpt.film.sentence`.
    """

    tokenizer: str = "word"
    bpe_vocab: int = 512
    config: GPTConfig = field(default_factory=GPTConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    lesson: str = ""
    drawn_with: dict[str, int | float | str] = field(default_factory=dict)
    breaks: tuple[str, ...] = ()
    without: str = ""
    film_of: str = ""

    def applied(self) -> tuple[GPTConfig, TrainingConfig]:
        """The model and the plan that are really trained, with what is broken on purpose."""
        return broken(self.breaks, self.config, self.training, self.without)

    def taught(self) -> Lesson | None:
        """The lesson as it was drawn; None for one's own text, or where the text is split in another way."""
        lesson = LESSONS.get(self.lesson)
        return lesson.changed(self.drawn_with) if lesson and lesson.tokenizer == self.tokenizer else None


@dataclass(frozen=True)
class Progress:
    """A run as a viewer sees it. `version` rises with each change; `ahead` counts the runs that get a slice before it.

    config: the model's, with the context that fits the text and the size of the vocabulary.
    n_params: how many numbers are trained. seconds: time spent in slices so far.
    finding: how far the promise of its lesson is kept by now; found_at: the step at which that was first seen.
    unsaved: since when saving fails and what is at risk, in a sentence; "" while all is saved.
    trouble: why the run rests though nobody asked for that, in a sentence; it can be resumed.
    damaged: whether it has failed because its files cannot be used.
    seconds_per_step: between two steps on the clock of late, waiting for other runs included; None before it is known.
    """

    run_id: str
    version: int
    status: Status
    step: int
    history: History
    config: GPTConfig
    settings: RunSettings
    n_params: int
    seconds: float = 0.0
    seconds_per_step: float | None = None
    ahead: int = 0
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    finding: Finding | None = None
    found_at: int | None = None
    unsaved: str = ""
    trouble: str = ""
    damaged: bool = False

    @property
    def said(self) -> str:
        """All that a viewer should know beside the numbers, in sentences; "" where all is well."""
        failure = (self.failure.message,) if self.failure else ()
        return " ".join(said for said in (*failure, *self.notes, self.trouble, self.unsaved) if said)

    @property
    def n_steps(self) -> int:
        """How many steps were planned."""
        return self.settings.training.steps

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of the newest slice; None before the first."""
        speeds = self.history.tokens_per_second
        return speeds[-1][1] if speeds else None

    @property
    def seconds_left(self) -> float | None:
        """To the planned end, at the pace of late; None before there is one."""
        return None if self.seconds_per_step is None else self.seconds_per_step * (self.n_steps - self.step)
