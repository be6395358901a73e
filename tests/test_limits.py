"""How much one visitor may take: one table of numbers, each to be set from outside, each with its sentence."""

import re
from pathlib import Path

import pytest

from minigpt import limits


@pytest.mark.parametrize("limit", limits.ALL, ids=lambda limit: limit.name)
def test_each_limit_is_set_by_its_variable_and_says_what_fits(
    limit: limits.Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limit.most == limit.usual
    limit.check(limit.usual)
    monkeypatch.setenv(limit.name, "7")
    limit.check(7)
    with pytest.raises(ValueError, match=r"\b7\b"):
        limit.check(8)


def test_each_variable_is_the_projects_own_and_there_once() -> None:
    names = [limit.name for limit in limits.ALL]
    assert len(set(names)) == len(names)
    assert all(name.startswith("MINIGPT_") for name in names)


@pytest.mark.parametrize("value", ["0", "-3", "lots", "1.5", "²"])
def test_a_variable_that_is_no_number_ends_the_start_with_a_sentence(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits.check_environment()
    monkeypatch.setenv("MINIGPT_CELLS", value)
    with pytest.raises(ValueError, match=r"MINIGPT_CELLS must be a whole number from 1 up, such as 500000"):
        limits.check_environment()


def test_who_keeps_a_server_finds_every_limit_in_the_document() -> None:
    said = (Path(__file__).parent.parent / "docs" / "hosting.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(MINIGPT_\w+)` \| ([\d,]+) \|", said, re.M))
    assert rows == {limit.name: f"{limit.usual:,}" for limit in limits.ALL}
