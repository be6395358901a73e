// What the text boxes do by themselves: take a file that is dropped on the page, and follow the direction of a text.
(() => {
  "use strict";

  const files = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  const mark = (on) => document.querySelector("#text")?.toggleAttribute("data-drop", on);

  // Anywhere on the page: a file dropped beside the box would else take the page's place.
  document.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    mark(true);
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    event.stopPropagation();
    mark(false);
    const input = document.querySelector("#open-file input[type=file], input#open-file, input[type=file]");
    const [file] = event.dataTransfer.files;
    if (!input || !file) return;
    const one = new DataTransfer();
    one.items.add(file);
    input.files = one.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);

  // Gradio writes a direction of its own into each box. `auto` is the direction of what is in it.
  const boxes = "#text textarea, #prompt textarea, #prompt input, #film-of textarea, #film-of input";
  const turn = () => document.querySelectorAll(boxes).forEach((box) => { if (box.dir !== "auto") box.dir = "auto"; });
  (function start() {
    if (!document.body) return setTimeout(start, 30);
    turn();
    new MutationObserver(turn).observe(document.body,
      { childList: true, subtree: true, attributes: true, attributeFilter: ["dir"] });
  })();
})();
