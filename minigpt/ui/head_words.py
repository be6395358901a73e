"""What a head does, in the page's words: a word in the grid, a caption below the head, a row of the table."""

from collections.abc import Sequence

from minigpt.config import GPTConfig
from minigpt.diagnosis import Diagnosis
from minigpt.heads import EVEN, ROLES, HeadScores, in_words
from minigpt.tokenizer import Tokenizer
from minigpt.ui.explorer import Exploration, Explorer, Selection
from minigpt.ui.fragment import Node, h

_ROLE_NAMES = {"previous": "previous", "current": "itself", "first": "first", "induction": "copies"}
READING = "Reading what this head does…"
MEASURING = " Measuring what muting it costs…"
NO_MASK = "A head that may look ahead has none of the roles that are looked for here."
TOO_SMALL = "To score heads takes at least 3 different tokens and a context of 5."


def name_of(role: str, kind: str) -> str:
    """A role of `minigpt.heads.ROLES` in one or two words; kind: of the tokenizer."""
    return _ROLE_NAMES.get(role) or ("same word" if kind == "word" else "same token")


def role(scored: HeadScores, tokenizer: Tokenizer) -> str:
    """The largest role of a head, "even" where it does not choose, "unclear" where it has none."""
    if scored.entropy >= EVEN:
        return "even"
    roles = in_words(scored).roles
    return name_of(roles[0], tokenizer.kind) if roles else "unclear"


def roles(diagnosis: Diagnosis, tokenizer: Tokenizer) -> list[list[str]]:
    """`role` of every head, as [layer][head]."""
    return [[role(scored, tokenizer) for scored in row] for row in diagnosis.scores]


def unscored(config: GPTConfig) -> str:
    """Why heads have no scores."""
    return TOO_SMALL if config.causal else NO_MASK


def scored_on(diagnosis: Diagnosis) -> str:
    """What the heads read when they were scored."""
    return f"Scored on {diagnosis.scored_on}" + (", read twice." if diagnosis.scored_on == "random tokens" else ".")


def title(chosen: Selection) -> list[Node]:
    """The heading of the large head."""
    drag = h("span", ", drag to zoom", cls="mg-mouse")
    name = f"Layer {chosen.layer + 1} head {chosen.head + 1}"
    return [h("p", h("b", name), h("span", "row looks at column", drag), cls="mg-sub")]


def change(cost: float) -> str:
    """`rises by 0.31 nats`, `falls by 0.004 nats`, `does not change`."""
    if abs(cost) < 0.0005:
        return "does not change"
    return f"{'rises' if cost > 0 else 'falls'} by {abs(cost):.{2 if abs(cost) >= 0.01 else 3}f} nats"


def caption(explorer: Explorer, exploration: Exploration, chosen: Selection) -> list[Node]:
    """What is known of the chosen head so far, and what is still to be found; see `measure`."""
    if exploration.film_step is not None:
        return [h("p", "The film holds heatmaps. Press Generate to see what this head does now.", cls="mg-caption")]
    if not explorer.knows(exploration, "diagnosis"):
        return [h("p", READING, cls="mg-caption")]
    diagnosis = explorer.diagnosis(exploration)
    said, note = _said(exploration, diagnosis, chosen)
    cost = explorer.cost(exploration, (chosen.layer, chosen.head))
    said.append(MEASURING if cost is None else f" Without it the validation loss {change(cost)}.")
    return [h("p", *said, h("small", note), cls="mg-caption", role="status")]


def measure(explorer: Explorer, exploration: Exploration, chosen: Selection) -> bool:
    """Find the next thing that the caption waits for; whether there was one. It can take seconds for a large model."""
    head = ((chosen.layer, chosen.head),)
    if exploration.film_step is not None:
        return False
    if not explorer.knows(exploration, "diagnosis"):
        explorer.diagnosis(exploration)
        return True
    if explorer.cost(exploration, head[0]) is not None:
        return False
    explorer.loss_without(exploration)
    explorer.loss_without(exploration, head)
    return True


def _said(exploration: Exploration, diagnosis: Diagnosis | None, chosen: Selection) -> tuple[list[Node], str]:
    """The caption of a head without its cost, and what it was scored on."""
    if diagnosis is None:
        return [h("b", "Not scored."), f" {unscored(exploration.state.config)}"], ""
    title, text = said(diagnosis.scores[chosen.layer][chosen.head], exploration.state.tokenizer.kind)
    return [h("b", title), f" {text}"], scored_on(diagnosis)


def said(scored: HeadScores, kind: str) -> tuple[str, str]:
    """What a head does: its name, and a sentence with shares and chance. kind: of the tokenizer."""
    found = in_words(scored)
    if scored.entropy >= EVEN:
        return "Spread evenly.", f"Its attention is {scored.entropy:.0%} as even as it could be, so it does not choose."
    names = " and ".join(name_of(name, kind) for name in found.roles)
    title = f"{names[:1].upper()}{names[1:]}." if names else "No clear role."
    text = f"{_shares(scored, found.roles or found.partly)}."
    if not found.roles:
        text = f"Only {text}" if found.partly else "None of the patterns looked for takes enough of its attention."
    return title, text


def _shares(scored: HeadScores, names: Sequence[str]) -> str:
    def share(name: str) -> str:
        value = getattr(scored, name)
        return f"{ROLES[name][1]}, {value / getattr(scored.chance, name):.0f} × chance"

    parts = [
        f"{getattr(scored, name):.0%}{' of its attention goes' * (not i)} {share(name)}" for i, name in enumerate(names)
    ]
    return "; ".join(parts)
