/* A form that ends something asks before it is sent. Loaded before any button is shown, so that none can be pressed first. */
"use strict";
(() => {
  const ask = (form, submitter) => {
    const dialog = document.createElement("dialog");
    const text = document.createElement("p");
    const row = document.createElement("div");
    const no = document.createElement("button");
    const yes = document.createElement("button");
    text.textContent = form.dataset.confirm;
    text.id = "question";
    dialog.setAttribute("aria-labelledby", "question");
    row.className = "row";
    no.className = "quiet";
    no.textContent = "Cancel";
    yes.textContent = submitter ? submitter.textContent : "Yes";
    yes.className = "danger";
    no.onclick = () => dialog.close();
    let isSure = false;
    yes.onclick = () => {
      isSure = true;
      dialog.close();
      form.dataset.sure = "yes";
      form.requestSubmit(submitter || undefined);
      delete form.dataset.sure; // where the page stays, the next press asks again
    };
    dialog.onclose = () => {
      dialog.remove();
      if (submitter && !isSure) submitter.focus();
    };
    row.append(no, yes);
    dialog.append(text, row);
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  };

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (!form.dataset.confirm || form.dataset.sure) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(form, event.submitter);
    },
    true,
  );
})();
