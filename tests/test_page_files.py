"""A file on the page: opened or dropped, read in its encoding, and what was left out can be had back."""

import re
from pathlib import Path

import pytest
from browsing import LONG
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
CASES = Path(__file__).parent / "cases"
SUBTITLES = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nthe old king saw dog {n}\n\n" for n in range(1, 7))
DROP = """([name, text]) => { const moved = new DataTransfer();
    moved.items.add(new File([text], name, { type: 'text/plain' }));
    const on = { bubbles: true, cancelable: true, dataTransfer: moved };
    const box = document.querySelector('#text textarea');
    box.dispatchEvent(new DragEvent('dragover', on));
    box.dispatchEvent(new DragEvent('drop', on)) }"""


def test_a_file_is_opened_and_dropped_read_anew_and_taken_back(page: Page) -> None:
    box, note = page.locator("#text textarea"), page.locator("#file-note")
    page.set_input_files("input[type=file]", CASES / "09-russian-cp1251.txt")
    expect(box).to_have_value(beginning("Старый король"), timeout=LONG)
    expect(note).to_contain_text("“09-russian-cp1251.txt”, read as Windows-1251 (Cyrillic).")
    expect(page.locator("#lesson input")).to_have_value("Your own text")
    # Not the model of the lesson that was there before.
    expect(page.locator("#settings > button")).to_contain_text("Settings: small, ", timeout=LONG)
    expect(page.locator("#p-train h2")).to_contain_text("4 heads", timeout=LONG)
    page.click("#encoding input")
    page.get_by_role("option", name="KOI8 (Cyrillic)").click()
    expect(note).to_contain_text("read as KOI8 (Cyrillic).", timeout=LONG)
    expect(box).not_to_have_value(beginning("Старый король"))
    page.evaluate(DROP, ["film.srt", SUBTITLES])
    expect(box).to_have_value("".join(f"the old king saw dog {n}\n" for n in range(1, 7)), timeout=LONG)
    expect(note).to_contain_text("Left out: the numbers and times of 6 subtitles.")
    expect(page.locator("#encoding")).to_be_hidden()
    page.click("#file-note button")
    expect(box).to_have_value(SUBTITLES, timeout=LONG)
    expect(note).to_contain_text("“film.srt”, as it is in the file, read as UTF-8.")
    page.click("#file-note button")
    expect(box).not_to_have_value(SUBTITLES, timeout=LONG)
    expect(note.locator("p")).to_have_count(0)
    # A text typed over a file's is no file's.
    page.set_input_files("input[type=file]", CASES / "10e-utf8-one-bad-byte.txt")
    expect(note).to_contain_text("One place could not be read and shows as �.", timeout=LONG)
    page.fill("#text textarea", "the dog ran and ran " * 9)
    expect(note.locator("p")).to_have_count(0, timeout=LONG)
    # Each box has the direction of what is in it, typed or given.
    text, prompt = page.locator("#text textarea"), page.locator("#prompt textarea")
    page.set_input_files("input[type=file]", CASES / "08b-arabic.txt")
    expect(text).to_have_attribute("dir", "rtl", timeout=LONG)
    expect(prompt).to_have_attribute("dir", "rtl", timeout=LONG)
    prompt.fill("the dog")
    expect(prompt).to_have_attribute("dir", "ltr")
    assert text.get_attribute("dir") == "rtl"


def beginning(begins: str) -> re.Pattern[str]:
    return re.compile("^" + re.escape(begins))
