/* Passkeys: signs in with them and enrols them, by the browser's own dialogs. Loaded before the page is shown. Without
   script, or where the browser has no passkeys, the pages' other ways to sign in are there. */
"use strict";
(() => {
  const LASTS_MS = 300_000; // herod's challenges
  const can = Boolean(window.PublicKeyCredential && navigator.credentials) && window.top === window;

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => {
    const binary = Array.from(new Uint8Array(buffer), (one) => String.fromCharCode(one)).join("");
    return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  };
  const fill = (form, values) => Object.entries(values).forEach(([name, value]) => (form.elements[name].value = value));
  const say = (form, words) => (form.querySelector("[data-passkey-says]").textContent = words);

  // What herod asks the browser for; null if it refuses. Then the form is sent as it is, and the page that follows says why.
  const ask = async (form) => {
    const body = new URLSearchParams();
    if (form.elements.ticket) body.set("ticket", form.elements.ticket.value);
    const answer = await fetch(form.dataset.options, { method: "POST", body, cache: "no-store" });
    return answer.ok ? answer.json() : null;
  };

  const get = async (asked, further) => {
    const publicKey = { challenge: bytes(asked.challenge), rpId: asked.rp_id, userVerification: "required", timeout: LASTS_MS };
    const { rawId, response } = await navigator.credentials.get({ publicKey, ...further });
    return {
      credential: text(rawId),
      client_data: text(response.clientDataJSON),
      authenticator_data: text(response.authenticatorData),
      signature: text(response.signature),
      user_handle: response.userHandle ? text(response.userHandle) : "",
    };
  };

  const create = async (asked) => {
    const publicKey = {
      challenge: bytes(asked.challenge),
      rp: { id: asked.rp_id, name: "herod" },
      user: { id: bytes(asked.user_handle), name: asked.user_name, displayName: asked.user_name },
      pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: asked.exclude.map((id) => ({ type: "public-key", id: bytes(id) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
      timeout: LASTS_MS,
    };
    const { response } = await navigator.credentials.create({ publicKey });
    return {
      client_data: text(response.clientDataJSON),
      attestation: text(response.attestationObject),
      transports: (response.getTransports ? response.getTransports() : []).join(","),
    };
  };

  const why = (error) => {
    if (error.name === "InvalidStateError") return "This device has a passkey of yours already.";
    if (error.name === "NotAllowedError") return "No passkey was used. Try again, or use another way.";
    return "The browser cannot use a passkey here.";
  };

  let offered = null; // what ends the suggestions of the email field, also while their challenge is on its way

  // The browser suggests passkeys in the email field (conditional mediation); the challenge is renewed before it ends.
  const offer = async (form) => {
    const mine = new AbortController();
    offered = mine;
    const available = PublicKeyCredential.isConditionalMediationAvailable;
    if (!available || !(await available.call(PublicKeyCredential))) return;
    const asked = await ask(form);
    if (!asked || mine.signal.aborted) return;
    const renewal = setTimeout(() => {
      mine.abort();
      offer(form).catch(() => {});
    }, LASTS_MS * 0.8);
    try {
      fill(form, await get(asked, { mediation: "conditional", signal: mine.signal }));
      form.submit();
    } finally {
      clearTimeout(renewal);
    }
  };

  const press = async (form) => {
    const button = form.querySelector("button");
    if (offered) offered.abort(); // a browser takes one request at a time
    button.disabled = true;
    say(form, "");
    try {
      const asked = await ask(form);
      if (asked) fill(form, await (form.dataset.passkey === "get" ? get(asked) : create(asked)));
      form.submit();
    } catch (error) {
      say(form, why(error));
      if ("offered" in form.dataset) offer(form).catch(() => {});
    } finally {
      button.disabled = false;
    }
  };

  // Another account system may have its passkeys for the same name: herod does not know them, and the browser may hide it.
  const forgetUnknown = async (form) => {
    const credentialId = form.dataset.unknownPasskey;
    const signal = PublicKeyCredential.signalUnknownCredential;
    if (credentialId && signal) await signal.call(PublicKeyCredential, { rpId: location.hostname, credentialId });
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!can) return;
    document.querySelectorAll("[data-passkey-home]").forEach((place) => {
      place.hidden = place.dataset.passkeyHome === location.origin;
      if (!place.hidden) document.querySelectorAll("[data-passkey-or]").forEach((line) => (line.hidden = false));
    });
    document.querySelectorAll("[data-passkey-without]").forEach((line) => (line.hidden = true));
    document.querySelectorAll("form[data-passkey]").forEach((form) => {
      if (form.dataset.origin !== location.origin) return;
      form.hidden = false;
      document.querySelectorAll("[data-passkey-or]").forEach((line) => (line.hidden = false));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        press(form);
      });
      if ("offered" in form.dataset) offer(form).catch(() => {});
    });
    document.querySelectorAll("[data-unknown-passkey]").forEach((form) => forgetUnknown(form).catch(() => {}));
  });
})();
