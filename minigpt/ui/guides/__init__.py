"""The guided path of each lesson, and where a reader stands on it."""

import json
from dataclasses import dataclass

from minigpt.corpora import LESSONS
from minigpt.ui.guides.chances import MARKOV, MARKOV2
from minigpt.ui.guides.debugging import DEBUGGING
from minigpt.ui.guides.letters import BRACKETS, ECHO, REVERSE
from minigpt.ui.guides.sentences import AGREEMENT, ESSAY, STORIES
from minigpt.ui.guides.steps import Question, Step

__all__ = ["GUIDES", "Place", "Question", "Step", "placed"]

GUIDES: dict[str, tuple[Step, ...]] = {
    "stories": STORIES,
    "echo": ECHO,
    "reverse": REVERSE,
    "agreement": AGREEMENT,
    "brackets": BRACKETS,
    "markov": MARKOV,
    "markov2": MARKOV2,
    "essay": ESSAY,
    "debugging": DEBUGGING,
}
assert GUIDES.keys() == LESSONS.keys(), "every lesson has its guide"


@dataclass(frozen=True)
class Place:
    """Where a reader is on a path. answer: the option chosen at this step; None before that."""

    lesson: str = ""
    step: int = 0
    answer: int | None = None

    def kept(self) -> str:
        """As a browser keeps it; `placed` reads it again."""
        return json.dumps([self.lesson, self.step, self.answer])


def placed(kept: str) -> Place:
    """A place from what a browser keeps, which can be anything: the beginning of nothing where it is no place."""
    try:
        value = json.loads(kept)
    except (TypeError, ValueError, RecursionError):
        return Place()
    if isinstance(value, list) and len(value) == 3:
        lesson, step, answer = value
        if isinstance(lesson, str) and lesson in GUIDES and type(step) is int and 0 <= step < len(GUIDES[lesson]):
            question = GUIDES[lesson][step].question
            known = type(answer) is int and question is not None and 0 <= answer < len(question.options)
            return Place(lesson, step, answer if known else None)
    return Place()
