"""What is in a file: bytes in, a text out, with a sentence for whatever was guessed, left out or changed."""

import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from minigpt.files import documents
from minigpt.files.decoding import ENCODINGS, Decoded, decode
from minigpt.files.transcripts import transcript

MAX_BYTES = 12_000_000
SECONDS = 30  # for the longest document that fits

__all__ = ["ENCODINGS", "MAX_BYTES", "FileText", "read_file"]

_UNKNOWN = "is not a text file. Open a .txt, .docx, .pdf or .html file, or paste the text into the box."
_WHAT_TO_DO = {
    "it is locked with a password": "is locked with a password. Save a copy without one and open that.",
    "it holds pictures of pages and no letters": "holds pictures of pages and no letters. Let a program for text "
    "recognition (OCR) read it first.",
    "no library": "cannot be read here, because a library is missing. Save it as text and open that.",
    "it is damaged": "is damaged or of an unusual kind. Open it in its own program, save it as text, and open that.",
}
_PACKED = {
    "word/": "docx",
    "xl/": "is a spreadsheet. Save it as CSV and open that.",
    "ppt/": "holds slides. Save them as PDF or as text and open that.",
    "content.xml": "is an OpenDocument file. Save it as .docx or .txt and open that.",
    "META-INF/container.xml": "is an e-book. Save it as .txt or .html, for instance with Calibre, and open that.",
}
_OLD_OFFICE = "is of an old kind of Office file. Save it as .docx or .txt and open that."


@dataclass(frozen=True)
class FileText:
    """The text of a file, and how it was come by.

    kind: "text", "html", "rtf", "docx", "pdf" or "transcript". encoding: a key of ENCODINGS, "" for documents.
    guessed: whether the encoding is a guess. note: what was left out or changed, "" for nothing.
    as_it_is: the text with nothing left out; "" where a document has none.
    """

    text: str
    kind: str
    encoding: str = ""
    guessed: bool = False
    unreadable: int = 0
    note: str = ""
    as_it_is: str = ""


def read_file(name: str, data: bytes, encoding: str | None = None) -> FileText:
    """The text in the bytes of a file; ValueError, with its name and what to do, where it has none.

    encoding: a key of ENCODINGS, to read a plain text in another one than it seems to have.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"“{name}” is too large: {MAX_BYTES // 1_000_000} MB fit. Open a shorter file.")
    if b"%PDF-" in data[:1024]:
        return _document(name, "pdf", data)
    if data.startswith(b"PK\x03\x04"):
        return _document(name, _packed(name, data), data)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ValueError(f"“{name}” {_OLD_OFFICE}")
    if data.startswith(b"{\\rtf"):
        return _document(name, "rtf", data)
    found = decode(data, encoding or _told(name, data))
    if found is None:
        raise ValueError(f"“{name}” {_UNKNOWN}")
    text = found.text.replace("\r\n", "\n").replace("\r", "\n")
    if _is_html(name, text):
        return _from(found, text, "html", _document(name, "html", text.encode("utf-8", errors="replace")))
    said = transcript(text)
    return _from(found, text, "transcript" if said else "text", FileText(*said[:1], "", note=said[1]) if said else None)


def _from(found: Decoded, text: str, kind: str, made: FileText | None) -> FileText:
    shown, note = (made.text, made.note) if made else (text, "")
    return FileText(shown, kind, found.encoding, found.guessed, found.unreadable, note, text)


def _told(name: str, data: bytes) -> str | None:
    """The encoding that a web page says it has."""
    said = re.search(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", data[:4096], re.IGNORECASE)
    asked = said[1].decode().lower().replace("-", "_") if said and _is_html(name, data[:4096].decode("latin-1")) else ""
    asked = {"iso_8859_1": "cp1252", "windows_1252": "cp1252", "shift_jis": "cp932", "gb2312": "gb18030",
             "gbk": "gb18030", "koi8_r": "koi8_u", "big5": "big5hkscs", "euc_kr": "cp949"}.get(
        asked, asked.replace("windows_", "cp").replace("iso_8859", "iso8859"))  # fmt: skip
    return asked if asked in ENCODINGS and not asked.startswith("utf") else None


def _is_html(name: str, text: str) -> bool:
    head = text[:1000].lstrip("\ufeff \t\r\n").lower()
    named = Path(name).suffix.lower() in (".html", ".htm", ".xhtml") and "<" in head
    return named or head.startswith(("<!doctype html", "<html"))


def _packed(name: str, data: bytes) -> str:
    """The kind of a file that is a zip archive inside; ValueError with what to do for those that are not read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            inside = packed.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        inside = []
    for begin, kind in _PACKED.items():
        if any(part.startswith(begin) for part in inside):
            if kind != "docx":
                raise ValueError(f"“{name}” {kind}")
            return kind
    raise ValueError(
        f"“{name}” {_UNKNOWN}" if not inside else f"“{name}” is an archive. Unpack it and open what is in it."
    )


def _document(name: str, kind: str, data: bytes) -> FileText:
    """The text of a document, read by a program of its own that may take only so long and so much memory."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", documents.__file__, kind],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
        told = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError, ValueError):
        told = {"refused": "it is damaged"}
    if "refused" in told:
        what = _WHAT_TO_DO.get(told["refused"], _WHAT_TO_DO["it is damaged"])
        raise ValueError(f"“{name}” {what}")
    return FileText(told["text"], kind, note=told["note"])
