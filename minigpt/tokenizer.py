"""Text <-> ids: words, characters, or byte-pair pieces; every prompt is read with the training vocabulary."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from tokenizers import Tokenizer as HFTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

UNKNOWN = "<unk>"
# A word (with inner apostrophes and hyphens), a line end, or one sign of punctuation. Combining marks belong to their
# letter: without them, vowel signs of Hindi, Hebrew or Arabic would fall off their words.
_MARKS = r"\u0300-\u036f\u0591-\u05bd\u05bf-\u05c2\u05c4-\u05c7\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
_WORD = re.compile(rf"\n|[\w{_MARKS}]+(?:['’-][\w{_MARKS}]+)*|[^\w\s]")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%’”…\n")
_NO_SPACE_AFTER = frozenset("([{“‘$#\n")


def clean(text: str) -> str:
    """The text as every tokenizer may safely read it: lone surrogates become `?`, line ends become newlines."""
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


@runtime_checkable
class Tokenizer(Protocol):
    """What the rest of the package asks of a tokenizer."""

    kind: ClassVar[str]

    @property
    def d_vocab(self) -> int:
        """How many different ids there are."""

    def encode(self, text: str) -> list[int]:
        """Ids of the text; what the vocabulary lacks becomes `<unk>`, never nothing."""

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids."""

    def token(self, index: int) -> str:
        """The string that stands on an axis for this id."""

    def unknown(self, text: str) -> list[str]:
        """The tokens of the text that the vocabulary lacks, each once, in order."""

    def to_json(self) -> str:
        """All that `from_json` needs to build the same tokenizer again."""


def split_words(text: str) -> list[str]:
    """Words, punctuation marks and line ends, in order.

    >>> split_words("The dog ran.\\nIt's late!")
    ['The', 'dog', 'ran', '.', '\\n', "It's", 'late', '!']
    """
    return _WORD.findall(text)


def create_word_index(text: str, max_words: int = 8192) -> dict[str, int]:
    """Word -> id, for the words of the text; id 0 is `<unk>`, then by falling count.

    Of a text with more than `max_words` different words the rarest are left out, and read as `<unk>`.

    >>> create_word_index("a dog and a cat")
    {'<unk>': 0, 'a': 1, 'dog': 2, 'and': 3, 'cat': 4}
    """
    counts = Counter(split_words(clean(text)))
    # Counter keeps the order of first appearance and sorting is stable: the same text always gives the same ids.
    kept = sorted(counts, key=lambda word: -counts[word])[:max_words]
    return {UNKNOWN: 0} | {word: index for index, word in enumerate(kept, start=1)}


class _Listed:
    """What the word and the character tokenizer share: an index from token to id, with `<unk>` as id 0."""

    kind: ClassVar[str]

    def __init__(self, index: dict[str, int]) -> None:
        self.index = index
        self._tokens = list(index)

    @staticmethod
    def split(text: str) -> Sequence[str]:
        """The text as tokens."""
        return text

    @property
    def d_vocab(self) -> int:
        """How many different ids there are, `<unk>` included."""
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of the text; a token that the vocabulary lacks becomes id 0, `<unk>`."""
        return [self.index.get(token, 0) for token in self.split(clean(text))]

    def token(self, index: int) -> str:
        """The token of an id."""
        return self._tokens[index]

    def unknown(self, text: str) -> list[str]:
        """The tokens of the text that the vocabulary lacks, each once, in order."""
        return list(dict.fromkeys(token for token in self.split(clean(text)) if token not in self.index))

    def to_json(self) -> str:
        """The tokens in the order of their ids."""
        return json.dumps({"kind": self.kind, "tokens": self._tokens})


class WordTokenizer(_Listed):
    """Words, punctuation and line ends. Spaces are not kept: `decode` puts them where English has them."""

    kind: ClassVar[str] = "word"

    @classmethod
    def train(cls, text: str, max_words: int = 8192) -> "WordTokenizer":
        """The vocabulary of a text."""
        return cls(create_word_index(text, max_words))

    @staticmethod
    def split(text: str) -> list[str]:
        """The text as words, punctuation and line ends."""
        return split_words(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The words with spaces between them, except around line ends and on the inner side of punctuation."""
        pieces: list[str] = []
        for index in ids:
            token = self._tokens[index]
            if pieces and token not in _NO_SPACE_BEFORE and pieces[-1] not in _NO_SPACE_AFTER:
                pieces.append(" ")
            pieces.append(token)
        return "".join(pieces)


class CharacterTokenizer(_Listed):
    """One token a character (a Unicode code point); `decode(encode(text)) == clean(text)` for the training text."""

    kind: ClassVar[str] = "character"

    @classmethod
    def train(cls, text: str) -> "CharacterTokenizer":
        """The vocabulary of a text: its characters in the order of their code points, after `<unk>`."""
        return cls({UNKNOWN: 0} | {char: index for index, char in enumerate(sorted(set(clean(text))), start=1)})

    def decode(self, ids: Iterable[int]) -> str:
        """The characters, joined."""
        return "".join(self._tokens[index] for index in ids)


class BPETokenizer:
    """Byte-pair pieces (Sennrich et al., 2016) over UTF-8 bytes, by the `tokenizers` library.

    All 256 bytes are in every vocabulary, so nothing is unknown and `decode(encode(text)) == clean(text)` for any text.
    """

    kind: ClassVar[str] = "bpe"

    def __init__(self, library: HFTokenizer) -> None:
        self._library = library
        # The library writes bytes as printable stand-ins; GPT-2's table turns them back.
        byte_of = {char: byte for byte, char in _gpt2_byte_table().items()}
        self._bytes_of = {index: bytes(byte_of[char] for char in piece) for piece, index in library.get_vocab().items()}

    @classmethod
    def train(cls, text: str, d_vocab: int = 512) -> "BPETokenizer":
        """Learn up to `d_vocab` pieces (at least the 256 bytes) from a text."""
        if not 256 <= d_vocab <= 50_000:
            raise ValueError(f"Pieces need a vocabulary from 256 (the bytes) to 50,000, not {d_vocab:,}.")
        library = HFTokenizer(models.BPE())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=d_vocab, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
        )
        lines = clean(text).splitlines(keepends=True)
        # Short pieces, because the time that the library takes for one endless word grows with the cube of its length.
        pieces = (line[start : start + 4096] for line in lines for start in range(0, len(line), 4096))
        library.train_from_iterator(pieces, trainer)
        return cls(library)

    @property
    def d_vocab(self) -> int:
        """How many different ids there are."""
        return int(self._library.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Ids of the text."""
        return list(self._library.encode(clean(text), add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; bytes that are no UTF-8 become the replacement character."""
        return self._bytes(ids).decode("utf-8", errors="replace")

    def token(self, index: int) -> str:
        """The piece as text; a piece of a character's bytes as hexadecimal, `\\xe2\\x82`."""
        raw = self._bytes([index])
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"\\x{byte:02x}" for byte in raw)

    def unknown(self, text: str) -> list[str]:
        """Always empty: any text is made of bytes."""
        return []

    def to_json(self) -> str:
        """The library's own description."""
        return json.dumps({"kind": self.kind, "library": self._library.to_str()})

    def _bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(self._bytes_of[index] for index in ids)

    # The library's object does not compare or copy by itself; its description does both.
    def __reduce__(self) -> tuple[Any, ...]:
        return from_json, (self.to_json(),)


def _gpt2_byte_table() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: itself where printable, else the next free code point from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(rest)}


def train_tokenizer(kind: str, text: str, d_vocab: int = 512) -> Tokenizer:
    """A tokenizer of the given kind ("word", "character" or "bpe") with the vocabulary of the text.

    `d_vocab` is the number of pieces for "bpe"; the other kinds take what the text holds.
    """
    if kind == "word":
        return WordTokenizer.train(text)
    if kind == "character":
        return CharacterTokenizer.train(text)
    if kind == "bpe":
        return BPETokenizer.train(text, d_vocab)
    raise ValueError(f"The tokenizer must be one of word, character, bpe, not {kind!r}.")


def from_json(text: str) -> Tokenizer:
    """The tokenizer that `to_json` described."""
    data = json.loads(text)
    if data["kind"] == "bpe":
        return BPETokenizer(HFTokenizer.from_str(data["library"]))
    index = {token: index for index, token in enumerate(data["tokens"])}
    return WordTokenizer(index) if data["kind"] == "word" else CharacterTokenizer(index)
