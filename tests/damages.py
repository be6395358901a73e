"""The kinds of damage to a run: what it says of each, and how to do it to a folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from minigpt import checkpoint
from minigpt.checkpoint import STATE
from minigpt.runs import recovery, store


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    kept = json.loads(path.read_text())
    change(kept)
    path.write_text(json.dumps(kept))


def reshape(path: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    tensors, said = checkpoint._read(path)
    name = next(name for name in tensors if name.startswith("model.") and tensors[name].ndim == 2)
    path.write_bytes(checkpoint._packed({**tensors, name: change(tensors[name])}, said))


def newer(path: Path) -> None:
    tensors, said = checkpoint._read(path)
    data = checkpoint._packed(tensors, said)
    path.write_bytes(data.replace(b'\\"version\\": 2', b'\\"version\\": 9'))


def locked(path: Path) -> None:
    path.chmod(0)


MODEL = {
    checkpoint.CUT: lambda run: cut(run / STATE),
    checkpoint.GONE: lambda run: (run / STATE).unlink(),
    checkpoint.EMPTY: lambda run: (run / STATE).write_bytes(b""),
    checkpoint.UNREADABLE: lambda run: (run / STATE).write_bytes(b"x" * 4000 + (run / STATE).read_bytes()[4000:]),
    checkpoint.NOT_NUMBERS: lambda run: reshape(run / STATE, lambda tensor: tensor * torch.nan),
    checkpoint.MISFIT: lambda run: reshape(run / STATE, lambda tensor: tensor[:-1]),
    checkpoint.NEWER: lambda run: newer(run / STATE),
    checkpoint.NO_RIGHT: lambda run: locked(run / STATE),
}
RECORD = {
    store.RECORD_CUT: lambda run: cut(run / store.RECORD),
    store.RECORD_LACKS: lambda run: rewrite(run / store.RECORD, lambda kept: kept.pop("until")),
    store.RECORD_ODD: lambda run: (run / store.RECORD).write_text("not JSON"),
    store.RECORD_EMPTY: lambda run: (run / store.RECORD).write_text(""),
    store.RECORD_GONE: lambda run: (run / store.RECORD).unlink(),
}
REST = {
    f"{store.TEXT_GONE} {recovery.STAYS}": lambda run: (run / store.TEXT).unlink(),
    store.TEXT_CHANGED: lambda run: (run / store.TEXT).write_text("another"),
    recovery.damaged_moments(1): lambda run: cut(run / store.FILM / "3.npz"),
    recovery.missing_moments(1): lambda run: (run / store.FILM / "3.npz").unlink(),
}


def refuse_the_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody may read is not read: root may, who runs the tests in a container."""
    opened = checkpoint.safe_open

    def refuse(path: Path, **options: str):
        if path.stat().st_mode & 0o777 == 0:
            raise PermissionError(13, "no", str(path))
        return opened(path, **options)

    monkeypatch.setattr(checkpoint, "safe_open", refuse)
