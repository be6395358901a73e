"""Muon for the matrices, AdamW for the rest, and the learning rate at each step."""

import math
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Executor

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minigpt.config import TrainingConfig


def learning_rate_at(step: int, training: TrainingConfig) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then a cosine down to `final_lr_fraction`.

    Steps after the planned end keep the last value, so that "one more step" still teaches something.
    """
    if step < training.warmup_steps:
        return (step + 1) / (training.warmup_steps + 1)
    progress = min(1.0, (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps))
    low = training.final_lr_fraction
    return low + (1 - low) * (1 + math.cos(math.pi * progress)) / 2


def orthogonalise(stack: Float[Tensor, "matrix row column"]) -> Float[Tensor, "matrix row column"]:
    """Push every singular value of each matrix towards 1, by five quintic Newton-Schulz iterations in fp32.

    Coefficients from Jordan, "Muon" (2024). torch's own Muon iterates in bf16, which a CPU without bf16 units
    runs tens of times slower.
    """
    tall = stack.shape[-2] > stack.shape[-1]
    x = stack.transpose(-1, -2) if tall else stack
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    gram = x @ x.transpose(-1, -2)
    # Each iteration multiplies x from the left by a polynomial of gram. These are multiplied with one another first:
    # they are small squares, and x may be four times as long.
    factor = product = _quintic(gram)
    for _ in range(4):
        gram = factor @ gram @ factor
        factor = _quintic(gram)
        product = factor @ product
    x = product @ x
    return x.transpose(-1, -2) if tall else x


def _quintic(gram: Float[Tensor, "matrix row row"]) -> Float[Tensor, "matrix row row"]:
    a, b, c = 3.4445, -4.7750, 2.0315
    factor = torch.baddbmm(b * gram, gram, gram, alpha=c)
    factor.diagonal(dim1=-2, dim2=-1).add_(a)
    return factor


Move = tuple[Tensor, Tensor, float]  # a matrix, which way it goes, its learning rate


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised: every direction of a matrix moves equally far (Jordan, 2024).

    A parameter listed with `parts` n is n matrices stacked by rows (fused queries, keys and values are three).
    Matrices of one shape are orthogonalised in one batch.
    """

    def __init__(
        self,
        params: Iterable[dict[str, object]],
        lr: float,
        momentum: float = 0.95,
        helper: Executor | None = None,
    ) -> None:
        """`helper` takes half of the matrices, where there is one; the numbers stay the same."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "parts": 1, "weight_decay": 0.0})
        self._helper = helper

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix by lr x sqrt(max(1, rows / columns)) along its orthogonalised Nesterov momentum.

        The gradients are used up.
        """
        by_shape: dict[torch.Size, list[Move]] = defaultdict(list)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp_(state["momentum"], group["momentum"])  # In the room of the gradient.
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                for target, part in zip(parameter.chunk(group["parts"]), update.chunk(group["parts"]), strict=True):
                    by_shape[part.shape].append((target, part, group["lr"]))
        halves = [[moves[start::2] for moves in by_shape.values() if moves[start::2]] for start in (0, 1)]
        beside = self._helper.submit(_move, halves[1]) if self._helper else None
        _move(halves[0])
        if beside:
            beside.result()
        else:
            _move(halves[1])


@torch.no_grad()
def _move(stacks: list[list[Move]]) -> None:
    """Matrices of one shape in each stack: orthogonalise their momentum, and move them by it."""
    for stack in stacks:
        updates = orthogonalise(torch.stack([update for _, update, _ in stack]))
        stretch = math.sqrt(max(1.0, updates.shape[1] / updates.shape[2]))
        for (matrix, _, lr), update in zip(stack, updates, strict=True):
            matrix.sub_(update, alpha=lr * stretch)


class Optimisers:
    """The optimisers of one model behind one `step`, with a flat state of tensors that can be kept on disk."""

    def __init__(self, model: nn.Module, training: TrainingConfig, helper: Executor | None = None) -> None:
        self.training = training
        matrices: list[dict[str, object]] = []
        rest = []
        for name, parameter in model.named_parameters():
            if training.optimiser == "muon" and "blocks" in name and parameter.ndim == 2:
                matrices.append({"params": [parameter], "parts": 3 if "qkv" in name else 1})
            else:
                rest.append(parameter)
        peak, decay = training.peak_learning_rate, training.weight_decay
        self._peaks: dict[str, float] = {}
        self._all: dict[str, torch.optim.Optimizer] = {}
        if matrices:
            self._peaks["muon"] = peak
            self._all["muon"] = Muon(matrices, lr=peak, helper=helper)
        self._peaks["adamw"] = peak / 3 if matrices else peak
        self._all["adamw"] = torch.optim.AdamW(
            rest, lr=self._peaks["adamw"], betas=(0.9, 0.99), weight_decay=decay, fused=True
        )
        for group in self._all["muon"].param_groups if matrices else []:
            group["weight_decay"] = decay

    def step(self, step: int) -> None:
        """One update with the learning rate of this step; gradients are gone after it."""
        share = learning_rate_at(step, self.training)
        for name, optimiser in self._all.items():
            for group in optimiser.param_groups:
                group["lr"] = self._peaks[name] * share
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Every tensor of every optimiser under a name such as `adamw.0.exp_avg`, copied."""
        return {
            f"{name}.{index}.{key}": value.clone()
            for name, optimiser in self._all.items()
            for index, tensors in optimiser.state_dict()["state"].items()
            for key, value in tensors.items()
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` gave; nothing at all means a fresh start."""
        for name, optimiser in self._all.items():
            state: dict[int, dict[str, Tensor]] = defaultdict(dict)
            for path, value in tensors.items():
                owner, index, key = path.split(".")
                if owner == name:
                    state[int(index)][key] = value.clone()
            optimiser.load_state_dict({"state": dict(state), "param_groups": optimiser.state_dict()["param_groups"]})
