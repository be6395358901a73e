"""The files of the tab: beside no run, few at a time, and gone with the page."""

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_explorer import exploration

from minigpt.runs import RunSettings
from minigpt.ui import take_tab
from minigpt.ui.explorer import Explorer, Selection


def tab() -> take_tab.TakeTab:
    progress = SimpleNamespace(settings=RunSettings())
    runs: Any = SimpleNamespace(progress=lambda _: progress, text=lambda _: "a\r\nb “ü”")
    return take_tab.TakeTab(Explorer(runs))


def test_files_are_written_once_kept_few_and_go_with_the_page() -> None:
    shown, taken = exploration("the old king"), tab()
    _, npz, rows, text, _ = taken.show(shown, Selection("key 0"))
    assert taken.show(shown, Selection("key 0", head=1))[1:4] == [npz, rows, text]
    assert Path(text).read_bytes().decode() == "a\r\nb “ü”"
    folder = Path(npz).parent.parent
    for index in range(1, 2 * take_tab.MAX_KEPT):
        taken.show(shown, Selection(f"key {index}"))
    assert len(list(folder.iterdir())) == take_tab.MAX_KEPT
    assert not Path(npz).exists()
    del taken
    gc.collect()
    assert not folder.exists()


def test_a_csv_of_too_many_rows_is_not_written_and_the_button_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_tab, "MAX_ROWS", 10)
    taken = tab()
    _, npz, rows, _, _ = taken.show(exploration("the old king"), Selection("key"))
    assert Path(npz).exists()
    assert (rows["value"], rows["interactive"]) == (None, False)
    assert rows["label"] == "Patterns, CSV: 144 rows are too many, take NPZ"


def test_a_run_that_is_gone_is_told() -> None:
    def gone(_: str) -> None:
        raise ValueError("This run is not here any more.")

    runs: Any = SimpleNamespace(progress=gone)
    message, *rest = take_tab.TakeTab(Explorer(runs)).show(exploration("the old king"), Selection("key"))
    assert "not here any more" in str(message)
    assert len(rest) == 4
