"""What is said of a run and its twin: sentences that follow from their numbers, and from nothing else."""

from collections.abc import Mapping, Sequence

import numpy as np

from minigpt.breaks import BREAKS, PARTS
from minigpt.figures.labels import for_page
from minigpt.generation import GeneratedToken
from minigpt.history import ReferenceLosses
from minigpt.hooks import AttentionView
from minigpt.runs import ACTIVE, Progress, RunSettings
from minigpt.ui import words
from minigpt.ui.fragment import WRITTEN, Node, h
from minigpt.ui.twins import Losses

# Nats a token that two runs differ by from seed to seed, whatever they have and lack.
NEAR = 0.03
MOST_NAMED = 8


def phrase(without: str) -> str:
    """A part as the twin goes without it: `without the causal mask`, `with one layer`."""
    title = PARTS[without].title
    article = "the " if without in ("mask", "mlp", "residual") else ""
    return f"without {article}{title[3:]}" if title.startswith("no ") else f"with {title}"


def note(without: str, settings: RunSettings) -> list[Node]:
    """Why the part is there, what is the same in both, and what was wrong with the run in the first place."""
    same = "Same seed, same batches in the same order, same weights at the start wherever both have them: "
    only = "only this differs."
    if without == "residual":
        only = "only this differs, and what starts at zero in the run starts at random, or nothing would get through."
    told = [h("p", PARTS[without].why, " ", h("b", same + only), cls="mg-note")]
    if settings.breaks:
        broken = ", ".join(BREAKS[name].title for name in settings.breaks)
        told.append(h("p", f"The run itself was broken on purpose ({broken}), and so is its twin.", cls="mg-note"))
    return told


def status(twin: Progress | None, steps: int) -> list[Node]:
    """How far the twin has come on its way to `steps`; nothing once it is there."""
    if twin is None or (twin.status not in ACTIVE and twin.step >= steps):
        return []
    at = h("b", f"{twin.step:,}")
    left: list[Node] = [h("b", "The twin was stopped"), " at step ", at, f" of {steps:,}"]
    if twin.status == "waiting":
        left = [h("b", "Waiting"), ", then the twin trains to step ", f"{steps:,}"]
    elif twin.status == "training":
        left = [h("b", "Training the twin"), ", step ", at, f" of {steps:,}"]
    elif twin.failure:
        left = [h("b", "The twin stopped by itself"), f" at step {twin.failure.step:,}"]
    speed = f"{twin.tokens_per_second:,.0f} tokens/s" if twin.status == "training" and twin.tokens_per_second else ""
    return words.stat(left, speed, twin.step / steps, "")


def failure(twin: Progress) -> list[Node]:
    """Why the twin stopped by itself; nothing where it did not."""
    if twin.failure is None:
        return []
    kept = f"The twin stopped by itself at step {twin.failure.step:,}, step {twin.step:,} is kept."
    return words.message(f"{kept} {twin.failure.message}", "err")


def verdict(without: str, run: Losses, twin: Losses, known: ReferenceLosses) -> list[Node]:
    """What the losses of both say."""
    bold, rest = _verdict(phrase(without), run, twin, known)
    return [h("p", h("b", bold), " ", rest, cls="mg-verdict")]


def _verdict(how: str, run: Losses, twin: Losses, known: ReferenceLosses) -> tuple[str, str]:
    both = (
        f"{how[0].upper()}{how[1:]} the validation loss is {twin.validation:.2f}, with everything {run.validation:.2f}."
    )
    ahead = twin.prefix > run.prefix + NEAR
    alone = f"From a prefix, where nothing stands ahead, the twin loses {twin.prefix:.2f} nats a token"
    alone += f"{_rank(twin.prefix, known)}, and the run {run.prefix:.2f}."
    if known.floor is not None and twin.validation < known.floor - NEAR:
        reads = " So it does not predict the next token: it reads it." if ahead else ""
        return "Too good to be true.", f"{both} Nobody who predicts can get below {known.floor:.2f}. {alone}{reads}"
    gap = twin.validation - run.validation
    if abs(gap) <= NEAR:
        return "No difference that counts.", f"{both} With one seed each, a few hundredths can be chance."
    if gap > 0:
        return f"Worse by {gap:.2f} nats a token.", f"{both[:-1]}{_rank(twin.validation, known)}."
    if ahead:
        return f"Better by {-gap:.2f}, and of no use.", f"{both} {alone}"
    return f"Better by {-gap:.2f} nats a token.", f"{both} Here, and so far, the run does better without it."


def _rank(loss: float, known: ReferenceLosses) -> str:
    """The most that a loss is no better than, as an aside."""
    of = known.unit
    lines = [("an even guess", known.uniform), (f"{of} counts", known.unigram), (f"{of} pairs", known.bigram)]
    for name, level in sorted(lines, key=lambda line: -line[1]):
        if loss >= level - NEAR:
            better = "worse" if loss > level + NEAR else "no better"
            return f", {better} than {name} ({level:.2f})"
    return ""


def table(run: Losses, twins: Mapping[str, Losses], open_one: str, known: ReferenceLosses) -> list[Node]:
    """Each model and its losses; a click on a twin opens it."""
    head = h("tr", h("th", "Model", scope="col"), *(h("th", name, scope="col", cls="n") for name in COLUMNS))
    rows = [h("tr", h("th", "with everything", scope="row"), *_numbers(run))]
    for index, (without, found) in enumerate(twins.items()):
        pressed = "true" if without == open_one else "false"
        name = h("button", phrase(without), type="button", data_index=str(index), aria_pressed=pressed)
        rows.append(h("tr", h("th", name, scope="row"), *_numbers(found)))
    if known.floor is not None:
        best = h("td", f"{known.floor:.2f}", cls="n")
        rows.append(h("tr", h("th", "best possible", scope="row"), best, *[h("td", "")] * (len(COLUMNS) - 1)))
    return [h("table", h("thead", head), h("tbody", *rows), cls="mg-table mg-losses"), h("p", PREFIX, cls="mg-note")]


PREFIX = (
    "From a prefix: the loss of the next token when the model reads a beginning that it was not trained on, and "
    "nothing after it."
)
COLUMNS = ("Validation", "Training", "From a prefix", "Step")


def _numbers(found: Losses) -> list[Node]:
    shown = [f"{found.validation:.2f}", "" if found.train is None else f"{found.train:.2f}", f"{found.prefix:.2f}"]
    return [h("td", value, cls="n") for value in (*shown, f"{found.step:,}")]


def missing(run: AttentionView, twin: AttentionView) -> str:
    """Which heads of the run have no twin; "" where each has one."""
    n_layers, n_heads = twin.pattern.shape[:2]
    places = list(np.ndindex(*run.pattern.shape[:2]))
    lost = [f"{layer + 1}.{head + 1}" for layer, head in places if layer >= n_layers or head >= n_heads]
    if not lost:
        return ""
    more = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
    has = f"{words.plural(n_layers, 'layer')} of {words.plural(n_heads, 'head')}"
    verb = "has" if len(lost) == 1 else "have"
    return f"The twin has {has}, so {', '.join(lost[:MOST_NAMED])}{more} {verb} no twin."


def written(
    prompt: Sequence[str], run: Sequence[GeneratedToken], twin: Sequence[GeneratedToken], how: str
) -> list[Node]:
    """Both continuations of a prompt, side by side, each token as deep as it was probable."""
    sides = (("With everything", run, "run"), (f"{how[0].upper()}{how[1:]}", twin, "twin"))
    return [h("div", *(_side(name, prompt, tokens, side) for name, tokens, side in sides), cls="mg-sides")]


def _side(name: str, prompt: Sequence[str], tokens: Sequence[GeneratedToken], side: str) -> Node:
    chips = [h("span", for_page(token, 40), cls="t in none") for token in prompt]
    chips += [
        h("span", for_page(token.token, 40), cls="t", style=f"--p:{token.probability:.3f}",
          title=f"probability {token.probability:.3f}")
        for token in tokens
    ]  # fmt: skip
    title = h("p", h("b", name), h("span", "colour shows probability"), cls="mg-sub")
    return h("div", title, h("div", *chips, cls="mg-toks shaded probability", **WRITTEN), data_side=side)
