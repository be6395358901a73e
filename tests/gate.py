"""Slices of runs, let through one by one."""

from collections.abc import Callable
from concurrent.futures import Executor, Future

import torch

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs import RunSettings
from minigpt.training import TrainingState, advance, begin

TEXT = "the dog saw the cat . the cat saw the old dog .\r\nthe old dog ran to the café 🙂\n" * 6
SETTINGS = RunSettings(
    config=GPTConfig(n_ctx=8, d_model=16, n_heads=2, n_layers=1),
    training=TrainingConfig(steps=30, batch_size=2, eval_every=10, sample_tokens=3),
    lesson="cats",
)


class Gate(Executor):
    """Slices wait in line until a test lets one through, on the test's own thread."""

    def __init__(self) -> None:
        self.line: list[tuple[Future, Callable[[], object]]] = []
        self.asked: list[tuple] = []
        self.closed = False

    def submit(self, function, /, *args):
        if self.closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        self.asked.append(args)
        self.line.append((future, lambda: function(*args)))
        return future

    def let_through(self) -> None:
        future, work = self.line.pop(0)
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.closed = True
        while self.line:
            future, _ = self.line.pop(0)
            future.cancel()
            future.set_running_or_notify_cancel()


def until(gate: Gate, done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
        gate.let_through()
    raise AssertionError("never done")


def alone(steps: int) -> TrainingState:
    return advance(begin(TEXT, SETTINGS.tokenizer, SETTINGS.config, SETTINGS.training), steps)


def same_model(one: TrainingState, other: TrainingState) -> bool:
    return torch.equal(one.model.embed.weight, other.model.embed.weight) and one.history.train == other.history.train
