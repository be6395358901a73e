"""Train, Pause, Step and Stop: which of them can be pressed, in each state of a run."""

from typing import Any

import gradio as gr

from minigpt.runs import ACTIVE, Progress


def buttons(progress: Progress | None) -> list[Any]:
    """Train, Pause, Step and Stop: they keep their places, and only what can be done is on."""
    status = progress.status if progress else "empty"
    can_train = status not in ACTIVE
    can_step = status not in (*ACTIVE, "failed")
    can_stop = status in (*ACTIVE, "paused")
    return [
        gr.update(
            value="Resume" if status == "paused" else "Train",
            interactive=can_train,
            variant="primary" if can_train else "secondary",
        ),
        gr.update(interactive=status == "training"),
        gr.update(interactive=can_step),
        gr.update(interactive=can_stop),
    ]
