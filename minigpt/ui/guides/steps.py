"""What a guided path is made of: short steps, each at a live element, with a prediction before each reveal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A prediction to make before the reveal. right: the option that comes true, from 0."""

    asks: str
    options: tuple[str, ...]
    right: int
    reveal: str


@dataclass(frozen=True)
class Step:
    """One step, in two sentences.

    at: the element it speaks of, as a css selector. question: asked before the reveal.
    does: what its button does, "train", "show", or "train" and a break of `minigpt.breaks` to train with; label: its
    words. tells: which fact about the run at hand stands below, "finding", "losses" or "accuracy"; "" for none.
    """

    at: str
    says: str
    question: Question | None = None
    does: str = ""
    label: str = ""
    tells: str = ""


TEXT, CURVE, TRAIN, NOTES = "#text", "#loss-curve", "#train", "#lesson-notes"
GRID, HEAD, PROMPT, WRITTEN, BARS = "#heads-grid", "#head", "#ask", "#continuation", "#next-token"
SAMPLE = "#sample"


def train(says: str) -> Step:
    """Trains the lesson as it is."""
    return Step(TRAIN, says, does="train", label="Train")


def show(says: str) -> Step:
    """Opens the promised place."""
    return Step(HEAD, says, does="show", label="Show me", tells="finding")


def break_it(says: str, question: Question, name: str) -> Step:
    """Trains with something broken, after a prediction of what will come of it."""
    return Step(TRAIN, says, question, does=f"train {name}", label="Break it and train")
