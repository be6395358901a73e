"""Tokens as labels. A token can be any text, so every one passes through here before it is drawn.

    for_page("a\\n")              -> "a↵"              for plain text in the page
    for_plotly("<b>\\t")          -> "&lt;b&gt;⇥"      for Plotly, which reads some HTML and TeX

Both cut long tokens and show what has no shape of its own, so that no two cells of a figure look empty for
different reasons and no token can reorder or hide its neighbours.
"""

import unicodedata

AXIS_COLUMNS = 10
HOVER_COLUMNS = 60

EMPTY = "∅"
HIDDEN = "◦"  # Zero-width characters and the marks that turn the direction of writing.
_SHAPES = {"\n": "↵", "\r": "␍", "\t": "⇥", "\x7f": "␡", "\x85": "↵", "\u2028": "↵", "\u2029": "↵", "\xa0": "⍽"}
# Letters and marks to Unicode, blank on every screen.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "$": "&#36;",  # A pair of $ becomes a formula as soon as some script brings MathJax.
        "#": "&#35;",  # The page swaps strings that equal a colour: the token #FFFFFF is no colour.
    }
)


def for_page(token: str, columns: int = AXIS_COLUMNS) -> str:
    """`token` as it can be read, at most `columns` wide, for plain text nodes (never as HTML).

    A letter is one column wide, an emoji or a Chinese sign two. Whatever is cut off leaves an ellipsis.
    """
    # Far beyond what can show, yet bounded: a token may be a megabyte long.
    shown = "".join(_shape(token, i) for i in range(min(len(token), 4 * columns + 4)))
    if not shown:
        return EMPTY
    if unicodedata.combining(shown[0]) or unicodedata.category(shown[0]) == "Mn":
        shown = "◌" + shown  # An accent needs something to stand on.
    return _cut(shown, columns)


def for_plotly(token: str, columns: int = AXIS_COLUMNS) -> str:
    """`token` as `for_page` shows it, safe in Plotly's labels, annotations and hover data: it shows literally."""
    return for_page(token, columns).translate(_ESCAPES)


def quoted(token: str) -> str:
    """`token` in quotation marks for a sentence in Plotly, nearly in full.

    Isolated, so that an Arabic token keeps its own direction without turning the sentence around.
    """
    return f"“\u2068{for_plotly(token, HOVER_COLUMNS)}\u2069”"


def width(label: str) -> int:
    """How many columns of a fixed-width font `label` takes (before any escaping)."""
    return sum(_columns(character) for character in label)


def number(value: float) -> str:
    """A share from 0 to 1 as figures show it: two decimals, three below .01."""
    if value >= 0.01:
        return f"{value:.2f}"
    if 0 < value < 0.0005:
        return "&lt;0.001"
    return f"{value:.3f}" if value else "0"


def times(value: float) -> str:
    """How many times chance a share is, as figures show it: one decimal."""
    return "&lt;0.1" if 0 < value < 0.05 else f"{value:.1f}" if value else "0"


def _shape(token: str, index: int) -> str:
    """What the character at `index` is shown as."""
    character = token[index]
    if character in _SHAPES:
        return _SHAPES[character]
    if character < " ":
        return chr(0x2400 + ord(character))  # Unicode draws every control character: ␀ ␁ ␂ and so on.
    if character in _BLANK:
        return HIDDEN
    category = unicodedata.category(character)
    if category == "Zs":
        return "␣"
    if category in ("Cc", "Cs"):
        return "\ufffd"  # A lone surrogate cannot be sent as UTF-8 at all.
    if category == "Cf":
        return character if _joins(token, index) else HIDDEN
    return character


def _joins(token: str, index: int) -> bool:
    """Whether the character holds an emoji together or shapes Arabic or Indic letters, where it belongs."""
    if token[index] not in _JOINERS or not 0 < index < len(token) - 1:
        return False
    return all(
        ord(token[i]) > 0x2FF and unicodedata.category(token[i]) not in ("Cf", "Cs") for i in (index - 1, index + 1)
    )


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(label: str, columns: int) -> str:
    """At most `columns` columns and four times as many characters, accents included."""
    if width(label) <= columns and len(label) <= 4 * columns:
        return label
    kept, used = "", 0
    for character in label[: 4 * columns - 1]:
        used += _columns(character)
        if used > columns - 1:
            break
        kept += character
    return kept.rstrip("\u200c\u200d") + "…"
