"""Visitors are told apart by their address, which nobody can read from what is kept."""

from types import SimpleNamespace

import pytest

from minigpt.ui.visitors import KEY, Visitors


def asked_from(host: str, forwarded: str = "") -> SimpleNamespace:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    return SimpleNamespace(client=SimpleNamespace(host=host), headers=headers)


def test_a_visitor_has_a_name_of_their_own_that_outlives_the_server(tmp_path):
    first = Visitors(tmp_path)
    mine, theirs = first.of(asked_from("192.168.0.7")), first.of(asked_from("192.168.0.8"))
    assert mine != theirs
    assert Visitors(tmp_path).of(asked_from("192.168.0.7")) == mine
    assert "192.168" not in mine + (tmp_path / KEY).read_bytes().decode("latin-1")
    assert (tmp_path / KEY).stat().st_mode & 0o077 == 0
    elsewhere = Visitors(tmp_path / "another")
    assert elsewhere.of(asked_from("192.168.0.7")) != mine


def test_a_folder_that_takes_nothing_only_forgets_the_names(tmp_path):
    gone = tmp_path / "never made"
    assert Visitors(gone).of(asked_from("::1"))
    (tmp_path / KEY).write_bytes(b"cut")
    assert Visitors(tmp_path).of(asked_from("::1")) == Visitors(tmp_path).of(asked_from("::1"))


@pytest.mark.parametrize("request_", [None, SimpleNamespace(client=None, headers={}), asked_from("")])
def test_who_cannot_be_seen_has_no_name(request_, tmp_path):
    assert Visitors(tmp_path).of(request_) == ""


def test_only_where_the_host_has_a_proxy_of_its_own_its_word_is_taken(tmp_path, monkeypatch):
    visitors = Visitors(tmp_path)
    told = asked_from("10.0.0.1", "203.0.113.9, 10.0.0.2")
    assert visitors.of(told) == visitors.of(asked_from("10.0.0.1"))
    monkeypatch.setenv("SPACE_HOST", "me-minigpt.hf.space")
    assert visitors.of(told) == visitors.of(asked_from("203.0.113.9"))
    assert visitors.of(asked_from("10.0.0.1")) != visitors.of(told)
