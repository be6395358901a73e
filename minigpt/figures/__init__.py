"""Figures: arrays and labels in, `plotly.graph_objects.Figure` out. Pure functions that know neither torch nor Gradio.

Every figure is complete by itself, in a notebook too. It carries light colours; `style.DARK` holds their partners.
Hints for a page that can do more stand in `layout.meta`: `label` (what it shows, in words), `ratio` (height of the plot
area by its width), `max` (height in px that is enough), `tile`, `empty` and `labels` (how cells are grouped and named).
"""

from minigpt.figures.births import births
from minigpt.figures.candidates import next_token
from minigpt.figures.grid import heads_grid
from minigpt.figures.loss import loss_curve
from minigpt.figures.one_head import head
from minigpt.figures.view import View

__all__ = ["View", "births", "head", "heads_grid", "loss_curve", "next_token"]
