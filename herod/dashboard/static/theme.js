/* Applies this browser's chosen theme before the first paint. Without script, pages follow the reader's system. A cookie
   keeps it, for our origin's storage is cleared at every sign-in. */
"use strict";
(() => {
  const root = document.documentElement;
  const kept = () => (/(?:^|; )herod_theme=(dark|light)(?:;|$)/.exec(document.cookie) || [])[1];
  const keep = (theme) => {
    document.cookie = `herod_theme=${theme}; path=/; max-age=31536000; samesite=strict`;
    return kept() === theme;
  };
  const wear = (theme) => {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  wear(kept());
  window.herodTheme = { keep, wear };
  // A hosting page may set the theme, but only from an origin listed in the settings. It holds for the frame's next
  // pages too, and for no other window.
  const origins = (root.dataset.frames || "").split(" ").filter(Boolean);
  if (window.parent !== window && origins.length) {
    try {
      const told = sessionStorage.getItem("herod-theme");
      if (told) wear(told);
    } catch {
      // storage is off: the hosting page must set it for each page
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
