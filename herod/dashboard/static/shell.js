/* What makes the pages live. Every page works without it. */
"use strict";
(() => {
  const byData = (name, within = document) => within.querySelectorAll(`[data-${name}]`);

  const toast = (text, kind = "good") => {
    const line = document.createElement("p");
    line.className = `toast ${kind}`;
    line.textContent = text;
    document.getElementById("toasts").append(line);
    setTimeout(() => line.remove(), 6000);
  };

  // An address that is reloaded or sent on must not say again what was done once.
  const forgetSaid = () => {
    const here = new URL(location.href);
    if (!here.searchParams.has("said")) return;
    here.searchParams.delete("said");
    history.replaceState(null, "", here);
    document.querySelectorAll("#toasts .toast").forEach((line) => setTimeout(() => line.remove(), 6000));
  };

  const enliven = (within) => {
    byData("copy", within).forEach((button) => {
      button.hidden = false;
      button.onclick = async () => {
        const value = document.querySelector(button.dataset.copy).textContent;
        try {
          await navigator.clipboard.writeText(value);
        } catch {
          // Not a secure context: let the browser copy what is selected.
          getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
          document.execCommand("copy");
        }
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 2000);
      };
    });
    // Times as the reader's clock has them.
    within.querySelectorAll("time[datetime]").forEach((time) => {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.valueOf())) time.title = `${at.toLocaleString()} (${time.title})`;
    });
  };

  const themes = ["dark", "light"];
  byData("theme-toggle").forEach((button) => {
    button.hidden = false;
    button.title = "Switch between the dark and the light theme";
    button.onclick = () => {
      const now = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
      const next = themes[1 - themes.indexOf(now)];
      window.herodTheme.wear(next);
      try {
        localStorage.setItem("herod-theme", next);
      } catch {
        toast("This browser keeps nothing: the theme is forgotten with the page.", "bad");
      }
    };
  });

  document.addEventListener("htmx:load", (event) => enliven(event.detail.elt));
  // What looks again by itself waits while nobody sees it, a question is open, or the keyboard or a selection is in it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const place = event.detail.elt;
    if (!("live" in place.dataset)) return;
    const chosen = getSelection();
    const isInUse = place.contains(document.activeElement) || (!chosen.isCollapsed && place.contains(chosen.anchorNode));
    if (document.hidden || isInUse || document.querySelector("dialog[open]")) event.preventDefault();
  });
  // Led to the front page, one is signed in no more.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const answered = event.detail.xhr.responseURL;
    if (!answered || new URL(answered).pathname !== "/") return;
    event.detail.shouldSwap = false;
    location.assign("/");
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401 || event.detail.xhr.status === 303) location.assign("/");
    else toast("This could not be refreshed.", "bad");
  });
  document.addEventListener("htmx:sendError", () => toast("herod does not answer.", "bad"));
  // On phones the menu is a bar: bring the area one is in into sight.
  const bar = document.querySelector(".side nav");
  const current = bar && bar.querySelector("[aria-current]");
  if (current) bar.scrollLeft = current.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;

  enliven(document);
  forgetSaid();
})();
