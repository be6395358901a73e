"""Text <-> ids: words, characters, or byte-pair pieces; every prompt is read with the training vocabulary."""

import codecs
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, ClassVar, Protocol, runtime_checkable

from tokenizers import Tokenizer as HFTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

from minigpt.spacing import ENGLISH, Spacing, Writer, learned
from minigpt.splitting import clean as clean
from minigpt.splitting import clean_ends, cut, split_words_as_before, stretches
from minigpt.splitting import split_words as split_words

UNKNOWN = "<unk>"
# How texts are read. 1: as before this number was written down. 2: by Unicode's rules, composed, with learned spaces.
VERSION = 2
LEARNED_FROM = 500_000  # letters from which pieces are learned, about


@runtime_checkable
class Tokenizer(Protocol):
    """What the rest of the package asks of a tokenizer."""

    kind: ClassVar[str]

    @property
    def d_vocab(self) -> int:
        """How many different tokens there are: the V of ln V."""

    def encode(self, text: str) -> list[int]:
        """Ids of the text; what the vocabulary lacks becomes `<unk>`, never nothing.

        `<unk>` is one of the d_vocab tokens only where the training text had tokens to leave out. Else its id is -1:
        a model reads it as zeros, never writes it, and gives it no probability.
        """

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids."""

    def writer(self) -> Callable[[int, bool], str]:
        """Takes one id after the other, with whether it is the last, and gives what each adds to the decoded text."""

    def token(self, index: int) -> str:
        """The string that stands on an axis for this id."""

    def unknown(self, text: str) -> list[str]:
        """The tokens of the text that the vocabulary lacks, each once, in order."""

    def to_json(self) -> str:
        """All that `from_json` needs to build the same tokenizer again."""

    def with_unknown(self) -> "Tokenizer":
        """The same ids, with `<unk>` as the last of the d_vocab tokens: for a text with tokens that were not known."""


def create_word_index(text: str, max_words: int = 8192) -> dict[str, int]:
    """Word -> id, for the words of the text; id 0 is `<unk>`, then by falling count.

    Of a text with more than `max_words` different words the rarest are left out, and read as `<unk>`.

    >>> create_word_index("a dog and a cat")
    {'<unk>': 0, 'a': 1, 'dog': 2, 'and': 3, 'cat': 4}
    """
    counts = Counter(split_words(clean(text)))
    return {UNKNOWN: 0} | {word: index for index, word in enumerate(_commonest(counts)[:max_words], start=1)}


def _commonest(counts: Counter[str]) -> list[str]:
    # Counter keeps the order of first appearance and sorting is stable: the same text always gives the same ids.
    return sorted(counts, key=lambda word: -counts[word])


class _Listed:
    """What the word and the character tokenizer share: a list of tokens, whose places are their ids."""

    kind: ClassVar[str]

    def __init__(self, tokens: Sequence[str], version: int = VERSION) -> None:
        """tokens: `<unk>` is among them only where it counts. version: by which rules texts are read."""
        self.index = {token: index for index, token in enumerate(tokens)}
        self.version = version
        self._tokens = list(tokens)
        self._unknown = self.index.get(UNKNOWN, -1)
        self._clean = clean if version > 1 else clean_ends

    def split(self, text: str) -> Sequence[str]:
        """The text as tokens, cleaned first."""
        return self._clean(text)

    @property
    def d_vocab(self) -> int:
        """How many different tokens there are; `<unk>` is one only where the training text had tokens to leave out."""
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of the text; a token that the vocabulary lacks becomes the id of `<unk>`."""
        return [self.index.get(token, self._unknown) for token in self.split(text)]

    def token(self, index: int) -> str:
        """The token of an id."""
        return UNKNOWN if index == self._unknown else self._tokens[index]

    def unknown(self, text: str) -> list[str]:
        """The tokens of the text that the vocabulary lacks, each once, in order."""
        return list(dict.fromkeys(token for token in self.split(text) if token not in self.index))

    def with_unknown(self) -> Tokenizer:
        """The same ids, with `<unk>` as one of the tokens."""
        return from_json(json.dumps(self._described(*[UNKNOWN] * (UNKNOWN not in self.index))))

    def to_json(self) -> str:
        """The tokens in the order of their ids."""
        return json.dumps(self._described())

    def _described(self, *more: str) -> dict[str, Any]:
        return {"kind": self.kind, "version": self.version, "tokens": [*self._tokens, *more]}


class WordTokenizer(_Listed):
    """Words, punctuation and line ends. Spaces are not kept: `decode` puts them where the training text has them."""

    kind: ClassVar[str] = "word"

    def __init__(self, tokens: Sequence[str], version: int = VERSION, spacing: Spacing = ENGLISH) -> None:
        super().__init__(tokens, version)
        self.spacing = spacing

    @classmethod
    def train(cls, text: str, max_words: int = 8192) -> "WordTokenizer":
        """The vocabulary of a text; of more than `max_words` different words the rarest are read as `<unk>`."""
        text = clean(text)
        found = Counter(stretches(text))
        cuts = {stretch: cut(stretch) for stretch in found}
        counts: Counter[str] = Counter()
        for stretch, n in found.items():
            for word in cuts[stretch]:
                counts[word] += n
        words = _commonest(counts)
        kept = words if len(words) <= max_words else [*words[:max_words], UNKNOWN]
        return cls(kept, spacing=learned(text, found, cuts))

    def split(self, text: str) -> list[str]:
        """The text as words, punctuation and line ends, cleaned first."""
        return split_words(clean(text)) if self.version > 1 else split_words_as_before(clean_ends(text))

    def decode(self, ids: Iterable[int]) -> str:
        """The words with spaces between them, except where the training text has none."""
        write = self.writer()
        return "".join(write(index, False) for index in ids)

    def writer(self) -> Callable[[int, bool], str]:
        """Takes one id after the other and gives what each adds: its token, with a space before it or not."""
        writer = Writer(self.spacing)
        return lambda index, _last: writer.add(self.token(index))

    def _described(self, *more: str) -> dict[str, Any]:
        return super()._described(*more) | {"spacing": self.spacing.to_lists()}


class CharacterTokenizer(_Listed):
    """One token a character (a Unicode code point); `decode(encode(text)) == clean(text)` for the training text."""

    kind: ClassVar[str] = "character"

    @classmethod
    def train(cls, text: str) -> "CharacterTokenizer":
        """The vocabulary of a text: its characters in the order of their code points."""
        return cls(sorted(set(clean(text))))

    def decode(self, ids: Iterable[int]) -> str:
        """The characters, joined."""
        return "".join(map(self.token, ids))

    def writer(self) -> Callable[[int, bool], str]:
        """Takes one id after the other and gives its character."""
        return lambda index, _last: self.token(index)


class BPETokenizer:
    """Byte-pair pieces (Sennrich et al., 2016) over UTF-8 bytes, by the `tokenizers` library.

    All 256 bytes are in every vocabulary, so nothing is unknown and `decode(encode(text)) == clean(text)` for any text.
    """

    kind: ClassVar[str] = "bpe"

    def __init__(self, library: HFTokenizer, version: int = VERSION) -> None:
        self._library = library
        self.version = version
        # The library writes bytes as printable stand-ins; GPT-2's table turns them back.
        byte_of = {char: byte for byte, char in _gpt2_byte_table().items()}
        self._bytes_of = {index: bytes(byte_of[char] for char in piece) for piece, index in library.get_vocab().items()}

    @classmethod
    def train(cls, text: str, d_vocab: int = 512) -> "BPETokenizer":
        """Learn up to `d_vocab` pieces (at least the 256 bytes) from a text; of a long one, from stretches all over it.

        The library takes a minute for a million letters that hardly repeat, and a part tells which pieces are common.
        """
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
        library.train_from_iterator(islice(pieces, 0, None, 1 + len(text) // LEARNED_FROM), trainer)
        return cls(library)

    @property
    def d_vocab(self) -> int:
        """How many different pieces there are."""
        return int(self._library.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Ids of the text."""
        # As a batch, because the library holds up all other threads while it reads one text by itself.
        return list(self._library.encode_batch_fast([self._clean(text)], add_special_tokens=False)[0].ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; bytes that are no UTF-8 become the replacement character."""
        return self._bytes(ids).decode("utf-8", errors="replace")

    def writer(self) -> Callable[[int, bool], str]:
        """Takes one id after the other and gives the characters that it completes."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda index, last: decoder.decode(self._bytes([index]), last)

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
        return json.dumps({"kind": self.kind, "version": self.version, "library": self._library.to_str()})

    def with_unknown(self) -> "BPETokenizer":
        """Itself: nothing is unknown."""
        return self

    def _clean(self, text: str) -> str:
        return clean(text) if self.version > 1 else clean_ends(text)

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
    version = data.get("version", 1)
    if data["kind"] == "bpe":
        return BPETokenizer(HFTokenizer.from_str(data["library"]), version)
    if data["kind"] == "character":
        return CharacterTokenizer(data["tokens"], version)
    spacing = Spacing.from_lists(data["spacing"]) if "spacing" in data else ENGLISH
    return WordTokenizer(data["tokens"], version, spacing)
