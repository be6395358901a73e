"""A run's folder beside its state: what was asked for, the text, the film. Names are checked: they come from links."""

import errno
import hashlib
import io
import json
import re
import secrets
import zipfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from minigpt.checkpoint import FIXED, NEWER, PARTIAL, STATE, VERSION, Damaged, replace_file
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.film import Frame
from minigpt.runs.record import RunSettings, Status

RECORD, TEXT, FILM = "run.json", "text.txt", "film"
OURS = (RECORD, TEXT)  # what the server writes; all else the worker that has the run
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{22}")
RECORD_CUT = "The settings of this run are damaged: their file was cut short."
RECORD_EMPTY = "The settings of this run are damaged: their file is empty."
RECORD_ODD = "The settings of this run are damaged: their file cannot be understood."
RECORD_LACKS = "The settings of this run are damaged: a part of them is missing."
RECORD_GONE = "The settings of this run are gone: their file is missing."
RECORD_NO_RIGHT = "The settings of this run cannot be opened: this server has no right to read their file."
TEXT_GONE = "The text of this run is gone: its file is missing."
TEXT_NO_RIGHT = "The text of this run cannot be opened: this server has no right to read its file."
TEXT_CHANGED = "The text of this run was changed after training began. The model learned from the text before."


class Folder:
    """The folder of a run. What the disk does not take stays in `unsaved`, by its name, and is read from there."""

    def __init__(self, path: Path, unsaved: Mapping[str, bytes] | None = None) -> None:
        self.path = path
        self.unsaved = dict(unsaved or {})
        self.error: OSError | None = None  # Why the newest file that was not taken was not.

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, on the disk if that takes it."""
        self.note(name, data, self.attempt(name, data))

    def attempt(self, name: str, data: bytes) -> OSError | None:
        """Write a file to the disk, and nothing else; returns why that failed."""
        try:
            replace_file(self.path / name, data)
        except OSError as error:
            return error
        return None

    def note(self, name: str, data: bytes, error: OSError | None) -> None:
        """Remember what came of an attempt."""
        if error is None:
            self.unsaved.pop(name, None)
        else:
            self.unsaved[name], self.error = data, error

    def read(self, name: str) -> bytes:
        """A file; OSError where it cannot be read."""
        return self.unsaved[name] if name in self.unsaved else (self.path / name).read_bytes()

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.unsaved or (self.path / name).exists()

    def drop(self, name: str) -> None:
        """Forget a file."""
        self.unsaved.pop(name, None)
        with suppress(OSError):  # A disk that may only be read keeps it; the next frame tries again.
            (self.path / name).unlink(missing_ok=True)

    def catch_up(self, names: Iterable[str]) -> None:
        """Try once more to write what the disk did not take."""
        for name in names:
            if name in self.unsaved:
                self.write(name, self.unsaved[name])


def reason(error: OSError | None) -> str:
    """Why the disk takes nothing, in words; never with the place, which is this machine's own."""
    if error is not None and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "the disk is full"
    if error is not None and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "the disk may only be read"
    return "the disk takes nothing"


@dataclass(frozen=True)
class Record:
    """What was asked of a run, as `run.json` keeps it.

    until: the step to go on to; the run is at work where it stands at an earlier one. rest: how it rests there.
    owner: whose run it is, as the page tells visitors apart. text_hash: of the text that it learns from.
    trouble: why it rests, where nobody asked for that. version: of the program's files.
    """

    settings: RunSettings
    until: int
    rest: Status = "paused"
    owner: str = ""
    text_hash: str = ""
    trouble: str = ""
    version: int = field(default=VERSION)


def new_id() -> str:
    """The name of a run, which nobody guesses. A terminal would take one that begins with a dash for an option."""
    while (name := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return name


def folder_of(parent: Path, run_id: str) -> Path | None:
    """The folder of a run, or None where there is none; a name that no run can have never touches the disk."""
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        return None
    folder = parent / run_id
    return folder if any((folder / name).exists() for name in (RECORD, FIXED, STATE)) else None


def text_bytes(text: str) -> bytes:
    """A text as its file holds it."""
    return text.encode("utf-8", "replace")


def hash_of(text: bytes) -> str:
    """Tells whether a text is still the one that a run learns from."""
    return hashlib.sha256(text).hexdigest()


def record_bytes(record: Record) -> bytes:
    """What was asked, as its file holds it."""
    return json.dumps(asdict(record)).encode()


def write(folder: Folder, record: Record) -> None:
    """Keep what was asked."""
    folder.write(RECORD, record_bytes(record))


def read(folder: Folder) -> Record:
    """What `write` kept; `Damaged` where that cannot be used."""
    try:
        data = folder.read(RECORD)
    except PermissionError:
        raise Damaged(RECORD_NO_RIGHT) from None
    except OSError:
        raise Damaged(RECORD_GONE) from None
    if not data:
        raise Damaged(RECORD_EMPTY)
    try:
        kept = json.loads(data)
        version = kept.get("version", 1)
    except (ValueError, AttributeError):
        raise Damaged(RECORD_CUT if data.startswith(b'{"') else RECORD_ODD) from None
    if version > VERSION:
        raise Damaged(NEWER)
    try:
        fields = dict(kept["settings"])
        fields |= {"config": GPTConfig(**fields["config"]), "training": TrainingConfig(**fields["training"])}
        fields["breaks"] = tuple(fields.get("breaks", ()))
        # A folder that an earlier version wrote may hold what is no longer asked for.
        known = {name: value for name, value in fields.items() if name in RunSettings.__dataclass_fields__}
        later = {name: kept[name] for name in ("owner", "text_hash", "trouble") if name in kept}
        return Record(RunSettings(**known), int(kept["until"]), kept["rest"], **later, version=version)
    except KeyError:
        raise Damaged(RECORD_LACKS) from None
    except (TypeError, ValueError, AttributeError):
        raise Damaged(RECORD_ODD) from None


def read_text(folder: Folder) -> str:
    """The text of the run; `Damaged` where it cannot be read."""
    try:
        return folder.read(TEXT).decode("utf-8", "replace")
    except PermissionError:
        raise Damaged(TEXT_NO_RIGHT) from None
    except OSError:
        raise Damaged(TEXT_GONE) from None


def write_frame(folder: Folder, frame: Frame, moments: Collection[int]) -> None:
    """Keep a frame of a run's film; of those before it only the ones at these moments stay.

    A file for each step: whatever is captured twice, after a worker died, is there once.
    """
    packed = io.BytesIO()
    np.savez(packed, **vars(frame))
    folder.write(f"{FILM}/{frame.step}.npz", packed.getvalue())
    for step in frames(folder):
        if step < frame.step and step not in moments:
            folder.drop(f"{FILM}/{step}.npz")


def frames(folder: Folder) -> list[int]:
    """The steps of which there is a frame, in order."""
    names = [path.name for path in (folder.path / FILM).glob("*.npz")]
    names += [name.partition("/")[2] for name in folder.unsaved if name.startswith(FILM)]
    return sorted({int(name[:-4]) for name in names if name[:-4].isdecimal()})


def read_film(folder: Folder, known: Mapping[int, Frame]) -> tuple[dict[int, Frame], int]:
    """The frames of a run by their steps, in order, without reading anew those that are known, and how many more there
    are that are damaged.
    """
    found, damaged = {}, 0
    for step in frames(folder):
        try:
            found[step] = known.get(step) or _frame(folder.read(f"{FILM}/{step}.npz"))
        except FileNotFoundError:  # It was the newest a moment ago.
            continue
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            damaged += 1
    return found, damaged


def _frame(data: bytes) -> Frame:
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        return Frame(**{name: kept[name] for name in kept.files} | {"step": int(kept["step"])})


def sweep(parent: Path, older_than: float) -> None:
    """Remove what was being written when somebody was killed, if it was last touched before a time on the clock."""
    for pattern in (f"*/*{PARTIAL}", f"*/{FILM}/*{PARTIAL}"):
        for path in parent.glob(pattern):
            try:
                if path.stat().st_mtime <= older_than:
                    path.unlink()
            except OSError:  # Somebody else was quicker, or the disk may only be read.
                continue


def oldest_first(parent: Path) -> list[Path]:
    """All run folders, the one that changed longest ago first."""
    found = []
    for path in parent.iterdir() if parent.is_dir() else ():
        try:
            if path.is_dir():
                found.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(found)]
