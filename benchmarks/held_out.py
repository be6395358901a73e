"""Which place of the held-out part misleads least: `python -m benchmarks.held_out FILE...`.

Held out, a tenth of a text stands for all that could be: the truth is the mean loss of a tenth, each of the ten in its
turn, under what is learned from the other nine. Learned are counts of single tokens here, each half a token higher:
that takes a second, and errs where a model would, on tokens that the training part lacks. A place misleads by how far
its loss is from that mean, in nats a token.

On tests/cases (02, 04e, 07b, 08, 08b, 17b, 22, 24, split in each of three ways) the end is off by 0.39 on average and
by 3.93 at most, a spread part by 0.05 and 0.24. All but two languages in one text are within 0.03 either way, and a
text of fifty words, which is too short to spread anything over, by 0.24. So a text of one's own has it spread.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from minigpt.config import TrainingConfig
from minigpt.data import split_for
from minigpt.tokenizer import train_tokenizer


def loss(held: np.ndarray, learned: np.ndarray, d_vocab: int) -> float:
    """Loss, in nats a token, of the held-out ids under the counts of those learned from."""
    counts = np.bincount(learned, minlength=d_vocab) + 0.5
    return -float(np.log(counts[held] / counts.sum()).mean())


def misled(text: str, kind: str) -> dict[str, float]:
    """By how many nats the end, and a part that is spread, are off the mean over all tenths."""
    tokenizer = train_tokenizer(kind, text)
    ids = torch.tensor(tokenizer.encode(text))
    array, cuts = ids.numpy(), np.linspace(0, len(ids), 11).astype(int)
    tenths = [
        loss(array[start:stop], np.delete(array, slice(start, stop)), tokenizer.d_vocab)
        for start, stop in pairwise(cuts.tolist())
    ]
    found = {}
    for place in ("end", "spread"):
        parts = split_for(ids, 64, TrainingConfig(validation_place=place), None)  # type: ignore[arg-type]
        found[place] = loss(parts.validation.numpy(), parts.train.numpy(), tokenizer.d_vocab) - float(np.mean(tenths))
    return found


def main(paths: list[str]) -> None:
    """Print a row for each text and each way to split it."""
    print(f"{'text':28} {'split':10} {'end':>6} {'spread':>7}")
    sums: dict[str, list[float]] = {"end": [], "spread": []}
    for path in paths:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        for kind in ("word", "character", "bpe"):
            if len(train_tokenizer(kind, text).encode(text)) < 20:
                continue
            off = misled(text, kind)
            print(f"{Path(path).stem[:28]:28} {kind:10} {off['end']:6.2f} {off['spread']:7.2f}")
            for place, value in off.items():
                sums[place].append(abs(value))
    means = {place: (np.mean(values), np.max(values)) for place, values in sums.items()}
    print(
        "mean and largest, in size:", {place: tuple(round(float(x), 3) for x in pair) for place, pair in means.items()}
    )


if __name__ == "__main__":
    main(sys.argv[1:])
