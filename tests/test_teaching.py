"""What docs/teaching.md promises a teacher: a plan for every lesson, true to the code and to the page."""

import math
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOC = ROOT / "docs" / "teaching.md"
TEXT = DOC.read_text(encoding="utf-8")
NEW_PAGE = '<div style="break-before: page"></div>'
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
SECTIONS = dict(zip(HEADINGS, re.split(r"^## .+$", TEXT.replace(NEW_PAGE, ""), flags=re.MULTILINE)[1:], strict=True))
LESSON_TITLES = [title for title in HEADINGS if title not in {"Before the class", "Printing"}]
PARTS = (
    "**The idea.**",
    "| Minutes | What you do | What you say |",
    "**What goes wrong**",
    "**Questions**",
    "**Break it.**",
)
# In print at 13 px on A4 the longest section still fits on one page; much longer ones do not.
MOST_WORDS = 500
# A term, and what stands near its first use in a section, because it says what the term means.
EXPLAINED = {
    "cross-entropy": "surprise",
    "nats": "natural logarithms",
    "unigram": r"counting words|counts of letters",
    "bigram": r"counting pairs|counts of pairs",
    "entropy rate": "surprise",
    "residual stream": "sum of numbers",
    "previous-token head": r"one place back|beside the diagonal",
    "induction head": r"followed|letter after (the|an) earlier",
    "causal mask": r"what came before|looks ahead",
    "logits": "scores before a softmax",
}


def lessons() -> dict[str, Any]:
    """The lessons of the picker, by title."""
    from minigpt.corpora import LESSONS  # Not above: the checker of conftest.py must come first.

    return {lesson.title: lesson for lesson in LESSONS.values()}


def parts(section: str) -> dict[str, str]:
    """The parts of a lesson's section by their names; fails where one is missing or out of order."""
    places = [section.find(name) for name in PARTS]
    assert -1 not in places, [name for name, place in zip(PARTS, places, strict=True) if place == -1]
    assert places == sorted(places)
    ends = [*places[1:], len(section)]
    return {
        name: section[start + len(name) : end].strip() for name, start, end in zip(PARTS, places, ends, strict=True)
    }


def plan(section: str) -> list[list[str]]:
    """The rows of the table of minutes, cell by cell."""
    rows = parts(section)[PARTS[1]].splitlines()[1:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def items(part: str) -> list[str]:
    """The items of a list, each on one line."""
    return [" ".join(item.split()) for item in re.split(r"^- ", part, flags=re.MULTILINE)[1:]]


def quoted(text: str) -> list[str]:
    """What stands in double quotes."""
    return re.findall(r'"([^"]+)"', " ".join(text.split()))


def anchor(heading: str) -> str:
    """The address of a heading inside its page, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_lesson_has_its_section_and_no_other_is_named():
    titles = list(lessons())
    assert ["Before the class", *titles, "Printing"] == HEADINGS
    table = re.findall(r"^\| \[([^]]+)\]\(#([^)]+)\) \|", TEXT, re.MULTILINE)
    assert table == [(title, anchor(title)) for title in titles]


def test_three_sentences_say_what_it_is():
    first = TEXT.split("\n\n")[1]
    assert re.findall(r"[.!?](?=\s|$)", first) == ["."] * 3


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert {target for target in targets if target.startswith("#")} <= {f"#{anchor(heading)}" for heading in HEADINGS}
    files = [target for target in targets if not target.startswith("#") and "://" not in target]
    assert files
    assert [target for target in files if not (DOC.parent / target).is_file()] == []


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_every_plan_takes_forty_five_minutes(title):
    rows = plan(SECTIONS[title])
    assert all(len(row) == 3 and all(row) for row in rows)
    assert sum(int(minutes) for minutes, _, _ in rows) == 45


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_every_lesson_has_three_to_five_questions_each_with_a_short_answer(title):
    asked = items(parts(SECTIONS[title])["**Questions**"])
    assert 3 <= len(asked) <= 5
    for item in asked:
        found = re.fullmatch(r"\*[^*]+\?\* (.+\.)", item)
        assert found, item
        assert len(found[1].split()) <= 45, item


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_every_lesson_says_two_or_three_things_that_go_wrong(title):
    surprises = items(parts(SECTIONS[title])["**What goes wrong**"])
    assert 2 <= len(surprises) <= 3
    assert all(re.search(r"\. \S.*\.$|: .+\.$", surprise) for surprise in surprises), "what is seen, and what to do"


@pytest.mark.parametrize("title", [*LESSON_TITLES, "Printing"])
def test_every_lesson_starts_a_page(title):
    assert f"\n\n{NEW_PAGE}\n\n## {title}\n" in TEXT


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_every_lesson_is_short_enough_for_one_printed_page(title):
    assert len(SECTIONS[title].split()) <= MOST_WORDS


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_whatever_is_to_be_broken_or_changed_is_on_the_page(title):
    from minigpt.breaks import BREAKS

    advice = parts(SECTIONS[title])["**Break it.**"]
    boxes = {known.title for known in BREAKS.values()}
    labels = {knob.metadata["label"] for knob in fields(lessons()[title].source)}
    named = {*quoted(advice), *re.findall(r"`([^`]+)`", advice)}
    assert named
    assert named <= boxes | labels
    assert "Predict" in advice


def test_every_mistake_of_the_debugging_lesson_is_named():
    from minigpt.breaks import BREAKS
    from minigpt.corpora import LESSONS

    hidden = {BREAKS[name].title for name in ("softmax", "scaling", "positions", "chunks", "vocabulary")}
    assert hidden <= set(quoted(parts(SECTIONS[LESSONS["debugging"].title])["**Break it.**"]))


def test_whatever_is_to_be_pressed_or_opened_is_on_the_page():
    sources = [*(ROOT / "minigpt" / "ui").rglob("*.py"), ROOT / "minigpt" / "breaks.py"]
    page = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    told = [SECTIONS["Before the class"], *(does for title in LESSON_TITLES for _, does, _ in plan(SECTIONS[title]))]
    named = {name for text in told for name in quoted(text)}
    assert {"Train", "Show me", "Generate", "Guide me"} <= named
    assert [name for name in named if f'"{name}' not in page] == []


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_whatever_stands_in_code_can_be_read_by_the_model(title):
    from minigpt.tokenizer import train_tokenizer

    lesson = lessons()[title]
    tokenizer = train_tokenizer(lesson.tokenizer, lesson.text)
    samples = [sample.replace(r"\|", "|") for sample in re.findall(r"`([^`]+)`", SECTIONS[title])]
    assert {sample: tokenizer.unknown(sample) for sample in samples if tokenizer.unknown(sample)} == {}


@pytest.mark.parametrize("title", LESSON_TITLES)
def test_every_term_is_explained_where_it_first_comes_up(title):
    section = " ".join(SECTIONS[title].split()).lower()
    for term, meaning in EXPLAINED.items():
        at = section.find(term)
        near = section[max(0, at - 160) : at + len(term) + 160]
        assert at == -1 or re.search(meaning, near), term


def test_the_facts_named_are_those_of_the_code():
    from minigpt.breaks import BREAKS
    from minigpt.corpora import LESSONS
    from minigpt.tokenizer import train_tokenizer

    def said(name: str, *facts: str) -> None:
        section = " ".join(SECTIONS[LESSONS[name].title].split())
        assert [fact for fact in facts if fact not in section] == []

    def signs(name: str) -> int:
        return train_tokenizer(LESSONS[name].tokenizer, LESSONS[name].text).d_vocab

    def ln(n: int) -> str:
        return f"ln {n} ≈ {math.log(n):.2f}"

    echo, reverse, brackets = (LESSONS[name].source for name in ("echo", "reverse", "brackets"))
    markov, pairs, agreement = (LESSONS[name].source for name in ("markov", "markov2", "agreement"))
    n = signs("echo")
    said("echo", f"{echo.shortest} to {echo.longest} different", f"{len(echo.letters)} letters", ln(n))
    said("reverse", f"{len(reverse.letters)} letters and digits")
    said("agreement", f"up to {agreement.nearer} nouns")
    said("brackets", f"once {brackets.depth} are open")
    said("markov", f"each of {len(markov.letters)} letters", ln(len(markov.letters)), ln(signs("markov")))
    said("markov2", f"{len(pairs.letters) ** 2}: one for each pair of {len(pairs.letters)}")
    assert pairs.order == 2
    said("debugging", f"With {n} signs", f"ln(e + {n - 1}) − 1 ≈ {math.log(math.e + n - 1) - 1:.2f}")
    said("essay", "the last tenth")
    assert LESSONS["essay"].training.validation_fraction == 0.1
    said("debugging", "four tokens")
    assert BREAKS["chunks"].config["n_ctx"] == 4


def test_where_a_lesson_has_no_settings_the_plan_says_so():
    without = [title for title, lesson in lessons().items() if not fields(lesson.source)]
    assert without == [
        title for title in LESSON_TITLES if "has no settings to change" in " ".join(SECTIONS[title].split())
    ]
