// The token that the service wants from other computers.

import { ask, get, onTokenNeeded } from "./api.js";
import { openDialog } from "./dialogs.js";
import { byId, element, say, show } from "./dom.js";
import { attempt } from "./notices.js";

const HOW = "Nomarr lets in whoever has a token. On the computer where it runs, “nomarr token create --scope admin” prints one; "
  + "without “--scope admin” it is for looking only.";

let asking = null;

/** From now on a token is asked for whenever one is needed; only once, however many requests wait for it. */
export function setUpSession() {
  onTokenNeeded((problem) => {
    asking ??= askOnce(problem).finally(() => (asking = null));
    return asking;
  });
  byId("sign-out").addEventListener("click", () => attempt(signOut));
}

/** Let a reader forget the token, if there is one. */
export async function showSession() {
  const { has_token: hasToken } = await get("session");
  show(byId("sign-out"), hasToken);
}

async function signOut() {
  await ask("DELETE", "session");
  // Nothing of what was shown stays, and the stream of events ends.
  location.reload();
}

function askOnce(problem) {
  return new Promise((answer) => {
    const error = element("p", { class: "error", role: "alert", hidden: true });
    const input = element("input", {
      id: "token", type: "password", required: true, autofocus: true, autocomplete: "off",
      "aria-describedby": "token-why",
    });
    const form = element(
      "form", { class: "stack" },
      element("p", { id: "token-why" }, problem.error === "TokenMissing" ? HOW : `${problem.message}.`),
      element("label", { for: "token" }, "Token"), input, error,
      element("div", { class: "row end" }, element("button", { class: "primary" }, "Use this token")),
    );
    const dialog = openDialog("A token is needed", form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await ask("PUT", "session", { body: { token: input.value.trim() } });
        dialog.close("accepted");
      } catch (problem) {
        say(error, problem.message);
        show(error, true);
        input.focus();
      }
    });
    dialog.addEventListener("close", () => answer(dialog.returnValue === "accepted"));
  });
}
