"""A refusal names the field as the page does, and what it suggests is accepted when followed."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.config import GPTConfig, TrainingConfig, check_memory
from minigpt.corpora import LESSONS
from minigpt.runs import RunSettings
from minigpt.ui import door

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
