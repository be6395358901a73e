"""Subtitles and chat exports to what was said: numbers, times and markup go, lines and speakers stay."""

import html
import json
import re
from typing import Any

_CUE = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}")
_TAGS = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
_TIME = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u202f]?[APap]\.?[Mm]\.?)?"
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
# WhatsApp, Signal and their like, then what IRC clients write.
_CHAT = (
    re.compile(rf"^\u200e?(?:\[{_DATE},?\s+{_TIME}\]|{_DATE},?\s+{_TIME}\s+-)\s+(?P<said>[^:\n]{{1,60}}: ?.*)$"),
    re.compile(rf"^\[?(?:{_DATE}[ T])?{_TIME}\]?\s+<[ @+]?(?P<who>[^<>\n]{{1,40}})>\s?(?P<text>.*)$"),
)
_STAMP = re.compile(rf"^\u200e?\[?{_DATE},?\s+{_TIME}\]?")
_WHO = ("from", "sender_name", "author", "sender", "user", "username", "role", "name", "nickname")
_SAID = ("text", "content", "body", "message", "parts")


def transcript(text: str) -> tuple[str, str] | None:
    """What was said in subtitles or a chat export, and a sentence that says what was left out; None for other texts."""
    for kind in (_subtitles, _chat, _json_chat):
        found = kind(text)
        if found and found[0].strip():
            return found
    return None


def _subtitles(text: str) -> tuple[str, str] | None:
    lines = text.split("\n")
    times = [index for index, line in enumerate(lines) if "-->" in line and _CUE.match(line)]
    if not times or times[0] > 40 or 8 * len(times) < sum(bool(line.strip()) for line in lines):
        return None
    kept: list[str] = []
    for start, end in zip(times, [*times[1:], len(lines)], strict=True):
        # A cue ends at an empty line; what follows is the number or the name of the next one.
        for line in lines[start + 1 : end]:
            if not line.strip():
                break
            said = " ".join(html.unescape(_TAGS.sub("", line)).split())
            # Live captions roll: each line comes again with the next cue.
            if said and said not in kept[-2:]:
                kept.append(said)
    return "\n".join(kept) + "\n", f"Left out: the numbers and times of {len(times):,} subtitles."


def _chat(text: str) -> tuple[str, str] | None:
    lines = text.split("\n")
    filled = [line for line in lines if line.strip()]
    for pattern in _CHAT:
        hits = sum(bool(pattern.match(line)) for line in filled)
        # Long messages go on over lines without a stamp.
        if hits < 3 or 3 * hits < len(filled):
            continue
        kept: list[str] = []
        for line in lines:
            found = pattern.match(line)
            if found:
                named = found.groupdict()
                kept.append(named["said"] if "said" in named else f"{named['who']}: {named['text']}")
            elif not _STAMP.match(line):  # Else it is news of the app: who joined, who left.
                kept.append(line)
        return "\n".join(kept), f"Left out: the dates and times of {hits:,} messages."
    return None


def _json_chat(text: str) -> tuple[str, str] | None:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    said: list[str] = []
    waiting: list[Any] = [told]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            line = _message(value)
            if line:
                said.append(line)
            else:
                waiting.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
    if len(said) < 3:
        return None
    return "\n".join(said) + "\n", f"Left out: all but who said what in {len(said):,} messages."


def _message(value: dict[str, Any]) -> str:
    """“Ana: hello” of one message of a chat, "" for what is none."""
    who = next((name for key in _WHO if (name := _name(value.get(key)))), "")
    text = next((words for key in _SAID if (words := _words(value.get(key)))), "")
    return f"{who}: {text}" if who and text else ""


def _name(value: Any) -> str:
    if isinstance(value, dict):
        return next((name for key in _WHO if isinstance(name := value.get(key), str) and name), "")
    return value if isinstance(value, str) else ""


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return next((words for key in _SAID if (words := _words(value.get(key)))), "")
    return "".join(part if isinstance(part, str) else _words(part) for part in value) if isinstance(value, list) else ""
