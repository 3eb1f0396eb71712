"use strict";
// Filter and sort the table. Without this the page holds the same, in the report's own order.
(() => {
  const table = document.querySelector("table");
  const body = table.tBodies[0];
  const given = [...body.rows];
  const form = document.querySelector(".filter");
  const [words, outcome, told] = [form.querySelector("input"), form.querySelector("select"), form.querySelector("output")];
  const texts = new Map();
  const textOf = (row) => texts.get(row) ?? texts.set(row, row.textContent.toLowerCase()).get(row);

  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of given) {
      const fits = (!outcome.value || row.classList.contains(outcome.value)) && wanted.every((word) => textOf(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    told.value = `${shown.toLocaleString("en")} of ${given.length.toLocaleString("en")} instances`;
  }

  const heads = [...table.tHead.rows[0].cells];
  const byText = new Intl.Collator("en").compare;
  const orders = {
    number: (a, b) => (parseFloat(a) || 0) - (parseFloat(b) || 0),
    version: new Intl.Collator("en", { numeric: true }).compare,
  };
  function sort(column) {
    const head = heads[column];
    const order = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort];
    for (const each of heads) each.ariaSort = "none";
    head.ariaSort = order;
    const keyed = given.map((row) => [row.cells[column].textContent, row]);
    if (order !== "none") {
      const compare = orders[head.dataset.sort] ?? byText;
      const sign = order === "ascending" ? 1 : -1;
      keyed.sort(([a], [b]) => sign * compare(a, b));
    }
    body.append(...keyed.map(([, row]) => row));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
    head.ariaSort = "none";
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.hidden = false;
  filter();
})();
