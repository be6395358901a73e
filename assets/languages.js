// Says the page in the reader's language. The server speaks English; here every piece of text that it sends is looked
// up in the table of the language, words.<language>.json, and what is not there stays English.
//
// A key of the table is an English sentence. {n...} in it stands for a number, {x...} for anything that is kept as it
// is, such as a token, and {w...} for words that are looked up in their turn. What a person or the model wrote is
// never looked up: see WRITTEN.
//
// miniGPTLanguages maps each language to the address of its table; the page writes it before this script.
(() => {
  "use strict";

  const WRITTEN = "code, .t, .mg-sample, .mg-picks button, textarea, script, style, svg, [translate=no], "
    + "[data-testid=status-tracker], .api-docs";
  const ATTRIBUTES = ["aria-label", "placeholder", "title", "data-fold", "data-open"];
  const LONGEST = 1000; // letters; no sentence of the page is longer
  const KINDS = { n: "([+−-]?\\d[\\d.,]*[%k]?)", x: "(.+?)", w: "(.+?)" };

  const missing = new Set(); // what had no translation, for whoever keeps the tables
  let language = "en", exact = new Map(), patterns = [];

  function take(table) {
    exact = new Map(Object.entries(table));
    patterns = Object.keys(table).filter((key) => key.includes("{"))
      .sort((a, b) => b.replace(/\{.*?\}/g, "").length - a.replace(/\{.*?\}/g, "").length)
      .map((key) => {
        const names = [...key.matchAll(/\{(\w+)\}/g)].map((found) => found[1]);
        const literal = key.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        const source = literal.map((part, i) => part + (i < names.length ? KINDS[names[i][0]] : "")).join("");
        return { names, match: new RegExp(`^${source}$`, "s"), said: table[key] };
      });
  }

  const silent = (text) => language === "en" || !/\p{L}{2}/u.test(text) || text.length > LONGEST;

  // A sentence of the table, or several, or parts between semicolons or commas; null where a part is not there.
  function find(text) {
    if (silent(text)) return text;
    if (exact.has(text)) return exact.get(text);
    for (const { names, match, said } of patterns) {
      const found = match.exec(text);
      if (!found) continue;
      const parts = names.map((name, i) => (name[0] === "w" ? find(found[i + 1]) : found[i + 1]));
      if (!parts.includes(null)) return said.replace(/\{(\w+)\}/g, (_, name) => parts[names.indexOf(name)]);
    }
    for (const seam of [/(?<=[.!?]) /, "; ", ", "]) {
      const parts = text.split(seam);
      const said = parts.length > 1 ? parts.map(find) : [null];
      if (!said.includes(null)) return said.join(typeof seam === "string" ? seam : " ");
    }
    return null;
  }

  // Some text in the reader's language, with the spaces around it; as it is where the table does not know it.
  function translate(text) {
    const core = text.trim();
    if (silent(core)) return text;
    const said = find(core);
    if (said === null) missing.add(core);
    return said === null ? text : text.replace(core, () => said);
  }

  // Each node keeps what it said in English, so that it can be said again in another language, and so that whoever
  // writes the same English once more changes nothing.
  function retellText(node) {
    if (node.mgShown !== node.data) node.mgEnglish = node.data;
    if (node.parentElement?.closest(WRITTEN)) return;
    node.mgShown = translate(node.mgEnglish);
    if (node.data !== node.mgShown) node.data = node.mgShown;
  }

  function retellAttribute(element, name) {
    const value = element.getAttribute(name);
    if (value === null || element.matches("code, .mg-sample, .mg-picks button, #film-of *, [translate=no]")) return;
    const kept = (element.mgAttributes ??= {});
    if (kept[name]?.shown !== value) kept[name] = { english: value };
    kept[name].shown = translate(kept[name].english);
    if (value !== kept[name].shown) element.setAttribute(name, kept[name].shown);
  }

  // What a dropdown shows is the value of an input. Gradio goes on reading and writing it in English.
  const value = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  function retellInput(input) {
    if (!Object.hasOwn(input, "value")) {
      let english = value.get.call(input);
      Object.defineProperty(input, "value", {
        configurable: true,
        get: () => english,
        set: (given) => value.set.call(input, translate((english = String(given ?? "")))),
      });
    }
    input.value = input.value;
  }

  function retell(root) {
    if (!root.isConnected) return;
    if (root.nodeType === Node.TEXT_NODE) return retellText(root);
    if (root.nodeType !== Node.ELEMENT_NODE || root.closest("script, style, svg")) return;
    for (const element of [root, ...root.querySelectorAll("*")]) {
      for (const name of ATTRIBUTES) retellAttribute(element, name);
      if (element.matches("input[role=combobox][readonly]")) retellInput(element);
      if (element.matches("#language select")) element.value = language;
    }
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) retellText(texts.currentNode);
  }

  function changed(records) {
    if (language === "en") return;
    for (const { type, target, addedNodes, attributeName } of records) {
      if (type === "childList") addedNodes.forEach(retell);
      else if (type === "characterData") retellText(target);
      else retellAttribute(target, attributeName);
    }
  }

  async function speak(wanted) {
    if (wanted === language) return;
    const table = wanted === "en" ? {} : await (await fetch(window.miniGPTLanguages[wanted])).json();
    language = wanted;
    take(table);
    missing.clear();
    document.documentElement.lang = language;
    retell(document.body);
    window.dispatchEvent(new Event("resize")); // The figures draw themselves anew.
  }

  // The address names a language, else what was picked before, else what the browser asks for.
  function chosen() {
    let kept = null;
    try { kept = localStorage.getItem("minigpt-language"); } catch { /* private mode: no memory */ }
    const asked = [new URL(location.href).searchParams.get("lang"), kept, ...navigator.languages];
    const known = (name) => name === "en" || Object.hasOwn(window.miniGPTLanguages, name);
    return asked.filter(Boolean).map((name) => name.slice(0, 2).toLowerCase()).find(known) || "en";
  }

  document.addEventListener("change", (event) => {
    if (!event.target.closest("#language")) return;
    try { localStorage.setItem("minigpt-language", event.target.value); } catch { /* private mode: no memory */ }
    speak(event.target.value);
  });

  window.miniGPTWords = { translate, missing, speak, get language() { return language; } };
  (function start() {
    if (!document.body) return setTimeout(start, 30);
    document.documentElement.lang = "en";
    new MutationObserver(changed).observe(document.body,
      { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
    speak(chosen());
  })();
})();
