"""The commands of a terminal. Each prints its result to stdout, and what it says beside that to stderr."""

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from minigpt import api, figures
from minigpt.checkpoint import load
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.corpora import LESSONS
from minigpt.files import read_file
from minigpt.runs import ACTIVE, Progress, RunSettings, local_runs, runs_folder
from minigpt.training import TrainingState

KINDS = {"words": "word", "letters": "character", "pieces": "bpe"}
BAR = 24  # letters
HELP = """Train a small GPT on a text, and see what every attention head looks at.

Without a command the page opens on this machine.

  minigpt                                        the page: train, watch, look, in a browser
  minigpt train book.txt --split letters         learn from a text, and print the name of the run
  minigpt generate RUN "the old king"            let the run write on
  minigpt attention RUN "the old king saw" --out heads.html
  minigpt lessons                                the built-in texts: minigpt train echo
"""
TRAIN = """Learn from a text. The last line printed is the name of the run, which generate, attention and the page take.

  minigpt train book.txt
  minigpt train echo                             a lesson; `minigpt lessons` lists them
  cat *.txt | minigpt train - --steps 800
  run=$(minigpt train book.txt) && minigpt generate $run "the old king"

Ctrl+C pauses the run; the page can go on with it.
"""
GENERATE = """Let a run write on after a prompt.

  minigpt generate RUN "the old king"
  echo "the old king" | minigpt generate RUN - --tokens 100
"""
ATTENTION = """Draw what every head of a run looks at in a prompt, as a page that opens without a network.

  minigpt attention RUN "the old king saw the dog" --out heads.html
"""
RUN = "the name that train printed, the page's address with ?run=, or a run's folder"
PROMPT = "what to go on from; - reads it from what is piped in"


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments ask; returns the exit code. What cannot be is said in one sentence, without a traceback."""
    asked = parser().parse_args(arguments)
    try:
        code: int = asked.do(asked)
        return code
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        said = f"{error.filename}: {error.strerror}." if isinstance(error, OSError) and error.filename else str(error)
        print(f"minigpt: {said}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All commands with their help."""
    main = argparse.ArgumentParser("minigpt", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    main.set_defaults(do=serve)
    commands = main.add_subparsers(metavar="COMMAND", title="commands; minigpt COMMAND --help says more")

    def command(name: str, does: str, text: str) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=does, description=text, formatter_class=raw)

    command("serve", "open the page (what minigpt alone does)", SERVE).set_defaults(do=serve)

    one = command("train", "learn from a text", TRAIN)
    one.add_argument("text", metavar="TEXT", help="a file, the name of a lesson, or - for what is piped in")
    one.add_argument("--split", choices=KINDS, help="how the text is split (default: words, or as in the lesson)")
    one.add_argument("--steps", type=int, help="how many batches to learn from (default: 400, or as in the lesson)")
    one.add_argument("--seed", type=int, default=0, help="the same seed gives the same model (default: 0)")
    one.add_argument("--layers", type=int, help="how many layers")
    one.add_argument("--heads", type=int, help="how many heads each layer has")
    one.add_argument("--width", type=int, help="width of the residual stream, a multiple of the heads")
    one.add_argument("--context", type=int, help="how many tokens the model sees at once")
    one.set_defaults(do=train)

    one = command("generate", "let a run write on", GENERATE)
    one.add_argument("run", metavar="RUN", help=RUN)
    one.add_argument("prompt", metavar="PROMPT", help=PROMPT)
    one.add_argument("--tokens", type=int, default=40, help="how many tokens (default: 40)")
    one.add_argument("--temperature", type=float, default=0.8, help="0 always takes the likeliest (default: 0.8)")
    one.add_argument("--seed", type=int, default=0, help="another seed writes something else (default: 0)")
    one.set_defaults(do=generate)

    one = command("attention", "draw every head, as a page", ATTENTION)
    one.add_argument("run", metavar="RUN", help=RUN)
    one.add_argument("prompt", metavar="PROMPT", help=PROMPT)
    one.add_argument("--out", default="heads.html", metavar="FILE", help="where to write (default: heads.html)")
    one.set_defaults(do=attention)

    command("lessons", "list the built-in texts", "List the built-in texts.").set_defaults(do=lessons)
    return main


SERVE = """Open the page on this machine, until Ctrl+C.

  GRADIO_SERVER_PORT=8000     another port than 7860
  GRADIO_SERVER_NAME=0.0.0.0  for other machines too
  GRADIO_ROOT_PATH=/minigpt   below a path, behind a proxy
  MINIGPT_RUNS=/data/runs     where runs are kept
"""


def serve(_: argparse.Namespace) -> int:
    """The page. It needs Gradio, which the rest does not."""
    if importlib.util.find_spec("gradio") is None:
        raise ValueError('The page needs Gradio, which is not installed: pip install "minigpt-explorer[page]"')
    from minigpt.ui.server import serve as serve_page

    serve_page()
    return 0


def train(asked: argparse.Namespace) -> int:
    """Train where the page keeps its runs, and print the name of the run."""
    text, settings = text_of(asked.text), settings_of(asked)
    runs = local_runs()
    try:
        name = runs.start(text, settings)
        progress = runs.progress(name)
        show = Shown(sys.stderr.isatty())
        try:
            while progress.status in ACTIVE:
                show(progress)
                time.sleep(0.1)
                progress = runs.progress(name)
        except KeyboardInterrupt:
            runs.pause(name)
            show.end()
            print(
                f"Paused at step {progress.step:,} of {progress.n_steps:,}. The page goes on: {name}", file=sys.stderr
            )
            raise
        show(progress, last=True)
        for note in progress.notes:
            print(note, file=sys.stderr)
        if progress.failure:
            raise ValueError(progress.failure.message)
        if progress.trouble:  # It rests short of its end, and nobody asked for that.
            raise ValueError(progress.trouble)
        print(name, flush=True)
        return 0
    finally:
        runs.close()


class Shown:
    """How far a run is: a bar that moves on a terminal, a line for each tenth in a pipe."""

    def __init__(self, terminal: bool) -> None:
        self._terminal, self._tenth = terminal, -1

    def __call__(self, now: Progress, last: bool = False) -> None:
        """Say how far it is; the last time too where nothing moved."""
        share = now.step / now.n_steps
        said = f"step {now.step:,} of {now.n_steps:,}"
        if now.history.validation:
            said += f"  loss {now.history.validation[-1][1]:.2f} on text not trained on"
        if self._terminal:
            bar = ("#" * round(BAR * share)).ljust(BAR, ".")
            print(f"\r\x1b[K{bar}  {said}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif int(10 * share) > self._tenth:
            self._tenth = int(10 * share)
            print(said, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._terminal:
            print(file=sys.stderr)


def generate(asked: argparse.Namespace) -> int:
    """Print prompt and continuation, token by token."""
    state, prompt = state_of(asked.run), prompt_of(asked.prompt)
    written = api.generate(state, prompt, asked.tokens, asked.temperature, seed=asked.seed)
    print(prompt, end="", flush=True)
    for token in written:
        print(token.text, end="", flush=True)
    print()
    return 0


def attention(asked: argparse.Namespace) -> int:
    """Write the figure of all heads, and say where it is."""
    view = api.attention(state_of(asked.run), prompt_of(asked.prompt))
    figures.heads_grid(view).write_html(asked.out)  # With Plotly inside.
    print(asked.out)
    return 0


def lessons(_: argparse.Namespace) -> int:
    """A line for each lesson: its name, and what to look for."""
    width = max(map(len, LESSONS))
    for lesson in LESSONS.values():
        print(f"{lesson.name:<{width}}  {lesson.title}. Look for {lesson.look_for}")
    return 0


def text_of(place: str) -> str:
    """The text of a lesson, of a file, or of what is piped in. A file of a lesson's name goes first."""
    if place in LESSONS and not Path(place).exists():
        return LESSONS[place].text
    data = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
    found = read_file("the text piped in" if place == "-" else Path(place).name, data)
    if found.note:
        print(found.note, file=sys.stderr)
    return found.text


def prompt_of(said: str) -> str:
    """A prompt as it was written, or what is piped in without its last line end."""
    if said != "-":
        return said
    return sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\r\n")


def settings_of(asked: argparse.Namespace) -> RunSettings:
    """What was asked for, and the page's own choices or the lesson's where nothing was."""
    lesson = LESSONS.get(asked.text) if not Path(asked.text).exists() else None
    config = lesson.config if lesson else GPTConfig()
    wanted = {"n_layers": asked.layers, "n_heads": asked.heads, "d_model": asked.width, "n_ctx": asked.context}
    changed = {name: value for name, value in wanted.items() if value is not None}
    if asked.width or asked.heads:
        changed |= {"d_head": 0}  # What fits the two.
    config = replace(config, **changed)
    training = replace(lesson.training if lesson else TrainingConfig(), seed=asked.seed)
    if asked.steps is not None:
        training = replace(training, steps=asked.steps)
    kind = KINDS[asked.split] if asked.split else lesson.tokenizer if lesson else "word"
    return RunSettings(kind, config=config, training=training, lesson=lesson.name if lesson else "")


def state_of(name: str) -> TrainingState:
    """The model of a run: by its name, by the page's address, or by its folder."""
    known = name.partition("?run=")[2].partition("&")[0] or name
    for folder in (runs_folder() / known, Path(known)):
        try:
            return load(folder)
        except FileNotFoundError:
            continue
    raise ValueError(f"There is no run {known} in {runs_folder()}. `minigpt train TEXT` makes one and prints its name.")
