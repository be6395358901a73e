"""What each choice in the page's default is worth: change one, and see how much longer the same loss takes.

python -m benchmarks.levers --text tinyshakespeare.txt --write docs/recipe.md
"""

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.recipe import DEFAULT, Reached, common_text, letters, ours, reached

TARGETS = (2.0, 1.95)
Change = dict[str, object]
# What is changed: in the model, and in the plan.
LEVERS: dict[str, tuple[Change, Change]] = {
    "the default": ({}, {}),
    "AdamW, lr 5e-3, in place of Muon": ({}, {"optimiser": "adamw", "learning_rate": None}),
    "AdamW, lr 1e-2, in place of Muon": ({}, {"optimiser": "adamw", "learning_rate": 0.01}),
    "learned positions in place of rotary": ({"positions": "learned"}, {}),
    "sinusoidal positions": ({"positions": "sinusoidal"}, {}),
    "GELU in place of ReLU": ({"act_fn": "gelu"}, {}),
    "GPT-2's initial scale, .02": ({"init_std": 0.02}, {}),
    "1 layer": ({"n_layers": 1}, {}),
    "3 layers": ({"n_layers": 3}, {}),
    "d_model 48": ({"d_model": 48, "d_head": 0, "d_mlp": None}, {}),
    "d_model 96": ({"d_model": 96, "d_head": 0, "d_mlp": None}, {}),
    "context 32, batch 24": ({"n_ctx": 32}, {"batch_size": 24}),
    "batch 24": ({}, {"batch_size": 24}),
    "batch 8": ({}, {"batch_size": 8}),
    "learning rate .02": ({}, {"learning_rate": 0.02}),
    "learning rate .05": ({}, {"learning_rate": 0.05}),
    "a plan of 300 steps": ({}, {"steps": 300}),
    "a plan of 600 steps": ({}, {"steps": 600}),
    "no clipping": ({}, {"clip_norm": 0.0}),
}


def measured(text: str, seeds: int) -> dict[str, list[dict[float, Reached]]]:
    """For each lever and seed, when each target was met; the levers take turns, seed by seed."""
    ids = letters(text)
    recipes = {}
    for name, (shape, plan) in LEVERS.items():
        recipes[name] = ours(text, name, replace(DEFAULT.config, **shape), replace(DEFAULT.training, **plan))
    met: dict[str, list[dict[float, Reached]]] = {name: [] for name in recipes}
    for seed in range(seeds):
        for name, recipe in recipes.items():
            met[name].append(reached(recipe, ids, TARGETS, seed))
            print(f"  {name}, seed {seed}: {met[name][-1]}", file=sys.stderr, flush=True)
    return met


def table(met: dict[str, list[dict[float, Reached]]]) -> str:
    """Markdown: steps and times over the default's, medians over the seeds."""
    heads = " | ".join(f"steps to {target:g} | seconds" for target in TARGETS)
    rows = [f"| changed | {heads} |", "|---|" + "---|---|" * len(TARGETS)]
    for name, runs in met.items():
        cells = []
        for target in TARGETS:
            both = [
                (run[target], base[target]) for run, base in zip(runs, met["the default"], strict=True) if target in run
            ]
            if len(both) <= len(runs) / 2:
                cells.append(f"never for {len(runs) - len(both)} of {len(runs)} seeds | –")
                continue
            steps = statistics.median(run.steps for run, _ in both)
            ratio = statistics.median(run.seconds / base.seconds for run, base in both)
            seconds = statistics.median(run.seconds for run, _ in both)
            cells.append(f"{steps:.0f} | {seconds:.1f} s, {ratio:.2f} ×")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


PAGE = """# The recipe, and what each choice in it is worth

Written by `make recipe`. The page's default for one's own text, on tiny Shakespeare by characters, as a lone run on
two cores: steps and seconds until the validation loss first stands at a value, medians of {seeds} seeds in turn. Each
row changes one thing. Seconds belong to the machine; the last number of a cell is what to compare: how many times the
default's seconds, seed by seed.

{table}

Lessons keep settings of their own, chosen so that their patterns can be read.
"""


def main() -> None:
    """Measure every lever, print the page, and write it down where --write says."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--text", type=Path, default=Path("build/tinyshakespeare.txt"))
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--write", type=Path)
    asked = arguments.parse_args()
    page = PAGE.format(seeds=asked.seeds, table=table(measured(common_text(asked.text), asked.seeds)))
    print(page)
    if asked.write:
        asked.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
