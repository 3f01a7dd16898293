"use strict";
// Without this script the page shows everything; with it, it can be filtered and sorted.

const root = document.documentElement;
root.dataset.script = "on";

// Filter: what names neither the class nor the picture is hidden, and headings left without entries.
const filter = document.getElementById("filter");
const found = document.getElementById("found");
const entries = [...document.querySelectorAll("[data-text]")];
const groups = [...document.querySelectorAll("[data-group]")];

function showMatches() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const entry of entries) {
    const text = entry.dataset.text.toLowerCase();
    entry.hidden = !words.every((word) => text.includes(word));
    shown += !entry.hidden;
  }
  for (const group of groups) {
    group.hidden = !group.querySelector("[data-text]:not([hidden])");
  }
  found.textContent = words.length ? `${shown} of ${entries.length}` : "";
}
filter.addEventListener("input", showMatches);
filter.form.addEventListener("submit", (event) => event.preventDefault());

document.getElementById("outlines").addEventListener("change", (event) => {
  root.dataset.outlines = event.target.checked ? "on" : "off";
});

// Sort: each heading of the table of classes becomes a button.
function sortBy(heading) {
  const table = heading.closest("table");
  const column = [...heading.parentNode.children].indexOf(heading);
  const isText = heading.dataset.sort === "text";
  const first = isText ? "ascending" : "descending";
  const other = isText ? "descending" : "ascending";
  const order = heading.getAttribute("aria-sort") === first ? other : first;
  for (const one of heading.parentNode.children) {
    one.removeAttribute("aria-sort");
  }
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => row.children[column].dataset.value;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) =>
    sign * (isText ? value(a).localeCompare(value(b)) : Number(value(a)) - Number(value(b))));
  table.tBodies[0].append(...rows);
}

for (const heading of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  button.addEventListener("click", () => sortBy(heading));
  heading.replaceChildren(button);
}
