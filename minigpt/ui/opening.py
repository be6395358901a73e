"""Opening a file: by the button, or dropped on the box; what was read in it, in which encoding, and the way back."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from minigpt.files import ENCODINGS, FileText, read_file
from minigpt.ui import door
from minigpt.ui.fragment import Fragment, Node, h
from minigpt.ui.handlers import NO_REFUSAL
from minigpt.ui.wires import EACH, Parts, Wires

Update = Any
GONE = "That file is not here any more. Open it again."


@dataclass(frozen=True)
class Opened:
    """A file whose text is in the box, and the text that was there before."""

    path: str
    file: FileText
    before: str
    raw: bool = False

    @property
    def text(self) -> str:
        """What it puts into the box; ValueError where that is longer than fits."""
        return door.text_of(self.file.as_it_is if self.raw else self.file.text)


def build() -> Parts:
    """The line about the file, and the choice of another encoding; both hidden until a file was opened."""
    choices = [(name, encoding) for encoding, name in ENCODINGS.items()]
    return {
        "file_note": Fragment(elem_id="file-note"),
        "encoding": gr.Dropdown(choices, label="Read as", visible=False, filterable=False, elem_id="encoding"),
        "opened": gr.State(None),
    }


def wire(wires: Wires) -> None:
    """Who answers when a file comes, is read anew, is taken back, or gives way to another text."""
    shown = "text refused opened file_note encoding"  # Whose text it is, and its settings, follow from the text.
    wires.on("upload open_file", open_file, "open_file text", shown)
    wires.on(
        "input encoding", read_as, "encoding opened text", shown, js="(value, ...rest) => [mgPicked(value), ...rest]"
    )
    wires.on("select file_note", undo, "opened text", shown)
    wires.on("change text", left, "text opened", "opened file_note encoding", **EACH)


def open_file(path: str, at_hand: str) -> list[Update]:
    """The text of a file, or the reason why it has none; then the text at hand stays, and `describe` says why."""
    return _read(path, None, at_hand, at_hand)


def read_as(encoding: str | None, opened: Opened | None, at_hand: str) -> list[Update]:
    """The same file in another encoding. None is no choice."""
    if encoding not in ENCODINGS or opened is None:
        return [gr.skip()] * 5
    return _read(opened.path, encoding, opened.before, at_hand)


def undo(opened: Opened | None, at_hand: str) -> list[Update]:
    """First takes back what was left out, then the opening."""
    if opened is None:
        return [gr.skip()] * 5
    if not opened.raw and opened.file.note and opened.file.as_it_is:
        return _show(replace(opened, raw=True), at_hand)
    return [opened.before, NO_REFUSAL, None, [], gr.update(visible=False)]


def left(text: str, opened: Opened | None) -> list[Update]:
    """The line about a file goes with its text. News of the text before may come late, when the file is there."""
    if opened is None or opened.text == text or (text and opened.before == text):
        return [gr.skip()] * 3
    return [None, [], gr.update(visible=False)]


def _read(path: str, encoding: str | None, before: str, at_hand: str) -> list[Update]:
    def read() -> Opened:
        file = Path(path)
        if not file.is_file():
            raise ValueError(GONE)
        return Opened(path, read_file(file.name, file.read_bytes(), encoding), before)

    opened, error = door.shown(read)
    return _show(opened, at_hand) if opened else _refused(error, at_hand)


def _show(opened: Opened, at_hand: str) -> list[Update]:
    text, error = door.shown(lambda: opened.text)
    if text is None:
        return _refused(error, at_hand)
    choice = gr.update(visible=bool(opened.file.guessed), value=opened.file.encoding or None)
    return [text, NO_REFUSAL, opened, note(opened), choice]


def _refused(error: str, at_hand: str) -> list[Update]:
    return [gr.skip(), (at_hand, error), *[gr.skip()] * 3]


def note(opened: Opened) -> list[Node]:
    """How the file was read, what could not be, and what was left out; with a button that takes it back."""
    name, file = Path(opened.path).name, opened.file
    said = [f"“{name}”, as it is in the file." if opened.raw else f"“{name}” is open."]
    if file.encoding:
        said = [f"“{name}”, as it is in the file, read as {ENCODINGS[file.encoding]}." if opened.raw
                else f"“{name}”, read as {ENCODINGS[file.encoding]}."]  # fmt: skip
    if file.unreadable == 1:
        said.append("One place could not be read and shows as �.")
    elif file.unreadable:
        said.append(f"{file.unreadable:,} places could not be read and show as �.")
    if file.note and not opened.raw:
        said.append(file.note)
    # Each sentence is looked up by itself in the reader's language.
    parts = [h("span", sentence, " ") for sentence in said]
    return [h("p", *parts, h("button", "Undo", type="button", data_index="0", cls="mg-link"), cls="mg-note")]
