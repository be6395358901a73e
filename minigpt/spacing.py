"""Where spaces stand between words and signs: learned from a text, so that what is written looks as its text does."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import regex

from minigpt.splitting import cut, is_word

MAX_PAIRS = 4096
MAX_LEARNED = 10_000  # tokens of one stretch: of a text without any white space that is enough
# Where a text shows a sign on no side of a word: as its kind in Unicode stands.
_OPENS = regex.compile(r"[\p{Ps}\p{Pi}¿¡#$@]")
_CLOSES = regex.compile(r"[\p{Terminal_Punctuation}\p{Pe}\p{Pf}%…]")
_SIGNS_APART = re.compile(r"([^\w\s])[^\S\n]+(?=([^\w\s]))")


@dataclass(frozen=True)
class Spacing:
    """Which signs stand without a space.

    joins_left, joins_right: to the word before, to the word after. paired: the same sign opens and closes, in turns.
    pairs: two signs in a row without a space between them.
    """

    joins_left: frozenset[str]
    joins_right: frozenset[str]
    paired: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()

    def to_lists(self) -> dict[str, list[str] | list[list[str]]]:
        """The same as lists, for JSON."""
        return {
            "joins_left": sorted(self.joins_left),
            "joins_right": sorted(self.joins_right),
            "paired": sorted(self.paired),
            "pairs": [list(pair) for pair in sorted(self.pairs)],
        }

    @classmethod
    def from_lists(cls, lists: dict[str, list[str] | list[list[str]]]) -> "Spacing":
        """What `to_lists` wrote."""
        pairs = frozenset((pair[0], pair[1]) for pair in lists["pairs"])
        left, right, paired = (frozenset(map(str, lists[name])) for name in ("joins_left", "joins_right", "paired"))
        return cls(left, right, paired, pairs)


# As English has it: for tokenizers that were saved before they learned it from their text.
ENGLISH = Spacing(frozenset(".,;:!?)]}%’”…"), frozenset("([{“‘$#"))


@dataclass
class _Sides:
    """How often words and spaces stand on either side of a sign, and how often it opens and closes."""

    joined_left: int = 0
    apart_left: int = 0
    joined_right: int = 0
    apart_right: int = 0
    opening: int = 0
    closing: int = 0


def learned(text: str, stretches: Counter[str], cuts: dict[str, list[str]]) -> Spacing:
    """The spacing of most places in a cleaned text; where it shows none, that of the sign's kind in Unicode.

    stretches: how often each stretch between white space stands in the text. cuts: each of them as tokens.
    """
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    firsts = Counter(line.split(maxsplit=1)[0] for line in lines)
    lasts = Counter(line.rsplit(maxsplit=1)[-1] for line in lines)
    words: dict[str, bool] = {}
    pairs: Counter[tuple[str, str]] = Counter()
    sides: defaultdict[str, _Sides] = defaultdict(_Sides)
    for stretch, n in stretches.items():
        tokens = cuts[stretch][:MAX_LEARNED]
        if stretch == "\n" or (len(tokens) == 1 and is_word(stretch)):
            continue
        inside: Counter[tuple[bool, str, bool]] = Counter()
        before = False
        for token, after in zip(tokens, [*tokens[1:], ""], strict=True):
            if token not in words:
                words[token] = is_word(token)
            if not words[token]:
                next_is_word = words[after] if after in words else words.setdefault(after, is_word(after))
                inside[before, token, next_is_word] += 1
                if after and not next_is_word:
                    pairs[token, after] += n
            before = words[token]
        for (joined_left, sign, joined_right), times in inside.items():
            _count(sides[sign], joined_left, joined_right, n * times)
        # At the ends of a line nothing tells whether a space would stand there.
        if not words[tokens[0]]:
            sides[tokens[0]].apart_left += n - firsts[stretch]
        if not words[tokens[-1]]:
            sides[tokens[-1]].apart_right += n - lasts[stretch]
    apart = Counter(_SIGNS_APART.findall(text))
    glued = frozenset(pair for pair, n in pairs.most_common(MAX_PAIRS) if n > apart[pair[0][-1], pair[1][0]])
    return _majority(sides, glued)


def _count(sides: _Sides, joined_left: bool, joined_right: bool, n: int) -> None:
    sides.joined_left += n * joined_left
    sides.joined_right += n * joined_right
    sides.opening += n * (joined_right and not joined_left)
    sides.closing += n * (joined_left and not joined_right)


def _majority(sides: dict[str, _Sides], pairs: frozenset[tuple[str, str]]) -> Spacing:
    left, right, paired = set(), set(), set()
    for sign, seen in sides.items():
        if seen.joined_left > seen.apart_left or (seen.joined_left == seen.apart_left and _CLOSES.match(sign)):
            left.add(sign)
        if seen.joined_right > seen.apart_right or (seen.joined_right == seen.apart_right and _OPENS.match(sign)):
            right.add(sign)
        if min(seen.opening, seen.closing) > 0.25 * max(seen.opening, seen.closing):
            paired.add(sign)
    return Spacing(frozenset(left), frozenset(right), frozenset(paired), pairs)


class Writer:
    """Puts tokens one behind the other, with the spaces that belong between them."""

    def __init__(self, spacing: Spacing) -> None:
        self._spacing = spacing
        self._open: set[str] = set()
        self._before, self._before_opens = "\n", False
        # What stands before the last token without a space: three tokens can be read again as one word.
        self._joined = ""

    def add(self, token: str) -> str:
        """What this token adds to the text: itself, with a space before it or not."""
        if token == "\n":
            self._open.clear()
            self._before, self._before_opens, self._joined = "\n", False, ""
            return token
        paired = token in self._spacing.paired
        closes, opens = paired and token in self._open, paired and token not in self._open
        if paired:
            self._open ^= {token}
        starts = self._before == "\n"
        glued = not starts and self._glued(token, opens, closes) and self._stays(token)
        self._joined = self._before if glued else ""
        self._before, self._before_opens = token, opens
        return token if glued or starts else f" {token}"

    def _glued(self, token: str, opens: bool, closes: bool) -> bool:
        spacing, before = self._spacing, self._before
        if closes or self._before_opens:
            return True
        joins_right = before in spacing.joins_right and before not in spacing.paired
        if opens:
            return joins_right
        if (before, token) in spacing.pairs:
            return True
        joins_left = token in spacing.joins_left
        if joins_right and joins_left and not (is_word(before) or is_word(token)):
            return False
        return joins_right or joins_left

    def _stays(self, token: str) -> bool:
        """Whether the tokens stay what they are without a space: "3" "." "14" would be read again as one number."""
        return cut(self._joined + self._before + token)[-2:] == [self._before, token]


def spaced(tokens: Iterable[str], spacing: Spacing) -> str:
    """The tokens as text."""
    writer = Writer(spacing)
    return "".join(map(writer.add, tokens))
