"""A training state on disk: what never changes is written once, the rest in one file that is replaced whole."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.history import History, ReferenceLosses
from minigpt.model import Transformer
from minigpt.tokenizer import from_json
from minigpt.training import Failure, TrainingState

FIXED, STATE = "fixed.safetensors", "state.safetensors"


def _write(path: Path, tensors: dict[str, Tensor], words: dict[str, object]) -> None:
    # A reader, or a process killed half-way, sees the old file or the new one, never half of one.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, {"json": json.dumps(words)})
    partial.replace(path)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["json"])


def save(state: TrainingState, folder: Path) -> None:
    """Write the state into a folder, over an earlier state of the same run."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / FIXED).exists():
        words: dict[str, object] = {
            "config": asdict(state.config),
            "training": asdict(state.training),
            "tokenizer": state.tokenizer.to_json(),
            "notes": state.notes,
        }
        _write(folder / FIXED, {"ids": state.ids}, words)
    parameters = state.model.state_dict()
    if state.config.tie_unembedding:
        # The same tensor under a second name: safetensors refuses, rightly, to store it twice.
        del parameters["unembed.weight"]
    tensors = {f"model.{name}": tensor for name, tensor in parameters.items()}
    tensors |= {f"optimiser.{name}": tensor for name, tensor in state.optimiser.items()} | {"rng": state.rng}
    failure = asdict(state.failure) if state.failure else None
    changing = {"step": state.step, "history": asdict(state.history), "failure": failure, "turned": "neighbours"}
    _write(folder / STATE, tensors, changing)


def _neighbours(config: GPTConfig) -> Int[Tensor, " row"]:
    """Where each row of `qkv` stood in an earlier version, whose rotary positions turned rows half a head apart."""
    rows = torch.arange(3 * config.n_heads * config.d_head).view(3, config.n_heads, 2, -1)
    return torch.cat([rows[:2].transpose(-1, -2).flatten(), rows[2].flatten()])


def load(folder: Path) -> TrainingState:
    """The state that a folder holds; FileNotFoundError if it holds none."""
    fixed, words = _read(folder / FIXED)
    tensors, changing = _read(folder / STATE)
    model = Transformer(GPTConfig(**words["config"]))  # type: ignore[arg-type]
    parameters = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    if model.config.tie_unembedding:
        parameters["unembed.weight"] = parameters["embed.weight"]
    optimiser = {n.removeprefix("optimiser."): t for n, t in tensors.items() if n.startswith("optimiser.")}
    if model.config.positions == "rotary" and "turned" not in changing:
        rows = _neighbours(model.config)
        parameters |= {name: tensor[rows] for name, tensor in parameters.items() if "attention.qkv" in name}
        optimiser = {}  # Its rows would be in the old order; without it the next steps are as good.
    model.load_state_dict(parameters)
    history = dict(changing["history"])  # type: ignore[call-overload]
    curves = {name: tuple(map(tuple, points)) for name, points in history.items() if isinstance(points, list)}
    failure = changing["failure"]
    return TrainingState(
        model=model.eval(),
        tokenizer=from_json(words["tokenizer"]),  # type: ignore[arg-type]
        training=TrainingConfig(**words["training"]),  # type: ignore[arg-type]
        ids=fixed["ids"],
        optimiser=optimiser,
        rng=tensors["rng"],
        history=History(**history | curves | {"references": ReferenceLosses(**history["references"])}),
        step=changing["step"],  # type: ignore[arg-type]
        failure=Failure(**failure) if failure else None,  # type: ignore[arg-type]
        notes=tuple(words["notes"]),  # type: ignore[arg-type]
    )
