// The token that the service wants from other computers.

import { Problem, ask, get, onTokenNeeded } from "./api.js";
import { openDialog } from "./dialogs.js";
import { byId, element, say, show } from "./dom.js";
import { attempt } from "./notices.js";
import { RETRY_MILLISECONDS, pause } from "./timing.js";

const HOW = "Nomarr lets in whoever has a token. On the computer where it runs, “nomarr token create --scope admin” prints one; "
  + "without “--scope admin” it is for looking only.";

const NOT_KEPT = `The token is good, but this browser did not keep it. Allow cookies for ${location.hostname} and try again, `
  + "or open the https address of Nomarr if it has one.";

const otherTabs = new BroadcastChannel("nomarr signed out");

let asking = null;
let mayAsk = true; // A reader who has closed the question is not asked again before they do something.
let waiting = []; // what goes on once there is a token
let tellLetIn = () => {};

/**
 * From now on a token is asked for whenever one is needed; only once, however many requests wait for it.
 * `onRefused()` is called when there is none, and `onLetIn()` once there is one.
 */
export function setUpSession(onRefused, onLetIn) {
  tellLetIn = onLetIn;
  for (const act of ["click", "change", "hashchange"]) window.addEventListener(act, () => (mayAsk = true), true);
  onTokenNeeded((problem) => {
    onRefused();
    if (!mayAsk) return false;
    asking ??= askOnce(problem).finally(() => (asking = null));
    return asking;
  });
  byId("sign-in").addEventListener("click", () => attempt(signIn));
  byId("sign-out").addEventListener("click", () => attempt(signOut));
  otherTabs.addEventListener("message", startAnew);
}

/** Resolves when it is worth asking again after this problem: once there is a token, or after a while. */
export function recovery(problem) {
  return problem.needsToken ? letIn() : pause(RETRY_MILLISECONDS);
}

/** Let a reader forget the token, if there is one. */
export async function showSession() {
  const { has_token: hasToken } = await get("session");
  show(byId("sign-out"), hasToken);
}

/** Resolves once the service lets this browser in. */
function letIn() {
  return new Promise((resolve) => waiting.push(resolve));
}

/** There is a token now. */
function goOn() {
  const all = waiting;
  waiting = [];
  for (const next of all) next();
  tellLetIn();
}

/** Asking for anything asks for a token, too; unless another tab has got one meanwhile. */
async function signIn() {
  await get("watcher");
  goOn();
}

/** Have this browser keep a token. Its scripts can't see the cookie, so the service is asked whether it came back. */
async function useToken(token) {
  await ask("PUT", "session", { body: { token } });
  const { has_token: isKept } = await get("session");
  if (!isKept) throw new Problem(401, NOT_KEPT);
}

async function signOut() {
  await ask("DELETE", "session");
  otherTabs.postMessage(null);
  startAnew();
}

/** Nothing of what was shown stays, and the stream of events ends. */
function startAnew() {
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
        await useToken(input.value.trim());
        dialog.close("accepted");
        goOn();
      } catch (problem) {
        say(error, problem.message);
        show(error, true);
        input.focus();
      }
    });
    dialog.addEventListener("close", () => {
      mayAsk = dialog.returnValue === "accepted";
      answer(mayAsk);
    });
  });
}
