// The slider of the film stands only on moments that were kept, whether it is dragged or moved by keys.
(() => {
  "use strict";

  const slider = (event) => (event.target.matches?.("#film input[type=range]") ? event.target : null);
  const moments = () => (document.querySelector("#film-note [data-steps]")?.dataset.steps || "0").split(",").map(Number);

  // At the newest moment known here the slider goes to its end: there may be a newer one by now, and the answer says so.
  const put = (moved, steps, index) => { moved.value = index === steps.length - 1 ? moved.max : steps[index]; };

  // Before Gradio hears of it.
  document.addEventListener("input", (event) => {
    const moved = slider(event);
    if (!moved) return;
    const steps = moments(), away = steps.map((step) => Math.abs(step - Number(moved.value)));
    put(moved, steps, away.indexOf(Math.min(...away)));
  }, true);

  const KEYS = { ArrowRight: 1, ArrowUp: 1, PageUp: 4, End: 1e9, ArrowLeft: -1, ArrowDown: -1, PageDown: -4, Home: -1e9 };
  document.addEventListener("keydown", (event) => {
    const moved = slider(event), way = KEYS[event.key];
    if (!moved || !way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const steps = moments(), at = Number(moved.value);
    const here = steps.findLastIndex((step) => step <= at);
    put(moved, steps, Math.max(0, Math.min(steps.length - 1, here + way)));
    moved.dispatchEvent(new Event("input", { bubbles: true }));
  }, true);
})();
