"""A run's folder beside its state: what was asked for, and the text. Names are checked: they come from links."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.film import Frame
from minigpt.runs.record import RunSettings, Status

RECORD, TEXT, FILM = "run.json", "text.txt", "film"
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def folder_of(parent: Path, run_id: str) -> Path | None:
    """The folder of a run, or None where there is none; a name that no run can have never touches the disk."""
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        return None
    folder = parent / run_id
    return folder if (folder / RECORD).exists() else None


def write(folder: Path, settings: RunSettings, until: int, rest: Status, text: str | None = None) -> None:
    """Keep what was asked: settings, the step to go on to, how to rest there; the text only the first time."""
    if text is not None:
        (folder / TEXT).write_text(text.encode("utf-8", "replace").decode(), encoding="utf-8", newline="")
    partial = folder / (RECORD + ".partial")
    partial.write_text(json.dumps({"settings": asdict(settings), "until": until, "rest": rest}), encoding="utf-8")
    partial.replace(folder / RECORD)


def read(folder: Path) -> tuple[RunSettings, int, Status]:
    """What `write` kept: settings, the step to go on to, how to rest there."""
    kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    fields = kept["settings"]
    fields |= {"config": GPTConfig(**fields["config"]), "training": TrainingConfig(**fields["training"])}
    fields["breaks"] = tuple(fields.get("breaks", ()))
    # A folder that an earlier version wrote may hold what is no longer asked for.
    known = {name: value for name, value in fields.items() if name in RunSettings.__dataclass_fields__}
    return RunSettings(**known), kept["until"], kept["rest"]


def read_text(folder: Path) -> str:
    """The text of the run."""
    with (folder / TEXT).open(encoding="utf-8", newline="") as file:
        return file.read()


def write_frame(folder: Path, frame: Frame, moments: Collection[int]) -> None:
    """Keep a frame of a run's film; of those before it only the ones at these moments stay.

    A file for each step: whatever is captured twice, after a worker died, is there once.
    """
    film = folder / FILM
    film.mkdir(exist_ok=True)
    partial = film / f"{frame.step}.partial"
    with partial.open("wb") as file:
        np.savez(file, **vars(frame))
    partial.replace(film / f"{frame.step}.npz")
    for path in film.glob("*.npz"):
        if int(path.stem) < frame.step and int(path.stem) not in moments:
            path.unlink()


def read_film(folder: Path, known: Mapping[int, Frame]) -> dict[int, Frame]:
    """The frames of a run by their steps, in order, without reading anew those that are known; often there are none."""
    steps = sorted(int(path.stem) for path in (folder / FILM).glob("*.npz"))
    found = {}
    for step in steps:
        try:
            found[step] = known.get(step) or _frame(folder / FILM / f"{step}.npz")
        except FileNotFoundError:  # It was the newest a moment ago.
            continue
    return found


def _frame(path: Path) -> Frame:
    with np.load(path, allow_pickle=False) as kept:
        return Frame(**{name: kept[name] for name in kept.files} | {"step": int(kept["step"])})


def oldest_first(parent: Path) -> list[Path]:
    """All run folders, the one that changed longest ago first."""
    return sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
