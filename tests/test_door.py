"""What people may send: read as they meant it, or refused with a sentence."""

import math
from dataclasses import replace

import gradio as gr
import pytest

from minigpt.config import PRESETS, SamplingConfig
from minigpt.corpora import LESSONS
from minigpt.limits import LETTERS
from minigpt.ui import door

FIELDS = door.preset_fields("small", "stories")


def test_a_pasted_text_fits_to_the_letter():
    assert len(door.text_of("a" * LETTERS.most)) == 2_000_000
    with pytest.raises(ValueError, match=r"^This text has 2,000,001 letters and 2,000,000 fit\. Paste a part of it"):
        door.text_of("a" * (LETTERS.most + 1))


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}])
def test_what_is_no_text_is_an_empty_text(value):
    assert door.text_of(value) == ""


def test_a_lone_surrogate_becomes_a_question_mark():
    assert door.text_of("a\ud800b\r\n") == "a?b\n"


def test_shown_gives_the_result_or_the_sentence():
    assert door.shown(int, "7") == (7, "")
    assert door.shown(door.text_of, "a" * 2_000_001)[0] is None
    assert door.shown(door.text_of, "a" * 2_000_001)[1].startswith("This text has ")
    with pytest.raises(ZeroDivisionError):
        door.shown(lambda: 1 // 0)


@pytest.mark.parametrize("name", door.Fields._fields)
def test_an_empty_field_is_named(name):
    with pytest.raises(ValueError, match=f"^The field “{door.FIELD_LABELS[name]}” is empty\\. Write a number into it"):
        door.settings_of(FIELDS._replace(**{name: None}), "")


@pytest.mark.parametrize("number", [-1, 10**30, 2.5, math.nan, math.inf, "many", True])
@pytest.mark.parametrize("name", ["layers", "heads", "width", "context", "mlp", "steps", "batch", "seed"])
@pytest.mark.usefixtures("unchecked")
def test_an_absurd_number_is_refused_with_one_sentence(name, number):
    with pytest.raises(ValueError, match=r"^[^\n]*(must be|would have|cannot be)[^\n]*\.$"):
        door.settings_of(FIELDS._replace(**{name: number}), "")


@pytest.mark.parametrize("rate", [-1, 101, math.nan, math.inf, "fast"])
@pytest.mark.usefixtures("unchecked")
def test_an_absurd_learning_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"^Learning rate must be a number from 1e-08 to 100, not "):
        door.settings_of(FIELDS._replace(rate=rate), "")


def test_a_learning_rate_of_zero_is_the_optimisers_own():
    assert door.settings_of(FIELDS._replace(rate=0), "").training.learning_rate == 0.03
    assert door.settings_of(FIELDS._replace(rate=0, optimiser="adamw"), "").training.learning_rate == 0.005


@pytest.mark.parametrize(("label", "kind"), [("words", "word"), ("letters", "character"), ("pieces", "bpe")])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_panels_are_read_back_as_they_stood(preset, label, kind):
    fields = door.preset_fields(preset)._replace(tokenizer=label, steps=77, seed=5, rate=0.01)
    settings = door.settings_of(fields, "")
    assert settings.tokenizer == kind
    assert settings.training.sample_tokens == door.SAMPLE_TOKENS[kind]
    assert door.fields_of(settings) == fields


def test_a_preset_gives_its_model_and_a_lesson_its_steps_and_its_way_to_split():
    fields = door.preset_fields("deep", "echo")
    assert (fields.layers, fields.mlp, fields.tokenizer) == (4, 4, "letters")
    assert fields.steps == LESSONS["echo"].training.steps * 600 // 400
    assert fields.context == LESSONS["echo"].config.n_ctx
    assert {door.preset_fields(preset).mlp for preset in PRESETS} == {4, 0}


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_as_it_is_trains_the_model_that_it_was_tried_with(lesson):
    known = LESSONS[lesson]
    settings = door.settings_of(door.preset_fields(door.SIZE_OF_LESSON, lesson), lesson)
    assert settings.applied() == (settings.config, settings.training)
    assert settings.config == known.config
    assert replace(settings.training, sample_tokens=32) == known.training
    assert settings.taught() == known
    assert door.size_name(door.SIZE_OF_LESSON, door.fields_of(settings), lesson) == door.SIZE_OF_LESSON


@pytest.mark.parametrize("preset", PRESETS)
def test_a_size_keeps_its_name_until_its_shape_changes(preset):
    fields = door.preset_fields(preset)
    assert door.size_name(preset, fields) == preset
    assert door.size_name(preset, fields._replace(steps=9, seed=9, rate=0.5, batch=3, tokenizer="pieces")) == preset
    for name in ("layers", "heads", "width", "context", "mlp"):
        assert door.size_name(preset, fields._replace(**{name: getattr(fields, name) + 1})) == "own size"
    assert door.size_name(preset, fields._replace(positions="none")) == "own size"


def test_the_floor_belongs_to_the_lesson_split_as_it_says():
    letters = FIELDS._replace(tokenizer="letters")
    reading = door.read(LESSONS["markov"].text, "character", 512)
    plan = door.plan(reading, door.settings_of(letters, "markov"))
    assert plan.history.references.floor == pytest.approx(1.16, abs=0.05)
    assert door.plan(reading, door.settings_of(letters, "own")).history.references.floor is None
    split_otherwise = door.settings_of(letters._replace(tokenizer="words"), "markov")
    assert split_otherwise.taught() is None
    assert door.plan(reading, split_otherwise).history.references.floor is None


def test_a_text_is_its_lessons_only_while_it_is_unchanged():
    text = LESSONS["essay"].text
    assert door.lesson_of(text, "essay", {}) == "essay"
    assert door.lesson_of(text + "x", "essay", {}) == door.lesson_of(text, "stories", {}) == door.OWN_TEXT
    assert door.lesson_of("mine", "no such lesson", {}) == door.OWN_TEXT
    other = LESSONS["echo"].changed({"seed": 3}).text
    assert door.lesson_of(other, "echo", {"seed": 3}) == "echo"
    assert door.lesson_of(other, "echo", {}) == door.lesson_of(other, "echo", {"depth": 3}) == door.OWN_TEXT


def test_what_is_typed_for_a_lesson_becomes_its_settings_or_is_refused_by_name():
    shown = [value for _, value in door.knobs("echo", {})]
    assert door.knobs_of("echo", shown) == {}
    assert door.knobs_of("echo", ["abcdefgh", "2", "5", *shown[3:]]) == {
        "letters": "abcdefgh",
        "shortest": 2,
        "longest": 5,
    }
    assert door.knobs("echo", {"longest": 5})[2] == ("Most in a line", "5")
    assert door.knobs("essay", {}) == door.knobs(door.OWN_TEXT, {}) == []
    for typed, sentence in (
        (["abcdefgh", "two"], "“Fewest in a line” must be a number, such as 4, not 'two'"),
        (["aab"], "“Letters” must be at least 2 different signs, not 'aab'"),
        (["abc", "4", "3"], "“Fewest in a line” must be a whole number from 1 to 3, not 4"),
        (["ab|c"], "“Letters” may hold any signs of the keyboard except spaces"),
    ):
        with pytest.raises(ValueError, match=sentence):
            door.knobs_of("echo", typed)
    assert max(len(door.knobs(lesson, {})) for lesson in LESSONS) == door.N_KNOBS


def test_what_is_broken_on_purpose_is_named_by_its_title_and_found_again():
    fields = FIELDS._replace(breaks=["one layer", "no causal mask"])
    settings = door.settings_of(fields, "")
    assert settings.breaks == ("mask", "layer")
    config, _ = settings.applied()
    assert (config.causal, config.n_layers) == (False, 1)
    assert (settings.config.causal, settings.config.n_layers) == (True, 2), "as asked, so that it can be mended"
    assert door.fields_of(settings).breaks == ["no causal mask", "one layer"]
    for breaks, sentence in ((["no brain"], "not by 'no brain'"), ("mask", "“Break it” must be a list")):
        with pytest.raises(ValueError, match=sentence):
            door.settings_of(FIELDS._replace(breaks=breaks), "")


def test_a_plan_fits_the_text_and_draws_its_lines_before_any_step():
    settings = door.settings_of(FIELDS._replace(steps=50), "")
    plan = door.plan(door.read("one two three four five six seven eight", "word", 512), settings)
    assert (plan.config.n_ctx, plan.config.d_vocab) == (5, 8)
    assert plan.history.n_steps == 50
    assert plan.history.train == ()
    assert plan.history.references.uniform == pytest.approx(math.log(8))
    assert plan.n_params > 9 * plan.config.d_model


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_prompts_to_click_come_from_the_text_and_are_known_to_it(kind):
    reading = door.read("the old king saw a dog .\nthe dog ran off .\n" * 20, kind, 300)
    prompts = door.offered(reading, door.OWN_TEXT)
    assert 1 <= len(prompts) <= 3
    assert len(set(prompts)) == len(prompts)
    assert all(prompt and not reading.tokenizer.unknown(prompt) for prompt in prompts)


def test_a_top_k_of_zero_and_a_top_p_of_one_keep_every_token():
    assert door.sampling_of(10, 0.8, 0, 1, 3) == SamplingConfig(10, 0.8, None, None, 3)
    assert door.sampling_of(10, 0, 5, 0.9, 3) == SamplingConfig(10, 0, 5, 0.9, 3)
    for sampling in (SamplingConfig(10, 0.8, None, None, 3), SamplingConfig(10, 0, 5, 0.9, 3)):
        assert door.sampling_of(*door.sampling_fields(sampling)) == sampling


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [(0, 0, "Tokens"), (0, None, "Tokens"), (1, -0.1, "Temperature"), (1, math.nan, "Temperature"),
     (2, -1, "Top-k"), (3, 1.01, "Top-p"), (3, math.nan, "Top-p"), (4, -1, "Seed"), (4, None, "Seed")],
)  # fmt: skip
@pytest.mark.usefixtures("unchecked")
def test_absurd_sampling_is_refused_by_name(place, value, name):
    asked = [10, 0.8, 0, 1, 0]
    asked[place] = value
    with pytest.raises(ValueError, match=f"^{name} must be a .*not {value}\\.$"):
        door.sampling_of(*asked)


def test_an_error_for_callers_is_the_sentence_alone():
    refusal = door.refuse(ValueError("Too short. Paste more."))
    assert isinstance(refusal, gr.Error)
    assert (refusal.message, refusal.print_exception) == ("Too short. Paste more.", False)
