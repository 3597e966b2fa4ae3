// Tokens, for whoever may make and revoke them: shown where the service wants tokens or has some.

import { ask, get, post } from "./api.js";
import { copyButton } from "./copying.js";
import { confirmed, openDialog } from "./dialogs.js";
import { byId, element, fill, say, show } from "./dom.js";
import { announce, attempt, report } from "./notices.js";
import { oneAtATime } from "./timing.js";
import { moment } from "./words.js";

const SCOPES = { read: "looking", admin: "everything" };

export class Tokens {
  constructor() {
    byId("make-token").addEventListener("click", () => openMaking((made) => this.#tellMade(made)));
  }

  async open() {
    const [session, tokens] = await Promise.all([get("session"), listed()]);
    show(byId("tokens"), tokens !== null && (session.has_token || tokens.length > 0));
    show(byId("token-table"), Boolean(tokens?.length));
    fill(byId("token-rows"), tokens ?? [], (token) => token.token_id, (token) => this.#makeRow(token));
  }

  #makeRow(token) {
    const revoke = () => this.#revoke(token).catch(report);
    const [scope, made, end] = [SCOPES[token.scope], moment(token.created_at), moment(token.expires_at)];
    return element("tr", {},
      element("th", { scope: "row", class: "path" }, token.name,
        element("span", { class: "below faint" }, `for ${scope} until ${end}`)),
      [scope, made, end].map((text) => element("td", { class: "wide-only" }, text)),
      element("td", {}, element("button", { type: "button", onclick: revoke, "aria-label": `Revoke ${token.name}` }, "Revoke…")));
  }

  async #revoke(token) {
    const words = "Whoever uses it is not let in any more, within half a minute. If it is the token of this browser, you are asked for another one.";
    if (!(await confirmed(`Revoke ${token.name}?`, words, "Revoke it"))) return;
    if (await attempt(() => ask("DELETE", `tokens/${token.token_id}`))) announce(`${token.name} is revoked.`);
    // Its button is gone with it.
    byId("tokens-title").focus();
    await this.open();
  }

  #tellMade(made) {
    showMade(made);
    this.open().catch(report);
  }
}

/** The tokens; null for a reader who may not know them. */
async function listed() {
  try {
    return await get("tokens");
  } catch (problem) {
    if (problem.status !== 403) throw problem;
    return null;
  }
}

function openMaking(onMade) {
  const name = element("input", { id: "token-name", required: true, maxlength: "100", autocomplete: "off", autofocus: true });
  const scope = element("select", { id: "token-scope" },
    Object.entries(SCOPES).map(([value, words]) => element("option", { value }, words)));
  const days = element("input", { id: "token-days", type: "number", min: "1", max: "36500", step: "1", value: "90", required: true });
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const form = element(
    "form", { class: "stack" },
    element("label", { for: "token-name" }, "Name: who or what will have it"), name,
    element("label", { for: "token-scope" }, "Good for"), scope,
    element("label", { for: "token-days" }, "Ends after days"), days, error,
    element("div", { class: "row end" }, element("button", { class: "primary" }, "Make it")),
  );
  const dialog = openDialog("Make a token", form);
  const make = oneAtATime(async () => {
    try {
      const made = await post("tokens", { name: name.value, scope: scope.value, days: Number(days.value) });
      dialog.close();
      onMade(made);
    } catch (problem) {
      say(error, problem.message);
      show(error, true);
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    make();
  });
}

/** Show a token for the only time that anybody sees it. */
function showMade(made) {
  const token = element("textarea", {
    id: "made-token", rows: "8", readonly: true, spellcheck: "false", autofocus: true, "aria-describedby": "made-token-why",
  });
  token.value = made.token;
  token.addEventListener("focus", () => token.select());
  openDialog(`The token of ${made.name}`, element("div", { class: "stack" },
    element("p", { id: "made-token-why" }, "Copy it now: it is shown only this once. Keep it as you keep a password."),
    element("label", { for: "made-token" }, "Token"), token,
    element("div", { class: "row end" }, copyButton(made.token, "the token"))));
}
