// What happens, as it happens: server-sent events, resumed after the last change that was seen.

import { address, get } from "./api.js";

const KINDS = ["change", "watch", "scan", "scan_request", "enrichment"];
const RETRY_MILLISECONDS = 2000;

/** Tells listeners of every kind of news; `state` is "connecting", "live" or "reconnecting". */
export class News {
  #handlers = new Map(KINDS.map((kind) => [kind, []]));
  #onState;
  #lastSeq = null;
  #source = null;

  constructor(onState) {
    this.#onState = onState;
  }

  on(kind, handler) {
    this.#handlers.get(kind).push(handler);
  }

  /** Begin after the change with this number. */
  start(after) {
    this.#lastSeq = after;
    this.#onState("connecting");
    this.#open();
    // Browsers allow six connections to a service: tabs that nobody sees must not keep them.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#source.close() : this.#open()));
  }

  #open() {
    this.#source?.close();
    const source = new EventSource(address("events/stream", { after: String(this.#lastSeq) }));
    this.#source = source;
    source.onopen = () => this.#onState("live");
    source.onerror = () => this.#lost();
    for (const kind of KINDS) source.addEventListener(kind, (message) => this.#heard(kind, message));
  }

  #heard(kind, message) {
    if (kind === "change") this.#lastSeq = Number(message.lastEventId);
    const news = JSON.parse(message.data);
    for (const handler of this.#handlers.get(kind)) handler(news);
  }

  #lost() {
    this.#onState("reconnecting");
    // The browser tries again by itself after a broken connection, but never after an answer that was an error.
    if (this.#source.readyState === EventSource.CLOSED) setTimeout(() => this.#reopen(), RETRY_MILLISECONDS);
  }

  async #reopen() {
    try {
      // Also asks for a token, if that is what is missing.
      await get("watcher");
    } catch {
      setTimeout(() => this.#reopen(), RETRY_MILLISECONDS);
      return;
    }
    this.#open();
  }
}
