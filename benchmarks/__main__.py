"""How fast this package is, against its peers.

python -m benchmarks [--text tinyshakespeare.txt] [--write docs/benchmarks.md]
python -m benchmarks --quick     # a minute; fails where a ratio is below half of what is asked
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Both before numpy and transformers are imported: as app.py has it, and because nothing here is to be fetched.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from benchmarks import speed
from benchmarks.measure import Line, table
from benchmarks.recipe import RECIPES, Reached, Recipe, common_text, reached_by

TARGETS = (2.0, 1.95)
# Which recipe is held against which, and how many times fewer seconds it is to need.
ASKED = {("ours", "published"): 10.0, ("ours", "tuned"): 6.5, ("same model", "tuned"): 1.9}
Met = dict[str, list[dict[float, Reached]]]


def times_to_a_loss(text: str, seeds: int) -> tuple[list[Line], str]:
    """Lines of ratios, and a table of the seconds that they come from; the recipes take turns, seed by seed."""
    recipes = {name: make(text) for name, make in RECIPES.items()}
    met: Met = {name: [] for name in recipes}
    for seed in range(seeds):
        for name, recipe in recipes.items():
            met[name].append(reached_by(name, text, TARGETS, seed))
            say(f"  {recipe.title}, seed {seed}: {met[name][-1]}")
    return ratios(recipes, met), seconds_table(recipes, met)


def ratios(recipes: dict[str, Recipe], met: Met) -> list[Line]:
    """The seconds of one recipe over those of another, seed by seed, and the median of that."""
    lines = []
    for (name, other), asked in ASKED.items():
        for target in TARGETS:
            pairs = [(theirs.get(target), mine.get(target)) for theirs, mine in zip(met[other], met[name], strict=True)]
            found = sorted(theirs.seconds / mine.seconds for theirs, mine in pairs if theirs and mine)
            what = f"seconds to {target:g}: {recipes[name].title}, against {recipes[other].title}"
            said = f"{found[0]:.1f} to {found[-1]:.1f}, {len(found)} of {len(pairs)} seeds" if found else "never met"
            lines.append(Line(what, statistics.median(found) if found else 0.0, asked, said))
    return lines


def seconds_table(recipes: dict[str, Recipe], met: Met) -> str:
    """Markdown: when each recipe meets each target, medians with least and most."""
    rows = ["| | parameters | " + " | ".join(f"to {target:g}" for target in TARGETS) + " |"]
    rows.append("|---|---|" + "---|" * len(TARGETS))
    for name, recipe in recipes.items():
        cells = []
        for target in TARGETS:
            runs = [run[target] for run in met[name] if target in run]
            if not runs:
                cells.append("never")
                continue
            seconds = sorted(run.seconds for run in runs)
            steps = statistics.median(run.steps for run in runs)
            said = f"{statistics.median(seconds):.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f}), step {steps:.0f}"
            cells.append(said if len(runs) == len(met[name]) else f"{said}, {len(runs)} of {len(met[name])} seeds")
        rows.append(f"| {recipe.title} | {recipe.n_params:,} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def say(words: str) -> None:
    """To the one who waits; the page itself goes to standard output."""
    print(words, file=sys.stderr, flush=True)


def quick() -> list[Line]:
    """The short form: what needs neither a browser nor a text, few rounds."""
    return speed.training(3) + speed.writing(3) + speed.looking(2, with_lens=False)


def far_off(lines: list[Line]) -> list[Line]:
    """Lines that miss by half and more: a machine may be busy, but not so busy for one of two that take turns."""
    asked = [(line, line.asked) for line in lines if line.asked is not None]
    return [line for line, least in asked if (line.ratio > 2 * least if line.at_most else line.ratio < least / 2)]


def everything(text: str, rounds: int, seeds: int, picture: Path | None) -> str:
    """The whole page, in Markdown."""
    # Imported here: they take what only the long form needs.
    from benchmarks import growth, page, profile

    losses, seconds = times_to_a_loss(text, seeds)
    sections = [f"## Seconds to a validation loss\n\n{table(losses)}\n\n{LOSSES}\n\n{seconds}"]
    parts: dict[str, Callable[[], list[Line]]] = {
        "Training": lambda: speed.training(rounds) + speed.beside_others(rounds),
        "Growth": lambda: growth.growth(max(3, rounds // 3), picture),
        "Writing": lambda: speed.writing(rounds),
        "Looking": lambda: speed.looking(rounds),
        "The page": lambda: page.everything(max(3, rounds // 3)),
    }
    for title, part in parts.items():
        sections.append(f"## {title}\n\n{table(part())}")
        say(sections[-1])
    sections.append(f"## Where the time goes\n\n{PROFILED}\n\n{profile.section()}\n\n{TRIED}")
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    head = PAGE.format(machine=f"{machine}, torch {torch.__version__}", rounds=rounds, seeds=seeds)
    if picture:
        sections.append(f"![Seconds of a step against its operations]({picture.name})")
    return head + "\n\n".join(sections) + "\n"


def main() -> None:
    """Measure, print, and write down where --write says."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--text", type=Path, default=Path("build/tinyshakespeare.txt"))
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--write", type=Path)
    arguments.add_argument("--quick", action="store_true")
    asked = arguments.parse_args()
    started = time.perf_counter()
    if asked.quick:
        lines = quick()
        print(table(lines))
        sys.exit("\n".join(f"far off: {line}" for line in far_off(lines)) or 0)
    picture = asked.write.with_suffix(".svg") if asked.write else None
    written = everything(common_text(asked.text), asked.rounds, asked.seeds, picture)
    print(written)
    say(f"{(time.perf_counter() - started) / 60:.0f} minutes")
    if asked.write:
        asked.write.write_text(written, encoding="utf-8")


LOSSES = """Tiny Shakespeare, characters, the last tenth held out. The clock stands still while the loss is looked at,
every ten steps. The published settings are nanoGPT's for a CPU, run on this package's model in the usual loop: whole
batches, AdamW, torch's own threads. Each recipe has its own plan of steps and learning rates."""

PROFILED = """One thread, by torch's profiler, which slows small operations down: shares are what to read."""

TRIED = """What was tried where a line is short, and brought nothing or too little:

- The same model, our training: three steps of Newton and Schulz in place of five, and other coefficients for it, are
  faster a step and need more of them; the lessons then learn less well.
- Training, M: the weights' products are most of a step, and stand at what the machine gives; other layouts of the
  matrices took equally long. The peer's own speed moves by a sixth from run to run on an idle machine, and the ratio
  with it.
- Writing: what is not a product of weights is some thirty operations on short arrays a layer, one to two microseconds
  each.
- Looking: the products are at the machine's peak already. Keeping memory as the workers do brought nothing here.
- Painting 12 × 12 heads: nearly half is Plotly's search for the colour of each of 590,000 cells, once a cell.
- First visit: the frame around the page, without anything in it, takes .4 to 1.1 s to appear.
- Growth by parameters: the smaller the model, the more of a step is spent between torch's operations, not in them.
"""

PAGE = """# How fast

Written by `make bench`, on {machine}. Ways to do one thing took turns: medians of {rounds} rounds
({seeds} seeds for losses, a third of the rounds for the page and for growth). Recipes and training ran in a process
each, writing and looking in one. Seconds belong to the machine; ratios are what to compare. "S" has 2 layers of d64 and
batches of 32, "M" 4 layers of d128 and batches of 12, both with a context of 64.

"""


if __name__ == "__main__":
    main()
