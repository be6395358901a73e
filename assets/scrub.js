// Play: Next again and again, until there is nothing further or somebody presses Pause or anything else that chooses.
// Whoever asked for less motion gets one step.
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
