// The page in a frame of another site, as a Space is on the Hub. Such a frame is as tall as the page, so that its
// window says nothing about the screen: no height may follow from it, and what is fixed to its edges is out of sight.
//
// mgTall(): how tall the screen is for a figure. mgSeen(): from where to where the page is in sight, in its own window;
// the style sheet has the same as --mg-above, --mg-below and --mg-seen. An "mg-seen" event says that it changed.
// mgLink(run): the address at which others find a run. mgTellHost(): the Hub's address gets what this one asks for.
// miniGPTHome is the address of the Space, which the page writes before this script; "" elsewhere.
(() => {
  "use strict";

  const HUB = "https://huggingface.co", EVERY = 250; // ms
  const FLOATS = "#guide .mg-guide, .toast-wrap > *, #mg-lost";
  const framed = window.parent !== window, root = document.documentElement;
  let seen = null;

  window.mgTall = () => (framed ? screen.availHeight - 140 : innerHeight);
  window.mgSeen = () => seen || { top: 0, bottom: innerHeight };

  function take({ top, bottom }) {
    if (bottom - top < 60) return; // scrolled out of sight: all stays where it was
    if (seen && seen.top === top && seen.bottom === bottom) return;
    seen = { top, bottom };
    root.style.setProperty("--mg-above", `${top}px`);
    root.style.setProperty("--mg-below", `${innerHeight - bottom}px`);
    root.style.setProperty("--mg-seen", `${bottom - top}px`);
    document.dispatchEvent(new Event("mg-seen"));
  }

  // The browser tells what of the page can be seen, through every frame around it; it tells it once for each question.
  function look() {
    new IntersectionObserver(([{ intersectionRect }], observer) => {
      observer.disconnect();
      take(intersectionRect);
    }).observe(root);
  }

  if (framed) {
    root.classList.add("mg-framed");
    setInterval(() => { if (document.querySelector(FLOATS)) look(); }, EVERY);
    document.addEventListener("mg-drawn", look);
  }

  window.mgLink = (run) => {
    const address = new URL(window.miniGPTHome || location.origin + location.pathname);
    address.searchParams.set("run", run);
    return address.href;
  };

  // What the Hub adds for itself, such as the key to a private Space, is not for its address.
  window.mgTellHost = () => {
    const host = location.ancestorOrigins?.[0] ?? (document.referrer && new URL(document.referrer).origin);
    if (!framed || host !== HUB) return;
    const asked = new URLSearchParams(location.search);
    for (const name of [...asked.keys()]) if (name.startsWith("__")) asked.delete(name);
    window.parent.postMessage({ queryString: asked.toString() }, HUB);
  };
})();
