"""Pieces of text on the page: trees whose strings the browser only ever shows, never reads as HTML."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

Node = str | list[Any]


# For what a person or the model wrote: no translator of a browser changes it, and it has its own direction.
WRITTEN = {"translate": "no", "dir": "auto"}


def h(tag: str, *children: Node, **attributes: str) -> Node:
    """An element of a fragment: `h("p", "It is ", h("b", "late"), cls="mg-note")`.

    `cls` stands for class; an underscore in a name for a hyphen, as in `data_index`.
    """
    named = {"class" if name == "cls" else name.replace("_", "-"): value for name, value in attributes.items()}
    return [tag, named, *children]


class Fragment(gr.HTML):
    """A component that shows a list of nodes (see `h`). A click on a `<button data-index>` is a `select` event."""

    def __init__(self, nodes: Sequence[Node] = (), **kwargs: Any) -> None:
        super().__init__(
            value=json.dumps(list(nodes)),
            html_template='<div class="mg-fragment"></div>',
            js_on_load="window.mgFragment(element, props, watch, trigger);",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: Any) -> str | None:
        """Nodes become what the browser's half reads; a string is taken to be that already."""
        return value if value is None or isinstance(value, str) else json.dumps(list(value))

    def get_block_name(self) -> str:
        """Gradio's front end draws this as its own HTML component."""
        return "html"
