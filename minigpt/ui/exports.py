"""What every head looked at, as files for other programs: arrays as NPZ, rows as CSV."""

import csv
from pathlib import Path

import numpy as np

from minigpt.hooks import AttentionView

MAX_ROWS = 500_000
HEADER = ("layer", "head", "query position", "query token", "key position", "key token", "attention")
# A spreadsheet takes what begins so for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def write_npz(path: Path, view: AttentionView, step: int) -> None:
    """pattern [layer head query key] and logits [query d_vocab] as float32, tokens, ids, step; for `numpy.load`."""
    with path.open("wb") as file:
        np.savez(
            file,
            pattern=view.pattern.astype(np.float32),
            tokens=np.array(view.tokens),
            ids=np.array(view.ids, dtype=np.int64),
            logits=view.logits.astype(np.float32),
            step=np.array(step),
        )


def n_rows(view: AttentionView) -> int:
    """How many rows the CSV has: one for each cell that is drawn."""
    n_layers, n_heads, n_tokens, _ = view.pattern.shape
    return n_layers * n_heads * (n_tokens * (n_tokens + 1) // 2 if view.causal else n_tokens**2)


def write_csv(path: Path, view: AttentionView) -> None:
    """A row for each layer, head, query and key that the query can see, counted from 1 as on the page.

    A token that a spreadsheet would take for a formula, or that begins with an apostrophe, gets an apostrophe before
    it: one taken off again gives every token back. The numbers are exact: read as float32 they are the same.
    """
    tokens = [safe(token) for token in view.tokens]
    # Excel reads UTF-8 only where the file begins with this mark.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for layer, heads in enumerate(view.pattern.astype(np.float32), start=1):
            for head, pattern in enumerate(heads, start=1):
                for query, row in enumerate(pattern):
                    seen = row[: query + 1] if view.causal else row
                    rows.writerows(
                        (layer, head, query + 1, tokens[query], key + 1, tokens[key], f"{share:.9g}")
                        for key, share in enumerate(seen.tolist())
                    )


def safe(token: str) -> str:
    """A token that no spreadsheet computes."""
    return "'" + token if token.startswith(_FORMULA) else token
