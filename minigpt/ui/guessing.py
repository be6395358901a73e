"""Guess first: what is covered until the reader has guessed, what there is to choose from, and how it went."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minigpt.figures.labels import for_page
from minigpt.hooks import AttentionView
from minigpt.ui.explorer import Exploration, Game, Selection, chance
from minigpt.ui.fragment import Node, h

N_OPTIONS = 4
COVER = "▢"
# What the buttons stand for beside the options, which count from 0.
NEXT, RESET = -1, -2
RANKS = {1: "first choice", 2: "second choice", 3: "third choice"}


def asks(exploration: Exploration, chosen: Selection) -> bool:
    """Whether the chosen token is to be guessed: one that came, with something before it, and not guessed yet."""
    guessed = chosen.position in dict(chosen.game.guesses)
    return chosen.game.on and 0 < chosen.position < len(exploration.ids) and not guessed


def covered(exploration: Exploration, chosen: Selection) -> frozenset[int]:
    """Positions that would give something away: from the chosen token on, whatever was not guessed yet."""
    if not chosen.game.on:
        return frozenset()
    guessed = dict(chosen.game.guesses)
    return frozenset(i for i in range(max(1, chosen.position), len(exploration.ids)) if i not in guessed)


def names(exploration: Exploration, chosen: Selection) -> tuple[str, ...]:
    """All tokens as the reader wrote them, a cover over each that would give something away."""
    hidden = covered(exploration, chosen)
    return tuple(COVER if index in hidden else name for index, name in enumerate(exploration.names))


def view(exploration: Exploration, chosen: Selection) -> AttentionView:
    """What the heatmaps are drawn from: on their axes, too, covers stay closed."""
    return replace(exploration.view, tokens=names(exploration, chosen)[exploration.view.dropped :])


def options(exploration: Exploration, position: int) -> list[int]:
    """Ids to choose from: the one that came and the model's likeliest others, in an order that is fixed yet tells none.

    The model's first choice is always among them, so that reader and model are asked the same.
    """
    p = exploration.distribution(position)
    if p is None:
        return []
    came = exploration.ids[position]
    likeliest = [int(index) for index in np.argsort(-p, kind="stable")[:N_OPTIONS]]
    offered = [came, *(index for index in likeliest if index != came)][:N_OPTIONS]
    # By id first: else the order of the likeliest would show through the shuffle.
    order = np.random.default_rng([position, *(index + 1 for index in exploration.ids[:position])]).permutation(
        len(offered)
    )
    return [sorted(offered)[place] for place in order]


def played(exploration: Exploration, chosen: Selection, option: int) -> Game | None:
    """The game after a guess; None where there is nothing to guess, or no such option."""
    offered = options(exploration, chosen.position) if asks(exploration, chosen) else []
    if not 0 <= option < len(offered):
        return None
    game, p = chosen.game, exploration.distribution(chosen.position)
    assert p is not None
    came = exploration.ids[chosen.position]
    return replace(
        game,
        guesses=(*game.guesses, (chosen.position, offered[option])),
        played=game.played + 1,
        right=game.right + (offered[option] == came),
        first=game.first + (int(p.argmax()) == came),
    )


def box(exploration: Exploration, chosen: Selection) -> list[Node]:
    """The question with its options, or how the guess went; nothing where no guess is asked or made."""
    game, position = chosen.game, chosen.position
    if asks(exploration, chosen):
        offered = [_name(exploration, position, index) for index in options(exploration, position)]
        buttons = [
            h("button", h("i", str(place + 1)), h("code", for_page(name, 24)), type="button", data_index=str(place))
            for place, name in enumerate(offered)
        ]
        said: list[Node] = ["What comes next? Press a button, or its number."]
        return [h("div", h("p", *said), h("div", *buttons, cls="mg-options"), *_score(game), cls="mg-guess asks")]
    guess = dict(game.guesses).get(position) if game.on else None
    if guess is None:
        return []
    go_on = h("button", "Next token", type="button", data_index=str(NEXT))
    sentence = h("p", *_told(exploration, position, guess), role="status")
    return [h("div", sentence, h("div", go_on, cls="mg-options"), *_score(game), cls="mg-guess")]


def candidates(exploration: Exploration, chosen: Selection) -> tuple[list[tuple[str, float]], int, list[str] | None]:
    """The bars: likeliest tokens with their probabilities, how many others there are, and what is noted beside each.

    The guess and what came are among them, however unlikely. Nothing while the token is still to be guessed.
    """
    if asks(exploration, chosen):
        return [], 0, None
    bars, n_others = exploration.candidates(chosen.position)
    guess = dict(chosen.game.guesses).get(chosen.position) if chosen.game.on else None
    p = exploration.distribution(chosen.position)
    if guess is None or p is None:
        return bars, n_others, None
    came = exploration.ids[chosen.position]
    ids = [int(index) for index in np.argsort(-p, kind="stable")[: len(bars)]]
    ids += [index for index in dict.fromkeys((came, guess)) if index not in ids]
    marks = {came: "came", guess: "you"} if came != guess else {came: "you, right"}
    shown = [(_name(exploration, chosen.position, index), chance(p, index)) for index in ids]
    return shown, len(p) - len(ids), [marks.get(index, "") for index in ids]


def _name(exploration: Exploration, position: int, index: int) -> str:
    # A prompt that was read with the wrong vocabulary still shows what the reader wrote.
    return (
        exploration.names[position] if index == exploration.ids[position] else exploration.state.tokenizer.token(index)
    )


def _told(exploration: Exploration, position: int, guess: int) -> Sequence[Node]:
    p, came = exploration.distribution(position), exploration.ids[position]
    assert p is not None
    given = chance(p, guess)
    number = f"{given:.2f}" if given >= 0.01 else f"{given:.3f}" if given >= 0.0005 else "under 0.001"
    rank = 1 + int((p > given).sum())
    token = h("code", for_page(_name(exploration, position, guess), 24))
    to_model = f"{number} to the model, its {RANKS.get(rank, f'choice number {rank:,}')}."
    if guess == came:
        return [h("b", "Right. "), "You said “", token, f"”, {to_model}"]
    right = h("code", for_page(exploration.names[position], 24))
    return ["You said “", token, f"”, {to_model} It was “", right, "”."]


def _score(game: Game) -> list[Node]:
    if not game.played:
        return []
    said = f"Right {game.right} of {game.played}; the model's first choice was right {game.first} of {game.played}."
    return [h("p", h("span", said), h("button", "Reset", type="button", data_index=str(RESET)), cls="mg-score")]
