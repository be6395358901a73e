"""The commands of a terminal, each in a process of its own, in a pipe, on a system without fork."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigpt.command import parser, prompt_of, run, settings_of, text_of
from minigpt.corpora import LESSONS
from minigpt.runs.store import new_id

# Read by every Python that is started here, the workers too: what Windows does not have.
WITHOUT = """
import os, signal, sys
for name in ("fork", "forkpty", "nice", "getpriority", "sched_getaffinity", "killpg"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "pthread_sigmask", "setitimer"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
# Without SIGKILL, Python ends a worker at once as it does on Windows.
import multiprocessing.popen_fork
multiprocessing.popen_fork.Popen.kill = multiprocessing.popen_fork.Popen.terminate
"""


def call(place: Path, *arguments: str, given: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "minigpt", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "MINIGPT_RUNS": str(place / "runs"), **environment},
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("terminal")


@pytest.fixture(scope="module")
def trained(place) -> "subprocess.CompletedProcess[str]":
    folder = place / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT)
    text = "the old king saw the small dog . the dog ran . " * 20
    return call(place, "train", "-", "--steps", "4", given=text, PYTHONPATH=f"{folder}{os.pathsep}{Path.cwd()}")


@pytest.mark.slow
def test_training_needs_no_fork_and_prints_nothing_but_the_run(trained, place):
    assert trained.returncode == 0, trained.stderr
    assert (place / "runs" / trained.stdout.strip()).is_dir()
    assert trained.stderr.splitlines()[-1].startswith("step 4 of 4")
    assert "\x1b" not in trained.stderr
    assert "\r" not in trained.stderr


@pytest.mark.slow
def test_the_run_writes_on_and_its_heads_are_drawn(trained, place):
    name = trained.stdout.strip()
    link = call(place, "generate", f"http://127.0.0.1:7860/?run={name}", "-", "--tokens", "3", given="the old king\n")
    assert link.returncode == 0, link.stderr
    assert re.fullmatch(r"the old king.+\n", link.stdout, re.DOTALL)
    out = place / "heads.html"
    drawn = call(place, "attention", name, "the old king saw", "--out", str(out))
    assert (drawn.returncode, drawn.stdout) == (0, f"{out}\n"), drawn.stderr
    page = out.read_text(encoding="utf-8")
    assert "Plotly.newPlot" in page
    assert '<script src="http' not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "nothing", "a"], r"minigpt: There is no run nothing in .*`minigpt train TEXT` makes one.*\n"),
        (["train", "no-such-file.txt"], r"minigpt: no-such-file\.txt: No such file or directory\.\n"),
        (["train", "echo", "--steps", "0"], r"minigpt: Steps must be .*\n"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_an_exit_code(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.setenv("MINIGPT_RUNS", str(tmp_path))
    assert run(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(said, err)


def test_a_command_that_does_not_exist_is_a_mistake_of_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        run(["fly"])
    assert ended.value.code == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err


def test_without_gradio_the_page_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run([]) == 1
    assert 'pip install "minigpt-explorer[page]"' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no other process can press Ctrl+C there")
def test_ctrl_c_pauses_the_run_and_says_how_to_go_on(place):
    command = [sys.executable, "-m", "minigpt", "train", "echo", "--steps", "5000"]
    # What runs in the background was started deaf to it, and so would be all that it starts.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "MINIGPT_RUNS": str(place / "paused")}
    ) as running:
        signal.signal(signal.SIGINT, heard)
        assert running.stderr is not None
        while not re.match(r"step [1-9]", line := running.stderr.readline()):
            assert line, "it ended by itself"
        running.send_signal(signal.SIGINT)
        begun = time.monotonic()
        said = running.stderr.read()
        assert running.wait(60) == 130
        assert time.monotonic() - begun < 60
    assert re.search(r"Paused at step [\d,]+ of 5,000\. The page goes on: \S+\n$", said)
    assert "Traceback" not in said


def test_the_name_of_a_run_is_never_taken_for_an_option(monkeypatch):
    drawn = iter(["-ab", "--c", "a-b"])
    monkeypatch.setattr("secrets.token_urlsafe", lambda n: next(drawn))
    assert parser().parse_args(["generate", new_id(), "the old king"]).run == "a-b"


def test_help_shows_every_command_at_work(capsys):
    for name in ("train", "generate", "attention"):
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([name, "--help"])
        assert ended.value.code == 0
        assert f"minigpt {name} " in capsys.readouterr().out
    main = parser().format_help()
    assert all(
        re.search(rf"^ +{name}\b", main, re.MULTILINE)
        for name in ("serve", "train", "generate", "attention", "lessons")
    )


def test_a_lesson_is_trained_as_the_page_trains_it_unless_told_otherwise():
    plain = settings_of(parser().parse_args(["train", "echo"]))
    assert (plain.lesson, plain.config, plain.training) == ("echo", LESSONS["echo"].config, LESSONS["echo"].training)
    other = settings_of(parser().parse_args(["train", "echo", "--width", "48", "--heads", "3", "--steps", "7"]))
    assert (other.config.d_model, other.config.n_heads, other.config.d_head, other.training.steps) == (48, 3, 16, 7)


def test_a_prompt_is_taken_as_written():
    assert prompt_of(" a b\n") == " a b\n"


def test_a_file_is_read_as_the_page_reads_it(tmp_path):
    (tmp_path / "old.txt").write_bytes(("Старый король увидел маленькую собаку. " * 20).encode("cp1251"))
    assert text_of(str(tmp_path / "old.txt")).startswith("Старый король")
