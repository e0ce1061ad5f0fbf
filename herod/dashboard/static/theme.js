/* Before anything is painted: the theme this browser was told to wear. Without script it follows the reader's system. */
"use strict";
(() => {
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("herod-theme");
    } catch {
      return null; // storage is off: the system's theme it is
    }
  };
  const wear = (theme) => {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  wear(kept());
  window.herodTheme = { wear };
  // A hosting page may say which theme it wears: only from an origin that the settings list. The frame's next pages wear
  // it too, and no other window.
  const origins = (root.dataset.frames || "").split(" ").filter(Boolean);
  if (window.parent !== window && origins.length) {
    try {
      const told = sessionStorage.getItem("herod-theme");
      if (told) wear(told);
    } catch {
      // storage is off: the hosting page has to say it for each page
    }
    window.addEventListener("message", (event) => {
      if (!origins.includes(event.origin) || event.source !== window.parent) return;
      if (!event.data || event.data.type !== "theme") return;
      wear(event.data.theme);
      try {
        sessionStorage.setItem("herod-theme", event.data.theme);
      } catch {
        // as above
      }
    });
  }
})();
