"""Files to take along hold exactly what the page drew."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from test_explorer import HOSTILE, exploration

from minigpt.ui.exports import HEADER, n_rows, safe, write_csv, write_npz


def test_npz_holds_the_very_arrays(tmp_path) -> None:
    view = exploration("the old king saw").view
    write_npz(tmp_path / "a.npz", view, 7)
    with np.load(tmp_path / "a.npz") as kept:
        assert kept["pattern"].dtype == np.float32
        np.testing.assert_array_equal(kept["pattern"], view.pattern)
        np.testing.assert_array_equal(kept["logits"], view.logits)
        assert kept["ids"].tolist() == list(view.ids)
        assert kept["tokens"].tolist() == list(view.tokens)
        assert int(kept["step"]) == 7


@pytest.mark.parametrize("causal", [True, False])
def test_csv_has_a_row_for_every_cell_that_is_drawn(tmp_path, causal: bool) -> None:
    view = exploration("the old king saw", causal=causal).view
    names = tuple(HOSTILE[i % len(HOSTILE)] for i in range(len(view.tokens)))
    view = replace(view, tokens=("=cmd|' /C calc'!A0", *names[1:]))
    write_csv(tmp_path / "a.csv", view)
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == HEADER
    assert len(rows) == n_rows(view)
    seen = np.zeros_like(view.pattern)
    for layer, head, query, query_token, key, key_token, share in rows:
        at = int(layer) - 1, int(head) - 1, int(query) - 1, int(key) - 1
        seen[at] = np.float32(share)
        for token, index in ((query_token, at[2]), (key_token, at[3])):
            assert not token.startswith(("=", "+", "-", "@"))
            assert token.removeprefix("'") == view.tokens[index]
    np.testing.assert_array_equal(seen, view.pattern)


@pytest.mark.parametrize("token", ["=1+1", "+1", "-1", "@a", "\ta", "\n", "'s"])
def test_what_a_spreadsheet_would_compute_is_kept_from_it_and_can_be_given_back(token: str) -> None:
    assert safe(token) == "'" + token
    assert safe("king") == "king"
