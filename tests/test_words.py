"""What the page says, for every state and for every token."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from nasty import NASTY

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS
from minigpt.figures.labels import for_page
from minigpt.history import History, ReferenceLosses
from minigpt.hooks import AttentionView
from minigpt.runs import Progress, RunSettings
from minigpt.runs.record import Status
from minigpt.tokenizer import BPETokenizer, CharacterTokenizer, WordTokenizer
from minigpt.training import Failure
from minigpt.ui import words

HOSTILE = (*NASTY, "<img src=x onerror=alert(1)>", "{{7*7}}", "\ud800", "\u202eevil")
HISTORY = History(
    n_steps=400,
    references=ReferenceLosses(4.0, 3.0, 1.5, 1.054),
    validation=((0, 4.0), (400, 1.123)),
    samples=((0, "first"), (240, "the king saw the dog .")),
    tokens_per_second=((100, 9_000.0), (240, 18_400.0)),
)
AT_240 = Progress(
    run_id="r",
    version=1,
    status="training",
    step=240,
    history=HISTORY,
    config=GPTConfig(d_vocab=60),
    settings=RunSettings(training=TrainingConfig(steps=400)),
    n_params=102_144,
    seconds=9.2,
    seconds_per_step=3 / 160,
)


def texts(node: Any) -> list[str]:
    """What a reader sees of a node, piece by piece: never its tag or its attributes."""
    return [node] if isinstance(node, str) else [text for child in node[2:] for text in texts(child)]


def said(nodes: list[Any]) -> str:
    return "".join(text for node in nodes for text in texts(node))


def tags(node: Any) -> list[str]:
    return [] if isinstance(node, str) else [node[0], *(tag for child in node[2:] for tag in tags(child))]


def attributes(nodes: list[Any], name: str) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if not isinstance(node, str):
            found += [node[1][name]] if name in node[1] else []
            found += attributes(node[2:], name)
    return found


FAILED = {"status": "failed", "step": 120, "failure": Failure(131, "The loss became infinite. Try 0.005.")}
STATES = [
    ({"status": "waiting", "step": 0, "ahead": 2}, "Waiting, 2 runs before yours", "starts in a moment", "0.0"),
    ({"status": "waiting", "step": 0, "ahead": 1}, "Waiting, 1 run before yours", "starts in a moment", "0.0"),
    ({"status": "waiting", "step": 0}, "Waiting, next in turn", "starts in a moment", "0.0"),
    ({}, "Training, step 240 of 400", "18,400 tokens/s, 3 s left", "60.0"),
    ({"status": "paused"}, "Paused at step 240 of 400", "nothing is lost", "60.0"),
    ({"status": "stopped"}, "Stopped at step 240 of 400", "step 240 is kept", "60.0"),
    ({"status": "finished", "step": 400}, "Finished in 9 s", "validation 1.12, best possible 1.05", "100.0"),
    (FAILED, "Stopped by itself at step 131", "step 120 is kept", "30.0"),
]


@pytest.mark.parametrize(("changes", "left", "right", "percent"), STATES)
def test_every_state_has_its_line_and_its_share_of_the_bar(changes, left, right, percent):
    line, bar, note = words.status(replace(AT_240, **changes))
    assert ["".join(texts(child)) for child in line[2:]] == [left, right]
    assert bar[1]["aria-valuenow"] == percent
    assert attributes([bar], "style") == [f"width:{percent}%"]
    assert said([note]).endswith(".")


def test_no_state_but_these_exists():
    assert {changes.get("status", "training") for changes, *_ in STATES} == set(get_args(Status))


@pytest.mark.parametrize(
    ("status", "note"),
    [
        ("waiting", "You may close this page: its link finds the run."),
        ("training", "Settings changed now apply to the next run."),
        ("paused", "Step moves on by one. Explore shows step 240."),
    ],
)
def test_a_run_under_way_says_what_may_be_done(status, note):
    assert said(words.status(replace(AT_240, status=status))[2:]) == note


def test_before_any_run_the_line_says_how_long_one_takes():
    assert said(words.not_trained(12.3)[:1]) == "Not trained yetabout 12 s on this machine"
    assert said(words.not_trained(None)[:1]) == "Not trained yet"


def test_before_the_first_slice_no_speed_is_made_up():
    early = replace(AT_240, step=0, seconds_per_step=None, history=replace(HISTORY, tokens_per_second=()))
    assert said(words.status(early)[:1]) == "Training, step 0 of 400"


def test_without_a_floor_no_best_is_named():
    history = replace(HISTORY, references=replace(HISTORY.references, floor=None))
    finished = replace(AT_240, status="finished", step=400, history=history)
    assert said(words.status(finished)[:1]) == "Finished, 400 steps in 9 svalidation 1.12"
    assert said(words.status(replace(finished, history=replace(history, validation=())))[:1]).endswith("9 s")


def test_steps_beyond_the_plan_do_not_overfill_the_bar():
    assert attributes(words.status(replace(AT_240, status="paused", step=500)), "aria-valuenow") == ["100.0"]


def test_a_failure_is_an_alert_and_a_note_is_not():
    assert said(words.run_message(replace(AT_240, **FAILED))) == "The loss became infinite. Try 0.005."
    assert attributes(words.run_message(replace(AT_240, **FAILED)), "role") == ["alert"]
    noted = words.run_message(replace(AT_240, notes=("Short text.", "Rare words.")))
    assert (said(noted), attributes(noted, "role")) == ("Short text.Rare words.", ["status", "status"])
    assert words.run_message(AT_240) == words.message("") == []


def test_only_the_first_sentence_of_a_message_is_bold():
    ((_, _, bold, rest),) = words.message("“a.txt” is too large. Open another. Or paste.")
    assert (texts(bold), rest) == (["“a.txt” is too large."], " Open another. Or paste.")


def test_the_newest_sample_is_shown_with_its_step():
    assert said(words.sample(AT_240)) == "At step 240 it writesthe king saw the dog ."
    assert words.sample(replace(AT_240, history=replace(HISTORY, samples=()))) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "under 1 s"), (1, "1 s"), (99.4, "99 s"), (100, "2 min"), (5399, "90 min"), (5400, "2 h"), (7200, "2 h")],
)
def test_a_duration_is_as_exact_as_anybody_needs(seconds, text):
    assert words.duration(seconds) == text


def test_counts_agree_with_their_words():
    assert [words.plural(n, "token") for n in (0, 1, 2, 4317)] == ["0 tokens", "1 token", "2 tokens", "4,317 tokens"]
    assert words.plural(2, "life", "lives") == "2 lives"
    assert words.shape(GPTConfig(n_layers=1), 102_144) == "1 layer × 4 heads, 102,144 parameters"
    assert words.settings_label("small", "muon", 1) == "Settings: small, Muon, 1 step"
    assert words.settings_label("own size", "adamw", 400) == "Settings: own size, AdamW, 400 steps"
    how = "How to choose the next token: "
    assert words.sampling_label(10, 0.8) == f"{how}temperature 0.8, 10 tokens"
    assert words.sampling_label(1, 0) == f"{how}always the first choice, 1 token"


def test_facts_count_what_the_text_holds():
    text = "a dog and a cat"
    assert said(words.facts(text, WordTokenizer.train(text), 5)) == "letters15tokens5different4"


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_says_what_to_look_for(lesson):
    assert said(words.look_for(lesson)) == f"Look for: {LESSONS[lesson].look_for}"


def test_unknown_words_are_named_with_some_that_are_known():
    tokenizer = WordTokenizer.train("king king king queen queen dog a a a a . .")
    assert words.unknown_words(["ptfx"], tokenizer) == (
        "“ptfx” is not in the training text, so the model reads it as unknown. Words it knows: king, queen, dog."
    )
    two = words.unknown_words(["ptfx", "<b>"], tokenizer)
    assert two.startswith("“ptfx”, “<b>” are not in the training text, so the model reads them as unknown.")
    assert words.unknown_words(list("uvwxyz"), tokenizer).startswith("“u”, “v”, “w”, “x”, “y” and 1 more are not")
    assert words.unknown_words([], tokenizer) == ""


def test_unknown_letters_are_called_letters():
    told = words.unknown_words(["z"], CharacterTokenizer.train("abc"))
    assert told.endswith("so the model reads it as unknown. Letters it knows: a, b, c.")


def view(n: int, dropped: int = 0) -> AttentionView:
    pattern = np.zeros((1, 1, n, n), dtype=np.float32)
    return AttentionView(("a",) * n, (1,) * n, pattern, np.zeros((n, 4), dtype=np.float32), True, dropped)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_token_is_only_ever_text(hostile):
    everything = [
        *words.preview([hostile]),
        *words.subtitle("Next token after", token=hostile),
        *words.examples([hostile]),
        *words.message(f"{hostile}. {hostile}"),
        *words.sample(replace(AT_240, history=replace(HISTORY, samples=((1, hostile),)))),
    ]
    assert {tag for node in everything for tag in tags(node)} <= set(["p", "b", "span", "div", "code", "button", "i"])
    assert not any(
        hostile in value
        for value in attributes(everything, "style") + attributes(everything, "class")
        if len(hostile) > 2
    )
    assert for_page(hostile, 24) in texts(words.preview([hostile])[1])


def test_a_text_shows_its_first_tokens_only():
    assert len(texts(words.preview(["a"] * 1000)[1])) == words.PREVIEW_TOKENS
    assert words.preview([]) == []


def test_a_window_that_slid_is_spoken_of():
    assert words.window_note(0, 4, 16) == ""
    assert words.window_note(3, 4, 16) == "Beyond 16 tokens the window slides. The heatmaps show the newest 16."
    told = "The prompt has 20 tokens and the model sees 16 at once. Only the newest are read."
    assert words.window_note(4, 20, 16) == told


def test_pieces_know_every_text():
    assert BPETokenizer.train("the king", 256).unknown("ptfx \ud800 \u202e") == []


def test_the_page_never_says_that_the_model_thinks():
    lines = [said(words.status(replace(AT_240, **changes))) for changes, *_ in STATES]
    lines += [*words.NOTHING_TO_EXPLORE, *words.READY_TO_EXPLORE, *(said(words.look_for(name)) for name in LESSONS)]
    assert not [line for line in lines for word in ("think", "understand", "know ") if word in line.lower()]


@pytest.mark.parametrize(("text", "asked", "told"), [("don’t", "don't", "“don’t”"), ("don't", "don’t", "“don't”")])
def test_a_word_with_the_other_apostrophe_is_found(text: str, asked: str, told: str) -> None:
    tokenizer = WordTokenizer.train(f"we {text} know")
    told = f"The text writes it with another apostrophe: {told}."
    assert words.unknown_words([asked], tokenizer).endswith(told)
    assert "apostrophe" not in words.unknown_words(["isn't"], tokenizer)


def test_what_was_written_is_not_translated_and_has_its_own_direction() -> None:
    shown = [*words.preview(["the", "dog"]), *words.examples(["the dog"])]
    assert attributes(shown, "translate") == ["no", "no"]
    assert attributes(shown, "dir") == ["auto", "auto"]
