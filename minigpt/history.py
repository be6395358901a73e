"""What a run remembers of itself: losses by step, samples, speed. Plain Python, so that figures need no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceLosses:
    """Losses, in nats a token, that need no model: the honest lines on the loss curve.

    uniform: ln V, the loss of an even guess over the vocabulary.
    unigram: entropy of the token counts of the training part; a model that only knows how often each token occurs.
    bigram: entropy of a token given the one before it, counted on the training part.
    floor: the entropy rate of the source, where a lesson knows it: no model can do better on average.
    unit: what a token is, for the names of the lines: a word, a letter or a piece.
    """

    uniform: float
    unigram: float
    bigram: float
    floor: float | None = None
    unit: str = "word"


@dataclass(frozen=True)
class History:
    """Losses in nats a token. A point `(step, loss)` is the loss of the model after `step` updates."""

    n_steps: int
    references: ReferenceLosses
    train: tuple[tuple[int, float], ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    samples: tuple[tuple[int, str], ...] = ()
    tokens_per_second: tuple[tuple[int, float], ...] = ()


def risen(history: History) -> bool:
    """Whether the validation loss has turned up, by a tenth of a nat and a twentieth, while the train loss fell on."""
    if len(history.validation) < 3:
        return False
    best_at, best = min(history.validation, key=lambda point: point[1])
    last = history.validation[-1][1]
    width = max(1, len(history.train) // 20)
    newest = [loss for _, loss in history.train[-width:]]
    around = [loss for step, loss in history.train if best_at - width <= step < best_at + width]
    fell = bool(newest and around) and sum(newest) / len(newest) < sum(around) / len(around)
    return fell and last > best + max(0.1, best / 20)
