/* Interactive features. Every page works without them. */
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

  // A URL that is reloaded or shared must not repeat the notice of a change.
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
          // Not a secure context: let the browser copy the selection.
          getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
          document.execCommand("copy");
        }
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 2000);
      };
    });
    // Times in the reader's time zone.
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
      if (!window.herodTheme.keep(next)) toast("This browser keeps no cookies from scripts: the theme lasts only for this page.", "bad");
    };
  });

  document.addEventListener("htmx:load", (event) => enliven(event.detail.elt));
  // Automatic refresh pauses while the page is hidden, a dialog is open, or focus or a selection is in the refreshed
  // part.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const place = event.detail.elt;
    if (!("live" in place.dataset)) return;
    const chosen = getSelection();
    const isInUse = place.contains(document.activeElement) || (!chosen.isCollapsed && place.contains(chosen.anchorNode));
    if (document.hidden || isInUse || document.querySelector("dialog[open]")) event.preventDefault();
  });
  // A redirect to the front page means that the visitor is no longer signed in.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const answered = event.detail.xhr.responseURL;
    if (!answered || new URL(answered).pathname !== "/") return;
    event.detail.shouldSwap = false;
    location.assign("/");
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) location.reload(); // the page then says why, and leads back here
    else if (event.detail.xhr.status === 303) location.assign("/");
    else toast("Could not refresh this page.", "bad");
  });
  document.addEventListener("htmx:sendError", () => toast("herod does not answer.", "bad"));
  // A page that is left open gives way to the sign-in page when its session has ended. Asking as htmx does is no use of
  // the session, which would keep it.
  const idleMs = 1000 * (Number(document.body.dataset.idle) + 1);
  const leaveWhenOver = async () => {
    try {
      const answer = await fetch(location.href, { headers: { "HX-Request": "true" }, cache: "no-store" });
      if (answer.status === 401) location.reload();
    } catch {
      // herod does not answer: ask again later
    }
    setTimeout(leaveWhenOver, idleMs);
  };
  setTimeout(leaveWhenOver, idleMs);

  // On phones the menu is a bar: scroll the current area into view.
  const bar = document.querySelector(".side nav");
  const current = bar && bar.querySelector("[aria-current]");
  if (current) bar.scrollLeft = current.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;

  enliven(document);
  forgetSaid();
})();
