"""Lines of letters to copy, to reverse or to close: each knows the chance of every letter, and where to look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from minigpt.config import TokenizerKind, check_whole
from minigpt.source import NEWLINE, check_symbols, draw, lines, no_targets, setting

BAR = "|"
CONSONANTS = "bcdfghjklmnpqrstvwxz"  # No vowels, so that chance writes no words.
DIGITS = "234567"  # None that looks like a letter.


@dataclass(frozen=True)
class Echo:
    """`qkzvb|qkzvb`: different letters in random order, a bar, and the same letters again.

    The number of letters is drawn evenly from `shortest` to `longest`, so a position alone says nothing.
    """

    kind: ClassVar[TokenizerKind] = "character"

    letters: str = setting(CONSONANTS, "Letters")
    shortest: int = setting(4, "Fewest in a line")
    longest: int = setting(12, "Most in a line")
    n_lines: int = setting(6000, "Lines")
    seed: int = setting(0, "Seed")

    def __post_init__(self) -> None:
        check_symbols("letters", self.letters, at_least=2, not_among=BAR)
        check_whole("shortest", self.shortest, 1, len(self.letters))
        check_whole("longest", self.longest, self.shortest, len(self.letters))
        check_whole("n_lines", self.n_lines, 20, 20_000)
        check_whole("seed", self.seed, 0, 2**31 - 1)

    def answer(self, drawn: str) -> str:
        """What stands behind the bar."""
        return drawn

    def text(self) -> str:
        """`n_lines` lines."""
        rng = np.random.default_rng(self.seed)
        written = []
        for _ in range(self.n_lines):
            n = int(rng.integers(self.shortest, self.longest, endpoint=True))
            drawn = "".join(self.letters[i] for i in rng.permutation(len(self.letters))[:n])
            written.append(f"{drawn}{BAR}{self.answer(drawn)}{NEWLINE}")
        return "".join(written)

    def log_probability(self, text: str) -> Float[np.ndarray, " seq"]:
        """ln P(letter | letters before it): before the bar any letter not yet there, after it no choice at all."""
        values = []
        for line in text.splitlines(keepends=True):
            drawn, bar, rest = line.partition(BAR)
            for n in range(len(drawn)):
                values.append(self._letter(n))
            if bar:
                values.append(np.log(self._bar(len(drawn))) if len(drawn) >= self.shortest else -np.inf)
            values += [0.0] * len(rest)
        return np.array(values)

    def _bar(self, n: int) -> float:
        """The chance that the bar comes after `n` letters: the length is drawn evenly."""
        return 1 / (self.longest - n + 1) if n >= self.shortest else 0.0

    def _letter(self, n: int) -> float:
        """ln of the chance of one certain letter after `n` others."""
        with np.errstate(divide="ignore"):  # Where the bar must come, a letter has -inf, which is the truth.
            return float(np.log((1 - self._bar(n)) / max(1, len(self.letters) - n)))

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"]:
        """After the bar each letter looks at the letter that came after its earlier copy."""
        return self._pointing(tokens, after=1)

    def _pointing(self, tokens: Sequence[str], after: int) -> Bool[np.ndarray, "query key"]:
        """Each letter after the bar points so many places after its copy before the bar, where that is a letter."""
        targets = no_targets(tokens)
        for start, line in lines(tokens):
            if BAR not in line:
                continue
            bar = line.index(BAR)
            for query in range(bar + 1, len(line)):
                if line[query] not in line[:bar]:
                    continue  # A prompt may hold anything.
                key = line[:bar].index(line[query]) + after
                if 0 <= key < bar:
                    targets[start + query, start + key] = True
        return targets


@dataclass(frozen=True)
class Reverse(Echo):
    """`qkzvb|bvzkq`: different letters or digits in random order, a bar, and the same backwards.

    More of them than in an echo: with few, a model remembers which are left to write, and looks nowhere in particular.
    """

    letters: str = setting(CONSONANTS + DIGITS, "Letters")
    n_lines: int = setting(8000, "Lines")

    def answer(self, drawn: str) -> str:
        """What stands behind the bar."""
        return drawn[::-1]

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"]:
        """After the bar each letter looks at its earlier copy, or at the letter before that: the next one to write.

        Row by row both move one place back: an anti-diagonal. Which of the two it is depends on the seed.
        """
        return self._pointing(tokens, after=0) | self._pointing(tokens, after=-1)


@dataclass(frozen=True)
class Brackets:
    """`([]{})`: every bracket that opens is closed, the last one first, at most `depth` of them open at once.

    After each bracket a coin says whether to open another or to close the newest; the line ends when none is open. No
    line is longer than `longest`.
    """

    kind: ClassVar[TokenizerKind] = "character"

    pairs: str = setting("()[]{}<>", "Pairs of brackets")
    depth: int = setting(4, "Open at once, at most")
    longest: int = setting(16, "Brackets in a line, at most")
    n_lines: int = setting(6000, "Lines")
    seed: int = setting(0, "Seed")

    def __post_init__(self) -> None:
        check_symbols("pairs", self.pairs, at_least=2)
        if len(self.pairs) % 2:
            raise ValueError(f"pairs must hold an even number of signs, like ()[]{{}}, not {self.pairs!r}.")
        check_whole("depth", self.depth, 1, 20)
        check_whole("longest", self.longest, 2, 62)
        check_whole("n_lines", self.n_lines, 20, 20_000)
        check_whole("seed", self.seed, 0, 2**31 - 1)

    @property
    def opening(self) -> str:
        """The brackets that open; the partner of each stands at the same place in `closing`."""
        return self.pairs[::2]

    @property
    def closing(self) -> str:
        """The brackets that close."""
        return self.pairs[1::2]

    def chances(self, stack: str, n: int) -> dict[str, float]:
        """Chance of each next token in a line of `n` brackets so far, of which those in `stack` are open."""
        if not stack:
            return {NEWLINE: 1.0} if n else dict.fromkeys(self.opening, 1 / len(self.opening))
        close = self.closing[self.opening.index(stack[-1])]
        if len(stack) == self.depth or n + len(stack) + 2 > self.longest:
            return {close: 1.0}
        return {close: 0.5} | dict.fromkeys(self.opening, 0.5 / len(self.opening))

    def _following(self, line: Sequence[str]) -> Iterator[tuple[str, int]]:
        """The open brackets, and how many tokens were read, before each token of a line."""
        stack = ""
        for n, token in enumerate(line):
            yield stack, n
            if token in self.opening:
                stack += token
            elif stack and token in self.closing:
                stack = stack[:-1]

    def text(self) -> str:
        """`n_lines` lines."""
        rng = np.random.default_rng(self.seed)
        written = []
        for _ in range(self.n_lines):
            line, stack = "", ""
            while not line.endswith(NEWLINE):
                token = draw(rng, self.chances(stack, len(line)))
                stack = stack + token if token in self.opening else stack[:-1]
                line += token
            written.append(line)
        return "".join(written)

    def log_probability(self, text: str) -> Float[np.ndarray, " seq"]:
        """ln P(bracket | brackets before it), line ends included."""
        values = []
        for line in text.splitlines(keepends=True):
            for token, (stack, n) in zip(line, self._following(line), strict=True):
                values.append(self.chances(stack, n).get(token, 0.0))
        with np.errstate(divide="ignore"):  # a bracket that cannot come has -inf, which is the truth
            return np.log(np.array(values))

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"]:
        """A bracket that closes inside another pair looks at the innermost bracket still open: the next to close."""
        targets = no_targets(tokens)
        for start, line in lines(tokens):
            opened: list[int] = []
            for query, token in enumerate(line):
                if token in self.opening:
                    opened.append(query)
                elif opened:
                    opened.pop()
                    if opened:
                        targets[start + query, start + opened[-1]] = True
        return targets
