"""Documents to text, as a program of its own: `python documents.py KIND < file` prints JSON.

It runs apart from the page, for a bounded time and in bounded memory, because a file can be made to eat both. Nothing
in a document is ever run or fetched: no macro, no script, no entity, no link. It imports no other part of miniGPT.
"""

import io
import json
import re
import sys
import warnings
import zipfile
from typing import Any

MEMORY = 2 << 30  # bytes
MAX_UNPACKED = 100 << 20  # bytes; a zip bomb unpacks to far more
BLOCKS = re.compile(
    "address|article|aside|blockquote|body|br|caption|d[dlt]|details|div|fieldset|figcaption|figure|footer|form|h[1-6r]"
    "|header|li|main|nav|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
UNSEEN = ["script", "style", "template", "noscript", "head", "svg", "iframe", "object"]


def of_html(data: bytes) -> tuple[str, str]:
    """What a reader of the page sees, a line for each paragraph; data: UTF-8."""
    from bs4 import BeautifulSoup, Comment

    warnings.simplefilter("ignore")
    page = BeautifulSoup(data.decode("utf-8", errors="replace"), "lxml")
    for node in page.find_all(string=lambda text: isinstance(text, Comment)):
        node.extract()
    for tag in page.find_all(UNSEEN):
        tag.decompose()
    n_tags = len(page.find_all(True))
    for text in page.find_all(string=re.compile(r"\s")):
        if not text.find_parent("pre"):
            text.replace_with(re.sub(r"\s+", " ", text))
    for tag in page.find_all(lambda tag: bool(BLOCKS.fullmatch(tag.name))):
        if tag.name == "td" or tag.name == "th":
            tag.append("\t")
        else:
            tag.insert_before("\n")
            tag.insert_after("\n")
    return _tidy(page.get_text()), f"Left out: the markup of a web page, {n_tags:,} elements."


def of_rtf(data: bytes) -> tuple[str, str]:
    """The text of a Rich Text file."""
    from striprtf.striprtf import rtf_to_text

    text: str = rtf_to_text(data.decode("cp1252", errors="replace"), errors="replace")  # type: ignore[no-untyped-call]
    return _tidy(text), "Left out: how it is set."


def of_docx(data: bytes) -> tuple[str, str]:
    """Paragraphs and tables of a Word file in their order; what was deleted in it stays deleted."""
    import docx

    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        if sum(part.file_size for part in packed.infolist()) > MAX_UNPACKED:
            raise Refused("it is damaged")
        notes = [name for name in ("footnotes", "endnotes", "comments") if f"word/{name}.xml" in packed.namelist()]
        pictures = any(name.startswith("word/media/") for name in packed.namelist())
    # Opening reads no more than the parts; python-docx lets lxml resolve no entity and ask for nothing.
    body = docx.Document(io.BytesIO(data)).element.body
    space = body.nsmap["w"]
    name = {tag: f"{{{space}}}{tag}" for tag in ("p", "t", "tab", "br", "cr", "noBreakHyphen", "tc", "tr", "moveFrom")}
    seen: list[str] = []

    def walk(node: Any) -> None:
        for child in node:
            tag = child.tag
            if tag == name["moveFrom"] or (isinstance(tag, str) and tag.endswith("}Fallback")):
                continue
            if tag == name["t"]:
                seen.append(child.text or "")
            elif tag == name["tab"] and node.tag != f"{{{space}}}tabs":
                seen.append("\t")
            elif tag in (name["br"], name["cr"]):
                seen.append("\n")
            elif tag == name["noBreakHyphen"]:
                seen.append("-")
            else:
                walk(child)
                if tag in (name["p"], name["tr"]):
                    seen.append("\n")
                elif tag == name["tc"]:
                    while seen and seen[-1] == "\n":
                        seen.pop()
                    seen.append("\t")

    walk(body)
    lines = [line.rstrip("\t") for line in "".join(seen).split("\n")]
    left_out = ", ".join([*(["pictures"] if pictures else []), *notes])
    return _tidy("\n".join(lines)), f"Left out: {left_out}." if left_out else ""


def of_pdf(data: bytes) -> tuple[str, str]:
    """The letters of a PDF, page by page; words that were split at a line's end are joined."""
    import logging

    import pypdf

    logging.disable(logging.CRITICAL)
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        try:
            opened = bool(reader.decrypt(""))
        except Exception:
            opened = False
        if not opened:
            raise Refused("it is locked with a password")
    text = "\n".join(page.extract_text() for page in reader.pages)
    if sum(map(str.isalpha, text)) < 3 * len(reader.pages):
        raise Refused("it holds pictures of pages and no letters")
    for ligature, letters in zip("ﬀﬁﬂﬃﬄﬅﬆ", ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True):
        text = text.replace(ligature, letters)
    text, joined = re.subn(r"(?<=[^\W\d_])[-\u00ad\u2010]\n(?=[^\W\d_])(?=[a-zà-öø-ÿ\u0430-\u044f])", "", text)
    return _tidy(text), f"Changed: {joined:,} words that were split at the end of a line are joined." if joined else ""


class Refused(Exception):
    """Why a document has no text, as the end of a sentence that begins with its name."""


def _tidy(text: str) -> str:
    """No spaces at the ends of lines, at most one empty line at a time."""
    lines = (line.strip(" ").rstrip() for line in text.replace("\r\n", "\n").replace("\xa0", " ").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


KINDS = {"html": of_html, "rtf": of_rtf, "docx": of_docx, "pdf": of_pdf}


def _main() -> None:
    try:
        import resource  # Windows has none: there only the time is bounded.

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except ImportError:
        pass
    sys.setrecursionlimit(5000)
    try:
        text, note = KINDS[sys.argv[1]](sys.stdin.buffer.read())
        told = {"text": text, "note": note}
    except Refused as error:
        told = {"refused": str(error)}
    except ImportError:
        told = {"refused": "no library"}
    except (Exception, MemoryError):  # Whatever the libraries make of a broken file.
        told = {"refused": "it is damaged"}
    sys.stdout.buffer.write(json.dumps(told).encode())


if __name__ == "__main__":
    _main()
