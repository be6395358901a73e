"""What one visitor can take from all others, in short: benchmarks/abuse.py has the whole."""

import sys

import pytest
from browsing import slower

from benchmarks.abuse import ABUSES, Seen, suffered

MOST_MB = 1_200  # of server and workers together


@pytest.fixture(scope="module")
def seen(apart) -> dict[str, Seen]:
    """A tenth of each, against one server; the one that takes most memory against a server of its own."""
    large = "explorations"
    return apart(suffered([name for name in ABUSES if name != large], 0.1, 8.0)) | apart(suffered([large], 0.1, 8.0))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="ends its server with a signal")
@pytest.mark.parametrize("name", ABUSES)
def test_others_go_on_being_answered_and_lose_nothing(name, seen):
    print(f"\n{name}: {seen[name]}")
    assert seen[name].longest <= slower()  # a second is promised
    assert seen[name].lost == 0
    assert seen[name].megabytes <= MOST_MB


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="ends its server with a signal")
def test_what_is_too_much_is_refused_with_its_number(seen):
    assert seen["bodies"].ended == {"413": 8}
    assert seen["sites"].ended == {"403": 2}
    [(how, _)] = seen["attention"].ended.items()
    assert "The heads of this model would look at this prompt in 150,994,944 n" in how
