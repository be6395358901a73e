"""Which handler answers which event: components by their names, and how Gradio is to treat an event."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

Parts = dict[str, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# What to do with an event while the handler is at work on an earlier one: keep the last, or hand on each. Two that keep
# the last of the same event would call each other for ever: Gradio repeats the event for both when either is done.
LAST: dict[str, Any] = {"trigger_mode": "always_last"}
EACH: dict[str, Any] = {"trigger_mode": "multiple"}


class Wires:
    """Connects events of named components to handlers: `on("click train", handler, "run text", "status")`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def named(self, names: str | Sequence[str]) -> list[Any]:
        """Components by their names, in one string or several."""
        return [self._parts[name] for name in (names.split() if isinstance(names, str) else names)]

    def on(
        self,
        events: str | Sequence[str],
        handler: Any,
        inputs: str | Sequence[str],
        outputs: str | Sequence[str],
        **options: Any,
    ) -> Any:
        """`events` are an event and the components it comes from; the options are Gradio's."""
        event, *names = events.split() if isinstance(events, str) else events
        triggers = [getattr(part, event) for part in self.named(names)]
        return gr.on(triggers, handler, self.named(inputs), self.named(outputs), **{**QUIET, **options})
