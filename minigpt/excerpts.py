"""Stretches of a text that read back as they were split: what is offered as a prompt, and what a film is of.

Not every stretch of ids does. Pieces of bytes may begin inside a sign, a letter may stand without the marks that belong
to it, and pieces may be cut in another way where the text before them is missing.
"""

import unicodedata

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.tokenizer import Tokenizer

USUAL_TOKENS = {"word": 4, "character": 12, "bpe": 6}
REACH = 240  # how many tokens on from where it was asked for a stretch may begin
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
REPLACED = "\ufffd"


def place_of(ids: Int[Tensor, " seq"], wanted: list[int]) -> int | None:
    """Where these ids stand in this order for the first time."""
    if not 0 < len(wanted) <= len(ids):
        return None
    found = (ids.unfold(0, len(wanted), 1) == torch.tensor(wanted)).all(dim=1).nonzero()
    return int(found[0]) if len(found) else None


def stretch(
    ids: Int[Tensor, " seq"], tokenizer: Tokenizer, start: int, n_tokens: int, well_begun: bool = False
) -> list[int]:
    """About `n_tokens` ids, from `start` or soon after, that the tokenizer makes of their own text again.

    They are whole signs, none unknown and not all blank. `well_begun`: rather at the beginning of a line or a word, and
    words rather within one line. Empty where there is no such stretch within reach.
    """
    near = ids[max(0, start - 1) : start + REACH + n_tokens + 2].tolist()
    offset = start - max(0, start - 1)
    fallback: list[int] = []
    for first in range(offset, min(len(near), REACH + offset)):
        before = tokenizer.token(near[first - 1]) if first else "\n"
        for length in dict.fromkeys((n_tokens, n_tokens - 1, n_tokens + 1, n_tokens - 2)):
            found = near[first : first + length]
            after = tokenizer.token(near[first + length]) if first + length < len(near) else ""
            if length < 1 or not _reads_back(found, tokenizer, after):
                continue
            if not well_begun or _begins_well(found, tokenizer, before):
                return found
            fallback = fallback or found
            break
    return fallback


def _reads_back(found: list[int], tokenizer: Tokenizer, after: str) -> bool:
    text = tokenizer.decode(found)
    whole = bool(text.strip()) and REPLACED not in text and not _joins(text[0]) and not (after and _joins(after[0]))
    return whole and text[-1] != "\u200d" and not tokenizer.unknown(text) and tokenizer.encode(text) == found


def _joins(sign: str) -> bool:
    """Whether a sign belongs to the one before it."""
    return unicodedata.category(sign).startswith("M") or sign in _JOINERS or "\U0001f3fb" <= sign <= "\U0001f3ff"


def _begins_well(found: list[int], tokenizer: Tokenizer, before: str) -> bool:
    text = tokenizer.decode(found)
    if tokenizer.kind == "word":
        return text[0].isalnum() and "\n" not in text
    a_word = bool(text[0].strip()) and before[-1:].isspace()
    return a_word or (tokenizer.kind == "bpe" and text[0] == " " and bool(text[1:2].strip()))


def prompts_from(ids: Int[Tensor, " seq"], tokenizer: Tokenizer) -> tuple[str, ...]:
    """Up to three beginnings to click: from the start of a text, its middle, and later. Each stands in it as it is."""
    n_tokens = USUAL_TOKENS[tokenizer.kind]
    found = (stretch(ids, tokenizer, len(ids) * part // 4, n_tokens, well_begun=True) for part in (0, 2, 3))
    return tuple(dict.fromkeys(tokenizer.decode(each) for each in found if each))
