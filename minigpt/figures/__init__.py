"""Figures: arrays and labels in, `plotly.graph_objects.Figure` out. Pure functions that know neither torch nor Gradio.

Every figure is complete by itself, in a notebook too. It carries light colours; `style.DARK` holds their partners.
Hints for a page that can do more stand in `layout.meta`: `label` (what it shows, in words), `ratio` (height of the plot
area by its width), `max` (height in px that is enough), `least` and `most` (width in px), `focus` (which part of the
plot area to keep in sight, as a share of its width), `tile`, `empty` and `labels` (how cells are grouped and named),
`keys` (what arrow keys step through: where they stand, `at`, among how many, `size`); and in the `meta` of a trace,
`places` (on which side of its point each name has room, by width of the plot area).
"""

from minigpt.figures.births import births
from minigpt.figures.candidates import next_token
from minigpt.figures.grid import heads_grid, room_for_roles
from minigpt.figures.lens import Answers, lens
from minigpt.figures.loss import loss_curve
from minigpt.figures.one_head import head
from minigpt.figures.rows import every_head
from minigpt.figures.token_map import TokenMap, token_map
from minigpt.figures.twins import difference, twin_curves
from minigpt.figures.view import View

__all__ = [
    "Answers",
    "TokenMap",
    "View",
    "births",
    "difference",
    "every_head",
    "head",
    "heads_grid",
    "lens",
    "loss_curve",
    "next_token",
    "room_for_roles",
    "token_map",
    "twin_curves",
]
