"""What one visitor can take from all others, in short: benchmarks/abuse.py has the whole."""

import sys

import pytest
from browsing import slower

from benchmarks.abuse import suffer


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="ends its server with a signal")
@pytest.mark.parametrize(("name", "ended"), [("bodies", {"413": 8}), ("runs", None)])
def test_others_go_on_being_answered_and_lose_nothing(name, ended, apart):
    seen = apart(suffer(name, 0.1, 15))
    print(f"\n{seen}")
    assert seen.during <= slower()  # a second is promised
    assert seen.lost == 0
    if ended:
        assert seen.ended == ended
