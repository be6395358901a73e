// Copy: puts what the button carries on the clipboard. A page that came over plain http has no clipboard of its own,
// and a classroom's server often speaks it: there a field outside the screen lends the old way. Where that fails too,
// as in a frame that may not, a link stands in a field to be copied by hand.
(() => {
  "use strict";

  async function put(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    field.style.cssText = "position:fixed;top:-100px";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("the browser does not copy");
  }

  // The link of the run that the page shows.
  async function share(button) {
    const field = button.nextElementSibling;
    field.value = mgLink(new URL(location.href).searchParams.get("run"));
    try {
      await put(field.value);
      field.hidden = true;
      button.textContent = "Copied";
      button.focus({ preventScroll: true });
      setTimeout(() => { button.textContent = "Copy link"; }, 1500);
    } catch {
      field.hidden = false;
      field.focus();
      field.select();
    }
  }

  document.addEventListener("click", async (event) => {
    if (event.target.closest(".mg-share button")) return share(event.target.closest("button"));
    const button = event.target.closest(".mg-copy");
    if (!button) return;
    let said = "Copied";
    try { await put(button.dataset.text); } catch { said = "Select and copy by hand"; }
    button.textContent = said;
    button.focus();
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
})();
