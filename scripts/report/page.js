"use strict";
// The page tells everything without this script; it only ties rows and signs of an alarm together.
(() => {
  const chosen = "chosen";
  const clear = () => document.querySelectorAll("." + chosen).forEach((e) => e.classList.remove(chosen));
  const choose = (number) => {
    clear();
    document.querySelectorAll(`[data-alert="${number}"]`).forEach((e) => e.classList.add(chosen));
  };
  document.querySelectorAll("tr[data-alert]").forEach((row) => {
    row.addEventListener("click", () => choose(row.dataset.alert));
  });
  const follow = () => {
    const match = /^#alert-(\d+)$/.exec(location.hash);
    if (match) choose(match[1]);
  };
  window.addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
  });
  follow();

  // On paper nothing can be unfolded: browsers that do not know ::details-content need this.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((e) => { e.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((e) => { e.open = false; }));
})();
