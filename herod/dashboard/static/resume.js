/* Goes on with this browser's session in a new tab. Without a proof in our origin's storage the page stays as it is. */
"use strict";
(() => {
  if (window.top !== window) return; // never in a frame
  let proof = null;
  try {
    proof = localStorage.getItem("herod-resume");
  } catch {
    // storage is off: sign in
  }
  const root = document.documentElement;
  if (proof) root.dataset.resuming = ""; // what is shown meanwhile would only flash
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("resume");
    if (proof) {
      form.elements.proof.value = proof;
      form.submit();
    } else if (form.dataset.otherwise) {
      location.replace(form.dataset.otherwise);
    }
  });
  // Who comes back to this page by the browser's history sees it again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) delete root.dataset.resuming;
  });
})();
