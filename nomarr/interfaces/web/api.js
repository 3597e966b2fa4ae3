// Asking the service. Every error comes as a Problem, whose message says what to do.

const BASE = new URL("api/v1/", document.baseURI);

/** What went wrong, as the service tells it (RFC 9457); status 0: it did not answer. */
export class Problem extends Error {
  constructor(status, detail, error = null) {
    super(detail);
    this.status = status;
    this.error = error; // The name of its kind.
  }

  get isUnreachable() {
    return this.status === 0;
  }

  get needsToken() {
    return this.status === 401;
  }
}

let askForToken = async () => false;

/** Call `ask(problem)` when a token is needed; it answers whether there is one now. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/**
 * The URL of `path` below the API. Lone surrogates in a value stand for bytes of a path that are no UTF-8, and are
 * sent as these bytes.
 */
export function address(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value != null && value !== "" && value !== false);
  const words = pairs.map(([name, value]) => `${name}=${percentEncoded(String(value))}`);
  return new URL(words.length ? `${path}?${words.join("&")}` : path, BASE).href;
}

function percentEncoded(text) {
  return text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\s\S]/g, (character) => {
    const code = character.charCodeAt(0);
    const isByte = character.length === 1 && code >= 0xdc80 && code <= 0xdcff;
    return isByte ? `%${(code - 0xdc00).toString(16).toUpperCase()}` : encodeURIComponent(character);
  });
}

/** The JSON of an answer, null if it has none. Asks for a token if the service wants one, and then once more. */
export async function ask(method, path, { query, body } = {}) {
  for (;;) {
    const answer = await send(method, address(path, query), body);
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const problem = await problemOf(answer);
    if (!problem.needsToken || path === "session" || !(await askForToken(problem))) throw problem;
  }
}

export const get = (path, query) => ask("GET", path, { query });
export const post = (path, body) => ask("POST", path, { body });

/** The items of all pages of a list. */
export async function getAll(path, query) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(path, { ...query, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return items;
}

async function send(method, url, body) {
  const request = { method };
  if (body !== undefined) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  try {
    return await fetch(url, request);
  } catch {
    throw new Problem(0, "The service does not answer. It is asked again every few seconds.");
  }
}

async function problemOf(answer) {
  try {
    const { detail, error } = await answer.json();
    return new Problem(answer.status, detail, error);
  } catch {
    return new Problem(answer.status, `The service answered with ${answer.status} ${answer.statusText}.`);
  }
}
