// Keys of the review queue, while it is in sight and nobody types: each presses its button.
const KEYS = { a: "batch-accept", r: "batch-reject", s: "batch-skip", u: "batch-undo" };

function box() {
  return document.querySelector("#batch-to :is(input, textarea)");
}

function isInSight(one) {
  return one !== null && one.offsetParent !== null;
}

// The vocabulary completes what is typed.
function complete() {
  const found = box();
  if (found !== null && !found.hasAttribute("list")) {
    found.setAttribute("list", "batch-vocabulary");
    found.setAttribute("autocomplete", "off");
  }
}

if (!window.groundedRamBatchKeys) {
  window.groundedRamBatchKeys = true;
  document.addEventListener("focusin", complete);
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element
      && event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
    if (event.key === "Escape" && event.target === box()) {
      event.target.blur();
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
      return;
    }
    const key = event.key.toLowerCase();
    if (key === "n" && isInSight(box())) {
      event.preventDefault();
      box().focus();
    }
    const button = key in KEYS ? document.getElementById(KEYS[key]) : null;
    if (isInSight(button) && !button.disabled) {
      event.preventDefault();
      button.click();
    }
  });
}
