"""Bytes to text: which encoding a file has, and what could not be read in it."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from charset_normalizer import from_bytes

# Python's names, as the page calls them. Where two read a file equally well, the earlier one is taken.
ENCODINGS = {
    "utf_8": "UTF-8",
    "utf_16_le": "UTF-16",
    "utf_16_be": "UTF-16, big-endian",
    "utf_32_le": "UTF-32",
    "utf_32_be": "UTF-32, big-endian",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "iso8859_2": "ISO-8859-2 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "koi8_u": "KOI8 (Cyrillic)",  # All of KOI8-R's letters, and the Ukrainian ones.
    "iso8859_5": "ISO-8859-5 (Cyrillic)",
    "cp866": "DOS 866 (Cyrillic)",
    "cp932": "Shift-JIS (Japanese)",
    "euc_jp": "EUC (Japanese)",
    "iso2022_jp": "ISO-2022 (Japanese)",
    "gb18030": "GBK (Chinese)",  # Holds GBK and GB2312.
    "big5hkscs": "Big5 (Chinese)",
    "cp949": "EUC (Korean)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "iso8859_6": "ISO-8859-6 (Arabic)",
    "cp1257": "Windows-1257 (Baltic)",
    "cp874": "Windows-874 (Thai)",
    "cp1258": "Windows-1258 (Vietnamese)",
    "mac_roman": "Macintosh (Western Europe)",
    "cp850": "DOS 850 (Western Europe)",
}
_MARKS = (
    (b"\xef\xbb\xbf", "utf_8"),
    (b"\xff\xfe\x00\x00", "utf_32_le"),  # Before UTF-16, whose mark it begins with.
    (b"\x00\x00\xfe\xff", "utf_32_be"),
    (b"\xff\xfe", "utf_16_le"),
    (b"\xfe\xff", "utf_16_be"),
)
# The letters beyond a to z of one language each, with the signs that its writers use: a page of prose keeps to one.
_ALPHABETS = tuple(
    frozenset(letters + letters.upper() + "«»„“”\u201a‘’–—…·•§°©®€£¿¡ªº№")
    for letters in (
        *("äöüßé", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "àèéìíîòóùú", "àáâãçéêíóôõúü", "àçéèíïóòúü", "áéëèïóöüĳ", "æåøéèóô"),
        *("äåöéü", "áæéíðóöúýþ", "õäöüšž", "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű"),
        *("čćđšž", "ăâîșțşţ", "çğ\u0131iİöşüâîû", "āčēģīķļņšūž", "ąčęėįšųūž", "ëç"),
    )
)
_SAMPLE = 60_000  # bytes; to guess from more takes long and finds no more
_GUESSED = tuple(name for name in ENCODINGS if not name.startswith("utf"))


@dataclass(frozen=True)
class Decoded:
    """A text, the encoding it was read in (a key of ENCODINGS), and whether that was a guess.

    unreadable: in how many places the bytes were no letters; each shows as one �.
    """

    text: str
    encoding: str
    guessed: bool
    unreadable: int


def decode(data: bytes, encoding: str | None = None) -> Decoded | None:
    """The text of these bytes, in the encoding named, else in the one that fits best; None if no text is in them."""
    if encoding:
        return _decoded(data, encoding, guessed=True)
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return _text_only(_decoded(data[len(mark) :], marked, guessed=False))
    if b"\x00" in data[:_SAMPLE]:
        wide = _wide(data)
        return _text_only(_decoded(data, wide, guessed=True)) if wide else None
    if b"\x1b$" in data[:_SAMPLE] and data.isascii():
        return _text_only(_decoded(data, "iso2022_jp", guessed=True))
    told = _decoded(data, "utf_8", guessed=False)
    if not told.unreadable or _mostly_utf_8(data, told):
        return _text_only(told)
    # Chinese or Japanese without a space or a line end has no zero byte in UTF-16 either.
    for guess in (_guess, _wide):
        name = guess(data[:_SAMPLE])
        found = _text_only(_decoded(data, name, guessed=True)) if name else None
        if found:
            return found
    return None


def _decoded(data: bytes, encoding: str, guessed: bool) -> Decoded:
    """Whatever cannot be read becomes �, one for each run of such bytes."""
    if encoding == "utf_8":
        # Each bad byte becomes a lone surrogate, which nothing else does: so what was bad can be told from a real �.
        text, unreadable = re.subn("[\udc80-\udcff]+", "\ufffd", data.decode("utf-8", errors="surrogateescape"))
        return Decoded(text, encoding, guessed or bool(unreadable), unreadable)
    text = data.decode(encoding, errors="replace")
    text, unreadable = re.subn("\ufffd+", "\ufffd", text)
    return Decoded(text, encoding, guessed, unreadable)


def _text_only(found: Decoded) -> Decoded | None:
    """None where too much of it is no text: pictures, programs, sounds."""
    head = found.text[:10_000]
    odd = sum(1 for char in head if char == "\ufffd" or unicodedata.category(char) in ("Cn", "Co") or _control(char))
    return found if odd <= len(head) / 50 else None


def _control(char: str) -> bool:
    return unicodedata.category(char) == "Cc" and char not in "\t\n\r\f\x1b\x85"


def _mostly_utf_8(data: bytes, told: Decoded) -> bool:
    """Whether a few bad bytes stand in what is UTF-8: in another encoding, its letters of several bytes are chance."""
    good = len(data.decode("utf-8", errors="ignore").encode()) - sum(byte < 128 for byte in data)
    bad = len(re.findall("[\udc80-\udcff]", data.decode("utf-8", errors="surrogateescape")))
    return good >= 4 * bad and told.unreadable <= max(3, len(told.text) / 50)


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, where the bytes say so."""
    sample = data[:_SAMPLE]
    if len(sample) < 4:
        return None
    for name, top in (("utf_32_le", sample[3::4]), ("utf_32_be", sample[0::4])):
        if not any(top) and _readable(sample[: len(sample) // 4 * 4], name):
            return name
    sample = sample[: len(sample) // 2 * 2]
    counts = [sample[start::2].count(0) for start in (0, 1)]
    names = ["utf_16_be", "utf_16_le"] if counts[0] > counts[1] else ["utf_16_le", "utf_16_be"]
    scores = {name: _oddness(sample.decode(name, errors="replace")) for name in names}
    best = min(names, key=lambda name: scores[name])
    return best if scores[best] < 0.05 else None


def _readable(sample: bytes, encoding: str) -> bool:
    try:
        return _oddness(sample.decode(encoding)) < 0.05
    except UnicodeDecodeError:
        return False


def _oddness(text: str) -> float:
    """The share of signs that no text holds, or that stand in a script of their own among others' letters."""
    scripts: dict[int, int] = {}
    odd = 0
    for char in text:
        if char == "\ufffd" or unicodedata.category(char) in ("Cn", "Co", "Cs") or _control(char):
            odd += 1
        elif char > "\x7f" and not "\u3000" <= char <= "\u9fff" and not "\uac00" <= char <= "\ud7a3":
            scripts[ord(char) >> 8] = scripts.get(ord(char) >> 8, 0) + 1
    # A text read with its bytes in the wrong order has letters from everywhere; a real one keeps to a few blocks.
    strays = sum(count for count in scripts.values()) - sum(sorted(scripts.values(), reverse=True)[:4])
    return (odd + strays) / max(1, len(text))


def _guess(sample: bytes) -> str | None:
    """The encoding that reads these bytes most like a text, of those that people have."""
    matches = from_bytes(sample, cp_isolation=list(_GUESSED), threshold=0.5, enable_fallback=False)
    found = {same.encoding: same for match in matches for same in (match, *match.submatch)}
    best: str | None = None
    least = 1.0
    for place, name in enumerate(_GUESSED):
        text = _strict(sample, name)
        if text is None:
            continue
        match = found.get(name)
        cost = _implausible(text) + _foreign(text) + 0.0005 * place
        cost += match.chaos - 0.25 * match.coherence if match else 0.15
        if cost < least:
            best, least = name, cost
    return best


def _strict(sample: bytes, encoding: str) -> str | None:
    """The sample in an encoding; a letter that was cut off at its end does not count."""
    for cut in range(4):
        try:
            return sample[: len(sample) - cut].decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(sample) - 4:
                return None
    return None


_WORD = re.compile(r"\S*[^\x00-\x7f]\S*")


def _implausible(text: str) -> float:
    """Signs that stand where no writer puts them, for each one that is not ASCII."""
    beyond = sum(char > "\x7f" for char in text)
    return sum(map(_faults, _WORD.findall(text))) / max(1, beyond)


def _foreign(text: str) -> float:
    """The share of Latin letters beyond a to z that are not of the one language which most of them are of."""
    latin = Counter(char for char in text if "\x7f" < char < "\u0370" or "\u1e00" <= char < "\u2000")
    strange = min(sum(count for char, count in latin.items() if char not in known) for known in _ALPHABETS)
    return strange / max(1, sum(char > "\x7f" for char in text))


def _faults(word: str) -> int:
    faults = 0
    for left, right in pairwise(word):
        risen = unicodedata.category(left) == "Ll" and unicodedata.category(right) == "Lu"
        faults += risen or 0 != _script(left) != _script(right) != 0
    for index, char in enumerate(word):
        if char <= "\x7f":
            continue
        category = unicodedata.category(char)
        inside = 0 < index < len(word) - 1 and word[index - 1].isalpha() and word[index + 1].isalpha()
        drawn = "\u2500" <= char <= "\u259f" or "\uff61" <= char <= "\uff9f"  # boxes, half-wide katakana
        sign = inside and category[0] in "SNP" and char not in "’‘·\u2010\u2011–—…"
        faults += category in ("Cc", "Cn", "Co") or drawn or sign
    return faults


def _script(char: str) -> int:
    """Roughly: which alphabet a letter is of; 0 for what goes with all."""
    if not char.isalpha() or char in "ªº":
        return 0
    code = ord(char)
    bounds = (0x250, 0x370, 0x400, 0x530, 0x590, 0x600, 0x700, 0xE00, 0xE80, 0x1E00, 0x2000, 0x3000, 0x10000)
    place = next((i for i, bound in enumerate(bounds, start=1) if code < bound), 99)
    return 1 if place == 11 else place
