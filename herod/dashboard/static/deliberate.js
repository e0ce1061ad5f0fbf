/* A press that was meant for another window allows nothing: a hostile page can close over this one between the two
   presses of a double click. So a button that allows something waits until the page has been in front for a moment.
   Without script it works at once. */
"use strict";
(() => {
  const MOMENT = 500; // milliseconds: longer than between the presses of a double click
  const buttons = document.querySelectorAll("button[data-deliberate]");
  let timer;
  const wait = () => {
    clearTimeout(timer);
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    timer = setTimeout(() => {
      for (const button of buttons) button.removeAttribute("aria-disabled");
    }, MOMENT);
  };
  for (const button of buttons) {
    button.addEventListener("click", (event) => {
      if (button.hasAttribute("aria-disabled")) event.preventDefault();
    });
  }
  addEventListener("focus", wait);
  addEventListener("pageshow", (event) => {
    if (event.persisted) wait(); // back from the browser's memory
  });
  document.addEventListener("visibilitychange", wait);
  wait();
})();
