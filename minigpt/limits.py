"""How much of one server a visitor may take. Each limit is here once, and its environment variable changes it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A number that holds for all visitors alike, and what is said to whoever asks for more.

    name: of the environment variable. usual: without it. says: with `{asked}` and `{most}` in it.
    """

    name: str
    usual: int
    says: str

    @property
    def most(self) -> int:
        """How much fits; read anew each time, ValueError where the environment holds no number of at least 1."""
        value = os.environ.get(self.name, "").strip() or str(self.usual)
        if not value.isascii() or not value.isdigit() or not int(value):
            raise ValueError(f"{self.name} must be a whole number from 1 up, such as {self.usual}, not {value!r}.")
        return int(value)

    def check(self, asked: int) -> None:
        """Raise ValueError, with the sentence that says what fits, where more is asked for.

        >>> CELLS.check(1_000_000)
        Traceback (most recent call last):
        ...
        ValueError: That would be 1,000,000 numbers, and 500,000 fit into one answer. Ask with a shorter prompt.
        """
        if asked > self.most:
            raise ValueError(self.says.format(asked=asked, most=self.most))


LETTERS = Limit(
    "MINIGPT_LETTERS",
    2_000_000,
    "This text has {asked:,} letters and {most:,} fit. Paste a part of it, or open a shorter file.",
)
CELLS = Limit(
    "MINIGPT_CELLS",
    500_000,
    "That would be {asked:,} numbers, and {most:,} fit into one answer. Ask with a shorter prompt.",
)
LOOK_CELLS = Limit(
    "MINIGPT_LOOK_CELLS",
    25_000_000,
    "The heads of this model would look at this prompt in {asked:,} numbers, and {most:,} fit. Write a shorter one.",
)
BODY_PARTS = Limit(
    "MINIGPT_BODY_PARTS", 100_000, "What was sent has {asked:,} parts, and {most:,} fit. Send one text as one string."
)
SESSIONS = Limit("MINIGPT_SESSIONS", 300, "{most:,} pages are remembered; the one unused for longest is forgotten.")
EVENTS = Limit("MINIGPT_EVENTS", 2_000, "This server is answering {most:,} calls already. Try again in a minute.")
RUNS = Limit("MINIGPT_RUNS_COUNT", 500, "{most:,} runs are kept; the oldest of whoever has most of them leave first.")
RUNS_MB = Limit("MINIGPT_RUNS_MB", 4_000, "{most:,} MB of runs are kept; the oldest of whoever takes most leave first.")
EXPLORED_MB = Limit(
    "MINIGPT_EXPLORED_MB", 200, "{most:,} MB of explored prompts are kept; the ones unseen for longest leave first."
)
SEEN_MB = Limit(
    "MINIGPT_SEEN_MB", 100, "{most:,} MB of models are kept at hand; the ones unseen for longest leave first."
)
AT_WORK = Limit(
    "MINIGPT_AT_WORK",
    64,
    "{asked:,} runs of yours would be at work, and {most:,} fit. Stop one, or wait until one has finished.",
)
CALLS = Limit(
    "MINIGPT_CALLS",
    64,
    "{asked:,} calls of yours would be waiting for an answer, and {most:,} fit. Wait until one is answered.",
)
CALLS_A_SECOND = Limit(
    "MINIGPT_CALLS_A_SECOND",
    30,
    "More than {most:,} requests of yours came every second, and others wait too. Try again in ten seconds.",
)

ALL = tuple(value for value in list(vars().values()) if isinstance(value, Limit))


def body_bytes() -> int:
    """How large a request may be: the longest text in JSON, six bytes for a letter at most, and what goes with it."""
    return 6 * LETTERS.most + 1_000_000


def check_environment() -> None:
    """Raise ValueError at the start of a server, not at the first visitor, where a limit is set to no number."""
    for limit in ALL:
        _ = limit.most
