"""A refusal names the field as the page does, and what it suggests is accepted when followed."""

import random
import re
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.breaks import BREAKS
from minigpt.config import LABELS, GPTConfig, SamplingConfig, TrainingConfig, check_memory
from minigpt.corpora import LESSONS
from minigpt.data import encode_text
from minigpt.limits import LETTERS
from minigpt.runs import RunSettings
from minigpt.tokenizer import train_tokenizer
from minigpt.training import begin
from minigpt.ui import door
from minigpt.ui.endpoints_heads import heads_of
from minigpt.ui.explore_panel import sampling
from minigpt.ui.layout import _settings

FIELD_OF = {"width": "width", "batch": "batch", "context": "context"}
SHAPES = {
    "layers": st.integers(1, 64),
    "heads": st.integers(1, 64),
    "width": st.integers(1, 4096),
    "mlp": st.integers(0, 16),
    "context": st.integers(1, 4096),
    "batch": st.integers(1, 1024),
    "positions": st.sampled_from(["rotary", "sinusoidal", "learned", "none"]),
}


def asked(fields: door.Fields, d_vocab: int) -> RunSettings:
    """As pressing Train would: the shape, the vocabulary of the text, the memory."""
    made = door.settings_of(fields, "")
    check_memory(replace(made.config, d_vocab=d_vocab), made.training)
    return made


def followed(fields: door.Fields, refusal: str) -> door.Fields:
    if refusal.startswith("MLP"):  # A range is advice as well.
        return fields._replace(mlp=int(re.search(r" to (\d+),", refusal)[1]))
    advice = refusal.rpartition("Try ")[2]
    named = {name: int(number) for name, number in re.findall(r"(width|batch of|context of|layers) (\d+)", advice)}
    assert named, refusal
    return fields._replace(**{FIELD_OF[name.removesuffix(" of")]: number for name, number in named.items()})


@given(shape=st.fixed_dictionaries(SHAPES), d_vocab=st.sampled_from([1, 500, 8193, 50_000]))
@settings(max_examples=100, deadline=None)
def test_a_suggested_shape_is_accepted_when_followed(shape, d_vocab):
    fields = door.preset_fields("small")._replace(**shape)
    for _ in ("the width of the MLP", "shared by the heads", "parameters, with the vocabulary", "memory"):
        try:
            asked(fields, d_vocab)
        except ValueError as error:
            fields = followed(fields, str(error))
    assert asked(fields, d_vocab)


def test_seven_heads_of_width_64_are_offered_a_width_that_works():
    fields = door.preset_fields("small")._replace(heads=7, width=64)
    with pytest.raises(ValueError, match=r"^Width 64 cannot be shared by 7 heads\. Try width 70\.$"):
        asked(fields, 500)
    assert asked(fields._replace(width=70), 500).config.d_head == 10


@pytest.mark.parametrize("name", sorted(door.FIELD_LABELS.keys() - {"breaks", "film_of", "tokenizer"}))
@pytest.mark.parametrize("value", [None, -1, 10**10, 2.5, "x", float("nan")])
@pytest.mark.usefixtures("unchecked")
def test_every_refusal_names_its_field_as_the_page_does_and_its_limits_are_accepted(name, value):
    fields = door.preset_fields("small")._replace(**{"tokenizer": "pieces", name: value})
    _, refusal = door.shown(door.settings_of, fields, "")
    assert door.FIELD_LABELS[name] in refusal or (name in ("rate", "held_share") and value == 2.5)
    for low, high in re.findall(r"from (\S+) to (\S+), not", refusal):
        for limit in (low, high):
            number = float(limit.replace(",", ""))
            kept = fields._replace(**{"heads": 1, name: int(number) if number == int(number) else number})
            _, other = door.shown(door.settings_of, kept, "")
            # A limit of one field may ask for less of another; it is never refused for itself.
            assert not other.startswith(f"{door.FIELD_LABELS[name]} must"), (refusal, other)


def test_a_refused_setting_of_a_lesson_is_called_as_its_field_is():
    typed = [value for _, value in door.knobs("echo", {})]
    labels = [label for label, _ in door.knobs("echo", {})]
    typed[labels.index("Lines")] = "5"
    with pytest.raises(ValueError, match=r"^“Lines” must be a whole number from 20 to 20,000, not 5\.$"):
        door.knobs_of("echo", typed)
    assert LESSONS["echo"].changed({"n_lines": 20})


def test_the_core_counts_a_width_with_the_vocabulary():
    with pytest.raises(ValueError, match=r"parameters\. Try width (\d+)\.$") as caught:
        GPTConfig(d_vocab=50_000, d_model=4096, n_heads=32)
    GPTConfig(d_vocab=50_000, d_model=int(re.search(r"(\d+)\.$", str(caught.value))[1]), n_heads=32)


def test_a_batch_that_is_too_large_is_offered_one_that_fits():
    config, training = GPTConfig(d_vocab=500, n_ctx=1024), TrainingConfig(batch_size=1024)
    with pytest.raises(ValueError, match=r"Try a batch of (\d+)\.$") as caught:
        check_memory(config, training)
    check_memory(config, replace(training, batch_size=int(re.search(r"(\d+)\.$", str(caught.value))[1])))


CORE = (GPTConfig, TrainingConfig, SamplingConfig)
CHOSEN = [(config, field.name) for config in CORE for field in dataclass_fields(config)]
# Of a range, what goes with its ends: a limit of one setting may ask for less of another.
ONE_HEAD = {"n_heads": 1}
WITH = {"d_model": ONE_HEAD, "n_heads": {"d_model": 128}, "n_layers": {"d_model": 8} | ONE_HEAD, "d_head": ONE_HEAD}


def refused(make: Any, **asked: Any) -> str:
    """What is said against some settings; "" where they are accepted."""
    return door.shown(lambda: make(**asked))[1]


@pytest.mark.parametrize(("config", "name"), CHOSEN, ids=[f"{config.__name__}.{name}" for config, name in CHOSEN])
@pytest.mark.parametrize("value", [-1, 10**10, 2.5, "x", float("nan"), True])
@pytest.mark.usefixtures("unchecked")
def test_whatever_the_core_refuses_it_names_and_the_range_or_choice_that_it_tells_is_accepted(
    config: type[Any], name: str, value: object
) -> None:
    refusal = refused(config, **{name: value})
    if not refusal:
        assert getattr(config(**{name: value}), name) == value
        return
    assert refusal.startswith((LABELS.get(name, name), "Width")), refusal
    accepted: list[object] = []
    for number in sum(re.findall(r"from (\S+) to (\S+), not", refusal), ()):
        whole = "whole number" in refusal
        accepted.append(int(number.replace(",", "")) if whole else float(number))
    for names in re.findall(r"must be one of (.*), not", refusal):
        accepted += names.split(", ")
    accepted += [True, False] * ("must be True or False" in refusal)
    assert accepted, refusal
    for each in accepted:
        asked = ({} if (name, each) == ("d_head", 0) else WITH.get(name, {})) | {name: each}
        # The largest of all is too large for one that is as wide or as deep besides; it is not refused for itself.
        assert not refused(config, **asked).startswith(f"{LABELS.get(name, name)} must"), (refusal, asked)


@given(d_head=st.integers(1, 4096), d_model=st.integers(1, 4096), positions=SHAPES["positions"])
@settings(max_examples=60, deadline=None)
def test_a_width_of_a_head_that_is_asked_for_by_itself_is_offered_one_that_works(d_head, d_model, positions):
    asked = {"d_head": d_head, "d_model": d_model, "positions": positions, "n_heads": 3}
    for _ in ("rotary or sinusoidal", "parameters"):
        if refusal := refused(GPTConfig, **asked):
            [(setting, number)] = re.findall(r"Try (d_head|width) (\d+)\.$", refusal)
            asked["d_model" if setting == "width" else setting] = int(number)
    assert refused(GPTConfig, **asked) == ""


@pytest.mark.parametrize("text", ["", " ", "dog", "the dog ran"])
def test_a_text_that_is_too_short_is_told_how_many_words_are_enough(text):
    with pytest.raises(ValueError, match=r"Paste at least (\d+) words") as caught:
        encode_text(text, train_tokenizer("word", text))
    enough = int(re.search(r"at least (\d+) words", str(caught.value))[1])
    assert begin(" ".join(f"word{n}" for n in range(enough)), "word", GPTConfig(d_model=8)).ids.shape == (enough,)


def test_a_text_without_spaces_and_one_without_line_ends_are_trained_when_the_advice_is_followed():
    dna = "".join(random.Random(0).choices("ACGT", k=900))
    with pytest.raises(ValueError, match=r"split it into letters or pieces\.$"):
        begin(dna, "word", GPTConfig(d_model=8))
    assert begin(dna, "character", GPTConfig(d_model=8)).step == begin(dna, "bpe", GPTConfig(d_model=8)).step == 0
    with pytest.raises(ValueError, match=r"Let them begin anywhere\.$"):
        begin(dna, "character", GPTConfig(d_model=8), TrainingConfig(windows="line starts"))
    assert begin(dna, "character", GPTConfig(d_model=8), TrainingConfig(windows="anywhere")).step == 0


def test_a_part_of_a_text_that_is_too_long_is_taken():
    with pytest.raises(ValueError, match=r"and ([\d,]+) fit\. Paste a part of it") as caught:
        door.text_of("a" * (LETTERS.most + 1))
    fits = int(re.search(r"and ([\d,]+) fit", str(caught.value))[1].replace(",", ""))
    assert len(door.text_of("a" * fits)) == fits


def test_a_vocabulary_of_the_prompt_is_made_of_what_is_told():
    fields = door.preset_fields("small")._replace(breaks=[BREAKS["vocabulary"].title])
    with pytest.raises(ValueError, match=r"words or letters, not of pieces\. Split into those\.$"):
        door.settings_of(fields._replace(tokenizer="pieces"), "")
    for split in ("words", "letters"):
        assert door.settings_of(fields._replace(tokenizer=split), "")


@pytest.mark.parametrize(
    ("place", "value", "label"),
    [
        (0, 0, "Tokens"),
        (0, 10**9, "Tokens"),
        (1, -1, "Temperature"),
        (2, -3, "Top-k"),
        (3, 1.5, "Top-p"),
        (4, -1, "Seed"),
    ],
)
def test_a_refused_way_to_choose_is_called_as_its_field_is_and_its_limits_are_accepted(place, value, label):
    usual: list[Any] = [10, 0.8, 0, 1, 0]
    with pytest.raises(ValueError, match=rf"^{label} must be a") as caught:
        door.sampling_of(*usual[:place], value, *usual[place + 1 :])
    for limit in re.search(r"from (\S+) to (\S+), not", str(caught.value)).groups():
        number = float(limit.replace(",", ""))
        door.sampling_of(*usual[:place], int(number) if number == int(number) else number, *usual[place + 1 :])


@pytest.mark.parametrize("names", [[], ["9.9"], ["1"], ["x"]])
def test_a_head_that_is_told_as_an_example_is_one(names):
    with pytest.raises(ValueError, match=r"Its heads are (\S+) to (\S+), such as \[\"(\S+)\"\]") as caught:
        heads_of(names, GPTConfig())
    first, last, example = re.search(r"are (\S+) to (\S+), such as \[\"(\S+)\"\]", str(caught.value)).groups()
    assert heads_of([first, last, example], GPTConfig()) == ((0, 0), (1, 3))


def test_the_fields_of_the_page_are_labelled_as_refusals_call_them():
    import gradio as gr

    with gr.Blocks(analytics_enabled=False):
        parts = _settings(door.preset_fields("small")) | sampling()
    for name, label in door.FIELD_LABELS.items():
        if name in parts:
            assert parts[name].label == label
    for name, setting in (("length", "max_new_tokens"), ("temperature", "temperature"), ("top_k", "top_k"),
                          ("top_p", "top_p"), ("sampling_seed", "seed")):  # fmt: skip
        assert parts[name].label.startswith(LABELS[setting])
