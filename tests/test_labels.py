"""Every token becomes a label that shows what is there, and that Plotly reads as plain text."""

import html

import pytest
from nasty import NASTY

from minigpt.figures import labels, style


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("king", "king"),
        ("\n", "↵"),
        (" the", "␣the"),
        ("\t", "⇥"),
        ("\x00", "␀"),
        ("\xa0", "⍽"),
        ("", "∅"),
        ("a\u200bb", "a◦b"),
        ("\u202eevil", "◦evil"),
        ("\u2066x\u2069", "◦x◦"),
        ("\ufeff", "◦"),
        ("a\u200db", "a◦b"),
        ("\u3164", "◦"),
        ("\ud800", "\ufffd"),
        ("\u0301", "◌\u0301"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("عربي", "عربي"),
        ("antidisestablishmentarianism", "antidises…"),
        ("漢字漢字漢字", "漢字漢字…"),
    ],
)
def test_a_label_shows_what_is_there(token, label):
    assert labels.for_page(token) == label


@pytest.mark.parametrize("token", NASTY)
def test_plotly_reads_no_markup_or_formula_in_a_token(token):
    label = labels.for_plotly(token, columns=80)
    assert html.unescape(label) == labels.for_page(token, columns=80)
    assert not set(label) & set("<>$")
    label.encode("utf-8")


def test_a_label_is_bounded_whatever_the_token():
    for token in ("x" * 10**6, "漢" * 10**6, "e" + "\u0301" * 10**6, "\u200d" * 10**6, "👩\u200d" * 10**6):
        label = labels.for_page(token)
        assert labels.width(label) <= labels.AXIS_COLUMNS
        assert len(label) <= 4 * labels.AXIS_COLUMNS


def test_no_token_is_taken_for_a_colour():
    for colour in style.DARK:
        assert labels.for_plotly(colour) not in style.DARK


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.00"), (0.714, "0.71"), (0.01, "0.01"), (0.0062, "0.006"), (1e-5, "&lt;0.001"), (0, "0")],
)
def test_small_shares_get_a_third_decimal(value, text):
    assert labels.number(float(value)) == text
