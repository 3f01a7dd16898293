"use strict";
// Whatever has data-shows="o1 o2" lights up everything whose data-key is one of these, while it is
// pointed at, touched or focused: an object and its card, a row of a list and its box.
(() => {
  let shown = "";

  function show(keys) {
    if (keys === shown) {
      return;
    }
    shown = keys;
    const wanted = new Set(keys.split(" ").filter(Boolean));
    for (const one of document.querySelectorAll("[data-key]")) {
      one.classList.toggle("lit", wanted.has(one.dataset.key));
    }
    for (const frame of document.querySelectorAll(".frame")) {
      frame.classList.toggle("some-lit", wanted.size > 0);
      frame.classList.toggle("one-lit", wanted.size === 1);
    }
  }

  function keysAt(target) {
    const found = target instanceof Element ? target.closest("[data-shows]") : null;
    return found ? found.dataset.shows : "";
  }

  document.addEventListener("pointerover", (event) => show(keysAt(event.target)));
  document.addEventListener("focusin", (event) => show(keysAt(event.target)));
  document.addEventListener("focusout", () => show(""));
  document.documentElement.addEventListener("mouseleave", () => show(""));
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-more]")) {
      document.getElementById("tags").toggleAttribute("data-all");
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      show("");
    }
  });
})();
