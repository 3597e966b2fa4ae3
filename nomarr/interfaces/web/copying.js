// Copying a text.

import { element, say } from "./dom.js";
import { attempt } from "./notices.js";

const canCopy = Boolean(navigator.clipboard); // Browsers give it to this computer's own pages and to HTTPS only.

/** A button that copies `text`, which is `what`; null where the browser does not let it. */
export function copyButton(text, what) {
  if (!canCopy) return null;
  const button = element("button", { type: "button", class: "plain" }, "Copy", element("span", { class: "unseen" }, ` ${what}`));
  button.addEventListener("click", async () => {
    if (await attempt(() => navigator.clipboard.writeText(text))) say(button, "Copied");
  });
  return button;
}
