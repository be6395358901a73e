"""Guess first: nothing on the page says what is covered, and what it says afterwards is what the model said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_explorer import exploration

from minigpt import figures
from minigpt.config import SamplingConfig
from minigpt.copies import Copies, Span
from minigpt.ui import guessing
from minigpt.ui.continuation import continuation, novelty, told
from minigpt.ui.deeper import FILM, GUESSING, closed
from minigpt.ui.explorer import Exploration, Explorer, Game, Selection

PROMPT = "the old king saw"


@pytest.fixture(scope="module")
def shown() -> Exploration:
    return exploration(PROMPT)


def playing(position: int, *guesses: tuple[int, int]) -> Selection:
    return Selection(position=position, game=Game(on=True, guesses=guesses))


def test_off_by_default_and_nothing_is_covered(shown: Exploration) -> None:
    assert not Game().on
    assert guessing.covered(shown, Selection(position=4)) == frozenset()
    assert guessing.box(shown, Selection(position=4)) == []
    assert guessing.names(shown, Selection(position=4)) == shown.names
    assert guessing.candidates(shown, Selection(position=4)) == (*shown.candidates(4), None)


def test_what_came_and_all_behind_it_is_covered_until_it_is_guessed(shown: Exploration) -> None:
    end = len(shown.ids)
    assert guessing.covered(shown, playing(4)) == frozenset(range(4, end))
    assert guessing.covered(shown, playing(4, (4, 1))) == frozenset(range(5, end))
    assert guessing.covered(shown, playing(4, (5, 1))) == {4, *range(6, end)}
    assert guessing.covered(shown, playing(end)) == frozenset()
    # Before the first token stands nothing, so there is nothing to guess it from.
    assert not guessing.asks(shown, playing(0))
    assert guessing.covered(shown, playing(0)) == frozenset(range(1, end))


@pytest.mark.parametrize("colour", ["probability", "surprise", "attention"])
def test_nothing_on_the_page_says_what_is_covered(colour: str) -> None:
    base = exploration("the old king saw the young dog .", new=3)
    n_prompt = len(base.prompt)
    secret = tuple(replace(token, token=f"secret{i}") for i, token in enumerate(base.tokens))
    shown = replace(base, tokens=secret, view=replace(base.view, tokens=(*base.prompt, *(t.token for t in secret))))
    chosen = replace(playing(n_prompt), colour=colour)
    copies = Copies((Span(0, 3, 7),), 3)
    said = json.dumps([continuation(shown, chosen, copies), told(shown, chosen)])
    assert "secret" not in said
    assert f"{shown.told(n_prompt).probability:.2f}" not in json.dumps(told(shown, chosen))
    # No colour and no rule of a copy hints at it either.
    chips = continuation(shown, chosen, copies)[0][2:]
    covers = [chip for chip in chips if chip[1]["class"].startswith("t cover")]
    assert [chip[2] for chip in covers] == [guessing.COVER] * 3
    assert all("style" not in chip[1] and "copied" not in json.dumps(chip) for chip in covers)
    view = guessing.view(shown, chosen)
    drawn = figures.head(view, 0, 0, n_prompt - 1).to_json() + figures.heads_grid(view, (0, 0)).to_json()
    assert "secret" not in drawn
    assert guessing.candidates(shown, chosen) == ([], 0, None)
    open_ = replace(chosen, game=Game())
    assert "secret" in json.dumps(continuation(shown, open_, copies))


def test_the_options_are_what_came_and_the_likeliest_others_in_a_fixed_order(shown: Exploration) -> None:
    places = []
    for position in range(1, len(shown.ids)):
        options, p = guessing.options(shown, position), shown.distribution(position)
        came = shown.ids[position]
        assert options == guessing.options(shown, position)
        assert len(set(options)) == guessing.N_OPTIONS
        assert {came, int(p.argmax())} <= set(options)
        others = [int(i) for i in np.argsort(-p, kind="stable") if i != came]
        assert set(options) - {came} == set(others[: guessing.N_OPTIONS - 1])
        places.append(options.index(came))
    assert len(set(places)) > 1, "what came always stands in the same place"


def test_right_is_what_came_and_not_what_the_model_would_have_said(shown: Exploration) -> None:
    surprises = 0
    for position in range(4, len(shown.ids)):
        options, came = guessing.options(shown, position), shown.ids[position]
        best = int(shown.distribution(position).argmax())
        for guess in {came, best} if came != best else ():
            chosen = Selection(position=position, game=Game(on=True))
            game = guessing.played(shown, chosen, options.index(guess))
            assert (game.right, game.first) == (guess == came, 0)
            surprises += 1
    assert surprises, "the model was never surprised"


def test_a_guess_is_told_with_the_models_own_numbers_and_counted(shown: Exploration) -> None:
    game, right, first = Game(on=True), 0, 0
    for position in range(4, len(shown.ids)):
        chosen = Selection(position=position, game=game)
        option = position % guessing.N_OPTIONS
        guess, p = guessing.options(shown, position)[option], shown.distribution(position)
        game = guessing.played(shown, chosen, option)
        came = shown.ids[position]
        right, first = right + (guess == came), first + (int(p.argmax()) == came)
        assert (game.played, game.right, game.first) == (position - 3, right, first)
        said = json.dumps(guessing.box(shown, replace(chosen, game=game)), ensure_ascii=False)
        assert f"{p[guess]:.2f} to the model" in said
        assert guessing.RANKS.get(1 + int((p > p[guess]).sum()), "choice") in said
        assert ("It was" in said) == (guess != came)
        assert f"Right {right} of {game.played}; the model's first choice was right {first} of {game.played}." in said
        # The guess and what came have bars of their own, however unlikely they are.
        bars, n_others, notes = guessing.candidates(shown, replace(chosen, game=game))
        named = {note: bar for bar, note in zip(bars, notes, strict=True) if note}
        assert len(bars) + n_others == len(p)
        if guess == came:
            assert named == {"you, right": (shown.names[position], float(p[came]))}
        else:
            assert named["you"] == (shown.state.tokenizer.token(guess), float(p[guess]))
            assert named["came"] == (shown.names[position], float(p[came]))
    assert guessing.played(shown, Selection(position=4, game=game), 0) is None, "nobody guesses the same token twice"


@pytest.mark.parametrize("option", [-3, 4, 99])
def test_a_browser_can_send_no_option_that_is_not_there(shown: Exploration, option: int) -> None:
    assert guessing.played(shown, playing(4), option) is None


def test_the_score_outlives_the_exploration_and_its_guesses_do_not(shown: Exploration) -> None:
    before = Selection(game=Game(True, ((4, 1),), 3, 2, 1))
    assert Explorer(None).keep(shown, before).game == Game(True, (), 3, 2, 1)


def test_copies_are_marked_and_told() -> None:
    shown = exploration(PROMPT, new=8)
    copies = Copies((Span(1, 6, 1203),), 8)
    chips = continuation(shown, Selection(position=4), copies)[0][2:]
    assert [i for i, chip in enumerate(chips) if "copied" in chip[1]["class"]] == list(range(5, 11))
    assert chips[5][1]["title"].endswith("; copied: 6 tokens, from token 1,204 of the text")
    told_line = "6 of 8 tokens stand word for word in the training text: from token 1,204 (6). 25% is new."
    assert continuation(shown, Selection(position=4), copies)[1][2] == told_line
    assert novelty(shown, Copies((), 8)) == "Nothing of 5 words or more is copied. 100% is new."
    many = Copies(tuple(Span(5 * i, 5, i) for i in range(5)), 30)
    assert novelty(shown, many).endswith(
        "from token 1 (5), from token 2 (5), from token 3 (5), and 2 more. 17% is new."
    )


def test_a_line_that_ends_early_is_not_called_new() -> None:
    shown = exploration(PROMPT, new=3)
    said = novelty(shown, Copies((), 3))
    assert said == "Too short to tell what is copied: 3 words written, and a copy has 5 or more."


def test_copies_are_those_of_the_continuation_alone() -> None:
    shown = exploration(PROMPT, new=8)
    found = Explorer(None).copies(shown)
    assert found.n_tokens == 8
    assert shown.sampling == SamplingConfig()


def test_nothing_deeper_is_shown_while_a_guess_is_awaited_or_a_film_is_on(shown: Exploration) -> None:
    assert closed(shown, Selection(position=4)) == ""
    assert closed(shown, playing(4)) == GUESSING
    assert closed(shown, replace(playing(4), game=Game(True, ((4, 1),)))) == ""
    assert closed(replace(shown, film_step=1), Selection(position=4)) == FILM


def test_a_prompt_with_an_unknown_word_can_be_guessed_on_from() -> None:
    with_unknown = exploration("the zebra saw")
    assert -1 in with_unknown.ids
    for position in range(1, len(with_unknown.ids)):
        assert guessing.box(with_unknown, playing(position))
        assert with_unknown.ids[position] in guessing.options(with_unknown, position)
