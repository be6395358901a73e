"""What README.md says is true: its snippets run, its map is the tree, its settings are those of the requirements."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FRONT, BODY = README.removeprefix("---\n").split("\n---\n", 1)
SNIPPETS = re.findall(r"```python\n(.*?)```", BODY, re.DOTALL)
# Made by tools and commands; the rest of what stands beside README.md is the project.
MADE = re.compile(
    r"\.git|\.venv.*|\.env|__pycache__|\..*_cache|\.hypothesis|\.gradio|.*\.egg-info|build|dist|runs|\.DS_Store"
)
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def front(name: str) -> str:
    """A value of the front matter, without its quotation marks."""
    found = re.search(rf"^{name}: *(.+)$", FRONT, re.MULTILINE)
    assert found, f"the front matter says no {name}"
    return found[1].strip().strip('"')


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def listed() -> set[str]:
    """The places in the map of files."""
    rows = re.findall(r"^\| (`.+?) \|", BODY.partition("## Where things are")[2], re.MULTILINE)
    return {place for row in rows for place in re.findall(r"`([^`]+)`", row)}


def test_the_notebook_snippet_runs_as_it_stands():
    names: dict[str, object] = {}
    exec(compile(SNIPPETS[0], "README.md, In a notebook", "exec"), names)
    state, view = names["state"], names["view"]
    assert state.step == 60
    assert view.pattern.shape[:2] == (state.config.n_layers, state.config.n_heads)
    np.testing.assert_allclose(view.pattern.sum(axis=-1), 1, atol=1e-5)
    assert [type(picture).__name__ for picture in names["pictures"]] == ["Figure"] * 3


def test_the_lesson_snippet_runs_as_it_stands(capsys):
    names: dict[str, object] = {}
    exec(compile(SNIPPETS[1], "README.md, a lesson", "exec"), names)
    found = names["found"]
    assert found.kept
    assert found.share >= 0.5
    assert capsys.readouterr().out.startswith("True 0.")


def test_the_program_runs_as_it_stands_against_a_page(server):
    program = SNIPPETS[2].replace("http://127.0.0.1:7860", server.url)
    assert program != SNIPPETS[2]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    *_, last, written = (line for line in ran.stdout.splitlines() if line.strip())
    assert re.fullmatch(r"finished 60 \d\.\d+", last)
    known = {"the", "old", "king", "saw", "small", "dog", "ran", "<unk>", ""}
    assert {word.removesuffix(".") for word in written.split()} <= known


def test_every_top_level_entry_and_every_module_is_on_the_map():
    there = {path.name + "/" * path.is_dir() for path in ROOT.iterdir() if not MADE.fullmatch(path.name)}
    there -= {"minigpt/", "README.md"}
    for path in (ROOT / "minigpt").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            there.add(f"minigpt/{path.name}" + "/" * path.is_dir())
    assert there - listed() == set()


def test_nothing_on_the_map_is_missing():
    assert [place for place in listed() if not (ROOT / place).exists()] == []
    assert all((ROOT / place).is_dir() == place.endswith("/") for place in listed())


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_and_every_picture_is_there(name):
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (ROOT / target).is_file()] == []
    assert name != "README.md" or "assets/page.png" in targets


def test_the_picture_comes_before_any_explanation():
    name, sentence, picture = (block.strip() for block in BODY.strip().split("\n\n")[:3])
    assert name == "# miniGPT"
    assert re.fullmatch(r"[A-Z][^.\n]*\.", sentence)
    assert re.fullmatch(r"!\[[^]]+]\(assets/page\.png\)", picture)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_command_named_is_in_the_makefile(name):
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = (ROOT / name).read_text(encoding="utf-8")
    # A command stands in a code span or at the start of an indented line.
    commands = re.findall(r"(?:`|^    )make ([a-z-]+)([^`\n]*)", text, re.MULTILINE)
    assert {"demo", "test"} <= {target for target, _ in commands} <= targets
    variables = {word for _, rest in commands for word in re.findall(r"\b([A-Z_]+)=", rest)}
    assert all(re.search(rf"\$\({variable}\)", makefile) for variable in variables)


def test_a_space_gets_the_versions_that_are_tested():
    pyproject = (ROOT / "pyproject.toml").read_text()
    least = re.search(r'requires-python = ">=([\d.]+)"', pyproject)
    assert front("sdk") == "gradio"
    assert f"\ngradio=={front('sdk_version')}\n" in (ROOT / "requirements.txt").read_text()
    assert least
    assert numbers(front("python_version")) >= numbers(least[1])
    # YAML would read 3.10 without quotation marks as 3.1.
    assert f'python_version: "{front("python_version")}"' in FRONT
    assert (ROOT / front("app_file")).is_file()


def test_a_space_accepts_the_front_matter():
    assert len(front("short_description")) <= 60
    assert {front("colorFrom"), front("colorTo")} <= COLOURS
    assert front("license") == "mit"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert front("title") == "miniGPT"
    assert 1 <= len(front("emoji")) <= 2
    assert re.search(r"^tags:\n(?:  - [a-z-]+\n?)+", FRONT, re.MULTILINE)


def test_the_limits_named_are_those_of_the_code():
    from minigpt.config import TrainingConfig
    from minigpt.corpora import LESSONS
    from minigpt.limits import LETTERS, RUNS, RUNS_MB
    from minigpt.tokenizer import WordTokenizer

    assert f"{LETTERS.usual:,} letters" in BODY
    assert f"At most {RUNS.usual} runs and {RUNS_MB.usual:,} MB stay" in BODY
    assert "8,192 most frequent words" in BODY
    assert WordTokenizer.train(" ".join(f"w{i}" for i in range(9000))).d_vocab == 8192 + 1
    assert f"{TrainingConfig().steps} steps write better" in BODY
    assert {name for name, lesson in LESSONS.items() if not lesson.floor_from} == {"stories", "essay"}
