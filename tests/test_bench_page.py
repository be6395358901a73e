"""What is measured on the page is measured on the page: a quick look, with much room for a busy machine."""

import pytest
from playwright.sync_api import Browser

from benchmarks import chromium, page

pytestmark = pytest.mark.browser

# Of the map of all heads: nodes, pictures, whether its cells are pixels of one, its size in cells, and that of a tile.
DRAWN = """() => {
  const map = document.querySelector("#heads-grid"), plot = map.querySelector(".js-plotly-plot");
  const pictures = [...map.querySelectorAll(".heatmaplayer image")], { z } = plot._fullData[0];
  return {
    nodes: map.querySelectorAll("*").length,
    pixels: pictures.map((picture) => /pixelated/.test(picture.getAttribute("style"))),
    cells: [z.length, z[0].length],
    tile: plot.layout.meta.tile,
  };
}"""


def test_nine_times_the_heads_are_one_picture_too_and_take_less_than_nine_times_as_long(browser: Browser) -> None:
    seconds, nodes = {}, {}
    for side in (4, 12):
        with chromium.served_grid(side, side) as address, chromium.fresh_page(browser) as there:
            page.open_grid(there, address)
            seconds[side] = min(page.another_prompt(there) for _ in range(6))
            drawn = there.evaluate(DRAWN)
        # What was timed shows every head.
        assert drawn["cells"] == [side * cells for cells in drawn["tile"]]
        assert drawn["pixels"] == [True]
        nodes[side] = drawn["nodes"]
    print(f"\na new prompt painted: 4 × 4 heads {seconds[4]:.3f} s, 12 × 12 {seconds[12]:.3f} s; nodes {nodes}")
    assert seconds[12] < 6 * seconds[4]
    # With a trace a head, 12 x 12 have 50,000.
    assert nodes[12] < 2 * nodes[4] < 1000


def test_a_new_prompt_is_painted_sooner_than_a_page_is_opened(browser: Browser) -> None:
    with chromium.served_grid(4, 4) as address:
        first = page.first_heads(browser, address)
        with chromium.fresh_page(browser) as there:
            page.open_grid(there, address)
            again = min(page.another_prompt(there) for _ in range(3))
    assert 3 * again < first
