// The card of the guide: it stands beside the element that it speaks of, which gets a ring, and follows it when the page
// moves. The card is no wall: everything on the page can be used meanwhile. Keys, while the focus is in the card: a
// number answers, the arrows go back and on, Escape closes. mgPlace() and mgKeepPlace(place): where the reader stands,
// as the browser remembers it.
(() => {
  "use strict";

  const GAP = 14, EDGE = 8;
  let lit = null, shown = "", waiting = false;

  const card = () => document.querySelector("#guide .mg-guide");

  // The element itself where it can be seen, else the panel that it will appear in.
  function target(selector) {
    const wanted = { "#heads-grid": "#p-explore", "#head": "#p-explore", "#continuation": "#p-explore",
      "#next-token": "#p-explore", "#lesson-notes": "#p-train", "#sample": "#p-train", "#text": "#p-text" };
    return [selector, wanted[selector]].map((name) => name && document.querySelector(name))
      .find((element) => element && element.offsetWidth && element.offsetHeight) || null;
  }

  // Beside the element where there is room, without covering it; else in the corner that covers least.
  function position(box, width, height) {
    const { top, bottom } = mgSeen();
    const clampX = (x) => Math.max(EDGE, Math.min(innerWidth - width - EDGE, x));
    const clampY = (y) => Math.max(top + EDGE, Math.min(bottom - height - EDGE, y));
    const places = [
      [box.right + GAP, clampY(box.top)],
      [box.left - GAP - width, clampY(box.top)],
      [clampX(box.left), box.bottom + GAP],
      [clampX(box.left), box.top - GAP - height],
    ];
    const fits = ([x, y]) =>
      x >= EDGE && y >= top + EDGE && x + width <= innerWidth - EDGE && y + height <= bottom - EDGE;
    return places.find(fits) || [clampX(innerWidth), clampY(bottom)];
  }

  function place() {
    const here = card();
    const at = here && target(here.dataset.at);
    if (lit !== at) {
      lit?.classList.remove("mg-lit");
      at?.classList.add("mg-lit");
      lit = at;
    }
    document.body.classList.toggle("mg-guided", Boolean(here));
    if (!here) {
      shown = "";
      return;
    }
    const fresh = here.dataset.step !== shown;
    shown = here.dataset.step;
    const sheet = innerWidth < 800;
    if (fresh && at) at.scrollIntoView({ block: sheet ? "start" : "nearest", inline: "nearest" });
    if (!sheet && at) {
      const [x, y] = position(at.getBoundingClientRect(), here.offsetWidth, here.offsetHeight);
      here.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    } else {
      here.style.transform = "";
    }
    // A new step takes the focus to its card, so that the keyboard goes on from there and a screen reader reads it.
    if (fresh) here.focus({ preventScroll: true });
  }

  // Many causes, one placing a frame.
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      place();
    });
  }

  function keys(event) {
    const here = card();
    if (!here || !here.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const named = { Escape: "header button", ArrowRight: ".mg-next", ArrowLeft: ".mg-moves button" }[event.key];
    const button = named ? here.querySelector(named)
      : /^[1-9]$/.test(event.key) ? here.querySelectorAll(".mg-option")[Number(event.key) - 1] : null;
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
    here.focus({ preventScroll: true });
  }

  // What a press of a button leads to can take the button away, and the focus with it.
  function refocus(event) {
    if (event.target.closest?.(".mg-offer")) shown = ""; // The same step once more is a fresh one.
    if (event.target.closest?.("#guide .mg-guide button")) card()?.focus({ preventScroll: true });
    const show = event.target.closest?.(".mg-show");
    if (show) setTimeout(() => target("#head")?.scrollIntoView({ block: "nearest" }), 300);
  }

  window.mgPlace = () => {
    try { return localStorage.getItem("minigpt-guide") || ""; } catch { return ""; /* blocked: no memory */ }
  };
  window.mgKeepPlace = (place) => {
    try { localStorage.setItem("minigpt-guide", place); } catch { /* blocked: no memory */ }
  };

  document.addEventListener("keydown", keys);
  document.addEventListener("click", refocus);
  window.addEventListener("resize", later);
  window.addEventListener("scroll", later, { capture: true, passive: true });
  document.addEventListener("mg-seen", later);
  (function start() {
    if (!document.body) return setTimeout(start, 30);
    // The guide itself, and panels that grow or fill beside it.
    new MutationObserver(later).observe(document.body,
      { childList: true, subtree: true, attributes: true, attributeFilter: ["data-step"] });
    new ResizeObserver(later).observe(document.body);
  })();
})();
