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
  window.herodTheme = { wear, kept };
  // A hosting page may say which theme it wears: only from an origin that the settings list.
  const origins = (root.dataset.frames || "").split(" ").filter(Boolean);
  if (window.parent !== window && origins.length) {
    window.addEventListener("message", (event) => {
      if (!origins.includes(event.origin) || event.source !== window.parent) return;
      if (event.data && event.data.type === "theme") wear(event.data.theme);
    });
  }
})();
