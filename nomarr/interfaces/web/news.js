// What happens, as it happens: server-sent events, resumed after the last change that was seen.

import { address, get } from "./api.js";
import { recovery } from "./session.js";
import { RETRY_MILLISECONDS, pause } from "./timing.js";

const KINDS = ["change", "watch", "scan", "scan_request", "library", "enrichment"];

/** Tells listeners of every kind of news; `state` is "connecting", "live" or "reconnecting". */
export class News {
  #handlers = new Map(KINDS.map((kind) => [kind, []]));
  #onState;
  #lastSeq = null;
  #source = null; // None while nobody sees the page.
  #tellBegun = () => {};

  constructor(onState) {
    this.#onState = onState;
    // Browsers allow six connections to a service: tabs that nobody sees must not keep them.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#close();
      else if (this.#lastSeq !== null) this.#open();
    });
  }

  on(kind, handler) {
    this.#handlers.get(kind).push(handler);
  }

  /** Begin after the change with this number. Resolves once news are heard, or can't be for now. */
  start(after) {
    this.#lastSeq = after;
    this.#onState("connecting");
    const begun = new Promise((resolve) => (this.#tellBegun = resolve));
    this.#open();
    // A proxy may keep a stream back until there is something in it, and a tab may be left before.
    return Promise.race([begun, pause(RETRY_MILLISECONDS)]);
  }

  /** Begin anew with the token that this browser has now. */
  renew() {
    if (this.#source?.readyState === EventSource.OPEN) this.#open();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#close();
    const source = new EventSource(address("events/stream", { after: String(this.#lastSeq) }));
    this.#source = source;
    source.onopen = () => {
      this.#onState("live");
      this.#tellBegun();
    };
    source.onerror = () => this.#lost(source);
    for (const kind of KINDS) source.addEventListener(kind, (message) => this.#heard(kind, message));
  }

  #heard(kind, message) {
    if (kind === "change") this.#lastSeq = Number(message.lastEventId);
    const news = JSON.parse(message.data);
    for (const handler of this.#handlers.get(kind)) handler(news);
  }

  /** Open another stream once the service answers. Browsers don't say why a stream broke, so the service is asked. */
  async #lost(source) {
    source.close();
    this.#onState("reconnecting");
    this.#tellBegun();
    // It may answer, and refuse nothing but streams.
    const notAtOnce = pause(RETRY_MILLISECONDS);
    while (source === this.#source) {
      try {
        await get("watcher");
        await notAtOnce;
        if (source === this.#source) this.#open();
      } catch (problem) {
        await recovery(problem);
      }
    }
  }
}
