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

  // Settings that an answer of the server changes, as {name: [from, to]}: what was changed here meanwhile stays.
  window.mgSettle = (names, settling, values) => {
    const changes = settling ? JSON.parse(settling) : {};
    const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
    return ["", ...values.map((value, i) => {
      const change = Object.hasOwn(changes, names[i]) ? changes[names[i]] : null;
      return change && same(value, change[0]) ? change[1] : value;
    })];
  };

  // The prompt that the page itself put into the box gives way to what it offers now; what a person typed stays. Decided
  // here, because only here it is known what is in the box by the time that the offer arrives.
  const offered = new Set();
  let typed = null;
  window.mgOffer = (offering, prompt) => {
    const [before, now] = offering ? JSON.parse(offering) : [[], []];
    for (const each of [...before, ...now]) offered.add(each);
    const given = !prompt || (offered.has(prompt) && prompt !== typed);
    return given && now.length && !now.includes(prompt) ? now[0] : prompt;
  };
  document.addEventListener("input", ({ target }) => { if (target.matches?.("#prompt textarea")) typed = target.value; });

  // A box has the direction of what is in it. Not dir=auto: Chromium needs sixteen seconds for two million letters then.
  const BOXES = "#text textarea, #prompt textarea, #film-of textarea";
  const RTL = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
  const direction = (text) => (RTL.test(/\p{L}/u.exec(text.slice(0, 1000))?.[0] || "") ? "rtl" : "ltr");
  window.mgTurn = () => {
    for (const box of document.querySelectorAll(BOXES)) {
      const dir = direction(box.value);
      if (box.dir !== dir) box.dir = dir;
    }
  };
  document.addEventListener("input", () => window.mgTurn());
  (function start() {
    if (!document.body) return setTimeout(start, 30);
    window.mgTurn();
    // Gradio writes a direction of its own into each box.
    new MutationObserver(window.mgTurn).observe(document.body,
      { childList: true, subtree: true, attributes: true, attributeFilter: ["dir"] });
  })();
})();
