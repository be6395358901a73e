"""A training state on disk: what never changes is written once, the rest in one file that is replaced whole."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from jaxtyping import Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.history import History, ReferenceLosses
from minigpt.model import Transformer
from minigpt.tokenizer import from_json
from minigpt.training import Failure, TrainingState

FIXED, STATE = "fixed.safetensors", "state.safetensors"
PARTIAL = ".partial"  # how the name of a file that is being written ends
VERSION = 2  # of what a folder holds; raised when an earlier program would misread it
NEWER = "This run was written by a newer version of miniGPT. Update miniGPT to open it."
GONE = "The model of this run is gone: its file is missing."
CUT = "The model of this run is damaged: its file was cut short."
EMPTY = "The model of this run is damaged: its file is empty."
UNREADABLE = "The model of this run is damaged: its file cannot be understood."
NO_RIGHT = "The model of this run cannot be opened: this server has no right to read its file."
NOT_NUMBERS = "The model of this run is damaged: it holds numbers that are none."
MISFIT = "The model of this run is damaged: its numbers do not fit its shape."


class Damaged(ValueError):
    """A file of a run cannot be used; the message is for the reader and names no place on this machine."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, and its folder where there is none, whole or not at all; OSError where that fails.

    A reader, or a process killed half-way, sees the old file or the new one, never half of one.
    """
    _make(path.parent)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)  # On a full disk half a file would take the room of others.
        raise


def _make(folder: Path) -> None:
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)  # With `parents` the ones above would be open to everybody.


def _packed(tensors: Mapping[str, Tensor], words: Mapping[str, object]) -> bytes:
    words = {**words, "version": VERSION}
    return safetensors.torch.save({name: t.contiguous() for name, t in tensors.items()}, {"json": json.dumps(words)})


def header(file: BinaryIO) -> tuple[int, dict[str, Any]]:
    """How many bytes the file should have, and the words in it, which stand before all numbers.

    ValueError or KeyError for what is no such file.
    """
    length = int.from_bytes(file.read(8), "little")
    entries = json.loads(file.read(min(length, 1 << 28)))
    words = json.loads(entries.pop("__metadata__")["json"])
    return 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0), words


def _read(source: Path | bytes, leave: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, but those whose names begin with `leave`, and words.

    FileNotFoundError where there is no file, Damaged where it cannot be used.
    """

    def wanted(name: str) -> bool:
        return not (leave and name.startswith(leave))

    try:
        if isinstance(source, bytes):
            tensors = {name: tensor for name, tensor in safetensors.torch.load(source).items() if wanted(name)}
            length = 8 + int.from_bytes(source[:8], "little")
            words = json.loads(json.loads(source[8:length])["__metadata__"]["json"])
        else:
            with safe_open(source, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in filter(wanted, list(file.keys()))}
                words = json.loads(file.metadata()["json"])
    except FileNotFoundError:
        raise
    except PermissionError:
        raise Damaged(NO_RIGHT) from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise Damaged(_why(source)) from None
    if words.get("version", 1) > VERSION:
        raise Damaged(NEWER)
    return tensors, words


def _why(source: Path | bytes) -> str:
    """Which damage it is, of a file that cannot be read."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if not size:
        return EMPTY
    if size < 8:
        return CUT
    with suppress(OSError, ValueError, KeyError, TypeError):
        if isinstance(source, Path):
            with source.open("rb") as file:
                if size < int.from_bytes(file.read(8), "little") < 1 << 28:
                    return CUT
                file.seek(0)
                whole, words = header(file)
            if words.get("version", 1) > VERSION:
                return NEWER
            if size < whole:
                return CUT
    return UNREADABLE


def fixed_bytes(state: TrainingState) -> bytes:
    """What of a state never changes, as the file `FIXED` holds it."""
    words = {
        "config": asdict(state.config),
        "training": asdict(state.training),
        "tokenizer": state.tokenizer.to_json(),
        "notes": state.notes,
    }
    return _packed({"ids": state.ids}, words)


def state_bytes(state: TrainingState) -> bytes:
    """What of a state changes, as the file `STATE` holds it."""
    parameters = state.model.state_dict()
    if state.config.tie_unembedding:
        # The same tensor under a second name: safetensors refuses, rightly, to store it twice.
        del parameters["unembed.weight"]
    tensors = {f"model.{name}": tensor for name, tensor in parameters.items()}
    tensors |= {f"optimiser.{name}": tensor for name, tensor in state.optimiser.items()} | {"rng": state.rng}
    failure = asdict(state.failure) if state.failure else None
    words = {"step": state.step, "history": asdict(state.history), "failure": failure, "turned": "neighbours"}
    return _packed(tensors, words)


def save(state: TrainingState, folder: Path) -> None:
    """Write the state into a folder, over an earlier state of the same run."""
    if not (folder / FIXED).exists():
        replace_file(folder / FIXED, fixed_bytes(state))
    replace_file(folder / STATE, state_bytes(state))


def _neighbours(config: GPTConfig) -> Int[Tensor, " row"]:
    """Where each row of `qkv` stood in an earlier version, whose rotary positions turned rows half a head apart."""
    rows = torch.arange(3 * config.n_heads * config.d_head).view(3, config.n_heads, 2, -1)
    return torch.cat([rows[:2].transpose(-1, -2).flatten(), rows[2].flatten()])


def load(folder: Path, unsaved: Mapping[str, bytes] | None = None, optimiser: bool = True) -> TrainingState:
    """The state that a folder holds, or that `unsaved` holds of its files.

    optimiser: whether to read what only further training needs, as much as the model again or twice.

    FileNotFoundError if there is none; `Damaged`, a ValueError with a sentence for the reader, if it cannot be used.
    """
    unsaved = unsaved or {}
    fixed, words = _read(unsaved.get(FIXED, folder / FIXED))
    tensors, changing = _read(unsaved.get(STATE, folder / STATE), "" if optimiser else "optimiser.")
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise Damaged(NOT_NUMBERS)
    try:
        return _state(fixed, words, tensors, changing)
    except Damaged:
        raise
    except RuntimeError:  # What torch says of a tensor that has no place in the model.
        raise Damaged(MISFIT) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Damaged(UNREADABLE) from None


def _state(
    fixed: dict[str, Tensor], words: dict[str, Any], tensors: dict[str, Tensor], changing: dict[str, Any]
) -> TrainingState:
    model = Transformer(GPTConfig(**words["config"]))
    parameters = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    if model.config.tie_unembedding:
        parameters["unembed.weight"] = parameters["embed.weight"]
    optimiser = {n.removeprefix("optimiser."): t for n, t in tensors.items() if n.startswith("optimiser.")}
    if model.config.positions == "rotary" and "turned" not in changing:
        rows = _neighbours(model.config)
        parameters |= {name: tensor[rows] for name, tensor in parameters.items() if "attention.qkv" in name}
        optimiser = {}  # Its rows would be in the old order; without it the next steps are as good.
    model.load_state_dict(parameters)
    ids = fixed["ids"]
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < model.config.d_vocab:
        raise Damaged(MISFIT)
    failure = changing["failure"]
    return TrainingState(
        model=model.eval(),
        tokenizer=from_json(words["tokenizer"]),
        training=TrainingConfig(**words["training"]),
        ids=ids,
        optimiser=optimiser,
        rng=tensors["rng"],
        history=history_of(changing),
        step=changing["step"],
        failure=Failure(**failure) if failure else None,
        notes=tuple(words["notes"]),
    )


def history_of(words: Mapping[str, Any]) -> History:
    """The history among the words of a state; KeyError or TypeError where there is none."""
    history = dict(words["history"])
    curves = {name: tuple(map(tuple, points)) for name, points in history.items() if isinstance(points, list)}
    return History(**history | curves | {"references": ReferenceLosses(**history["references"])})
