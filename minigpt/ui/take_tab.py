"""A tab of panel 4: patterns as files, the text, and for each view the lines of Python that make it again."""

import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any

import gradio as gr

from minigpt.ui import door, words
from minigpt.ui.explorer import Exploration, Explorer, Selection
from minigpt.ui.exports import MAX_ROWS, n_rows, write_csv, write_npz
from minigpt.ui.fragment import Fragment, Node, h
from minigpt.ui.snippets import TEXT_FILE, Snippet, model, snippets
from minigpt.ui.wires import Parts, Wires

MAX_KEPT = 8
NOTE = (
    "Pictures: point at a figure, or move the focus into it, and save it as PNG or SVG. "
    "In the CSV a token that a spreadsheet would take for a formula, or that begins with an apostrophe, has an "
    "apostrophe before it; cells behind the causal mask are left out."
)


class TakeTab:
    """Take it along. Its files live in a folder of their own, the newest few, and go with the server.

    What is offered is copied by Gradio into its cache, which the page's `delete_cache` empties.
    """

    name, title = "take", "Take it along"
    outputs: tuple[str, ...] = ("take_message", "take_npz", "take_csv", "take_text", "take_code")

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._folder = Path(tempfile.mkdtemp(prefix="minigpt-take-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._kept: OrderedDict[str, tuple[str | None, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def build(self) -> Parts:
        """Three files to download, and programs to copy."""
        parts: Parts = {"take_message": Fragment(elem_id="take-message")}
        with gr.Row(elem_id="take-files"):
            parts["take_npz"] = gr.DownloadButton("Patterns, NPZ", size="sm", elem_id="take-npz")
            parts["take_csv"] = gr.DownloadButton("Patterns, CSV", size="sm", elem_id="take-csv")
            parts["take_text"] = gr.DownloadButton(f"The text, {TEXT_FILE}", size="sm", elem_id="take-text")
        Fragment([h("p", NOTE, cls="mg-note")])
        parts["take_code"] = Fragment(elem_id="take-code")
        return parts

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """Files of an exploration, and programs for the head and the token that are chosen."""
        runs = self._explorer.runs
        progress, error = door.shown(runs.progress, exploration.run)
        if progress is None:
            return [words.message(error, "warn"), *[gr.skip()] * (len(self.outputs) - 1)]
        npz, rows, text = self._files(exploration, selection.key)
        first = Snippet("First, the same model", model(exploration, progress.settings), "")
        views = snippets(exploration, selection, progress.settings)
        shown = h("div", program(first)), h("div", *map(program, views))
        label = "Patterns, CSV" if rows else f"Patterns, CSV: {n_rows(exploration.view):,} rows are too many, take NPZ"
        offered = gr.update(value=rows, label=label, interactive=rows is not None)
        return [[], npz, offered, text, [h("div", *shown, cls="mg-programs")]]

    def wire(self, wires: Wires) -> None:
        """Nothing here answers: the files are ready, and the browser copies."""

    def _files(self, exploration: Exploration, key: str) -> tuple[str | None, ...]:
        """NPZ, CSV (None where it would be too long) and text, written once for each exploration."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._written(exploration)
                while len(self._kept) > MAX_KEPT:
                    _, (old, *_) = self._kept.popitem(last=False)
                    shutil.rmtree(Path(str(old)).parent, ignore_errors=True)
            self._kept.move_to_end(key)
            return self._kept[key]

    def _written(self, exploration: Exploration) -> tuple[str | None, ...]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        name = f"minigpt-patterns-step-{exploration.step}"
        npz, rows, text = folder / f"{name}.npz", folder / f"{name}.csv", folder / TEXT_FILE
        write_npz(npz, exploration.view, exploration.step)
        fits = n_rows(exploration.view) <= MAX_ROWS
        if fits:
            write_csv(rows, exploration.view)
        text.write_text(self._explorer.runs.text(exploration.run), encoding="utf-8", newline="")
        return str(npz), str(rows) if fits else None, str(text)


def program(snippet: Snippet) -> Node:
    """The lines of a view, and a button that copies the whole program."""
    button = h(
        "button",
        "Copy",
        type="button",
        cls="mg-copy",
        title="Copies these lines" if not snippet.program else "Copies the model's lines and these",
        aria_label=f"Copy the Python for: {snippet.title}",
        data_text=snippet.program or snippet.own,
    )
    lines = h("pre", h("code", snippet.own.rstrip("\n")), tabindex="0", aria_label=f"Python: {snippet.title}")
    return h("section", h("header", h("h3", snippet.title), button), lines, cls="mg-program")
