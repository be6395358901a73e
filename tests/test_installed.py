"""The package as pip puts it elsewhere, and its commands in an empty directory, with the page's packages and without.

The packages it needs are those of the tests. With MINIGPT_LONG=1 pip fetches all of them anew, which takes minutes.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from test_proxy import free_port

from minigpt.corpora import LESSONS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
BUILT_FROM = ("minigpt", "assets", "pyproject.toml", "README.md", "LICENSE")
LONG = bool(os.environ.get("MINIGPT_LONG"))
BIN = "Scripts" if sys.platform == "win32" else "bin"
Call = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(folder: Path, extra: str) -> Path:
    """Where the commands of a new environment are, with miniGPT installed from a copy of the checkout."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in BUILT_FROM:  # A copy: a build leaves files where it is made.
        place = ROOT / name
        shutil.copytree(place, source / name) if place.is_dir() else shutil.copy(place, source)
    made = folder / "made"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    commands = made / BIN
    if not LONG:  # What is installed for the tests serves here too, to build with and to run with.
        script = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(subprocess.check_output([commands / "python", "-c", script], text=True).strip())
        (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
        if not extra:
            (packages / "sitecustomize.py").write_text("import sys; sys.modules['gradio'] = None")
    short = [] if LONG else ["--no-deps", "--no-index", "--no-build-isolation"]
    asked = [sys.executable, "-m", "pip", "--python", commands / "python", "install", *short, f"{source}{extra}"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(source)
    return commands


def caller(folder: Path, extra: str) -> Call:
    """Calls a command of a new environment, in an empty directory."""
    commands, empty = environment(folder, extra), folder / "empty"
    empty.mkdir()

    def call(*arguments: str, name: str = "minigpt") -> "subprocess.CompletedProcess[str]":
        line = [commands / name, *arguments]
        return subprocess.run(line, cwd=empty, capture_output=True, text=True, timeout=300, env=around(folder))

    call.commands, call.empty = commands, empty  # type: ignore[attr-defined]
    return call


def around(folder: Path, **more: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**known, "MINIGPT_RUNS": str(folder / "runs"), **more}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Call:
    return caller(tmp_path_factory.mktemp("page"), "[page]")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Call:
    return caller(tmp_path_factory.mktemp("bare"), "")


# Shortly, only with the page's packages: that nothing but the page imports Gradio, the contracts on imports hold.
@pytest.mark.parametrize("which", ["page", "bare"] if LONG else ["page"])
def test_every_command_works_where_there_is_no_checkout(which: str, request: pytest.FixtureRequest) -> None:
    call: Call = request.getfixturevalue(which)
    where = call("-c", "import minigpt, sys; print(minigpt.__file__.startswith(sys.prefix))", name="python")
    assert where.stdout == "True\n", where.stderr
    assert "minigpt train book.txt" in call("--help").stdout
    lessons = call("lessons")
    assert [line.split()[0] for line in lessons.stdout.splitlines()] == list(LESSONS), lessons.stderr
    text = call.empty / "book.txt"  # type: ignore[attr-defined]
    text.write_text("the old king saw the small dog . the dog ran . " * 20)
    trained = call("train", "book.txt", "--steps", "4")
    assert trained.returncode == 0, trained.stderr
    run = trained.stdout.strip()
    assert call("generate", run, "the old king", "--tokens", "3").stdout.startswith("the old king")
    drawn = call("attention", run, "the old king saw", "--out", "heads.html")
    assert (drawn.returncode, drawn.stdout) == (0, "heads.html\n"), drawn.stderr
    assert "Plotly.newPlot" in (call.empty / "heads.html").read_text(encoding="utf-8")  # type: ignore[attr-defined]


def test_the_page_is_served_where_its_packages_are(page: Call, tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [page.commands / "minigpt", "serve"],  # type: ignore[attr-defined]
        cwd=page.empty,  # type: ignore[attr-defined]
        stdout=subprocess.PIPE,
        text=True,
        env=around(tmp_path, GRADIO_SERVER_PORT=str(port)),
    ) as running:
        assert running.stdout is not None
        said = next(line for line in running.stdout if "miniGPT is at" in line)
        assert said == f"miniGPT is at http://127.0.0.1:{port}/  (Ctrl+C ends it)\n"
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            html = answer.read().decode()
        assert all(part in html for part in ("miniGPTView", "--mg-page", "Train a small language model"))
        running.terminate()
        assert running.wait(30) == 0


def test_without_the_pages_packages_one_sentence_says_what_to_install(bare: Call) -> None:
    assert bare("lessons").returncode == 0
    for arguments in ((), ("serve",)):
        refused = bare(*arguments)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert re.fullmatch(
            r'minigpt: The page needs Gradio.*: pip install "minigpt-explorer\[page\]"\n', refused.stderr
        )
