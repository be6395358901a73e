// Copy: puts what the button carries on the clipboard. A page that came over plain http has no clipboard of its own,
// and a classroom's server often speaks it: there a field outside the screen lends the old way.
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

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".mg-copy");
    if (!button) return;
    let said = "Copied";
    try { await put(button.dataset.text); } catch { said = "Select and copy by hand"; }
    button.textContent = said;
    button.focus();
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
})();
