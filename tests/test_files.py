# ruff: noqa: E501
"""Files: bytes in, the text that they hold out, or one sentence that says what to do."""

import io
import json
import time
import zipfile
from pathlib import Path

import docx
import pypdf
import pytest
from prose import PROSE

from minigpt import files
from minigpt.files import ENCODINGS, read_file

CASES = Path(__file__).parent / "cases"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 8
GERMAN = "Der König sah die Königin – „schön“ …"


def case(name: str) -> files.FileText:
    return read_file(name, (CASES / name).read_bytes())


# ---- encodings ----


@pytest.mark.parametrize(
    ("language", "encoding"), [(name, code) for name, (_, codes) in PROSE.items() for code in codes]
)
@pytest.mark.parametrize("letters", [100, 1000])
def test_prose_is_read_in_the_encoding_that_it_has(language, encoding, letters):
    data = PROSE[language][0][:letters].encode(encoding, errors="ignore")
    assert read_file("notes.txt", data).text == data.decode(encoding)


@pytest.mark.parametrize("language", ["de", "ru", "ja", "th"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-8-sig"]
)
def test_unicode_is_read_with_and_without_a_mark(language, encoding):
    text = PROSE[language][0]
    assert read_file("notes.txt", text.encode(encoding)).text == text


@pytest.mark.parametrize(
    ("name", "encoding", "begins"),
    [
        ("09-russian-cp1251.txt", "cp1251", "Старый король нашёл ключ."),
        ("05-japanese-sjis.txt", "cp932", "昨日、犬は山で本を食べた。"),
        ("10-utf16le-no-bom.txt", "utf_16_le", "the old teacher drew the key ."),
    ],
)
def test_cases_are_read_in_their_encoding_and_it_is_called_a_guess(name, encoding, begins):
    found = case(name)
    assert found.text.startswith(begins)
    assert (found.encoding, found.guessed, found.unreadable) == (encoding, True, 0)


def test_one_bad_byte_is_one_sign_and_every_other_letter_stays():
    found = case("10e-utf8-one-bad-byte.txt")
    assert (found.encoding, found.unreadable, found.text.count("\ufffd")) == ("utf_8", 1, 1)
    sentence = "Das Mädchen hörte die Vögel über dem Fluß. "
    whole = found.text.replace("V\u00f6gel \ufffdber", "Vögel über")
    assert whole.replace(sentence, "").strip() in ("", sentence.strip())


def test_a_real_replacement_sign_is_no_bad_byte():
    assert read_file("a.txt", ("so � it �� was " + GERMAN * 9).encode()).unreadable == 0


def test_a_utf_8_file_cut_in_the_middle_of_a_letter_loses_that_letter_only():
    found = read_file("a.txt", (GERMAN * 9 + "ü").encode()[:-1])
    assert (found.text, found.unreadable) == (GERMAN * 9 + "\ufffd", 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_that_is_offered_can_be_taken(encoding):
    assert read_file("a.txt", b"\xc4\xe5 ab", encoding).encoding == encoding


def test_line_ends_of_every_system_become_newlines():
    assert read_file("a.txt", b"one\r\ntwo\rthree\n").text == "one\ntwo\nthree\n"


@pytest.mark.parametrize("data", [PNG, bytes(1000), bytes(range(256)) * 40, b"\x7fELF" + bytes(range(7)) * 100])
def test_a_file_that_is_no_text_is_refused_by_name(data):
    with pytest.raises(ValueError, match=r"^“cat\.png” is not a text file\. Open a \.txt, \.docx"):
        read_file("cat.png", data)


def test_an_empty_file_is_an_empty_text():
    assert read_file("a.txt", b"").text == ""


def test_a_file_of_many_bytes_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^“long\.txt” is too large: 12 MB fit\."):
        read_file("long.txt", b"a" * (files.MAX_BYTES + 1))


# ---- documents ----


def zipped(**parts: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    return held.getvalue()


def word_file() -> "docx.document.Document":
    made = docx.Document()
    made.add_paragraph("The old king slept.")
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "dog", "Hund"
    made.add_paragraph("The queen read on.")
    return made


def saved(made: "docx.document.Document") -> bytes:
    held = io.BytesIO()
    made.save(held)
    return held.getvalue()


def test_a_word_file_becomes_its_paragraphs_and_tables_in_order():
    found = read_file("story.docx", saved(word_file()))
    assert (found.text, found.kind) == ("The old king slept.\ndog\tHund\nThe queen read on.\n", "docx")


def test_what_was_inserted_in_a_word_file_stays_and_what_was_deleted_is_gone():
    made = word_file()
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    for tag, inner, words in (
        ("ins", "t", " Snow fell."),
        ("del", "delText", " Rain fell."),
        ("moveFrom", "t", " Hail fell."),
    ):
        run = made.paragraphs[0]._p.makeelement(f"{{{space}}}{tag}", {})
        part = run.makeelement(f"{{{space}}}r", {})
        text = part.makeelement(f"{{{space}}}{inner}", {})
        text.text = words
        part.append(text)
        run.append(part)
        made.paragraphs[0]._p.append(run)
    assert read_file("a.docx", saved(made)).text.startswith("The old king slept. Snow fell.\n")


def test_a_word_file_that_names_an_entity_or_unpacks_without_end_is_refused_soon():
    parts = {}
    with zipfile.ZipFile(io.BytesIO(saved(word_file()))) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    bomb = zipped(**{**parts, "word/media/a.png": bytes(110 << 20)})
    assert len(bomb) < files.MAX_BYTES
    begun = time.monotonic()
    with pytest.raises(ValueError, match=r"^“a\.docx” is damaged or of an unusual kind\. Open it in its own program"):
        read_file("a.docx", bomb)
    assert time.monotonic() - begun < files.SECONDS
    secret = Path(__file__).as_uri().encode()
    evil = b'<!DOCTYPE x [<!ENTITY e SYSTEM "' + secret + b'">]><w:document'
    body = parts["word/document.xml"].replace(b"<w:document", evil, 1).replace(b"The old king", b"&e;")
    try:
        text = read_file("a.docx", zipped(**{**parts, "word/document.xml": body})).text
    except ValueError:
        return
    assert "import" not in text


def pdf_of(*lines: str) -> bytes:
    """A PDF of one page, written by hand."""
    drawn = "BT /F1 12 Tf 14 TL 72 720 Td " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )  # fmt: skip
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj{body}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return f"{out}xref\n0 6\n0000000000 65535 f \n{table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF".encode()


def test_a_pdf_becomes_its_letters_and_words_split_at_line_ends_are_joined():
    found = read_file("a.pdf", pdf_of("The old king has for-", "gotten the well-known", "name of Mary-", "Ann."))
    assert found.text == "The old king has forgotten the well-known\nname of Mary-\nAnn.\n"
    assert found.note == "Changed: 1 words that were split at the end of a line are joined."


def test_a_pdf_of_pictures_or_with_a_password_says_what_to_do():
    with pytest.raises(
        ValueError, match=r"^“scan\.pdf” holds pictures of pages and no letters\. Let a program for text"
    ):
        read_file("scan.pdf", pdf_of(""))
    writer, held = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of("secret words"))), io.BytesIO()
    writer.encrypt("sesame", algorithm="RC4-128")
    writer.write(held)
    with pytest.raises(ValueError, match=r"^“a\.pdf” is locked with a password\. Save a copy without one"):
        read_file("a.pdf", held.getvalue())


def test_a_web_page_becomes_what_its_readers_see():
    page = "<!DOCTYPE html><title>T</title><style>p{}</style><script>alert(1)</script><!-- no -->"
    page += "<p>The <b>old</b>\n king &amp; dog</p><ul><li>one<li>two</ul><table><tr><td>a<td>b</table>"
    found = read_file("a.html", page.encode())
    assert found.text.split() == ["The", "old", "king", "&", "dog", "one", "two", "a", "b"]
    assert "The old king & dog\n" in found.text
    assert (found.kind, found.as_it_is) == ("html", page)
    assert case("15-page.html").text.startswith("the old king & the dog 0\n")


def test_a_web_page_is_read_in_the_encoding_that_it_names():
    page = "<html><meta charset='windows-1251'><p>Да"
    assert read_file("a.html", page.encode("cp1251")).text.strip() == "Да"


def test_rich_text_becomes_plain():
    assert (
        read_file("a.rtf", rb"{\rtf1\ansi\ansicpg1252 The {\b old} k\'f6nig.\par Next.}").text
        == "The old könig.\nNext.\n"
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zipped(**{"xl/workbook.xml": b""}), "is a spreadsheet. Save it as CSV and open that."),
        (zipped(**{"ppt/a.xml": b""}), "holds slides. Save them as PDF or as text and open that."),
        (zipped(**{"content.xml": b""}), "is an OpenDocument file. Save it as .docx or .txt and open that."),
        (zipped(**{"META-INF/container.xml": b""}), "is an e-book. Save it as .txt or .html"),
        (zipped(**{"a.txt": b""}), "is an archive. Unpack it and open what is in it."),
        (b"PK\x03\x04" + bytes(range(32)) * 40, "is not a text file."),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is of an old kind of Office file. Save it as .docx or .txt"),
        (b"%PDF-1.7 and nothing that belongs into one", "is damaged or of an unusual kind."),
        (zipped(**{"word/document.xml": b"<w:document"}), "is damaged or of an unusual kind."),
    ],
)
def test_what_cannot_be_read_says_what_to_do(data, sentence):
    with pytest.raises(ValueError, match="x") as raised:
        read_file("x", data)
    assert str(raised.value).startswith(f"“x” {sentence}")


# ---- subtitles and chats ----

SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Where is</i> the king?\n\n2\n00:00:03,000 --> 00:00:04,000\n- Asleep.\n- Still?\n"
VTT = "WEBVTT\n\nNOTE no\n\nintro\n00:01.000 --> 00:02.000 align:start\n<v Ann>Tom &amp; Jo</v>\n\n00:02.000 --> 00:03.000\nTom & Jo\n"
TELEGRAM = {"messages": [
    {"from": "Ana", "date": "2024-01-01", "text": "hello"},
    {"from": "Ben", "text": ["see ", {"type": "link", "text": "this"}]},
    {"from": "Ana", "text": "later"}, {"type": "service"},
]}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (SRT, "Where is the king?\n- Asleep.\n- Still?\n"),
        (SRT.replace("\n", "\r\n"), "Where is the king?\n- Asleep.\n- Still?\n"),
        (VTT, "Tom & Jo\n"),
        ("12/03/21, 14:05 - Ana: hi\n12/03/21, 14:06 - Ben: so\nmany lines\n12/03/21, 14:06 - Ben left\n[12.03.21, 14:07:01] Ana: bye",
         "Ana: hi\nBen: so\nmany lines\nAna: bye"),
        ("[14:05] <ana> hi\n[14:06] <ben> ho: yes\n[14:07] <ana> bye", "ana: hi\nben: ho: yes\nana: bye"),
        (json.dumps(TELEGRAM), "Ana: hello\nBen: see this\nAna: later\n"),
        (json.dumps([{"role": "user", "content": "hi"}, {"role": "bot", "content": "ho"}, {"role": "user", "content": "so"}]),
         "user: hi\nbot: ho\nuser: so\n"),
    ],
)  # fmt: skip
def test_subtitles_and_chats_become_what_was_said_and_keep_what_they_were(data, text):
    found = read_file("a.txt", data.encode())
    assert (found.kind, found.text) == ("transcript", text)
    assert found.note.startswith("Left out: ")
    assert found.as_it_is == data.replace("\r\n", "\n")


@pytest.mark.parametrize(
    "text",
    [
        "name,age\nAna,3\nBen,4\n",
        "2024-01-01 10:00:00 INFO started worker\n2024-01-01 10:00:01 WARN slow: 3 s\n" * 5,
        "https://example.org/a\nhttps://example.org/b\n",
        '{"a": 1, "b": [1, 2]}',
        "10:30 we met. 11:00 we ate.\n12:15 --> home\n",
        "[" * 100_000,
        "C G Am\nSo long, my love\n",
    ],
)
def test_other_texts_stay_as_they_are(text):
    found = read_file("a.txt", text.encode())
    assert (found.kind, found.text, found.note) == ("text", text, "")
