"""The few lines of Python that make again what the page shows. What a reader wrote goes in through `repr` alone."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from minigpt.runs import RunSettings
from minigpt.ui.explorer import AT_LEAST, N_BARS, Exploration, Selection

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
        f"{'from minigpt.corpora import LESSONS, drawn' if drawing else ''}\n"
        f'text = Path("{TEXT_FILE}").read_text(encoding="utf-8")\n'
        f"{drawing}"
        f"state = minigpt.begin(\n    text,\n{arguments})\n"
        f"state = minigpt.advance(state, {exploration.state.step})\n\n"
        f"prompt = {reading}(state, {exploration.asked!r})\n"
        f"sampling = {made(exploration.sampling, indent='')}\n"
        "tokens = list(write(state, prompt, sampling))\n"
        "ids = [*prompt.tolist(), *(token.index for token in tokens)]\n"
        "view = attention_of_ids(state, ids)\n"
    ).replace("write\n\n\n", "write\n\n")


def snippets(exploration: Exploration, chosen: Selection, settings: RunSettings) -> list[Snippet]:
    """Lines for every view of the page, of the head and the token that are chosen."""
    first = model(exploration, settings)
    return [Snippet(title, own, f"{first}\n{own}") for title, own in _views(exploration, chosen)]


def _views(exploration: Exploration, chosen: Selection) -> Iterator[tuple[str, str]]:
    head, query = (chosen.layer, chosen.head), exploration.query_of(chosen.position)
    yield "Continuation", 'print("".join(token.text for token in tokens))\n'
    yield "All heads", f"figure = minigpt.figures.heads_grid(view, {head})\nfigure.show()\n"
    yield (
        f"Layer {head[0] + 1} head {head[1] + 1}",
        f"figure = minigpt.figures.head(view, {head[0]}, {head[1]}, query={query})\nfigure.show()\n",
    )
    if chosen.position:
        yield "Next token", _next_token(exploration, chosen.position)
    yield "Loss", "figure = minigpt.figures.loss_curve(state.history)\nfigure.show()\n"
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
        "A head muted",
        "from minigpt.diagnosis import loss_without\n\n"
        f"cost = loss_without(state, [{head}]) - loss_without(state)\n"
        "print(cost)  # nats a token\n",
    )
    yield (
        "Logit lens",
        "import torch\n\nfrom minigpt.lens import logit_lens\n\n"
        "layers = logit_lens(state.model, torch.tensor(view.ids))\n"
        "print(layers.softmax(-1).max(-1))  # [layer, position]\n",
    )
    yield (
        "Map of the embedding",
        "from minigpt.lens import embedding_map\n\n"
        "embedding = embedding_map(state.model.embed.weight)\n"
        "print(embedding.places, embedding.explained)\n",
    )


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
