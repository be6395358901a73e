"""Do the lessons keep their promise? Trains each of them at several seeds on one core and prints a table.

python -m minigpt.lessons --seeds 10
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from minigpt.api import mistaken_ids
from minigpt.breaks import broken
from minigpt.corpora import LESSONS, Lesson, drawn
from minigpt.hooks import attention_patterns
from minigpt.promises import Finding, find
from minigpt.training import TrainingState, advance, begin

STEPS = 20  # between two looks


@dataclass(frozen=True)
class Trial:
    """One lesson at one seed. last: what was found at its end.

    step, seconds: when the promise was first kept to stay kept, in CPU seconds of training; None if it never was.
    """

    state: TrainingState
    last: Finding
    step: int | None
    seconds: float | None


def attempt(lesson: Lesson, seed: int, breaks: tuple[str, ...] = ()) -> Trial:
    """Train a lesson with one seed, and with things broken on purpose; look every few steps at its promise."""
    text, log_probability = drawn(lesson.source)
    config, training = broken(breaks, lesson.config, lesson.training)
    training = replace(training, seed=seed, sample_tokens=0, eval_every=STEPS)
    state = begin(text, lesson.tokenizer, config, training, log_probability=log_probability)
    spent, step, seconds = 0.0, None, None
    finding = find(lesson, state)
    while not state.finished:
        started = time.process_time()
        state = advance(state, min(STEPS, training.steps - state.step))
        spent += time.process_time() - started
        finding = find(lesson, state)
        if not finding.kept:
            step = seconds = None
        elif step is None:
            step, seconds = state.step, spent
    return Trial(state, finding, step, seconds)


# ---- the debugging lesson: its promise is that every mistake shows ----


def least_loss_of_two_softmaxes(d_vocab: int) -> float:
    """Where the right token has probability 1, and the loss takes that for a logit: ln(e + V - 1) - 1, in nats."""
    return math.log(math.e + d_vocab - 1) - 1


def sharpness(trial: Trial) -> float:
    """The largest share in a row of attention, on average over all rows of all heads: 1 is one hard spike a row."""
    return float(attention_patterns(trial.state.model, trial.state.ids[: trial.state.config.n_ctx]).amax(-1).mean())


def answered(trial: Trial) -> float:
    """How often the first letter after a prompt is right, where the prompt's vocabulary is made from the prompt."""
    lines = drawn(LESSONS["debugging"].source).text.splitlines()[-100:]
    right = 0
    for line in lines:
        bar = line.index("|")
        ids = mistaken_ids(trial.state, line[: bar + 2])
        with torch.no_grad():
            chosen = int(trial.state.model(ids)[-1].argmax())
        right += trial.state.tokenizer.token(chosen) == line[bar + 2]
    return right / len(lines)


def loss(trial: Trial) -> float:
    """The last validation loss."""
    return trial.state.history.validation[-1][1]


# Each mistake with its symptom in words and as a test of a trial.
SYMPTOMS: dict[str, tuple[str, Callable[[Trial], bool]]] = {
    "softmax": (
        "the loss is stuck above a bound, and what is certain is not written",
        lambda trial: (
            loss(trial) > least_loss_of_two_softmaxes(trial.state.config.d_vocab) and (trial.last.accuracy or 0) < 0.6
        ),
    ),
    "scaling": (
        "rows of attention are spikes, and the loss stays high",
        lambda trial: sharpness(trial) > 0.8 and (trial.last.gap or 0) > 0.5,
    ),
    "positions": (
        "some of what is certain is written, and the loss stays half-way",
        lambda trial: 0.25 < (trial.last.accuracy or 0) < 0.95 and 0.2 < (trial.last.gap or 0) < 1.25,
    ),
    "chunks": (
        "the loss stays where pairs of letters stay",
        lambda trial: abs(loss(trial) - trial.state.history.references.bigram) < 0.15,
    ),
    "vocabulary": (
        "the promise is kept, and what follows a prompt is wrong",
        lambda trial: trial.last.kept and answered(trial) < 0.3,
    ),
}


# ---- the table ----


def row(name: str, trials: list[Trial]) -> str:
    """One line of the table: how many seeds kept the promise, when, and how far they ended from the floor."""
    kept = [trial for trial in trials if trial.last.kept]
    parts = [f"{name:<10}", f"{len(kept):>2} of {len(trials):<2}"]
    if kept:
        seconds = [trial.seconds or 0.0 for trial in kept]
        parts.append(f"step {statistics.median(trial.step or 0 for trial in kept):>4.0f}")
        parts.append(f"{statistics.median(seconds):>5.1f} s (to {max(seconds):.1f})")
    else:
        parts.append("never")
    for label, values, digits in (
        ("share", [trial.last.share for trial in trials], ".2f"),
        ("above floor", [trial.last.gap for trial in trials], "+.3f"),
        ("turned up by", [trial.last.turn for trial in trials], ".2f"),
    ):
        known = [value for value in values if value is not None]
        if known:
            parts.append(f"{label} {min(known):{digits}} to {max(known):{digits}}")
    return "  ".join(parts)


def twin_row(trials: list[Trial], twins: list[Trial]) -> str:
    """Echo without its causal mask, beside itself: the loss under the floor, and what it writes from a prefix."""
    gaps = [twin.last.gap or 0.0 for twin in twins]
    blind, sound = ([trial.last.accuracy or 0.0 for trial in some] for some in (twins, trials))
    return (
        f"           without the causal mask: below the floor by {-max(gaps):.2f} to {-min(gaps):.2f}, "
        f"right from a prefix {min(blind):.0%} to {max(blind):.0%} against {min(sound):.0%} to {max(sound):.0%}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from 0 (default: 10)")
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help=f"some of {', '.join(LESSONS)} (default: all)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(asked.seeds)
    for name in asked.lessons or LESSONS:
        lesson = LESSONS[name]
        if name == "debugging":
            for mistake, (symptom, shows) in SYMPTOMS.items():
                seen = sum(shows(attempt(lesson, seed, (mistake,))) for seed in seeds)
                print(f"{name:<10}  {seen:>2} of {len(seeds):<2}  {mistake}: {symptom}", flush=True)
            continue
        trials = [attempt(lesson, seed) for seed in seeds]
        print(row(name, trials), flush=True)
        if name == "echo":
            print(twin_row(trials, [attempt(lesson, seed, ("mask",)) for seed in seeds]), flush=True)


if __name__ == "__main__":
    main()
