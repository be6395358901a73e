import os
import subprocess
import sys
import time
from pathlib import Path

import find_browser
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the browsers here are shell scripts")


run = find_browser.run


def make_command(folder: Path, name: str, script: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any browser, where nothing may be fetched."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MINIGPT_BROWSER", raising=False)
    monkeypatch.setattr(find_browser, "MAC_PLACES", ())
    monkeypatch.setattr(find_browser, "playwrights_own", lambda: None)
    monkeypatch.setattr(find_browser, "run", lambda command, _: pytest.fail(f"ran {command}"))
    return tmp_path


def test_the_named_browser_comes_before_an_installed_one(bare, monkeypatch):
    make_command(bare, "chromium")
    mine = make_command(bare, "mine")
    monkeypatch.setenv("MINIGPT_BROWSER", str(mine))
    assert find_browser.find_browser() == mine


def test_a_wrong_name_is_said_and_nothing_else_is_taken(bare, monkeypatch):
    make_command(bare, "chromium")
    monkeypatch.setenv("MINIGPT_BROWSER", "/no/such/chrome")
    with pytest.raises(find_browser.NoBrowserError, match="MINIGPT_BROWSER names /no/such/chrome"):
        find_browser.find_browser()


@pytest.mark.parametrize("command", find_browser.COMMANDS)
def test_every_usual_command_is_found(bare, command):
    browser = make_command(bare, command)
    assert find_browser.find_browser() == browser


def test_a_command_that_does_not_start_is_passed_over(bare):
    make_command(bare, "chromium-browser", "echo 'requires the chromium snap to be installed' >&2; exit 1")
    chrome = make_command(bare, "google-chrome")
    assert find_browser.find_browser() == chrome


def test_playwrights_download_is_tried_before_apt(bare, monkeypatch):
    asked = []
    monkeypatch.setattr(find_browser, "run", lambda command, _: asked.append(command))
    monkeypatch.setattr(find_browser.os, "geteuid", lambda: 0)
    make_command(bare, "apt-get")
    with pytest.raises(find_browser.NoBrowserError):
        find_browser.find_browser()
    assert [command[:4] for command in asked] == [
        [sys.executable, "-m", "playwright", "install"],
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends"],
    ]


def test_what_apt_installed_is_taken(bare, monkeypatch):
    monkeypatch.setattr(find_browser, "run", run)
    monkeypatch.setattr(find_browser, "download", lambda: None)
    monkeypatch.setattr(find_browser.os, "geteuid", lambda: 0)
    make_command(bare, "apt-get", f'[ "$1" = update ] || cp {bare}/apt-get {bare}/chromium')
    make_command(bare, "cp", 'exec /bin/cp "$@"')
    assert find_browser.find_browser() == bare / "chromium"


def test_apt_is_left_alone_by_everyone_but_root(bare, monkeypatch):
    monkeypatch.setattr(find_browser.os, "geteuid", lambda: 1000)
    make_command(bare, "apt-get")
    assert find_browser.from_apt() is None


def test_a_command_past_its_limit_ends_with_all_it_started(tmp_path):
    left_behind = tmp_path / "left-behind"
    start = time.monotonic()
    assert not run(["sh", "-c", f"(sleep 1; touch {left_behind}) & wait"], limit_s=0.2)
    assert time.monotonic() - start < 1
    time.sleep(1.2)
    assert not left_behind.exists()


def test_without_any_browser_one_sentence_says_what_to_do(tmp_path):
    """The script as `make test` calls it, on a machine where Playwright cannot download and apt-get is not there."""
    (tmp_path / "playwright").mkdir()
    (tmp_path / "playwright" / "__main__.py").write_text("raise SystemExit('no network')")
    (tmp_path / "playwright" / "__init__.py").touch()
    (tmp_path / "playwright" / "sync_api.py").write_text("raise ImportError")
    script = Path(find_browser.__file__)
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=60)
    if result.returncode == 0 and sys.platform == "darwin":
        pytest.skip("a Mac with Chrome in /Applications")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == find_browser.NOT_FOUND
