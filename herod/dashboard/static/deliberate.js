/* A press that was meant for another window allows nothing: a hostile page can close over this one between the two
   presses of a double click. So a button that allows something waits until the page has been in front for a moment.
   Loaded before any button is shown, so that none can be pressed first; without script they work at once. */
"use strict";
(() => {
  const MOMENT = 500; // milliseconds: longer than between the presses of a double click
  const ALLOWING = "button[data-deliberate]";
  let isReady = false;
  let timer;
  const mark = () => {
    for (const button of document.querySelectorAll(ALLOWING)) {
      if (isReady) button.removeAttribute("aria-disabled");
      else button.setAttribute("aria-disabled", "true");
    }
  };
  const wait = () => {
    isReady = false;
    mark();
    clearTimeout(timer);
    timer = setTimeout(() => {
      isReady = true;
      mark();
    }, MOMENT);
  };
  document.addEventListener(
    "click",
    (event) => {
      if (!isReady && event.target.closest(ALLOWING)) event.preventDefault();
    },
    true,
  );
  const shown = new MutationObserver(mark);
  shown.observe(document, { childList: true, subtree: true });
  document.addEventListener("DOMContentLoaded", () => {
    shown.disconnect();
    mark();
  });
  let isAway = !document.hasFocus();
  addEventListener("blur", () => {
    isAway = true;
  });
  addEventListener("focus", () => {
    if (isAway) wait();
    isAway = false;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) wait(); // back from the browser's memory
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) wait();
  });
  wait();
})();
