// Draws a small tree of elements inside a gr.HTML component, in place.
//
// A node is a string, or [tag, attributes, child, child, ...]. A string only ever becomes a text node: whatever a token
// holds, it is shown and never read as HTML. A second tree changes what differs and leaves the rest, so that a
// progress bar can glide and a screen reader hears only the news. What languages.js has put into other words counts as
// what it was.
window.mgFragment = function (element, props, watch, trigger) {
  const host = element.querySelector(".mg-fragment");

  const text = (node) => (node.data === node.mgShown ? node.mgEnglish : node.data);

  function attribute(element, name) {
    const value = element.getAttribute(name), kept = element.mgAttributes?.[name];
    return kept?.shown === value ? kept.english : value;
  }

  function create(node) {
    if (typeof node === "string") return document.createTextNode(node);
    const made = document.createElement(node[0]);
    patch(made, node);
    return made;
  }

  function patch(there, [, attributes, ...children]) {
    for (const { name } of [...there.attributes]) if (!(name in attributes)) there.removeAttribute(name);
    for (const [name, value] of Object.entries(attributes)) {
      if (attribute(there, name) !== value) there.setAttribute(name, value);
    }
    while (there.childNodes.length > children.length) there.lastChild.remove();
    children.forEach((child, i) => {
      const old = there.childNodes[i];
      if (!old) there.append(create(child));
      else if (typeof child === "string" && old.nodeType === Node.TEXT_NODE) {
        if (text(old) !== child) old.data = child;
      } else if (typeof child !== "string" && old.localName === child[0]) patch(old, child);
      else old.replaceWith(create(child));
    });
  }

  function draw() {
    const nodes = props.value ? JSON.parse(props.value) : [];
    host.dispatchEvent(new Event("mg-before", { bubbles: true }));
    patch(host, ["div", { class: "mg-fragment" }, ...nodes]);
    host.dispatchEvent(new Event("mg-drawn", { bubbles: true }));
  }

  host.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-index]");
    if (button) trigger("select", { index: Number(button.dataset.index), value: button.textContent });
  });
  draw();
  watch("value", draw);
};

// What the page itself does, without the server.
document.addEventListener("click", (event) => {
  if (event.target.closest("#theme")) {
    const dark = document.body.classList.toggle("dark");
    try { localStorage.setItem("minigpt-theme", dark ? "dark" : "light"); } catch { /* private mode: no memory */ }
  }
  if (event.target.closest(".mg-fold")) mgFold(!document.querySelector("#panels").hasAttribute("data-folded"));
});

window.addEventListener("popstate", () => location.reload());

// Folds the Text panel where the screen is too narrow for three panels; the style sheet decides where that is.
window.mgFold = (folded) => document.querySelector("#panels").toggleAttribute("data-folded", folded);

// Puts the run into the address, so that a reload or a second tab finds it again; gives the run back. A page that lets
// go of its run leaves the old address behind it: the browser's way back leads there.
window.mgFollow = function (run) {
  const address = new URL(location.href);
  if (!run && address.searchParams.has("run")) {
    address.searchParams.delete("run");
    history.pushState(null, "", address);
  } else if (run && address.searchParams.get("run") !== run) {
    address.searchParams.set("run", run);
    history.replaceState(null, "", address);
    mgFold(true);
  }
  document.body.classList.toggle("mg-has-run", Boolean(run));
  mgSave();
  mgTellHost();
  return run;
};

document.addEventListener("DOMContentLoaded", () => {
  let theme = null;
  try { theme = localStorage.getItem("minigpt-theme"); } catch { /* private mode: the system's choice stands */ }
  if (theme) document.body.classList.toggle("dark", theme === "dark");
});

// Arrow keys walk along a segmented control: Gradio gives each option a name of its own, so the browser does not.
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const group = step && event.target.closest && event.target.closest(".mg-seg");
  if (!group || event.target.type !== "radio") return;
  const options = [...group.querySelectorAll("input")];
  const next = options[(options.indexOf(event.target) + step + options.length) % options.length];
  event.preventDefault();
  next.focus();
  next.click();
});

// Arrow keys walk over a board of switches.
document.addEventListener("keydown", (event) => {
  const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  const board = move && event.target.closest && event.target.closest(".mg-switches");
  if (!board || !event.target.dataset.at) return;
  const [row, column] = event.target.dataset.at.split(" ").map((at, i) => Number(at) + move[i]);
  const next = board.querySelector(`[data-at="${row} ${column}"]`);
  if (!next) return;
  event.preventDefault();
  next.focus();
});
// To Gradio a dropdown has got input whenever it loses the focus, and the Tab key opens its list behind it. Here only
// an option that was chosen counts, once, with the pointer or with Enter.
{
  let picked = false;
  const dropdown = (event) => event.target.matches?.("input[role=combobox]");
  document.addEventListener("focusin", (event) => { if (dropdown(event)) picked = false; });
  document.addEventListener("mousedown", (event) => { picked ||= Boolean(event.target.closest("[role=option]")); }, true);
  document.addEventListener("keydown", (event) => {
    if (!dropdown(event)) return;
    if (event.key === "Enter") picked = true;
    if (event.key === "Tab") event.stopPropagation();
  }, true);

  window.mgPicked = function (value) {
    const chosen = picked ? value : null;
    picked = false;
    return chosen;
  };
}
