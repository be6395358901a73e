"""A run's folder beside its state: what was asked for, and the text. Names are checked: they come from links."""

import json
import re
from dataclasses import asdict
from pathlib import Path

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs.record import RunSettings, Status

RECORD, TEXT = "run.json", "text.txt"
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


def oldest_first(parent: Path) -> list[Path]:
    """All run folders, the one that changed longest ago first."""
    return sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
