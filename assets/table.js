// Sorts a table by the column whose heading is pressed, and again the other way around. The cells carry what they are
// sorted by in data-value; cells without one come last. The order outlives an update of the table.
(() => {
  "use strict";

  const orders = new WeakMap(); // of each fragment: the heading's place, and which way

  const rowsOf = (table) => [...table.tBodies[0].rows];

  // Rows change places without the focus being lost.
  function place(table, rows) {
    if (rows.every((row, i) => row === table.tBodies[0].rows[i])) return;
    const focused = document.activeElement;
    table.tBodies[0].append(...rows);
    if (table.contains(focused)) focused.focus({ preventScroll: true });
  }

  function sort(host) {
    const table = host.querySelector("table[data-sortable]"), order = orders.get(host);
    if (!table || !order) return;
    const value = (row) => Number(row.cells[order.column]?.dataset.value || NaN);
    const compare = (a, b) => {
      const [one, other] = [value(a), value(b)];
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
      return order.way * (one - other) || a.dataset.place - b.dataset.place;
    };
    place(table, rowsOf(table).sort(compare));
    [...table.tHead.rows[0].cells].forEach((cell, i) => {
      if (i === order.column) cell.setAttribute("aria-sort", order.way > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
  }

  // A fragment is patched from top to bottom: each row must meet its own news.
  document.addEventListener("mg-before", ({ target }) => {
    const table = target.querySelector("table[data-sortable]");
    if (table) place(table, rowsOf(table).sort((a, b) => a.dataset.place - b.dataset.place));
  });
  document.addEventListener("mg-drawn", ({ target }) => sort(target));

  document.addEventListener("click", (event) => {
    const heading = event.target.closest("table[data-sortable] thead button")?.closest("th");
    if (!heading) return;
    const host = heading.closest(".mg-fragment"), before = orders.get(host), column = heading.cellIndex;
    // Heads come in their order first, numbers with the largest first.
    const first = column === 0 ? 1 : -1;
    orders.set(host, { column, way: before?.column === column ? -before.way : first });
    sort(host);
  });
})();
