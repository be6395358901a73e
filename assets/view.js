// Draws a Plotly figure inside one component of the page, and keeps it right while the figure, the width or the theme
// changes. Plotly.react changes the plot in place: zoom survives, and no update leaves nodes or listeners behind.
//
// miniGPTDark maps each light colour of the figures to its dark partner, miniGPTPaper is the light paper of a picture
// that is saved; the page writes both before this script.
(() => {
  "use strict";

  // Handles at the ends of axes would be ways to get lost; and what a double click leads back to, Plotly keeps from the
  // first figure that a plot ever had.
  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: false, showAxisDragHandles: false, doubleClick: false };
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const finger = window.matchMedia("(hover: none)");
  const views = new Set();

  // Figures carry light colours. Exact match only, so nothing but a colour is ever changed.
  function parse(json, dark) {
    const partner = dark ? window.miniGPTDark || {} : {};
    return JSON.parse(json, (key, value) =>
      typeof value === "string" && Object.hasOwn(partner, value) ? partner[value] : value);
  }

  // As wide as the column; maps keep the shape of their cells, and leave the screen room for what stands around them.
  function fit(layout, width) {
    const { ratio, max, least = 0, most = Infinity } = layout.meta || {};
    layout.autosize = false;
    layout.width = Math.max(least, Math.min(most, width)); // what is wider than its place is scrolled
    if (!ratio) return;
    const { l, r, t, b } = layout.margin;
    const highest = Math.min(max, Math.max(360, (window.mgTall?.() ?? innerHeight) - 380)) - t - b;
    const side = Math.max(1, Math.min(width - l - r, highest / ratio));
    layout.width = Math.floor(side + l + r);
    layout.height = Math.floor(side * ratio + t + b);
  }

  // Token labels grow with their cells, from 11 to 16 px, but never wider than the margin; crowded ones thin out.
  // shown: the ranges of the axes, which may be zoomed into.
  function fitLabels(layout, shown) {
    const { columns, ...texts } = layout.meta?.labels || {};
    const { t, b, l, r } = layout.margin;
    for (const [name, text] of Object.entries(texts)) {
      const [from, to] = shown[name];
      const cell = (name === "xaxis" ? layout.width - l - r : layout.height - t - b) / Math.abs(to - from);
      const largest = Math.min(16, (l - 10) / (0.6 * columns));
      const step = Math.max(1, Math.ceil(12 / cell));
      layout[name].tickfont.size = Math.max(11, Math.min(largest, Math.floor(0.72 * cell)));
      layout[name].ticktext = text.map((label, i) => (i % step ? "" : label));
    }
  }

  const ranges = ({ xaxis, yaxis }) => ({ xaxis: xaxis?.range, yaxis: yaxis?.range });

  // Names stand where the figure found room for them at this width, or else are left out.
  function fitNames({ data, layout }) {
    const width = layout.width - layout.margin.l - layout.margin.r;
    for (const trace of data) {
      const places = trace.meta?.places;
      if (!places) continue;
      const { sides } = places.findLast((at) => at.width <= width) || places[0];
      trace.text = trace.text.map((name, i) => (sides[i] ? name : ""));
      trace.textposition = sides.map((side) => side || "middle right");
    }
  }

  // Scrolls a figure that is wider than its place only if what is chosen in it is out of sight.
  function reveal(plot, { width, margin, meta }) {
    if (meta?.focus === undefined) return;
    const x = margin.l + meta.focus * (width - margin.l - margin.r);
    if (x < plot.scrollLeft + 20 || x > plot.scrollLeft + plot.clientWidth - 20) plot.scrollLeft = x - plot.clientWidth / 2;
  }

  // "Attention of layer 1 head 2 over 9 tokens: each row shows ..." -> minigpt-attention-of-layer-1-head-2-over-9-tokens
  function fileName(label) {
    const words = label.split(/[:,]/)[0].toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
    return ["minigpt", ...words].join("-").slice(0, 80);
  }

  // The words of a figure in the reader's language. Tokens are none: they are set in mono, or stand in “\u2068 \u2069”, and
  // a space in one has a shape. Where they are among words, as in hover texts, each row of words is looked up by itself.
  function tell({ data, layout }) {
    const { translate: say, language } = window.miniGPTWords || {};
    if (!say || language === "en") return;
    const known = new Map(); // a large head has many thousand cells
    const look = (words) => known.get(words) ?? known.set(words, say(words)).get(words);
    const around = (text) => (typeof text !== "string" ? text
      : text.replace(/“\u2068.*?\u2069”|%\{.*?\}|&\w+;|<.*?>|(\p{L}[\p{L} ]*\p{L})/gsu, (all, words) => (words ? look(words) : all)));
    const each = (told) => (Array.isArray(told) ? told.map(each) : around(told));
    for (const trace of data) {
      if (trace.hovertemplate) trace.hovertemplate = around(trace.hovertemplate);
      if (trace.customdata) trace.customdata = each(trace.customdata);
      if (trace.type === "bar") trace.text = each(trace.text); // numbers, and notes beside them
    }
    for (const note of layout.annotations || []) if (!/Mono/.test(note.font?.family)) note.text = say(note.text);
    for (const axis of [layout.xaxis, layout.yaxis]) {
      if (axis?.ticktext) axis.ticktext = axis.ticktext.map((label) => (/ /.test(label) ? say(label) : label));
      if (axis?.title?.text) axis.title.text = say(axis.title.text);
      if (axis?.unifiedhovertitle) axis.unifiedhovertitle.text = around(axis.unifiedhovertitle.text);
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
      Object.assign(this, { element, props, select, width: 0, queued: false, drawn: false, keys: null, ahead: null });
      this.sizes = new ResizeObserver(() => {
        if (!element.isConnected) this.forget();
        else if (element.clientWidth !== this.width) this.redraw();
      });
      this.sizes.observe(element);
      element.addEventListener("keydown", (event) => this.step(event));
      element.addEventListener("focusout", () => (this.ahead = null));
      element.querySelector(".mg-save").addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button) this.save(button.dataset.format);
      });
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
      const { layout } = figure;
      tell(figure);
      fit(layout, this.width);
      // A finger that drags scrolls the page.
      if (finger.matches) layout.dragmode = false;
      this.home = structuredClone(ranges(layout));
      const same = this.drawn === plot && plot.layout.uirevision === layout.uirevision;
      fitLabels(layout, same ? ranges(plot._fullLayout) : this.home);
      fitNames(figure);
      // The page must not jump while a figure is replaced.
      plot.style.minHeight = `${layout.height}px`;
      element.querySelector(".mg-save").hidden = false;
      this.name(plot, layout.meta || {});
      window.Plotly.react(plot, figure.data, layout, CONFIG);
      reveal(plot, layout);
      // What can be scrolled, the keys must reach.
      if (!this.keys && plot.scrollWidth > plot.clientWidth) plot.setAttribute("tabindex", "0");
      if (this.drawn !== plot) this.listen(plot);
    }

    // What answers to keys can be reached by them, and says so; all else is a picture.
    name(plot, { label, keys }) {
      if (label) plot.setAttribute("aria-label", label);
      plot.setAttribute("role", keys ? "application" : "img");
      if (keys) plot.setAttribute("tabindex", "0");
      else plot.removeAttribute("tabindex");
      this.keys = keys;
      if (`${keys?.at}` === `${this.ahead}`) this.ahead = null;
    }

    // Arrow keys: one place further, and no further than the last. ahead: where the keys are while answers are under way.
    step(event) {
      const by = STEPS[event.key];
      if (!by || !this.keys || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const from = this.ahead || this.keys.at;
      const index = from.map((at, i) => Math.max(0, Math.min(this.keys.size[i] - 1, at + by[i])));
      if (`${index}` === `${from}`) return;
      this.ahead = index;
      this.select({ index, value: null });
    }

    listen(plot) {
      this.drawn = plot;
      plot.on("plotly_click", (event) => {
        this.ahead = null;
        if (this.keys) plot.focus({ preventScroll: true });
        this.select(place(event.points[0], plot.layout.meta));
      });
      plot.on("plotly_relayout", () => this.redraw()); // zoomed: labels find more room, or less
      plot.on("plotly_doubleclick", () => {
        const { xaxis, yaxis } = this.home;
        if (xaxis && yaxis) window.Plotly.relayout(plot, { "xaxis.range": [...xaxis], "yaxis.range": [...yaxis] });
      });
      // The cells between and above the diagonals of a grid are real cells, so that a click anywhere chooses a head;
      // they have nothing to say.
      plot.on("plotly_hover", (event) => {
        const { empty } = plot.layout.meta || {};
        const silent = empty !== undefined && event.points[0].z === empty;
        plot.querySelector(".hoverlayer").style.display = silent ? "none" : "";
      });
    }

    // A picture for paper: in light colours whatever the page wears, as large as on the page, twice as sharp.
    save(format) {
      const { element, props, width } = this;
      if (!props.value || !window.Plotly) return;
      const figure = parse(props.value, false);
      tell(figure);
      fit(figure.layout, width);
      fitLabels(figure.layout, ranges(figure.layout));
      fitNames(figure);
      figure.layout.paper_bgcolor = window.miniGPTPaper;
      const size = { width: figure.layout.width, height: figure.layout.height, scale: format === "png" ? 2 : 1 };
      const filename = fileName(element.querySelector(".mg-plot").getAttribute("aria-label"));
      return window.Plotly.downloadImage({ ...figure, config: CONFIG }, { format, filename, ...size });
    }

    clear(plot) {
      this.element.querySelector(".mg-save").hidden = true;
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
