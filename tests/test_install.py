"""One source of truth for what is installed: a range in pyproject.toml for every pin, and a pin for every range."""

import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import app

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PLATFORMS = [
    {"sys_platform": "linux", "python_full_version": "3.11.7"},
    {"sys_platform": "linux", "python_full_version": "3.12.12"},  # ZeroGPU
    {"sys_platform": "darwin", "python_full_version": "3.14.0"},
    {"sys_platform": "win32", "python_full_version": "3.13.0"},
]


def ranges(*names: str) -> dict[str, Requirement]:
    """What pyproject.toml asks for, by package: of the package itself, or of some of its extras."""
    asked = PROJECT["dependencies"] if not names else []
    for name in names:
        asked = asked + PROJECT["optional-dependencies"][name]
    found = [Requirement(line) for line in asked]
    return {canonicalize_name(one.name): one for one in found if one.name != PROJECT["name"]}


def pins(name: str, platform: dict[str, str] | None = None) -> dict[str, Version]:
    """The one version of each package that a file pins for a platform."""
    found: dict[str, Version] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if not line or line.startswith("-"):
            continue
        pin = Requirement(line)
        (exact,) = pin.specifier
        assert exact.operator == "==", line
        if pin.marker is None or pin.marker.evaluate({**PLATFORMS[0], **(platform or {})}):
            package = canonicalize_name(pin.name)
            assert package not in found, f"{package} is pinned twice in {name}"
            found[package] = Version(exact.version)
    return found


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: " ".join(platform.values()))
def test_a_space_installs_what_the_package_and_its_page_ask_for_and_nothing_else(platform):
    asked, pinned = ranges() | ranges("page"), pins("requirements.txt", platform)
    assert pinned.keys() == asked.keys()
    assert {name: str(pinned[name]) for name in asked if pinned[name] not in asked[name].specifier} == {}


def test_the_tests_install_what_the_extra_for_them_asks_for_and_nothing_else():
    asked, pinned = ranges("dev"), pins("requirements-dev.txt")
    assert pinned.keys() == asked.keys() - pins("requirements.txt").keys()
    everywhere = pinned | pins("requirements.txt")
    assert {name: str(everywhere[name]) for name in asked if everywhere[name] not in asked[name].specifier} == {}


def test_a_space_takes_torch_from_the_index_without_cuda():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("-")] == [
        "--extra-index-url https://download.pytorch.org/whl/cpu"
    ]
    pin = pins("requirements.txt")["torch"]
    # pip takes the newest that fits, and the build for the CPU counts as newer: so the index decides, on Linux only.
    assert Version(f"{pin}+cpu") in Requirement(f"torch=={pin}").specifier
    assert Version(f"{pin}+cpu") > pin
    # A Space's build sees this one file and none that it names.
    assert not any(line.startswith("-r") for line in lines)


def test_zerogpu_gets_a_torch_that_it_takes():
    assert pins("requirements.txt", {"python_full_version": "3.12.12"})["torch"] <= Version("2.11.99")


def test_zerogpu_sees_a_function_for_its_gpu_and_nobody_else_needs_its_package(monkeypatch):
    stand_in, decorated = ModuleType("spaces"), []
    stand_in.GPU = lambda function: decorated.append(function) or function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces", stand_in)
    assert callable(app.for_zerogpu())
    assert len(decorated) == 1
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert app.for_zerogpu() is None


def test_what_is_installed_says_its_types_and_has_its_command():
    assert PROJECT["name"] == "minigpt-explorer"
    assert PROJECT["scripts"] == {"minigpt": "minigpt.__main__:main"}
    assert (ROOT / "minigpt" / "py.typed").is_file()
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {PROJECT['version']}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
