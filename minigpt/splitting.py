"""A text, made clean, and cut into words by Unicode's own rules: what every tokenizer reads, and what a word is."""

import re
import unicodedata
from collections.abc import Iterator

import regex

# What is never seen and never meant to count: soft hyphens, byte order marks, word joiners, marks of direction.
_UNSEEN = regex.compile(r"[\u00ad\ufeff\u2060\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
# A joiner shapes the letters (or emoji) beside it; where there are none it is left over from somewhere else.
_STRAY_JOINER = regex.compile(
    r"(?<![\p{L}\p{M}\p{N}\p{Emoji}\u200c\u200d])[\u200c\u200d]+|\u200c+(?![\p{L}\p{M}\p{N}\u200c\u200d])"
)
# Thai, Lao, Khmer and Burmese write it between words; anywhere else it only says where a line may break.
_WORD_SPACE = regex.compile(r"(?<=\p{Line_Break=SA})\u200b+(?=\p{Line_Break=SA})")

# Stretches between white space: in a long text most come again and again, and each is cut only once.
_STRETCH = re.compile(r"\n|[^\s]+")
_START = r"[\w\p{M}\p{N}]"
_INSIDE = r"[\w\p{M}\p{N}\p{Join_Control}]"
# What may stand inside a word, as in UAX 29: apostrophes, hyphens, middle dots, the signs of Hebrew and Armenian;
# a full stop between letters; and between digits what divides numbers and times.
_BETWEEN = (
    r"(?:['’·\u0387\u055f\u05f3\u05f4\u2027\u2010\u2011-]"
    r"|(?<=[\p{L}\p{M}])\.(?=\p{L})|(?<=\p{Nd})[.,:\u066b\u066c](?=\p{Nd}))"
)
# A word, or one sign as a reader sees it: a flag, a family and a letter of four code points are each one \X.
_TOKEN = regex.compile(rf"{_START}{_INSIDE}*+(?:{_BETWEEN}{_START}{_INSIDE}*+)*+|\X")
_WORD = regex.compile(_START)

# What words were before tokenizers had a version: saved ones go on reading as they were trained to.
_OLD_MARKS = r"\u0300-\u036f\u0591-\u05bd\u05bf-\u05c2\u05c4-\u05c7\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
_OLD_WORD = re.compile(rf"\n|[\w{_OLD_MARKS}]+(?:['’-][\w{_OLD_MARKS}]+)*|[^\w\s]")


def clean(text: str) -> str:
    """The text as every tokenizer reads it; cleaning it again changes nothing.

    Lone surrogates become `?`, line ends newlines; what is never seen goes (soft hyphens, byte order marks, marks of
    direction, joiners that join nothing); letters and their marks are composed (Unicode's NFC), so that é is one é.
    """
    text = clean_ends(text)
    if text.isascii():
        return text
    text = _UNSEEN.sub("", text)
    if "\u200b" in text:
        text = _WORD_SPACE.sub(" ", text).replace("\u200b", "")
    # First composed, because a composed letter may end where a joiner stands.
    text = unicodedata.normalize("NFC", text)
    if "\u200c" in text or "\u200d" in text:
        text = unicodedata.normalize("NFC", _STRAY_JOINER.sub("", text))
    return text


def clean_ends(text: str) -> str:
    """Lone surrogates become `?`, line ends become newlines: all that was cleaned before tokenizers had a version."""
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def stretches(text: str) -> list[str]:
    """What stands between white space, and each line end."""
    return _STRETCH.findall(text)


def cut(stretch: str) -> list[str]:
    """The words and signs of a stretch without white space; a line end is a sign of its own."""
    return _TOKEN.findall(stretch)


def split_words(text: str) -> list[str]:
    """Words, punctuation marks and line ends, in order.

    >>> split_words("The dog ran at 12:30.\\nIt's late!")
    ['The', 'dog', 'ran', 'at', '12:30', '.', '\\n', "It's", 'late', '!']
    """
    return list(_each(text))


def _each(text: str) -> Iterator[str]:
    known: dict[str, list[str]] = {"\n": ["\n"]}
    for stretch in stretches(text):
        tokens = known.get(stretch)
        if tokens is None:
            tokens = known[stretch] = cut(stretch)
        yield from tokens


def split_words_as_before(text: str) -> list[str]:
    """Words as tokenizers without a version cut them."""
    return _OLD_WORD.findall(text)


def is_word(token: str) -> bool:
    """Whether a token is a word or a number, not a sign or a line end."""
    return _WORD.match(token) is not None
