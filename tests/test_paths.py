import tomllib
from pathlib import Path

import pytest

from minigpt import paths

ROOT = Path(__file__).parent.parent


def test_the_essay_is_found_and_has_words():
    assert len(paths.asset("essay.txt").read_text(encoding="utf-8").split()) > 100


def test_a_missing_asset_is_named_with_the_places_searched():
    with pytest.raises(FileNotFoundError, match=r"'no-such\.css' is missing.*assets"):
        paths.asset("no-such.css")


def test_an_installed_package_never_takes_a_neighbours_file(tmp_path, monkeypatch):
    inside, beside = tmp_path / "minigpt" / "assets", tmp_path / "assets"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        (folder / "style.css").write_text(str(folder))
    monkeypatch.setattr(paths, "_FOLDERS", (inside, beside))
    assert paths.asset("style.css") == inside / "style.css"


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "minigpt").rglob("__init__.py")]
    assert sorted(listed) == sorted([".".join(folder.parts) for folder in folders] + ["minigpt.assets"])


def test_every_kind_of_asset_is_installed_but_pictures():
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    suffixes = {path.suffix for path in (ROOT / "assets").iterdir() if path.is_file()}
    assert suffixes - {".png"} <= {pattern.removeprefix("*") for pattern in shipped["minigpt.assets"]}
