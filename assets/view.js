// Draws a Plotly figure inside one component of the page, and keeps it right while the figure, the width or the theme
// changes. Plotly.react changes the plot in place: zoom survives, and no update leaves nodes or listeners behind.
//
// miniGPTDark maps each light colour of the figures to its dark partner; the page writes it before this script.
(() => {
  "use strict";

  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: false };
  const views = new Set();

  // Figures carry light colours. Exact match only, so nothing but a colour is ever changed.
  function parse(json, dark) {
    const partner = dark ? window.miniGPTDark || {} : {};
    return JSON.parse(json, (key, value) =>
      typeof value === "string" && Object.hasOwn(partner, value) ? partner[value] : value);
  }

  // As wide as the column; maps keep the shape of their cells, and leave the window room for what stands around them.
  function fit(layout, width) {
    layout.autosize = false;
    layout.width = width;
    const { ratio, max } = layout.meta || {};
    if (!ratio) return;
    const { l, r, t, b } = layout.margin;
    const highest = Math.min(max, Math.max(360, window.innerHeight - 380)) - t - b;
    const side = Math.max(1, Math.min(width - l - r, highest / ratio));
    layout.width = Math.floor(side + l + r);
    layout.height = Math.floor(side * ratio + t + b);
  }

  // Token labels grow with their cells, from 11 to 16 px, but never wider than the margin; crowded ones thin out.
  function fitLabels(layout) {
    const { count, every, columns } = layout.meta?.labels || {};
    if (!count) return;
    const { t, b, l } = layout.margin;
    const cell = (layout.height - t - b) / count;
    const largest = Math.min(16, (l - 10) / (0.6 * columns));
    const size = Math.max(11, Math.min(largest, Math.floor(0.72 * cell)));
    // A multiple, because the figure has thinned its labels already.
    const step = every * Math.max(1, Math.ceil(12 / (cell * every)));
    for (const axis of [layout.xaxis, layout.yaxis]) {
      axis.tickfont.size = size;
      axis.ticktext = axis.ticktext.map((label, i) => (i % step ? "" : label));
    }
  }

  // The words of a figure in the reader's language. Tokens are none: they are set in mono, and a space in one has a shape.
  function tell({ data, layout }) {
    const say = window.miniGPTWords?.translate;
    if (!say) return;
    const begin = (template) => template.replace(/^[\p{L} ]+/u, (words) => say(words));
    for (const trace of data) if (trace.hovertemplate) trace.hovertemplate = begin(trace.hovertemplate);
    for (const note of layout.annotations || []) if (!/Mono/.test(note.font?.family)) note.text = say(note.text);
    for (const axis of [layout.xaxis, layout.yaxis]) {
      if (axis?.ticktext) axis.ticktext = axis.ticktext.map((label) => (/ /.test(label) ? say(label) : label));
      if (axis?.title?.text) axis.title.text = say(axis.title.text);
      if (axis?.unifiedhovertitle) axis.unifiedhovertitle.text = begin(axis.unifiedhovertitle.text);
    }
  }

  // Where a click fell: row and column of a map, layer and head of a grid of tiles, else point and curve.
  function place(point, meta) {
    const at = Array.isArray(point.pointNumber) ? point.pointNumber : [point.pointNumber, point.curveNumber];
    const index = meta?.tile ? at.map((cell, i) => Math.floor(cell / meta.tile[i])) : at;
    return { index, value: point.z ?? point.x ?? null };
  }

  class View {
    constructor(element, props, select) {
      Object.assign(this, { element, props, select, width: 0, queued: false, drawn: false });
      this.sizes = new ResizeObserver(() => {
        if (!element.isConnected) this.forget();
        else if (element.clientWidth !== this.width) this.redraw();
      });
      this.sizes.observe(element);
      views.add(this);
      this.redraw();
    }

    // Many causes, one drawing: at most once a frame, and not at all while the page is hidden.
    redraw() {
      if (this.queued) return;
      this.queued = true;
      requestAnimationFrame(() => {
        this.queued = false;
        if (!this.element.isConnected) this.forget();
        else this.draw();
      });
    }

    draw() {
      const { element, props } = this;
      const plot = element.querySelector(".mg-plot");
      this.width = element.clientWidth;
      if (!props.value) return this.clear(plot);
      // A folded panel has no width; Plotly is a large script and may come late. Both call again.
      if (!this.width || !window.Plotly) return;
      const figure = parse(props.value, document.body.classList.contains("dark"));
      tell(figure);
      fit(figure.layout, this.width);
      fitLabels(figure.layout);
      // The page must not jump while a figure is replaced.
      plot.style.minHeight = `${figure.layout.height}px`;
      if (figure.layout.meta?.label) plot.setAttribute("aria-label", figure.layout.meta.label);
      window.Plotly.react(plot, figure.data, figure.layout, CONFIG);
      // A map of heads is a control too: the arrow keys go from head to head.
      const { heads } = figure.layout.meta || {};
      plot.setAttribute("role", heads ? "application" : "img");
      if (heads) plot.tabIndex = 0;
      if (this.drawn !== plot) this.listen(plot);
    }

    listen(plot) {
      this.drawn = plot;
      plot.on("plotly_click", (event) => this.select(place(event.points[0], plot.layout.meta)));
      plot.addEventListener("keydown", (event) => {
        const { heads, chosen } = plot.layout.meta || {};
        const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!heads || !move) return;
        event.preventDefault();
        const index = move.map((by, i) => Math.max(0, Math.min(heads[i] - 1, chosen[i] + by)));
        if (index.some((at, i) => at !== chosen[i])) this.select({ index, value: null });
      });
      // The cells between and above the diagonals of a grid are real cells, so that a click anywhere chooses a head;
      // they have nothing to say.
      plot.on("plotly_hover", (event) => {
        const silent = event.points[0].z === plot.layout.meta?.empty;
        plot.querySelector(".hoverlayer").style.display = silent ? "none" : "";
      });
    }

    clear(plot) {
      if (!this.drawn) return;
      window.Plotly.purge(plot);
      plot.classList.remove("js-plotly-plot"); // purge leaves it, and there is no plot any more
      this.drawn = false;
    }

    forget() {
      this.sizes.disconnect();
      views.delete(this);
      if (this.drawn) window.Plotly.purge(this.drawn);
    }
  }

  const redrawAll = () => views.forEach((view) => view.redraw());

  new MutationObserver(redrawAll).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  window.addEventListener("resize", redrawAll);
  (function wait() {
    if (window.Plotly) redrawAll();
    else setTimeout(wait, 50);
  })();

  // element: holds a .mg-plot; props.value: the figure as JSON; watch(name, callback); select({index, value}).
  window.miniGPTView = (element, props, watch, select) => {
    const view = new View(element, props, select);
    watch("value", () => view.redraw());
  };
})();
