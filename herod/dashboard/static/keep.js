/* Keeps what lets a new tab go on with the session (resume.js). Other ports of this host cannot read our storage. */
"use strict";
(() => {
  if (!isSecureContext || window.top !== window) return;
  try {
    localStorage.setItem("herod-resume", document.documentElement.dataset.resume);
  } catch {
    // storage is off: a new tab asks to sign in
  }
})();
