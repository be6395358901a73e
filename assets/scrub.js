// Play: Next again and again, until there is nothing further or somebody presses Pause or anything else that chooses.
// Whoever asked for less motion gets one step. And the keys of Guess first.
(() => {
  "use strict";

  const EVERY = 600; // ms
  let timer = null;

  function stop() {
    clearInterval(timer);
    timer = null;
    const play = document.querySelector("#play");
    if (play) play.textContent = "Play";
  }

  function step() {
    const next = document.querySelector("#forward");
    // A hidden panel, or the end of the text.
    if (!next || next.disabled || !next.offsetParent) stop();
    else next.click();
  }

  // The number of an option guesses it, wherever the focus is, but for a field that is being written in.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !/^[1-9]$/.test(event.key)) return;
    if (event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, [contenteditable]")) return;
    const option = document.querySelector(`#guess .asks button[data-index="${event.key - 1}"]`);
    if (option?.offsetParent) option.click();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("#play")) {
      if (timer) return stop();
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return step();
      timer = setInterval(step, EVERY);
      document.querySelector("#play").textContent = "Pause";
      step();
    } else if (timer && event.isTrusted) stop();
  });
})();
