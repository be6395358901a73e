"""The few lines of Python that make again what the page shows. What a reader wrote goes in through `repr` alone."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from minigpt.breaks import broken, removable
from minigpt.heads import ROLES
from minigpt.runs import RunSettings
from minigpt.ui.explorer import AT_LEAST, N_BARS, Exploration, Selection
from minigpt.ui.head_words import name_of

TEXT_FILE = "text.txt"
_WIDTH = 76


@dataclass(frozen=True)
class Snippet:
    """What a view is called on the page, and the whole program that makes it: the model's lines, then its own."""

    title: str
    own: str
    program: str


def model(exploration: Exploration, settings: RunSettings) -> str:
    """The lines that train the same model on the same text, and write and look as the page did."""
    config, training = settings.applied()
    asked = [repr(settings.tokenizer), made(config), made(training)]
    if settings.tokenizer == "bpe":
        asked.append(f"bpe_vocab={settings.bpe_vocab}")
    lesson = settings.taught()
    drawing = ""
    if lesson is not None and lesson.floor_from:
        changed = f".changed({settings.drawn_with!r})" if settings.drawn_with else ""
        drawing = f"lesson = LESSONS[{settings.lesson!r}]{changed}\n"
        asked.append("log_probability=drawn(lesson.source).log_probability")
    reading = "mistaken_ids" if "vocabulary" in settings.breaks else "prompt_ids"
    arguments = "".join(f"    {argument},\n" for argument in asked)
    return (
        "from pathlib import Path\n\n"
        "import minigpt\n"
        f"from minigpt.api import attention_of_ids, {reading}, write\n"
        + ("from minigpt.corpora import LESSONS, drawn\n" if drawing else "")
        + f'\ntext = Path("{TEXT_FILE}").read_text(encoding="utf-8")\n'
        f"{drawing}"
        f"begun = minigpt.begin(\n    text,\n{arguments})\n"
        f"state = minigpt.advance(begun, {exploration.state.step})\n\n"
        f"prompt = {reading}(state, {exploration.asked!r})\n"
        f"sampling = {made(exploration.sampling, indent='')}\n"
        "tokens = list(write(state, prompt, sampling))\n"
        "ids = [*prompt.tolist(), *(token.index for token in tokens)]\n"
        "view = attention_of_ids(state, ids)\n"
    )


def snippets(exploration: Exploration, chosen: Selection, settings: RunSettings) -> list[Snippet]:
    """Lines for every view of the page, of the head and the token that are chosen."""
    first = model(exploration, settings)
    return [Snippet(title, own, f"{first}\n{own}") for title, own in _views(exploration, chosen, settings)]


def _views(exploration: Exploration, chosen: Selection, settings: RunSettings) -> Iterator[tuple[str, str]]:
    head, query = (chosen.layer, chosen.head), exploration.query_of(chosen.position)
    yield "Continuation", 'print("".join(token.text for token in tokens))\n'
    yield "All heads", f"figure = minigpt.figures.heads_grid(view, {head})\nfigure.show()\n"
    yield (
        f"Layer {head[0] + 1} head {head[1] + 1}",
        f"figure = minigpt.figures.head(view, {head[0]}, {head[1]}, query={query})\nfigure.show()\n",
    )
    if query is not None:
        yield "Every head on this token", f"figure = minigpt.figures.every_head(view, {query}, {head})\nfigure.show()\n"
    if chosen.position:
        yield "Next token", _next_token(exploration, chosen.position)
    yield "Loss", "figure = minigpt.figures.loss_curve(state.history)\nfigure.show()\n"
    yield "Birth of heads", _births(exploration, settings)
    at_least = AT_LEAST[exploration.state.tokenizer.kind]
    yield (
        "What is copied",
        "from minigpt.copies import copied\n\n"
        f"copies = copied([token.index for token in tokens], state.ids.numpy(), {at_least})\n"
        "print(copies.spans, copies.novelty)\n",
    )
    yield (
        "What each head does",
        "from minigpt.diagnosis import diagnose\n\n"
        "found = diagnose(state)  # None where the heads cannot be scored\n"
        f"print(found and found.scores[{head[0]}][{head[1]}])\n",
    )
    yield (
        "Switch heads off",
        "from minigpt.diagnosis import loss_without\n"
        "from minigpt.hooks import muted\n\n"
        f"heads = [{head}]\n"
        "with muted(state.model, heads):\n"
        "    without = list(write(state, prompt, sampling))\n"
        "cost = loss_without(state, heads) - loss_without(state)\n"
        'print("".join(token.text for token in without), cost)  # nats a token\n',
    )
    if exploration.state.step and not settings.without:
        yield "What happens without …", _twin(exploration, head, query)
    yield "Layer by layer", _lens(query)
    yield "Map of the tokens", _MAP


def _births(exploration: Exploration, settings: RunSettings) -> str:
    lesson, step, kind = settings.taught(), exploration.state.step, exploration.state.tokenizer.kind
    asked = f"begun, {settings.film_of!r}, {lesson.prompts[0] if lesson else ''!r}"
    return (
        "import numpy as np\n\n"
        "from minigpt.film import MEASURES, Camera\n"
        "from minigpt.heads import ROLES\n\n"
        f"names = {[name_of(role, kind) for role in ROLES]}\n"
        f"camera, moment, film = Camera({asked}), begun, []\n"
        f"for step in sorted({{{step}, *(step for step in camera.moments if step < {step})}}):\n"
        "    moment = minigpt.advance(moment, step - moment.step)\n"
        "    film.append(camera.frame(moment))\n"
        "jobs = [MEASURES.index(role) for role in ROLES]\n"
        "shares = np.stack([frame.measures[..., jobs] for frame in film])\n"
        "figure = minigpt.figures.births(\n"
        "    [frame.step for frame in film], shares, film[-1].chance[jobs], names,\n"
        f"    film[-1].jobs(), {max(settings.training.steps, step)}\n"
        ")\n"
        "figure.show()\n"
    )


def _twin(exploration: Exploration, head: tuple[int, int], query: int | None) -> str:
    """The twin without the first part that this model can lack; another of `PARTS` will do as well."""
    state, (layer, which) = exploration.state, head
    without = removable(state.config)[0]
    causal = broken([], state.config, state.training, without)[0].causal
    return (
        "from minigpt.breaks import broken\n"
        "from minigpt.twins import begun_alike\n\n"
        f"less = broken([], state.config, state.training, {without!r})\n"
        "twin = begun_alike(minigpt.begin(text, state.tokenizer, *less), begun)\n"
        "twin = minigpt.advance(twin, state.step)\n"
        "minigpt.figures.twin_curves(state.history, twin.history, state.step).show()\n"
        "change = attention_of_ids(twin, ids).pattern - view.pattern\n"
        "figure = minigpt.figures.difference(\n"
        f"    view.tokens, change[{layer}, {which}], causal={causal}, query={query}\n"
        ")\n"
        "figure.show()\n"
    )


def _lens(query: int | None) -> str:
    return (
        "import torch\n\n"
        "from minigpt.lens import guesses, logit_lens\n\n"
        "token, after = state.tokenizer.token, view.dropped + 1\n"
        "layers = logit_lens(state.model, torch.tensor(view.ids))\n"
        "found = guesses(layers, torch.tensor(ids[after:], dtype=torch.int64))\n"
        "answers = minigpt.figures.Answers(\n"
        "    tokens=view.tokens,\n"
        "    came=[token(index) for index in ids[after:]],\n"
        "    first=[[token(int(index)) for index in row] for row in found.first],\n"
        "    p_first=found.p_first,\n"
        "    p_came=found.p_came,\n"
        "    rank=found.rank,\n"
        ")\n"
        f"figure = minigpt.figures.lens(answers, {query})\n"
        "figure.show()\n"
    )


_MAP = """import numpy as np

from minigpt.lens import embedding_map

every = range(state.config.d_vocab)
embedding = embedding_map(state.model.embed.weight)
points = minigpt.figures.TokenMap(
    [state.tokenizer.token(index) for index in every],
    embedding.places,
    np.bincount(state.ids.numpy(), minlength=len(every)),
    np.isin(every, ids),
)
figure = minigpt.figures.token_map(points)
figure.show()
"""


def _next_token(exploration: Exploration, position: int) -> str:
    query = exploration.query_of(position)
    inside = query is not None and max(0, position - exploration.state.config.n_ctx) == exploration.view.dropped
    logits = f"view.logits[{query}]" if inside else f"attention_of_ids(state, ids[:{position}]).logits[-1]"
    return (
        "import numpy as np\n\n"
        f"logits = {logits}\n"
        "p = np.exp(logits - logits.max())\n"
        "p /= p.sum()\n"
        f'best = np.argsort(-p, kind="stable")[:{N_BARS}]\n'
        "bars = [(state.tokenizer.token(int(i)), float(p[i])) for i in best]\n"
        "figure = minigpt.figures.next_token(bars, len(p) - len(best))\n"
        "figure.show()\n"
    )


def made(settings: Any, indent: str = "    ") -> str:
    """The call that makes these settings, one of the names of `minigpt`, with no more than what is not usual."""
    kind = type(settings)
    given = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for name in list(given):
        fewer = {other: value for other, value in given.items() if other != name}
        try:
            same = kind(**fewer) == settings
        except ValueError:
            same = False
        if same:
            given = fewer
    arguments = [f"{name}={value!r}" for name, value in given.items()]
    line = f"minigpt.{kind.__name__}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line
    inner = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"minigpt.{kind.__name__}(\n{inner}{indent})"
