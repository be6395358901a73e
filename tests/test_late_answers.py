"""An answer that arrives late never shows what is not so any more: each part of the page has one handler to tell it."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gate import SETTINGS, TEXT, Gate

from minigpt.corpora import LESSONS
from minigpt.files import read_file
from minigpt.runs import Runs
from minigpt.ui import door, opening
from minigpt.ui.handlers import NO_REFUSAL, Page
from minigpt.ui.layout import DESCRIBE_NAMES, FIRST_LESSON, OPEN_NAMES, build

REFUSED = 1  # The place of a refusal in what opening a file returns.
SOMEBODY: Any = SimpleNamespace(session_hash="somebody", query_params={})


@pytest.fixture
def page(tmp_path) -> Page:
    gate = Gate()
    return Page(Runs(tmp_path, lambda: gate, n_workers=1))


def skipped(update: Any) -> bool:
    return update == gr.skip()


def settled(settling: str) -> dict[str, Any]:
    """What an answer would have the settings be."""
    return {name: value for name, (_, value) in json.loads(settling).items()}


def described(page: Page, text: str, run: str = "", refused: tuple[str, str] = NO_REFUSAL) -> dict[str, Any]:
    preset, fields = door.usual("own")
    answer = page.describe(SOMEBODY, text, run, "own", {}, refused, [], preset, *fields)
    return dict(zip(DESCRIBE_NAMES, answer, strict=True))


def test_only_the_stream_of_a_run_shows_it(page):
    """Else the answer to Pause, made while a step was on its way, could arrive after that step and hide it."""
    blocks = build(page)
    parts = {block.elem_id: block for block in blocks.blocks.values() if getattr(block, "elem_id", None)}
    shows_a_run = {parts[name]._id for name in ("status", "loss-curve", "run-message", "sample", "train", "pause")}
    tellers = {
        function.name
        for function in blocks.fns.values()
        if shows_a_run & {output._id for output in function.outputs} and function.name is not None
    }
    # `describe` and `estimate` tell of a plan, and are silent where a run is followed: see below.
    assert {name.rstrip("_0123456789") for name in tellers} == {"follow", "describe", "estimate"}


def test_no_two_handlers_that_keep_the_last_of_their_events_share_one(page):
    """When either was done Gradio would repeat the event for both, and so without end: twenty requests a second."""
    keepers: dict[tuple[int, str], list[str]] = {}
    for dependency in build(page).config["dependencies"]:
        for component, event in dependency["targets"]:
            if dependency["trigger_mode"] == "always_last" and component is not None:
                keepers.setdefault((component, event), []).append(dependency["api_name"])
    assert keepers
    assert [names for names in keepers.values() if len(names) > 1] == []


def test_a_plan_that_is_ready_after_the_run_began_is_not_shown(page):
    assert not skipped(described(page, TEXT)["status"])
    page._following["somebody"] = object()
    late = described(page, TEXT)
    assert all(skipped(late[name]) for name in ("train_title", "curve", "status", "lesson_notes"))
    assert not skipped(late["facts"])


def test_news_of_the_text_before_leaves_the_line_about_a_file_where_it_is():
    opened = opening.Opened("a.txt", read_file("a.txt", b"the new text"), "the text before")
    assert all(map(skipped, opening.left("the text before", opened)))
    assert all(map(skipped, opening.left("the new text", opened)))
    assert opening.left("another", opened)[0] is None
    assert opening.left("", replace(opened, before=""))[0] is None, "Clear takes it away"


def test_a_second_press_of_train_starts_no_second_run(page):
    _, fields = door.usual("own")
    fields = fields._replace(steps=3)
    run, *_ = page.train(None, "", TEXT, "own", {}, *fields)
    assert page.runs.progress(run).status == "training"
    again, *_ = page.train(None, run, TEXT, "own", {}, *fields)
    assert skipped(again)
    assert len(page.runs._runs) == 1


def test_an_answer_about_the_text_before_is_put_right_by_the_next_one(page):
    # Markov was picked while the answer about one's own text, which says "own" with its usual model, was on its way.
    _, usual = door.usual("own")
    text = LESSONS["markov"].text
    clear, lesson, own, _, guide, fitted, settling = page.own_text(text, "", "", "own", {}, "small", *usual)
    assert (lesson, guide, clear["value"]) == ("markov", [], "Clear")
    assert skipped(own)
    assert skipped(fitted)
    size, fields = door.usual("markov")
    assert settled(settling) == {"preset": size, **fields._replace(tokenizer=usual.tokenizer)._asdict()}
    # Settings that somebody touched stay, and so does a lesson that is right.
    _, lesson, *_, settling = page.own_text(text, "", "", "own", {}, "small", *usual._replace(steps=7))
    assert lesson == "markov"
    assert settled(settling) == {}
    assert all(map(skipped, page.own_text(text, "", "", "markov", {}, size, *fields)[1:]))


def test_ones_own_text_takes_the_place_of_a_lesson(page):
    _, fields = door.usual(FIRST_LESSON)
    mine = "mine is the ball"
    _, lesson, own, _, _, fitted, settling = page.own_text(mine, "", "", FIRST_LESSON, {}, "lesson", *fields)
    size, usual = door.usual("own")
    assert (lesson, own, fitted) == ("own", mine, mine)
    assert settled(settling) == {"preset": size, **usual._asdict()}
    # Once it is one's own, more typing changes no setting back.
    assert settled(page.own_text("mine is the balls", "", mine, "own", {}, size, *usual)[-1]) == {}


def test_a_new_text_of_ones_own_is_split_as_fits_it_and_an_edited_one_as_it_was(page):
    size, usual = door.usual("own")
    names = "\n".join(
        f"{a}{b}{c}"
        for a in "klmnrst"
        for b in "aeiou"
        for c in ("to", "mi", "ra", "len", "sop", "vik", "dan", "gul", "per")
    )

    def chosen(text: str, before: str, lesson: str = "own", split: str = "words") -> str | None:
        fields = (usual if lesson == "own" else door.usual(lesson)[1])._replace(tokenizer=split)
        return settled(page.own_text(text, "", before, lesson, {}, size, *fields)[-1]).get("tokenizer")

    assert chosen(names, "", FIRST_LESSON) == "letters"
    assert chosen(TEXT, "", "markov", "letters") == "words"
    assert chosen(names, TEXT) == "letters"
    assert chosen(f"{names}\none more", names, split="letters") is None
    assert chosen(TEXT, names, split="letters") == "words"
    # Whoever chose a split keeps it.
    assert chosen(names, "", FIRST_LESSON, "pieces") is None
    assert chosen(TEXT, names, split="pieces") is None


@pytest.mark.parametrize(("text", "cleared", "label"), [("", "before", "Undo"), ("", "", "Clear"), ("a", "b", "Clear")])
def test_clear_is_undo_only_over_an_empty_box(page, text, cleared, label):
    assert page.own_text(text, cleared, "", "own", {}, "small", *door.usual("own")[1])[0]["value"] == label


def test_a_file_that_was_refused_is_spoken_of_while_the_text_at_hand_stays(page, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(bytes(range(256)) * 9)
    text, refused, *shown = opening.open_file(str(picture), TEXT)
    assert all(map(skipped, [text, *shown]))
    said = described(page, TEXT, refused=refused)["text_message"]
    assert "is not a text file" in str(said)
    assert described(page, TEXT + "more", refused=refused)["text_message"] == []
    refused = opening.open_file(str(picture), "")[REFUSED]
    assert "is not a text file" in str(described(page, "", refused=refused)["text_message"])
    assert "There is no text" in str(described(page, "")["text_message"])
    mine = tmp_path / "mine.txt"
    mine.write_text(TEXT)
    assert opening.open_file(str(mine), "")[REFUSED] == NO_REFUSAL


def test_pause_and_stop_rest_a_run_and_forgive_one_that_is_gone(page):
    run = page.runs.start(TEXT, SETTINGS)
    assert page.pause(run) is None
    assert page.runs.progress(run).status == "paused"
    page.stop(run)
    assert page.runs.progress(run).status == "stopped"
    page.pause("gone")
    page.stop("")


@pytest.mark.parametrize("size", ["small", "wide", "deep"])
def test_a_page_that_opens_on_ones_own_text_says_its_size(page, size):
    fields = door.preset_fields(size)
    run = page.runs.start(TEXT, door.settings_of(fields._replace(steps=3), "own"))
    asked: Any = SimpleNamespace(query_params={"run": run})
    opened = dict(zip(OPEN_NAMES, page.open_page(asked), strict=True))
    assert (opened["lesson"], opened["preset"], opened["fitted"]) == ("own", size, TEXT)
