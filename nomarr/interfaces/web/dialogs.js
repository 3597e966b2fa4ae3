// Questions that have to be answered before anything else.

import { element } from "./dom.js";

let dialogs = 0;

/** A dialog with a heading; it is removed when it closes, and focus goes back to where it was. */
export function openDialog(title, content, { wide = false } = {}) {
  const id = `dialog-${++dialogs}`;
  const close = element("button", { type: "button", class: "plain close", "aria-label": "Close" }, "✕");
  const heading = element("header", {}, element("h2", { id }, title), close);
  const dialog = element("dialog", { "aria-labelledby": id, class: wide ? "wide" : false }, heading, content);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask before something that can't be undone; answers true or false. */
export function confirmed(title, words, action) {
  return new Promise((answer) => {
    const yes = element("button", { type: "button", class: "danger" }, action);
    const no = element("button", { type: "button", autofocus: true }, "Leave it as it is");
    const content = element("div", {}, element("p", {}, words), element("div", { class: "row end" }, no, yes));
    const dialog = openDialog(title, content);
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"));
    yes.addEventListener("click", () => dialog.close("yes"));
    no.addEventListener("click", () => dialog.close());
  });
}
