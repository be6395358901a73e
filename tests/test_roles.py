"""A role needs a large share, and one large against chance; the caption says so, or says that there is none."""

import math
from dataclasses import fields

import pytest

from minigpt.heads import Description, HeadScores, Measures, in_words


def made(chance: float = 0.1, entropy: float = 0.5, **shares: float) -> HeadScores:
    names = [field.name for field in fields(Measures)]
    rest = dict.fromkeys(names, 0.0) | {"entropy": entropy}
    return HeadScores(**(rest | shares), chance=Measures(**dict.fromkeys(names, chance)))


@pytest.mark.parametrize(
    ("shares", "roles", "partly", "caption"),
    [
        ({"previous": 0.71, "chance": 0.08}, ["previous"], [], "71% to the previous token, 9 × chance"),
        ({"previous": 0.4}, ["previous"], [], "40% to the previous token, 4 × chance"),
        ({"previous": 0.39}, [], ["previous"], "partly 39% to the previous token, 4 × chance"),
        ({"current": 0.4}, ["current"], [], "40% to the token itself, 4 × chance"),
        ({"first": 0.4}, ["first"], [], "40% to the first token, 4 × chance"),
        ({"duplicate": 0.5}, ["duplicate"], [], "50% to the same token earlier, 5 × chance"),
        ({"duplicate": 0.49}, [], ["duplicate"], "partly 49% to the same token earlier, 5 × chance"),
        ({"induction": 0.5}, ["induction"], [], "50% to what came after the same token earlier, 5 × chance"),
        ({"induction": 0.49}, [], ["induction"], "partly 49% to what came after the same token earlier, 5 × chance"),
        ({"first": 0.25, "chance": 0.05}, [], ["first"], "partly 25% to the first token, 5 × chance"),
        ({"first": 0.24, "chance": 0.05}, [], [], "no clear role"),
        # Too near to chance.
        ({"previous": 0.9, "chance": 0.31}, [], [], "no clear role"),
        ({"first": 0.9, "chance": 0.3}, ["first"], [], "90% to the first token, 3 × chance"),
        ({"previous": 0.9, "entropy": 0.9}, [], [], "spread evenly"),
        ({"previous": 0.9, "entropy": 0.89}, ["previous"], [], "90% to the previous token, 9 × chance"),
        # Where everything is lost on one key, nothing but the sink is large: that names no role.
        ({"sink": 1.0}, [], [], "no clear role"),
        (
            {"first": 0.41, "induction": 0.52, "previous": 0.32},
            ["induction", "first"],
            ["previous"],
            "52% to what came after the same token earlier, 5 × chance; 41% to the first token, 4 × chance; "
            "partly 32% to the previous token, 3 × chance",
        ),
        ({"duplicate": math.nan, "chance": math.nan}, [], [], "no clear role"),
    ],
)
def test_a_role_takes_its_share_and_three_times_chance(shares, roles, partly, caption):
    assert in_words(made(**shares)) == Description(tuple(roles), tuple(partly), caption)
