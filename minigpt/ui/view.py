"""A component that shows a Plotly figure: in the page's colours, in place, and with clicks that reach Python.

    loss = PlotlyView(loss_curve(history), label="Loss by step", elem_id="loss-curve")
    grid.select(choose, outputs=[...])          # def choose(event: gr.SelectData)
    demo.launch(head=head_html())

gr.Plot cannot do it: each update builds the plot anew (zoom goes, thousands of nodes leak), its paper stays white on a
dark page, and a click on it says nothing.
"""

import html
import json
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from minigpt.figures.style import DARK, PANEL
from minigpt.ui.delivery import address

# Plotly's own build of the charts that have two axes, a third of the whole: no figure here is of another kind.
SCRIPTS = ("plotly-cartesian.min.js", "view.js")

# Everything of substance is in assets/view.js, which may still be on its way when the component appears.
_ON_LOAD = """
(function start() {
  if (!window.miniGPTView) return setTimeout(start, 30);
  window.miniGPTView(element, props, watch, (detail) => trigger("select", detail));
})();
"""


def _save(name: str) -> str:
    """The buttons that save a picture of the view; `name` is safe in HTML already."""
    buttons = "".join(
        f'<button type="button" data-format="{kind.lower()}" aria-label="Save as {kind}: {name}">{kind}</button>'
        for kind in ("PNG", "SVG")
    )
    return f'<div class="mg-save" hidden><span aria-hidden="true">Save as</span>{buttons}</div>'


class PlotlyView(gr.HTML):
    """Shows a figure. Its value is the figure's JSON; handlers may return a figure, its JSON, or None for nothing.

    label: what the view shows, for a reader who cannot see it; a figure's own `layout.meta["label"]` replaces it.
    elem_id: of the component; the plot inside it is `.js-plotly-plot`.

    Two buttons save a picture of it; they show under the pointer and with the focus.

    A click is a `select` event. `event.index` is (row, column) of a heatmap's cell, (layer, head) of a grid of heads,
    (point, trace) of anything else; `event.value` is the cell's value, else x. Pass the event through `place`.
    """

    def __init__(self, value: go.Figure | str | None = None, *, label: str, elem_id: str, **options: Any) -> None:
        # Gradio would run ${...} and {{...}} in the template, so nothing but the author's own words may be in it;
        # figures travel as a value that the template never mentions.
        name = html.escape(label).replace("{", "&#123;").replace("$", "&#36;").replace("`", "&#96;")
        super().__init__(
            value,
            html_template=f'<div class="mg-plot" role="img" aria-label="{name}" style="width:100%"></div>{_save(name)}',
            js_on_load=_ON_LOAD,
            apply_default_css=False,
            label=label,
            elem_id=elem_id,
            **options,
        )

    def postprocess(self, value: go.Figure | str | None) -> str:
        """The figure's JSON, "" for none. Raises ValueError for a text that is no JSON object."""
        if isinstance(value, go.Figure):
            return str(value.to_json())
        if not value:
            return ""
        if not isinstance(json.loads(value), dict):
            raise ValueError("A figure's JSON is an object with data and layout.")
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "string"}


def place(event: gr.SelectData, rows: int, columns: int) -> tuple[int, int] | None:
    """Where a click fell, or None if it names no place: the browser sends it, and a browser can send anything."""
    index = event.index
    if not isinstance(index, list | tuple) or len(index) != 2 or not all(type(i) is int for i in index):
        return None
    row, column = index
    return (row, column) if 0 <= row < rows and 0 <= column < columns else None


def head_html() -> str:
    """What `launch(head=...)` needs for the views of a page: Plotly's script, view.js and the dark colours.

    No request leaves the machine. Gradio puts the head into the page once it runs itself; `delivery.early` lets the
    browser ask for the scripts before.
    """
    plotly, view = (html.escape(address(name)) for name in SCRIPTS)
    return (
        f"<script>window.miniGPTDark = {json.dumps(DARK)}; window.miniGPTPaper = {json.dumps(PANEL)};</script>"
        f'<script async src="{plotly}"></script>'
        f'<script defer src="{view}"></script>'
    )
